"""The whole book in arrays: one writer changes marks and positions, readers hold a version that stays as it is."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.arrays.columns import ALONE, GONE, WIDTH, Bits, Floats, Indexes, Places
from aggregator.arrays.estimates import STATIC, Estimates, Kernel
from aggregator.arrays.holders import Holders
from aggregator.arrays.kernels import Revalue, fastest
from aggregator.arrays.layout import MOST_POSITIONS, Layout, neighbours
from aggregator.arrays.legs import Leg, LegTable, Price
from aggregator.arrays.standing import Standing

NOTHING_BESIDES = (0.0,) * 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one account has: amounts of legs in tokens, USD besides them (the columns of `fixed`), and what is said of it (flags)."""

    name: str
    holdings: Sequence[tuple[Leg, float]]
    besides: Sequence[float] = NOTHING_BESIDES
    said: int = 0


@dataclass(slots=True, kw_only=True)
class _Buffer:
    """Results that may be written once no reader holds the standing that showed them; `missed`: rows that are older than the newest."""

    rows: Floats
    flags: Bits
    shown: weakref.ref[Standing]
    missed: Indexes


class ArrayBook:
    """All accounts of a book and their numbers.

    Changes are made by one thread at a time. Each makes a new `standing`; who read an older one keeps it, unchanged, as long as it
    holds it (the rows it holds are reused once nobody does: copy what is to outlive it).
    """

    def __init__(self, layout: Layout, legs: LegTable, names: list[str], estimates: Estimates, kernel: Revalue) -> None:
        self._layout, self._legs, self._names = layout, legs, names
        self._places = {name: place for place, name in enumerate(names)}
        self._model, self._kernel = Kernel.of(estimates), kernel
        self._holders: Holders | None = None
        self._spare: _Buffer | None = None
        count = len(layout)
        rows, flags = _aligned(count), np.zeros(count, np.uint8)
        self._compute(np.arange(count), rows, flags)
        self.standing = self._standing(1, rows, flags)

    @classmethod
    def build(
        cls,
        entries: Iterable[Entry],
        marks: Mapping[str, Price | None],
        estimates: Estimates = STATIC,
        kernel: Revalue | None = None,
    ) -> ArrayBook:
        """Lay out accounts, side by side whom one price concerns; raises `ValueError` for a mark that is none, or two of one name."""
        table = LegTable(places=estimates.places)
        merged = [(entry, _merged(entry, table)) for entry in entries]
        table.settle()
        table.reprice(marks)
        supplies, debts, legs, amounts = _columns([holdings for _, holdings in merged], table)
        order = neighbours(supplies, debts, table.marks[legs])
        merged = [merged[place] for place in order.tolist()]
        supplies, debts, legs, amounts = _columns([holdings for _, holdings in merged], table)
        besides = {tuple(entry.besides): 0 for entry, _ in merged if any(entry.besides)}
        rows = {numbers: place for place, numbers in enumerate([NOTHING_BESIDES, *besides])}
        layout = Layout.packed(
            supplies=supplies,
            debts=debts,
            legs=legs,
            amounts=amounts,
            fixed_at=np.array([rows.get(tuple(entry.besides), 0) for entry, _ in merged], dtype=np.int32),
            fixed=np.array(list(rows), dtype=np.float64),
            said=np.array([entry.said for entry, _ in merged], dtype=np.uint8),
        )
        names = [entry.name for entry, _ in merged]
        if len(set(names)) < len(names):
            raise ValueError("two entries have one name; an account has one entry")
        return cls(layout, table, names, estimates, kernel or fastest())

    @property
    def legs(self) -> int:
        """How many ways to hold or owe something it has come to know; those that nobody has any more stay."""
        return len(self._legs.legs)

    def reprice(self, marks: Mapping[str, Price | None]) -> Standing:
        """Take marks over, `None`: there is none any more; compute again whoever they concern. Raises `ValueError`."""
        legs = self._legs.reprice(marks)
        return self._publish(self._concerned(legs)) if len(legs) else self.standing

    def change(self, entries: Iterable[Entry], marks: Mapping[str, Price | None] | None = None) -> Standing:
        """Replace what accounts have, or add them; `marks`: of legs that come with them, or that moved. Raises `ValueError`."""
        found = {entry.name: (entry, _merged(entry, self._legs)) for entry in entries}
        self._legs.settle()
        repriced = self._legs.reprice(marks or {})
        new = [name for name in found if name not in self._places]
        self._layout.add_accounts(len(new))
        for name in new:
            self._places[name] = len(self._names)
            self._names.append(name)
        places = [self._write(*item) for item in found.values()]
        self._layout.pack()
        concerned = self._concerned(repriced) if len(repriced) else np.zeros(0, np.int64)
        if len(concerned) < len(self._layout):
            concerned = np.union1d(np.array(places, np.int64), concerned)
        return self._publish(concerned)

    def remove(self, names: Iterable[str]) -> Standing:
        """Let accounts have nothing and be nobody, until they are changed again."""
        return self.change([Entry(name=name, holdings=(), said=GONE) for name in names if name in self._places])

    def revalue(self) -> Standing:
        """Compute everything again: what there is already, to the bit."""
        return self._publish(np.arange(len(self._layout)))

    def _concerned(self, legs: Indexes) -> Indexes:
        """Return who has any of these legs; of most legs everybody, which is sooner computed than looked up."""
        if 2 * len(legs) > len(self._legs.legs):
            return np.arange(len(self._layout))
        if self._holders is None or self._holders.outdated:
            self._holders = Holders.of(self._layout, len(self._legs.legs))
        return self._holders.of_legs(legs, len(self._layout))

    def _write(self, entry: Entry, holdings: Sequence[tuple[int, float]]) -> int:
        place, layout = self._places[entry.name], self._layout
        layout.put(
            place,
            supplies=_supplies(holdings, self._legs),
            legs=[leg for leg, _ in holdings],
            amounts=[amount for _, amount in holdings],
        )
        layout.besides(place, entry.besides)
        layout.said[place] = entry.said
        if self._holders is not None:
            self._holders.since.add(place)
        return place

    def _publish(self, accounts: Indexes) -> Standing:
        old = self.standing
        rows, flags = self._writable(old, accounts)
        self._compute(accounts, rows, flags)
        self.standing = self._standing(old.version + 1, rows, flags)
        self._spare = _Buffer(rows=old.rows, flags=old.flags, shown=weakref.ref(old), missed=accounts)
        return self.standing

    def _writable(self, old: Standing, accounts: Indexes) -> tuple[Floats, Bits]:
        """Return results like the newest, but for `accounts`, that nobody reads: those before them, brought up to date, or a copy."""
        spare, count = self._spare, len(self._layout)
        if spare is None or spare.shown() is not None or len(spare.rows) != count or len(old.rows) != count:
            rows, flags = _aligned(count), np.empty(count, np.uint8)
            if len(accounts) < count:
                rows[: len(old.rows)], flags[: len(old.flags)] = old.rows, old.flags
            return rows, flags
        rows, flags = spare.rows, spare.flags
        rows.flags.writeable = flags.flags.writeable = True
        behind = np.zeros(count, dtype=bool)
        behind[spare.missed] = True
        behind[accounts] = False
        missed = np.flatnonzero(behind)
        rows[missed], flags[missed] = np.take(old.rows, missed, axis=0), old.flags[missed]
        return rows, flags

    def _standing(self, version: int, rows: Floats, flags: Bits) -> Standing:
        rows.flags.writeable = flags.flags.writeable = False
        return Standing(
            version=version,
            places=self._places,
            names=self._names,
            mark_places=self._legs.mark_places,
            prices=self._legs.prices,
            rows=rows,
            flags=flags,
        )

    def _compute(self, accounts: Indexes, rows: Floats, flags: Bits) -> None:
        layout, legs, model = self._layout, self._legs, self._model
        self._kernel(
            accounts,
            layout.starts,
            layout.supplies,
            layout.debts,
            layout.legs,
            layout.amounts,
            legs.table,
            legs.parts,
            legs.identities,
            legs.flags,
            layout.fixed_at,
            layout.fixed,
            model.correlation,
            model.cases,
            model.kappa,
            layout.said,
            rows,
            flags,
        )


def _aligned(count: int) -> Floats:
    """Return rows of which each is one line of a processor's cache: whoever is written touches no other."""
    line = WIDTH * 8
    space = np.empty(count * WIDTH + WIDTH, np.float64)
    first = (-space.ctypes.data % line) // 8
    return space[first : first + count * WIDTH].reshape(count, WIDTH)


def _merged(entry: Entry, table: LegTable) -> list[tuple[int, float]]:
    """Return the numbers of what an account has, each once and in their own order, with the amounts; raises `ValueError`."""
    if entry.said & (ALONE | GONE):
        return []
    amounts: dict[int, list[float]] = {}
    for leg, amount in entry.holdings:
        if not 0 <= amount < math.inf:
            raise ValueError(
                f"{entry.name}: an amount of {leg.identity} is {amount}; it must be finite and not negative"
            )
        amounts.setdefault(table.number(leg), []).append(amount)
    if len(amounts) > MOST_POSITIONS:
        raise ValueError(f"{entry.name}: has {len(amounts)} different positions; at most {MOST_POSITIONS} fit")
    return [(number, math.fsum(amounts[number])) for number in sorted(amounts, key=table.order.__getitem__)]


def _supplies(holdings: Sequence[tuple[int, float]], table: LegTable) -> int:
    return sum(not table.order[number][0] for number, _ in holdings)


def _columns(accounts: Sequence[Sequence[tuple[int, float]]], table: LegTable) -> tuple[Places, Places, Places, Floats]:
    """Return how many supplies and debts each account has, and the numbers and amounts of all, one account after the other."""
    supplies = np.array([_supplies(holdings, table) for holdings in accounts], dtype=np.int32)
    counts = np.array([len(holdings) for holdings in accounts], dtype=np.int32)
    legs = np.array([number for holdings in accounts for number, _ in holdings], dtype=np.int32)
    amounts = np.array([amount for holdings in accounts for _, amount in holdings], dtype=np.float64)
    return supplies, counts - supplies, legs, amounts
