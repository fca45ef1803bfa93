"""What reserves and banks count of themselves is the sum over obligations in every recorded sample, and without one of them it is not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from chains.auditing import Sizes, WholeRecords
from chains.controls import StoredWhole, told
from chains.model import Side, UnitSnapshot, VenueSnapshot
from chains.ports import Outcome, Summed
from tests.support import kamino_runs, marginfi_runs, save_runs


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The units of one sample, as far as totals ask for them."""

    units: tuple[UnitSnapshot, ...]
    changed: Mapping[bytes, tuple[int, int]] = field(default_factory=dict)
    history: tuple[VenueSnapshot, ...] = ()

    def sums(self, venue_id: str, block: int) -> dict[tuple[bytes, Side], int] | None:
        return dict(self.claims(venue_id, block))

    def claims(self, venue_id: str, block: int) -> dict[tuple[bytes, Side], int]:
        found: Counter[tuple[bytes, Side]] = Counter()
        for unit in self.units:
            found.update(unit.positions)
        return dict(found)

    def units_at(self, venue_id: str, block: int) -> Iterator[UnitSnapshot]:
        yield from self.units

    def sizes_at(self, venue_id: str, block: int, aspect: str, fields: Collection[str]) -> dict[bytes, Sizes]:
        """As the store says it of its rows."""
        found: dict[bytes, Sizes] = {}
        for snapshot in self.history:
            for (market, name), text in snapshot.markets.items():
                if name == aspect:
                    most = found.setdefault(market, Sizes(text, dict.fromkeys(fields, 0))).most
                    most |= {field: max(most[field], int(json.loads(text)[field])) for field in fields}
        return found

    def changed_at(self, venue_id: str, block: int) -> dict[bytes, tuple[int, int]]:
        return dict(self.changed)


Sample = tuple[VenueSnapshot, tuple[UnitSnapshot, ...]]


def save(folder: Path) -> Iterator[Sample]:
    run = save_runs.load(folder)
    journals = save_runs.Journals(run.venue())
    for sample, seen in run.looks():
        journals.take(seen)
        yield (
            journals.snapshot(sample["slot"], sample["unix_timestamp"]),
            tuple(journals.unit(unit) for unit in sorted(journals.owners)),
        )


def kamino(folder: Path) -> Iterator[Sample]:
    venue, samples = kamino_runs.load(folder)
    adapter = kamino_runs.Adapter(venue)
    for sample in samples:
        adapter.look(sample.accounts)
        yield (
            adapter.journals.venue_snapshot(venue, sample.slot, sample.time),
            tuple(adapter.journals.unit_snapshots()),
        )


def marginfi(folder: Path) -> Iterator[Sample]:
    run = marginfi_runs.MarginfiRun.load(folder)
    journals = marginfi_runs.Journals(run.venue)
    for number in range(len(run.samples)):
        journals.fold(run.seen(number))
        yield journals.market(run.at(number)), tuple(journals.units())


RUNS = {
    f"{name}-{case}": (read, folder)
    for name, read, runs in (("save", save, save_runs), ("kamino", kamino, kamino_runs), ("marginfi", marginfi, marginfi_runs))
    for case, folder in runs.runs().items()
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_totals_are_sums_within_the_dust_that_the_program_leaves(name: str) -> None:
    read, folder = RUNS[name]
    samples = list(read(folder))
    seen = tuple(snapshot for snapshot, _ in samples)
    found = [
        total
        for number, (snapshot, units) in enumerate(samples)
        for total in totals(snapshot, units, history=seen[: number + 1])
    ]

    assert {total.outcome for total in found} <= {Outcome.EQUAL, Outcome.WITHIN}, wrong(found)
    assert len(found) > 100
    assert any(total.ours for total in found)


@pytest.mark.parametrize("name", RUNS)
def test_whoever_is_left_out_is_missing_from_a_total(name: str) -> None:
    read, folder = RUNS[name]
    samples = list(read(folder))
    (snapshot, units), history = samples[-1], tuple(each for each, _ in samples)
    owing = [
        unit for unit in units if any(side is Side.BORROW and amount for (_, side), amount in unit.positions.items())
    ]
    without = tuple(unit for unit in units if unit is not owing[0])

    missing = totals(snapshot, without, history=history)
    doubled = totals(snapshot, (*units, replace(owing[0], unit_id=b"twin")), history=history)

    outcomes = Counter(total.outcome for total in missing)
    assert outcomes[Outcome.DIFFERENT] or any("before it was first looked at" in total.why for total in missing)
    assert Outcome.DIFFERENT in {total.outcome for total in doubled}


def test_lists_of_two_slots_excuse_a_difference_and_nothing_else() -> None:
    _, folder = RUNS["marginfi-golden/case-102"]
    snapshot, units = list(marginfi(folder))[-1]
    without, at = units[1:], snapshot.at.number
    markets = {market for market, _ in snapshot.markets}

    lately = totals(snapshot, without, dict.fromkeys(markets, (at - 3, at - 5)))
    long_ago = totals(snapshot, without, dict.fromkeys(markets, (at - 3000, at - 5000)))
    whole = totals(snapshot, units, dict.fromkeys(markets, (at - 3, at - 5)))

    assert {total.outcome for total in lately} == {Outcome.EQUAL, Outcome.UNKNOWN}
    assert all(f"slot {at - 3}" in total.why for total in lately if total.outcome is Outcome.UNKNOWN)
    assert Outcome.DIFFERENT in {total.outcome for total in long_ago}
    assert {total.outcome for total in whole} == {Outcome.EQUAL}


DEBTS = {"kamino": ("liquidity", "borrowed_amount_sf", "liquidity.borrowed_amount_sf", 1 << 60, "total_available_amount"),
         "save": ("reserve", "borrowed", "borrowed_amount_wads", 10**18, "available")}  # fmt: skip


@pytest.mark.parametrize("name", ["kamino-golden/case-102", "save-golden/case-101"])
def test_a_large_debt_that_was_repaid_leaves_its_dust_and_excuses_no_more(name: str) -> None:
    """The reserve is small now, and was a hundred million times larger: three roundings in each slot of what it was are right."""
    read, folder = RUNS[name]
    aspect, field_name, total_name, one, available = DEBTS[name.split("-", maxsplit=1)[0]]
    snapshot, units = list(read(folder))[-1]
    (market, text), *_ = sorted((m, t) for (m, a), t in snapshot.markets.items() if a == aspect and lent(t, field_name))
    said = json.loads(text)
    present = int(said[available]) + int(said[field_name]) // one + 1
    bound = 3 * int(said["slot"]) * (present + 1)

    def now(more: int) -> VenueSnapshot:
        state = json.dumps({**said, field_name: str(int(said[field_name]) + more)})
        return replace(snapshot, markets={**snapshot.markets, (market, aspect): state})

    def once(**changes: str) -> VenueSnapshot:
        return replace(snapshot, markets={**snapshot.markets, (market, aspect): json.dumps(said | changes)})

    rate = "cumulative_borrow_rate_bsf" if one == 1 << 60 else "rate"
    new = once(**{field_name: "0", rate: str(one)})
    large = once(**{field_name: str(present * one * 10**8)})

    def outcome(more: int, *history: VenueSnapshot) -> Summed:
        found = totals(now(more), units, history=(*history, now(more)))
        return next(each for each in found if (each.market, each.name) == (market, total_name))

    assert outcome(100 * bound, new, large).outcome is Outcome.WITHIN
    assert outcome(100 * bound, new).outcome is Outcome.DIFFERENT
    assert outcome(10**9 * bound, new, large).outcome is Outcome.DIFFERENT
    assert outcome(bound // 2, large).outcome is Outcome.WITHIN
    unseen = outcome(2 * bound, snapshot)
    assert unseen.outcome is Outcome.UNKNOWN
    assert "before it was first looked at" in unseen.why
    assert outcome(4 * int(said["slot"]) << 64, snapshot).outcome is Outcome.DIFFERENT, "no token has so many units"
    assert outcome(-10 * bound, snapshot).outcome is Outcome.DIFFERENT, "no repaid debt leaves less than the sum"


def lent(text: str, name: str) -> bool:
    return int(json.loads(text).get(name, 0)) > 0


def totals(
    snapshot: VenueSnapshot,
    units: tuple[UnitSnapshot, ...],
    changed: Mapping[bytes, tuple[int, int]] | None = None,
    history: tuple[VenueSnapshot, ...] = (),
) -> tuple[Summed, ...]:
    kept = Kept(units=units, changed=changed or {}, history=history or (snapshot,))
    return told(StoredWhole.of(snapshot, cast("WholeRecords", kept)))


def wrong(found: list[Summed]) -> list[Summed]:
    return [total for total in found if total.outcome not in {Outcome.EQUAL, Outcome.WITHIN}][:3]
