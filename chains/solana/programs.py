"""Which deployment of a program runs: what its loader's accounts say, when it changed, and whether the configuration speaks of it.

One aspect of a venue that is read, `code`, for no market: program in base58 → {"loader"} ("upgradeable", "v4", or "fixed": it cannot
change), {"deployed"}: the slot of the last deployment, {"authority"}: who may deploy again, null for nobody, {"first"}: true while it is
the deployment that was there when the venue was first looked at, or {"problem"}: why nothing is known of it.

Accounts that are still laid out alike after a deployment may be computed with otherwise; so nothing is valued by a program that the
configuration does not speak of. Only the first bytes of a program's accounts are read and stored.

Source: agave `UpgradeableLoaderState` (bincode: a u32 that says which, then the fields) and `LoaderV4State`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from chains.identifiers import base58, from_base58
from chains.model import (
    END_OF_BLOCK,
    WHOLE_VENUE,
    AccountBytes,
    Basis,
    MarketChange,
    Reason,
    UnitSnapshot,
    VenueSnapshot,
    VenueUnit,
)
from chains.solana.derived import program_address
from chains.solana.ports import AccountProtocol, Leaning
from chains.solana.seen import Seen

DEPLOYMENT = "code"
ENGINE = "solana-loaders-1"
PROGRAM_SLOTS = "program_slots"
UPGRADED, UNKNOWN = "program_upgraded", "program_unknown"

UPGRADEABLE = from_base58("BPFLoaderUpgradeab1e11111111111111111111111")
LOADER_V4 = from_base58("LoaderV411111111111111111111111111111111111")
FIXED = frozenset(
    map(from_base58, ("BPFLoader1111111111111111111111111111111111", "BPFLoader2111111111111111111111111111111111"))
)

_PROGRAM, _PROGRAM_DATA = (2).to_bytes(4, "little"), (3).to_bytes(4, "little")
_POINTER, _SLOT, _HAS_AUTHORITY, _AUTHORITY = slice(4, 36), slice(4, 12), 12, slice(13, 45)
_V4_SLOT, _V4_AUTHORITY = slice(0, 8), slice(8, 40)

Deployments = Mapping[str, Mapping[str, Any]]


def programs_of(venue: AccountProtocol) -> list[bytes]:
    """Return the programs whose accounts make up a venue, and those by whose accounts some of it is valued."""
    beside = venue.beside if isinstance(venue, Leaning) else ()
    return sorted({*(wanted.program for wanted in venue.sets), *beside})


def watched_of(programs: Collection[bytes]) -> list[bytes]:
    """Return the accounts that tell which deployments run: the programs' own, and those that an upgradeable one has its code in."""
    return [address for program in programs for address in (program, _data_address(program))]


def enter(venue_id: str, programs: Sequence[bytes], before: str | None, seen: Sequence[Seen]) -> list[MarketChange]:
    """Return what changed of the deployments of a venue's programs, upon the aspect as it was `before`; `seen` by slot."""
    text, rows = before, list[MarketChange]()
    for slot in sorted({account.slot for _, account in seen}):
        now = dict(json.loads(text or "{}"))
        accounts = {address: account for address, account in seen if account.slot == slot}
        for program in programs:
            deployed = _deployment(program, now.get(base58(program), {}), accounts)
            if deployed or not accounts.keys().isdisjoint(watched_of([program])):
                now[base58(program)] = deployed
        said = json.dumps(now, sort_keys=True, separators=(",", ":"))
        if said != text:
            text = said
            place = slot, -1, END_OF_BLOCK
            rows.append(MarketChange(*place, venue_id, WHOLE_VENUE, DEPLOYMENT, said, ENGINE, Basis.OBSERVED))
    return rows


def known(
    snapshot: VenueSnapshot,
    value: Callable[[UnitSnapshot], VenueUnit],
    stated: Collection[int] = (),
    beside: Collection[bytes] = (),
) -> Callable[[UnitSnapshot], VenueUnit]:
    """Return `value`, or where another program runs than is configured, what leaves all of a unit unknown and says so.

    `stated`: slots of deployments that the venue's options speak of, beside its `program_slots`; `beside`: see `doubts`.
    """
    reasons = tuple(doubts(snapshot, stated, beside))
    return (lambda unit: _unknown(value(unit), reasons)) if reasons else value


def doubts(snapshot: VenueSnapshot, stated: Collection[int] = (), beside: Collection[bytes] = ()) -> Iterator[Reason]:
    """Yield why nothing is valued by a program that runs: the configuration does not speak of it, or it is not known.

    `beside`: programs that only some of the venue is valued by; they are looked at one by one (`doubt_beside`).
    """
    slots = {*stated, *snapshot.venue.options.get(PROGRAM_SLOTS, ())}
    for program, said in _deployments(snapshot).items():
        if from_base58(program) not in beside:
            yield from _doubt(snapshot, program, said, slots, PROGRAM_SLOTS)


def doubt_beside(snapshot: VenueSnapshot, program: bytes, stated: Collection[int], option: str) -> Reason | None:
    """Say why nothing is valued by a program that only some of a venue is valued by, `None` where that is right.

    The deployment of the first look counts as stated, whatever the slots that the configuration names as `option` are.
    """
    name = base58(program)
    said = _deployments(snapshot).get(name, {})
    slots = {*stated, int(said["deployed"])} if said.get("first") else stated
    return next(_doubt(snapshot, name, said, slots, option), None)


def _deployments(snapshot: VenueSnapshot) -> Deployments:
    found: Deployments = json.loads(snapshot.markets.get((WHOLE_VENUE, DEPLOYMENT), "{}"))
    return found


def _doubt(
    snapshot: VenueSnapshot, program: str, said: Mapping[str, Any], slots: Collection[int], option: str
) -> Iterator[Reason]:
    if "problem" in said or "deployed" not in said:
        yield Reason(
            UNKNOWN, program, said.get("problem", "the account that holds the program's code was not read yet")
        )
    elif not _is_stated(int(said["deployed"]), slots, first=said["first"]):
        detail = (
            f"the program was deployed in slot {said['deployed']}, which the configuration of venue"
            f" {snapshot.venue.id} does not speak of: see what changed, and add the slot to its `{option}`"
        )
        yield Reason(UPGRADED, program, detail)


def check_program_slots(options: Mapping[str, Any], option: str = PROGRAM_SLOTS) -> list[str]:
    """Return what is wrong with the option `program_slots`, or another one like it."""
    said = options.get(option, [])
    if isinstance(said, list | tuple) and all(is_slot(each) for each in said):
        return []
    return [f"{option} {said!r} is no list of slots; write those in which the program was deployed, as [350614570]"]


def is_slot(said: object) -> bool:
    """Tell a slot from anything else; `true` is none, though Python takes it for 1."""
    return isinstance(said, int) and not isinstance(said, bool) and said >= 0


def _data_address(program: bytes) -> bytes:
    return program_address(UPGRADEABLE, program)


def _deployment(program: bytes, before: Mapping[str, Any], accounts: Mapping[bytes, AccountBytes]) -> dict[str, Any]:
    """Return what is known of a program after some of its accounts were seen."""
    own, code = accounts.get(program), accounts.get(_data_address(program))
    now = {name: before[name] for name in ("loader", "deployed", "authority", "first", "problem") if name in before}
    if own is not None:
        solved = {"loader"} if "loader" in now else {"loader", "problem"}
        now = {name: text for name, text in now.items() if name not in solved}
        now |= _of_program(program, own)
    if code is not None and now.get("loader") == "upgradeable":
        now = {name: text for name, text in now.items() if name != "problem"}
        now |= _of_code(code)
    if "deployed" in now and now["deployed"] != before.get("deployed"):
        now["first"] = "deployed" not in before
    return now


def _of_program(program: bytes, account: AccountBytes) -> dict[str, Any]:
    if account.closed:
        return {"problem": "there is no account at the program's address"}
    if account.owner in FIXED:
        return {"loader": "fixed", "deployed": "0", "authority": None}
    if account.owner == LOADER_V4 and len(account.data) >= _V4_AUTHORITY.stop:
        authority = base58(account.data[_V4_AUTHORITY])
        return {"loader": "v4", "deployed": _slot(account.data[_V4_SLOT]), "authority": authority}
    if (
        account.owner == UPGRADEABLE
        and account.data[:4] == _PROGRAM
        and account.data[_POINTER] == _data_address(program)
    ):
        return {"loader": "upgradeable"}
    return {"problem": f"the account at the program's address belongs to {base58(account.owner)} and is no program"}


def _of_code(account: AccountBytes) -> dict[str, Any]:
    data = account.data
    if account.closed or account.owner != UPGRADEABLE or data[:4] != _PROGRAM_DATA or len(data) <= _HAS_AUTHORITY:
        return {"problem": "the program was closed"}
    authority = base58(data[_AUTHORITY]) if data[_HAS_AUTHORITY] else None
    return {"deployed": _slot(data[_SLOT]), "authority": authority}


def _slot(raw: bytes) -> str:
    return str(int.from_bytes(raw, "little"))


def _is_stated(deployed: int, stated: Collection[int], *, first: bool) -> bool:
    """Tell whether the configuration speaks of a deployment.

    It does of that which was there when the venue was first looked at, unless all the slots that it names are of before.
    """
    return deployed in stated or (first and (not stated or deployed <= max(stated)))


def _unknown(unit: VenueUnit, reasons: tuple[Reason, ...]) -> VenueUnit:
    return replace(
        unit,
        native=None,
        health_factor_wad=None,
        liquidatable=None,
        collateral_base=None,
        debt_base=None,
        positions=(),
        reasons=(*reasons, *unit.reasons),
        permits=None,
    )
