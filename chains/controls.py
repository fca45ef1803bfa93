"""A whole venue as it is stored, and the totals that the chain told of it by itself: with no question to anybody."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

from chains.auditing import Sizes, TellTotals, Told, WholeRecords
from chains.model import Side, UnitSnapshot, VenueSnapshot
from chains.ports import Outcome, Summed
from chains.registry import controls

SET_ASIDE = "rows of the venue are in quarantine, so that no sum is right"

Sums = Mapping[tuple[bytes, Side], int]


@dataclass(frozen=True, kw_only=True)
class StoredWhole:
    """See `chains.auditing.Whole`; `sums` are `None` where no sum is right."""

    snapshot: VenueSnapshot
    stored_sums: Sums | None
    records: WholeRecords

    @classmethod
    def of(cls, snapshot: VenueSnapshot, records: WholeRecords) -> StoredWhole:
        """Read the sums of a venue at the snapshot's block."""
        sums = records.sums(snapshot.venue.id, snapshot.at.number)
        return cls(snapshot=replace(snapshot, feeds={}, answers={}), stored_sums=sums, records=records)

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the venue is in quarantine."""
        return self.stored_sums is not None

    @property
    def sums(self) -> Sums:
        return self.stored_sums or {}

    @cached_property
    def claims(self) -> Sums:
        return self.records.claims(*self._place) if self.is_whole else {}

    @cached_property
    def changed(self) -> Mapping[bytes, tuple[int, int]]:
        return self.records.changed_at(*self._place)

    def sizes(self, aspect: str, fields: Collection[str]) -> Mapping[bytes, Sizes]:
        return self.records.sizes_at(*self._place, aspect, fields)

    def settings(self, aspect: str) -> Mapping[bytes, list[str]]:
        return self.records.settings_at(*self._place, aspect)

    def units(self) -> Iterator[UnitSnapshot]:
        return self.records.units_at(*self._place)

    def logs(self, *contracts: bytes) -> int:
        return self.records.logs_of(contracts, self.snapshot.at.number)

    @property
    def _place(self) -> tuple[str, int]:
        return self.snapshot.venue.id, self.snapshot.at.number


def told(whole: StoredWhole) -> tuple[Summed, ...]:
    """Return the totals that the chain told of a venue by itself, beside its sums; nothing where its protocol names none."""
    tell = cast("TellTotals | None", getattr(controls(whole.snapshot.venue.protocol), "told", None))
    found: Iterable[Told] = () if tell is None else tell(whole)
    return tuple(summed(total if whole.is_whole else total._replace(ours=None, why=SET_ASIDE)) for total in found)


def summed(total: Told) -> Summed:
    """Judge a total by its bounds."""
    outcome, why = outcome_of(total.ours, total.theirs, least=total.least, most=total.most), total.why
    if outcome is Outcome.DIFFERENT and total.excuse:
        outcome, why = Outcome.UNKNOWN, total.excuse
    return Summed(
        name=total.name,
        contract=total.contract,
        market=total.market,
        ours=total.ours,
        theirs=total.theirs,
        least=total.least,
        most=total.most,
        why=why,
        outcome=outcome,
    )


def outcome_of(ours: int | None, theirs: int | None, *, least: int, most: int) -> Outcome:
    """Compare a total with a sum: their difference may be `least` to `most`."""
    if ours is None:
        return Outcome.UNKNOWN
    if theirs is None:
        return Outcome.UNANSWERED
    if theirs == ours:
        return Outcome.EQUAL
    return Outcome.WITHIN if least <= theirs - ours <= most else Outcome.DIFFERENT
