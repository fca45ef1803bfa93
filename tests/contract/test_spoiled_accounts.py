"""An account whose bytes are not what its table says is named, and no number is made of it: cut, extended, begun otherwise.

Each protocol is looked at on its golden run, Drift on the accounts of a liquidation: somebody who owes is valued, then one of the accounts
that this stands on is spoiled, and the same account is valued again. A price account may be longer, and `PriceUpdateV2` has one byte that
is not read. What else a fold says of such accounts is in each protocol's own tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from chains.identifiers import base58, from_base58
from chains.model import AccountBytes, Side, VenueUnit
from chains.solana import kamino, marginfi, save
from tests.support import drift_runs, kamino_runs, marginfi_runs, save_runs

Accounts = Mapping[bytes, AccountBytes]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Accounts at a slot, somebody's among them, and what values it after looks at accounts."""

    accounts: Accounts
    unit: bytes
    market: bytes
    value: Callable[[Sequence[Accounts]], VenueUnit | None]


def golden(runs: Mapping[str, Path]) -> Path:
    return next(folder for name, folder in runs.items() if name.startswith("golden/"))


def of_kamino() -> Iterator[Scene]:
    spec, samples = kamino_runs.load(golden(kamino_runs.runs()))
    for sample in samples:
        there = {address: account for address, account in sample.accounts.items() if not account.closed}
        for unit in sample.refreshed:

            def value(
                looks: Sequence[Accounts], sample: kamino_runs.Sample = sample, unit: bytes = unit
            ) -> VenueUnit | None:
                adapter = kamino_runs.Adapter(spec)
                adapter.look(looks[0])
                for look in looks[1:]:
                    adapter._give(sorted(look), look)
                snapshot = adapter.journals.venue_snapshot(spec, sample.slot, sample.time)
                held = [each for each in adapter.journals.unit_snapshots() if each.unit_id == unit]
                return kamino.open_book(snapshot)(held[0]) if held else None

            yield Scene(accounts=there, unit=unit, market=spec.address, value=value)


def of_marginfi() -> Iterator[Scene]:
    run = marginfi_runs.MarginfiRun.load(golden(marginfi_runs.runs()))
    for number in range(len(run.samples)):
        first = dict(marginfi_runs.MarginfiRun(name="", case=run.case, samples=run.samples[number:]).seen(0))
        for unit in run.users:

            def value(looks: Sequence[Accounts], number: int = number, unit: bytes = unit) -> VenueUnit | None:
                journals = marginfi_runs.Journals(run.venue)
                for look in looks:
                    journals.fold(sorted(look.items()))
                held = journals.unit(unit) if unit in journals.owners else None
                return marginfi.open_book(journals.market(run.at(number)))(held) if held else None

            yield Scene(accounts=first, unit=unit, market=run.venue.address, value=value)


def of_save() -> Iterator[Scene]:
    run = save_runs.load(golden(save_runs.runs()))
    for sample in run.samples:
        first = {
            from_base58(address): save_runs.account_bytes(sample["slot"], sample["accounts"].get(address))
            for address in run.looked_at
        }
        there = {address: account for address, account in first.items() if not account.closed}
        for user in run.case["users"].values():
            unit = from_base58(user["obligation"])

            def value(
                looks: Sequence[Accounts], at: Mapping[str, int] = sample, unit: bytes = unit
            ) -> VenueUnit | None:
                journals = save_runs.Journals(run.venue())
                for look in looks:
                    journals.take(sorted(look.items()))
                if unit not in journals.owners:
                    return None
                snapshot = journals.snapshot(at["slot"], at["unix_timestamp"])
                return save.open_book(snapshot)(journals.unit(unit))

            yield Scene(accounts=there, unit=unit, market=run.venue().address, value=value)


def of_drift() -> Iterator[Scene]:
    if not drift_runs.DUMPS.exists():
        pytest.skip(drift_runs.ABSENT)
    accounts, at = drift_runs.dust_case()
    user, _ = drift_runs.dump("user")

    def value(looks: Sequence[Accounts]) -> VenueUnit | None:
        journals = drift_runs.Journals()
        for look in looks:
            journals.fold(sorted(look.items()))
        return journals.value(user, at) if user in journals.owners else None

    yield Scene(accounts=dict(accounts), unit=user, market=drift_runs.STATE_KEY, value=value)


PROTOCOLS = {"drift": of_drift, "kamino": of_kamino, "marginfi": of_marginfi, "save": of_save}


@pytest.fixture(params=PROTOCOLS, scope="module")
def scene(request: pytest.FixtureRequest) -> Scene:
    """The first one in a run that is valued and owes."""
    for each in PROTOCOLS[request.param]():
        unit = each.value([each.accounts])
        if unit and unit.native and unit.has_debt and unit.health_factor_wad:
            return each
    raise AssertionError(f"nobody is valued who owes in the golden run of {request.param}")


def role(scene: Scene, name: str) -> bytes:
    """The account that is this to the unit: itself, where it owes, what prices that, the whole market."""
    if name in {"unit", "market"}:
        return scene.unit if name == "unit" else scene.market
    unit = scene.value([scene.accounts])
    assert unit
    owed = next(each for each in unit.positions if each.side is Side.BORROW)
    assert owed.price
    return owed.market if name == "reserve" else owed.price.source


SPOILED: Mapping[str, Callable[[bytes], bytes]] = {
    "cut by two bytes": lambda data: data[:-2],
    "cut in half": lambda data: data[: len(data) // 2],
    "cut to its beginning": lambda data: data[:8],
    "emptied": lambda _: b"",
    "extended by a byte": lambda data: data + b"\0",
    "of another kind": lambda data: bytes([data[0] ^ 0xFF]) + data[1:],
}


ROLES = ("unit", "reserve", "price", "market")
CASES = [(what, how) for what in ROLES for how in SPOILED if (what, how) != ("price", "extended by a byte")]


@pytest.mark.parametrize("what,how", CASES)
def test_a_spoiled_account_is_named_and_makes_no_number(scene: Scene, what: str, how: str) -> None:
    address = role(scene, what)
    account = scene.accounts[address]
    spoiled = account._replace(slot=account.slot + 1, data=SPOILED[how](account.data))

    unit = scene.value([scene.accounts, {address: spoiled}])

    assert unit
    assert (unit.native, unit.health_factor_wad, unit.liquidatable) == (None, None, None), unit.reasons
    named = " ".join(f"{reason.subject} {reason.detail}" for reason in unit.reasons)
    by_name = [base58(address), *([base58(role(scene, "reserve"))] if what == "price" else [])]
    assert any(name in named for name in by_name) or "a LendingMarket has" in named or "a LendingMarket with" in named
