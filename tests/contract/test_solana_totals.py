"""What reserves and banks count of themselves is the sum over obligations in every recorded sample, and without one of them it is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from chains.auditing import WholeRecords
from chains.controls import StoredWhole, told
from chains.model import Side, UnitSnapshot, VenueSnapshot
from chains.ports import Outcome, Summed
from tests.support import kamino_runs, marginfi_runs, save_runs


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The units of one sample, as far as totals ask for them."""

    units: tuple[UnitSnapshot, ...]
    changed: Mapping[bytes, tuple[int, int]] = field(default_factory=dict)

    def sums(self, venue_id: str, block: int) -> dict[tuple[bytes, Side], int] | None:
        return dict(self.claims(venue_id, block))

    def claims(self, venue_id: str, block: int) -> dict[tuple[bytes, Side], int]:
        found: Counter[tuple[bytes, Side]] = Counter()
        for unit in self.units:
            found.update(unit.positions)
        return dict(found)

    def units_at(self, venue_id: str, block: int) -> Iterator[UnitSnapshot]:
        yield from self.units

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
    found = [total for snapshot, units in read(folder) for total in totals(snapshot, units)]

    assert {total.outcome for total in found} <= {Outcome.EQUAL, Outcome.WITHIN}, wrong(found)
    assert len(found) > 100
    assert any(total.ours for total in found)


@pytest.mark.parametrize("name", RUNS)
def test_whoever_is_left_out_is_missing_from_a_total(name: str) -> None:
    read, folder = RUNS[name]
    snapshot, units = list(read(folder))[-1]
    owing = [
        unit for unit in units if any(side is Side.BORROW and amount for (_, side), amount in unit.positions.items())
    ]
    without = tuple(unit for unit in units if unit is not owing[0])

    assert Outcome.DIFFERENT in {total.outcome for total in totals(snapshot, without)}
    assert Outcome.DIFFERENT in {
        total.outcome for total in totals(snapshot, (*units, replace(owing[0], unit_id=b"twin")))
    }


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


def totals(
    snapshot: VenueSnapshot, units: tuple[UnitSnapshot, ...], changed: Mapping[bytes, tuple[int, int]] | None = None
) -> tuple[Summed, ...]:
    return told(StoredWhole.of(snapshot, cast("WholeRecords", Kept(units=units, changed=changed or {}))))


def wrong(found: list[Summed]) -> list[Summed]:
    return [total for total in found if total.outcome not in {Outcome.EQUAL, Outcome.WITHIN}][:3]
