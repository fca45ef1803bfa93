"""What a change of the policy would do to everybody: the whole book at one cut, judged by both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from aggregator.book import BookRow
from aggregator.margin.status import Status

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What some accounts have together, in all pools, in USD; `debt_unknown`: so many have debt that nobody knows, and in no sum."""

    accounts: int
    collateral_usd: Decimal
    debt_usd: Decimal
    debt_unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One account under both policies."""

    before: BookRow
    after: BookRow

    @property
    def falls_below(self) -> bool:
        """Whether it can be liquidated after, by the house or by a venue, and not before."""
        return _is_below(self.after) and not _is_below(self.before)

    @property
    def changes_status(self) -> bool:
        return self.before.status is not self.after.status


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Every account under both policies, by id."""

    accounts: tuple[Moved, ...]

    @property
    def before(self) -> Mapping[Status, Sums]:
        return _by_status(moved.before for moved in self.accounts)

    @property
    def after(self) -> Mapping[Status, Sums]:
        return _by_status(moved.after for moved in self.accounts)

    @property
    def newly_below(self) -> tuple[Moved, ...]:
        """Those that fall below 1, the worst first."""
        return tuple(sorted((moved for moved in self.accounts if moved.falls_below), key=_worst_first))

    @property
    def at_stake(self) -> Sums:
        """What those have and owe together, by the policy that is to come."""
        return sums([moved.after for moved in self.newly_below])

    @property
    def other_status(self) -> Mapping[tuple[Status, Status], int]:
        """How many accounts go from which status to which."""
        return Counter((moved.before.status, moved.after.status) for moved in self.accounts if moved.changes_status)


def compare(before: Iterable[BookRow], after: Iterable[BookRow]) -> Preview:
    """Put the same accounts under both policies side by side; raises `ValueError` where they are not the same."""
    pairs = zip(before, after, strict=True)
    return Preview(accounts=tuple(_paired(pairs)))


def _paired(pairs: Iterable[tuple[BookRow, BookRow]]) -> Iterator[Moved]:
    for old, new in pairs:
        if old.account != new.account:
            raise ValueError(f"{old.account} and {new.account} are two accounts")
        yield Moved(before=old, after=new)


def sums(rows: Sequence[BookRow]) -> Sums:
    """Add up what accounts have and owe."""
    return Sums(
        accounts=len(rows),
        collateral_usd=sum((row.has_usd for row in rows), ZERO),
        debt_usd=sum((row.owes_usd for row in rows if row.owes_usd is not None), ZERO),
        debt_unknown=sum(row.owes_usd is None for row in rows),
    )


def _by_status(rows: Iterable[BookRow]) -> dict[Status, Sums]:
    found: dict[Status, list[BookRow]] = {status: [] for status in Status}
    for row in rows:
        found[row.status].append(row)
    return {status: sums(those) for status, those in found.items()}


def _is_below(row: BookRow) -> bool:
    return row.status is Status.LIQUIDATABLE or (row.health_factor is not None and row.health_factor < 1)


def _worst_first(moved: Moved) -> tuple[Decimal, str]:
    factors = [moved.after.health_factor, moved.after.min_unit_health_factor]
    return min((factor for factor in factors if factor is not None), default=ZERO), moved.after.account
