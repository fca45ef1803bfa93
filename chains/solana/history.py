"""The history of a lending venue from its transactions: every transaction that names the venue's own account, read into lines of history.

Its journals are kept under a name of their own (`history_id`): of each unit a setting `owner`, where an instruction proves it, and
`pending` (see `reconcile.py`). What the venue's accounts say decides what anybody holds; this says how it came about.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chains.errors import Contradicted, NodeBusy
from chains.identifiers import base58
from chains.model import WHOLE_VENUE, AccountChange, Basis, LendingEvent, Quarantined, Rows, Side, VenueSpec
from chains.ports import AccountKey, Finding, MarketKey, Records, StateReader
from chains.solana.ports import RETURNED, Folded, NeedReads, Reads, Said
from chains.solana.reconcile import DIFFERS, Move, weigh
from chains.solana.told import BIRTH, Deed, Delta, Strange, Teller, Told
from chains.solana.transactions import transaction

OWNER = "owner"
ENGINE = "history-1"
TX_ORDINALS, CALL_ORDINALS = 1 << 16, 1 << 6
"""Ordinals that one transaction, and one call in it, has to itself."""

EVIDENCE = (
    "every signature that names the venue's account, each read; their sums are compared with accounts at each look"
)
PATIENCE = 2
"""How often a look is made again before what differs is believed."""

UNRECORDED = "calls_not_recorded"
DIFFER = "unbalanced"
"""Kind of finding: what is stored does not add up."""


def history_id(venue_id: str) -> str:
    """Return the name under which journals and coverage keep the history of a venue."""
    return f"history:{venue_id}"


class Heard(NamedTuple):
    """What one call of a transaction told, and the place that its lines have in the chain."""

    slot: int
    tx_index: int
    ordinal: int
    signature: bytes
    path: str
    telling: Told | Strange


class History:
    """The transactions of one venue."""

    def __init__(self, venue: VenueSpec, teller: Teller) -> None:
        self._venue = venue
        self._teller = teller
        self._patience = PATIENCE
        self._reread: set[MarketKey] = set()

    @property
    def venue(self) -> VenueSpec:
        """The venue whose history it is."""
        return self._venue

    @property
    def interest(self) -> str:
        """What coverage and journals call it."""
        return history_id(self._venue.id)

    @property
    def addresses(self) -> Sequence[bytes]:
        """The account that is named by every instruction that changes a position of the venue."""
        return (self._venue.address,)

    def decode(self, said: Sequence[Said]) -> list[Heard]:
        """Read the transactions that concern the venue from its first slot on, and did not fail; raises `NodeWrong`."""
        return [heard for one in said if one.slot >= self._venue.start_block for heard in self._heard(one)]

    def _heard(self, said: Said) -> Iterator[Heard]:
        read = transaction(said.body)
        if read.failed:
            return
        first = said.tx_index * TX_ORDINALS
        if not read.inner_known:
            yield Heard(said.slot, said.tx_index, first, said.signature, "", Strange(UNRECORDED))
            return
        for number, (call, telling) in enumerate(self._teller.tell(read)):
            path = ".".join(str(place) for place in call.instruction.path)
            yield Heard(said.slot, said.tx_index, first + number * CALL_ORDINALS, said.signature, path, telling)

    def fold(self, state: StateReader, decoded: Sequence[Heard], reads: Reads) -> Folded | NeedReads:
        """Turn what was told into lines of history; asks for the accounts of units whose owner nothing names."""
        book = _Book(self._venue.id, self._teller, _owners(state, self.interest, decoded))
        for heard in decoded:
            book.enter(heard, reads)
        if reads.missing:
            return NeedReads(reads=frozenset(reads.missing))
        return Folded(rows=book.rows, moves=book.moves)

    def must_agree(self, rows: Rows) -> None:
        """See that a look found what transactions add up to; raises `NodeBusy` as often as a lagging index may deserve."""
        differs = [row for row in rows.markets if row.aspect.startswith(DIFFERS)]
        if differs and self._patience:
            self._patience -= 1
            evidence = self._finding(differs[0].market, differs[0].aspect, json.loads(differs[0].state)).evidence
            raise NodeBusy(
                f"venue {self._venue.id}: {evidence}: the node's index of transactions may lag; looking again"
            )
        self._patience = PATIENCE

    def findings(self, first: int, last: int, records: Records) -> list[Finding]:
        """Return where accounts were seen to differ from what transactions add up to, in slots of a span.

        Raises `Contradicted` for a position that was not read anew for it yet: these slots can still be, and the node's index may have
        lagged. Then it is looked at but at the head, and what is still found is so whenever that is final.
        """
        aspects = records.markets_at(self.interest, last)
        said = {key: json.loads(text) for key, text in sorted(aspects.items()) if key[1].startswith(DIFFERS)}
        found = {key: self._finding(*key, each) for key, each in said.items() if first <= each["slot"] <= last}
        if fresh := found.keys() - self._reread:
            self._reread |= found.keys()
            raise Contradicted(f"venue {self._venue.id}: {found[min(fresh)].evidence}; the slots are read anew")
        self._reread -= found.keys()
        return list(found.values())

    def _finding(self, unit: bytes, aspect: str, said: Mapping[str, Any]) -> Finding:
        amounts = "collateral tokens" if said["exact"] else "raw units"
        _, market, side = aspect.split(":")
        evidence = (
            f"{side} of {base58(unit)} in {base58(bytes.fromhex(market[2:]))}: since the look before, accounts changed by"
            f" {said['accounts']} {amounts}, transactions add up to {said['transactions']}"
        )
        return Finding(
            interest=self.interest, kind=DIFFER, block=said["slot"], block_hash=b"", log_index=-1, tx_hash=b"", address=unit,
            topic0=b"", evidence=evidence,
        )  # fmt: skip

    def weigh(self, state: StateReader, moves: Sequence[Move], rows: Rows, seen: Mapping[bytes, Sequence[int]]) -> Rows:
        """Compare with what accounts said, which leave `rows.events`; `seen`: the slots at which accounts were looked at."""
        return weigh(self._venue.id, self.interest, self._teller, state, moves, rows, seen)


def _owners(state: StateReader, interest: str, decoded: Sequence[Heard]) -> dict[bytes, bytes]:
    """Return who owns the units that transactions concern, as far as transactions before these proved it."""
    units: set[bytes] = set()
    for heard in decoded:
        if isinstance(heard.telling, Told):
            units |= {deed.unit for deed in heard.telling.deeds} | heard.telling.owners.keys()
    keys: list[AccountKey] = [(unit, WHOLE_VENUE, OWNER) for unit in units if unit]
    known = state.accounts(interest, keys) if keys else {}
    return {unit: bytes.fromhex(json.loads(text)[2:]) for (unit, _, _), text in known.items()}


@dataclass(slots=True)
class _Book:
    """A venue's history while a span is folded."""

    venue_id: str
    teller: Teller
    owners: dict[bytes, bytes]
    rows: Rows = field(default_factory=Rows)
    moves: list[Move] = field(default_factory=list)

    def enter(self, heard: Heard, reads: Reads) -> None:
        """Take in one call."""
        if isinstance(heard.telling, Strange):
            place = heard.slot, heard.tx_index, heard.ordinal
            reason = f"{heard.telling} at {heard.path or 'all'}"
            self.rows.quarantined.append(Quarantined(*place, history_id(self.venue_id), reason, heard.signature))
            return
        for unit, owner in heard.telling.owners.items():
            self._own(heard, unit, owner)
        for unit in heard.telling.born:
            born = Delta(unit, BIRTH, Side.SUPPLY, 0, 0)
            self.moves.append(Move(heard.slot, heard.tx_index, heard.ordinal, born))
        for number, deed in enumerate(heard.telling.deeds):
            self._tell(heard, number, deed, reads)

    def _own(self, heard: Heard, unit: bytes, owner: bytes) -> None:
        if self.owners.get(unit) == owner:
            return
        self.owners[unit] = owner
        self.rows.accounts.append(
            AccountChange(
                heard.slot, heard.tx_index, heard.ordinal, history_id(self.venue_id), unit, owner, WHOLE_VENUE, OWNER,
                f'"0x{owner.hex()}"', ENGINE, Basis.EXACT,
            )
        )  # fmt: skip

    def _tell(self, heard: Heard, number: int, deed: Deed, reads: Reads) -> None:
        owner = deed.owner or self._owner(heard, deed.unit, reads)
        assert isinstance(heard.telling, Told)  # noqa: S101 - what is strange has no deeds
        extra: dict[str, object] = {"instruction": heard.path, "name": heard.telling.name, **deed.extra}
        if deed.unit:
            extra["account"] = base58(deed.unit)
        if owner is None:
            extra["owner_unknown"] = True
        place = heard.slot, heard.tx_index, heard.ordinal + number
        whose = owner or deed.unit
        self.rows.events.append(
            LendingEvent(
                *place, heard.signature, self.venue_id, deed.kind, deed.market, whose, deed.counterparty, deed.asset,
                deed.amount, json.dumps(extra, sort_keys=True, separators=(",", ":")),
            )
        )  # fmt: skip
        self.moves += [Move(*place, delta) for delta in deed.deltas]

    def _owner(self, heard: Heard, unit: bytes, reads: Reads) -> bytes | None:
        """Return who owns a unit: as transactions proved, or as its account says now; `None` for one that is gone."""
        if unit in self.owners:
            return self.owners[unit]
        answer = reads.account(heard.slot, unit)
        return self.teller.owner(answer.output) if answer is not None and answer.outcome == RETURNED else None
