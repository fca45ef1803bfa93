"""Recorded runs of klend: every number that the program's own refresh wrote, and every refusal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from chains.identifiers import base58
from chains.model import Reason, VenueUnit
from chains.solana.kamino import Kamino
from chains.solana.kamino.layout import OBLIGATION
from chains.solana.kamino.liquidating import Liquidable
from chains.solana.kamino.refresh import Refreshed
from chains.solana.kamino.unit import Book, open_book
from chains.solana.layouts import read
from tests.support.kamino_runs import Adapter, Attempt, Done, Journals, Sample, attempts, liquidations, load, runs

RUNS = runs()

HEALTHY = 6016
"""The program's error ObligationHealthy."""

WAD = 10**18

RESERVE_FIELDS = {
    "last_update_slot": "slot",
    "price_status": "price_status",
    "available_amount": "total_available_amount",
    "borrowed_amount_sf": "borrowed_amount_sf",
    "market_price_sf": "market_price_sf",
    "market_price_last_updated_ts": "market_price_last_updated_ts",
    "cumulative_borrow_rate_bsf": "cumulative_borrow_rate_bsf",
    "accumulated_protocol_fees_sf": "accumulated_protocol_fees_sf",
    "accumulated_referrer_fees_sf": "accumulated_referrer_fees_sf",
    "pending_referrer_fees_sf": "pending_referrer_fees_sf",
    "absolute_referral_rate_sf": "absolute_referral_rate_sf",
    "collateral_mint_total_supply": "mint_total_supply",
}
"""Field of a refreshed reserve in a recording → where it stands here; `stale` is always 0 after a refresh."""


def test_there_is_a_golden_run() -> None:
    assert any(name.startswith("golden/") for name in RUNS)


@pytest.mark.parametrize("folder", RUNS.values(), ids=RUNS)
def test_every_field_is_what_the_program_itself_wrote_and_every_refusal_is_one(folder: Path) -> None:
    spec, samples = load(folder)
    adapter = Adapter(spec)
    compared = refused = 0

    for sample in samples:
        adapter.look(sample.accounts)
        snapshot = adapter.journals.venue_snapshot(spec, sample.slot, sample.time)
        book, value = Book(snapshot), open_book(snapshot)
        units = {unit.unit_id: value(unit) for unit in adapter.journals.unit_snapshots()}
        for address, expected in sample.refreshed.items():
            fields = of_obligation(units[address], sample, address) if address in units else of_reserve(book, address)
            wanted = flat(expected, units.get(address))
            assert {name: fields.get(name) for name in wanted} == wanted, f"{sample.label}: {base58(address)}"
            compared += len(wanted)
        for address, logs in sample.refused.items():
            reasons = reasons_of(book, units.get(address), address)
            assert "Confidence interval check failed" in logs[1]
            assert {reason.code for reason in reasons} == {"price_confidence_too_wide"}, sample.label
            refused += 1

    assert compared > 1000
    assert refused > 0


@pytest.mark.parametrize("folder", RUNS.values(), ids=RUNS)
def test_who_the_program_liquidates_is_liquidatable_and_who_it_calls_healthy_is_not(folder: Path) -> None:
    spec, samples = load(folder)
    adapter = Adapter(spec)
    units: list[dict[bytes, VenueUnit]] = []
    for sample in samples:
        adapter.look(sample.accounts)
        value = open_book(adapter.journals.venue_snapshot(spec, sample.slot, sample.time))
        units.append({unit.unit_id: value(unit) for unit in adapter.journals.unit_snapshots()})

    attempts = liquidations(folder)

    for number, obligation, error in attempts:
        unit = units[number][obligation]
        assert error in {None, HEALTHY}
        assert unit.liquidatable is (error is None), f"{samples[number].label}: {base58(obligation)}"
        assert unit.health_factor_wad is not None
        assert (unit.health_factor_wad < WAD) is (error is None)
    assert {error for _, _, error in attempts} == {None, HEALTHY}
    assert len(attempts) > 10


@pytest.mark.parametrize("folder", RUNS.values(), ids=RUNS)
def test_a_liquidation_takes_and_leaves_what_the_program_did(folder: Path) -> None:
    spec, samples = load(folder)
    adapter, met = Adapter(spec), Counter[str]()
    tried = list(attempts(folder))
    for number, sample in enumerate(samples):
        adapter.look(sample.accounts)
        for attempt in (each for before, each in tried if before == number):
            if attempt.done is None:
                assert exposed_at(adapter, attempt).most(attempt.collateral, attempt.debt, attempt.asked) == 0
                met["refused"] += 1
                continue
            # prices are renewed before a liquidation, and the sample after it is taken at once
            after = samples[number + 1].accounts
            adapter.look({each: after[each]._replace(slot=sample.slot) for each in prices(adapter)})
            assert_as_done(exposed_at(adapter, attempt), attempt, attempt.done)
            met["accepted"] += 1

    assert met["accepted"] > 3
    assert met["refused"] > 5


def prices(adapter: Adapter) -> set[bytes]:
    return set(adapter.kamino.others(adapter.journals)) - {adapter.kamino.venue.address}


def exposed_at(adapter: Adapter, attempt: Attempt) -> Liquidable:
    """An obligation as it stood when it was tried to liquidate it."""
    snapshot = adapter.journals.venue_snapshot(adapter.kamino.venue, attempt.slot, attempt.time)
    (unit,) = (each for each in adapter.journals.unit_snapshots() if each.unit_id == attempt.obligation)
    valued = open_book(snapshot)(unit)
    found = valued.liquidating() if valued.liquidating else ()
    assert isinstance(found, Liquidable), found
    return found


def assert_as_done(exposed: Liquidable, attempt: Attempt, program: Done) -> None:
    """What is paid, withdrawn, redeemed and kept is the program's to the raw unit."""
    collateral, debt = attempt.collateral, attempt.debt
    settled = exposed.settled(collateral, debt, attempt.asked)
    _, done = exposed.taken(collateral, debt, exposed.most(collateral, debt, attempt.asked))
    assert settled is not None
    (seized,), (fee,) = done.seized, done.fee
    ours = Done(done.paid.amount_raw, settled.withdrawn, seized.amount_raw + fee.amount_raw, fee.amount_raw)
    assert ours == program, attempt


@pytest.mark.parametrize("folder", RUNS.values(), ids=RUNS)
def test_the_same_rows_come_of_one_fold_and_of_many(folder: Path) -> None:
    spec, samples = load(folder)
    adapter = Adapter(spec)
    for sample in samples:
        adapter.look(sample.accounts)
    journals = Journals()

    rows = Kamino(spec).fold(journals, adapter.given)
    journals.store(rows, adapter.given)

    assert rows.positions == adapter.rows.positions
    assert journals == adapter.journals


def of_reserve(book: Book, address: bytes) -> dict[str, int]:
    found = book.reserve(address)
    assert isinstance(found, Refreshed), found
    return {name: getattr(found.liquidity, field) for name, field in RESERVE_FIELDS.items()}


def of_obligation(unit: VenueUnit, sample: Sample, address: bytes) -> Mapping[str, int]:
    """The refreshed fields, with those that a refresh leaves as they are stored."""
    assert unit.native is not None, unit.reasons
    stored = read(OBLIGATION.fields, sample.accounts[address].data)
    kept = {
        f"deposits.{base58(slot['deposit_reserve'])}.deposited_amount": slot["deposited_amount"]
        for slot in stored["deposits"]
        if any(slot["deposit_reserve"])
    }
    return {**kept, **unit.native}


def flat(expected: Mapping[str, Any], unit: VenueUnit | None) -> dict[str, int]:
    """The recorded fields under the names here."""
    if unit is None:
        return {name: int(value) for name, value in expected.items() if name != "stale"}
    return dict(_obligation(expected, unit))


def _obligation(expected: Mapping[str, Any], unit: VenueUnit) -> Iterator[tuple[str, int]]:
    inside = int(expected["elevation_group"]) != 0
    unwritten = {
        "borrowed_amount_outside_elevation_groups"
        if inside
        else "borrowed_amount_against_this_collateral_in_elevation_group"
    }
    for name, value in expected.items():
        if name in {"deposits", "borrows"}:
            for slot in value:
                for field, number in slot.items():
                    if field != "reserve" and field not in unwritten:
                        yield f"{name}.{slot['reserve']}.{field}", int(number)
        elif name not in {"stale", "account_data_after"}:
            yield name, int(value)


def reasons_of(book: Book, unit: VenueUnit | None, address: bytes) -> tuple[Reason, ...]:
    if unit is not None:
        assert unit.native is None
        assert unit.health_factor_wad is None
        return unit.reasons
    found = book.reserve(address)
    assert isinstance(found, Reason)
    return (found,)
