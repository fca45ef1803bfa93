"""Where what accounts hold stands in memory: one run of legs and amounts for each, supplies first, and room to grow.

A run is changed in place while it has the room, and else moves to the end; when a quarter is holes, all is packed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from aggregator.arrays.columns import Bits, Floats, Indexes, Places

ROOM = 2
"""How many more positions fit where a run was moved to."""

MOST_POSITIONS = 255

WIDELY = 62
"""How many kinds of positions decide who stands beside whom."""


@dataclass(slots=True, kw_only=True)
class Layout:
    """`starts`, `rooms`, `supplies`, `debts`, `fixed_at` and `said` by account; `legs` and `amounts` (tokens) by place; `fixed` (rows, 6).

    Supplies come first, and legs of one identity stand side by side (`LegTable.order`): the compiled kernel sells those together.

    `end`: the first place that nobody has; `holes`: how many before it nobody has any more. `own`: account → the row of `fixed` that is
    written for it alone; rows that a layout begins with may be several accounts'.
    """

    starts: Indexes
    rooms: Places
    supplies: Places
    debts: Places
    fixed_at: Places
    said: Bits
    legs: Places
    amounts: Floats
    fixed: Floats
    end: int
    holes: int = 0
    own: dict[int, int] = field(default_factory=dict)

    @classmethod
    def packed(
        cls,
        *,
        supplies: Places,
        debts: Places,
        legs: Places,
        amounts: Floats,
        fixed_at: Places,
        fixed: Floats,
        said: Bits,
    ) -> Layout:
        """Lay runs one behind the other, in the order of the accounts."""
        counts = supplies + debts
        ends = np.cumsum(counts, dtype=np.int64)
        return cls(
            starts=ends - counts,
            rooms=counts.astype(np.int32),
            supplies=supplies.astype(np.int32),
            debts=debts.astype(np.int32),
            fixed_at=fixed_at.astype(np.int32),
            said=said.astype(np.uint8),
            legs=legs.astype(np.int32),
            amounts=amounts.astype(np.float64),
            fixed=fixed,
            end=len(legs),
        )

    def __len__(self) -> int:
        return len(self.starts)

    def add_accounts(self, more: int) -> None:
        """Add accounts that have nothing yet."""
        if not more:
            return
        for name in ("starts", "rooms", "supplies", "debts", "fixed_at", "said"):
            array = getattr(self, name)
            setattr(self, name, np.concatenate([array, np.zeros(more, array.dtype)]))

    def put(self, accounts: Indexes, *, supplies: Places, debts: Places, legs: Places, amounts: Floats) -> None:
        """Write what different accounts hold now, in runs one behind the other; raises `ValueError` beyond `MOST_POSITIONS`."""
        counts = (supplies + debts).astype(np.int64)
        if len(counts) and (most := int(np.max(counts))) > MOST_POSITIONS:
            raise ValueError(f"an account has {most} different positions; at most {MOST_POSITIONS} fit")
        growing = counts > self.rooms[accounts]
        if np.any(growing):
            self._move(accounts[growing], counts[growing] + ROOM)
        ends = np.cumsum(counts)
        at = np.repeat(self.starts[accounts] - ends + counts, counts) + np.arange(len(legs))
        self.legs[at], self.amounts[at] = legs, amounts
        self.supplies[accounts], self.debts[accounts] = supplies, debts

    def besides(self, account: int, numbers: Sequence[float]) -> None:
        """Write what an account has besides positions (columns of `fixed`)."""
        if not any(numbers):
            self.fixed_at[account] = 0
            return
        if account not in self.own:
            self.own[account] = len(self.fixed)
            self.fixed = np.concatenate([self.fixed, np.zeros((1, self.fixed.shape[1]))])
        self.fixed_at[account] = self.own[account]
        self.fixed[self.own[account]] = numbers

    def _move(self, accounts: Indexes, rooms: Indexes) -> None:
        self.holes += int(np.sum(self.rooms[accounts]))
        room = int(np.sum(rooms))
        if self.end + room > len(self.legs):
            more = max(room, len(self.legs) // 8)
            self.legs = np.concatenate([self.legs, np.zeros(more, np.int32)])
            self.amounts = np.concatenate([self.amounts, np.zeros(more)])
        self.starts[accounts], self.rooms[accounts] = self.end + np.cumsum(rooms) - rooms, rooms
        self.end += room

    def pack(self, *, at_least: float = 0.25) -> None:
        """Close the holes if they are at least this share of all places."""
        if self.holes < at_least * self.end or self.holes == 0:
            return
        places, _ = self.places()
        counts = self.supplies + self.debts
        self.legs, self.amounts = self.legs[places], self.amounts[places]
        ends = np.cumsum(counts, dtype=np.int64)
        self.starts, self.rooms = ends - counts, counts.astype(np.int32)
        self.end, self.holes = len(places), 0

    def places(self) -> tuple[Indexes, Indexes]:
        """Return every place that is in use, and whose it is, account by account."""
        counts = (self.supplies + self.debts).astype(np.int64)
        owners = np.repeat(np.arange(len(self)), counts)
        ends = np.cumsum(counts)
        within = np.arange(len(owners)) - np.repeat(ends - counts, counts)
        return self.starts[owners] + within, owners


def neighbours(supplies: Places, debts: Places, kinds: Places) -> Indexes:
    """Return the order of accounts in which those stand together whom a price concerns: by shape, and by which widely held kinds they have.

    `kinds`: of what kind each position is, account by account; the most widely held one decides first.
    """
    counts = (supplies + debts).astype(np.int64)
    starts, some = np.cumsum(counts) - counts, counts > 0
    rank = np.argsort(np.argsort(-np.bincount(kinds), kind="stable"))
    bits = np.where(rank < WIDELY, np.int64(1) << np.maximum(WIDELY - 1 - rank, 0), 0)
    has = np.zeros(len(counts), np.int64)
    if len(kinds):
        has[some] = np.bitwise_or.reduceat(bits[kinds], starts[some])
    return np.lexsort((-has, debts, supplies))
