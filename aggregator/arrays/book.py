"""The whole book in arrays: one writer changes marks and positions, readers hold a version that stays as it is."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.arrays.columns import ALONE, GONE, WIDTH, Bits, Floats, Indexes
from aggregator.arrays.estimates import STATIC, Estimates, Kernel
from aggregator.arrays.held import Held
from aggregator.arrays.holders import Holders
from aggregator.arrays.kernels import Revalue, fastest
from aggregator.arrays.layout import Layout, neighbours
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
        self._every = np.arange(count)
        self._compute(self._every, rows, flags)
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
        table, given = LegTable(places=estimates.places), list(entries)
        held = _held(given, table)
        table.reprice(marks)
        order = neighbours(held.supplies, held.debts, table.marks[held.legs])
        held, given = held.taken(order), [given[place] for place in order.tolist()]
        besides = {tuple(entry.besides): 0 for entry in given if any(entry.besides)}
        rows = {numbers: place for place, numbers in enumerate([NOTHING_BESIDES, *besides])}
        layout = Layout.packed(
            supplies=held.supplies,
            debts=held.debts,
            legs=held.legs,
            amounts=held.amounts,
            fixed_at=np.array([rows.get(tuple(entry.besides), 0) for entry in given], dtype=np.int32),
            fixed=np.array(list(rows), dtype=np.float64),
            said=np.array([entry.said for entry in given], dtype=np.uint8),
        )
        names = [entry.name for entry in given]
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
        found = {entry.name: entry for entry in entries}
        held = _held(list(found.values()), self._legs)
        repriced = self._legs.reprice(marks or {})
        new = [name for name in found if name not in self._places]
        self._layout.add_accounts(len(new))
        for name in new:
            self._places[name] = len(self._names)
            self._names.append(name)
        places = np.fromiter(map(self._places.__getitem__, found), np.int64, len(found))
        self._write(places, list(found.values()), held)
        self._layout.pack()
        concerned = self._concerned(repriced) if len(repriced) else np.zeros(0, np.int64)
        if len(concerned) < len(self._layout):
            concerned = np.union1d(places, concerned)
        return self._publish(concerned)

    def remove(self, names: Iterable[str]) -> Standing:
        """Let accounts have nothing and be nobody, until they are changed again."""
        return self.change([Entry(name=name, holdings=(), said=GONE) for name in names if name in self._places])

    def revalue(self) -> Standing:
        """Compute everything again: what there is already, to the bit."""
        return self._publish(self._everybody())

    def _concerned(self, legs: Indexes) -> Indexes:
        """Return who has any of these legs; of most legs everybody, which is sooner computed than looked up."""
        if 2 * len(legs) > len(self._legs.legs):
            return self._everybody()
        if self._holders is None or self._holders.outdated:
            self._holders = Holders.of(self._layout, len(self._legs.legs))
        return self._holders.of_legs(legs, len(self._layout))

    def _everybody(self) -> Indexes:
        if len(self._every) != len(self._layout):
            self._every = np.arange(len(self._layout))
        return self._every

    def _write(self, places: Indexes, entries: Sequence[Entry], held: Held) -> None:
        layout = self._layout
        layout.put(places, supplies=held.supplies, debts=held.debts, legs=held.legs, amounts=held.amounts)
        layout.fixed_at[places] = 0
        layout.said[places] = [entry.said for entry in entries]
        for place, entry in zip(places.tolist(), entries, strict=True):
            if entry.besides is not NOTHING_BESIDES:
                layout.besides(place, entry.besides)
        if self._holders is not None:
            self._holders.since.update(places.tolist())

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
        if len(accounts) < count:
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


def _held(entries: Sequence[Entry], table: LegTable) -> Held:
    """Return what arrays hold of each; raises `ValueError`."""
    holdings = [() if entry.said & (ALONE | GONE) else entry.holdings for entry in entries]
    return Held.of([entry.name for entry in entries], holdings, table)
