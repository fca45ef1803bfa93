"""What rounding leaves between a reserve's debt and the sum of its debts, by the largest size that the reserve is known to have had.

A slot in which interest is added rounds the reserve's debt once and each debt `ROUNDINGS` times, by less than a part in 2^60 or 10^18 of
the debt then. After a large debt was repaid what it left is still there; so the reserve's present size bounds nothing.
"""

from __future__ import annotations

from typing import NamedTuple

ROUNDINGS = 3
"""Of a debt in one slot: the reserve's cumulative rate, the unit's product with it, and its quotient by the rate before."""

ANY_SIZE = 1 << 64
"""Raw tokens: no mint has more, and nobody lends what is not there."""

BEFORE = (
    "the reserve was in use before it was first looked at, and how large it was then is not known:"
    " a debt that was repaid may have left so much"
)


class Dust(NamedTuple):
    """By how much debts may be more (`least`, negative) and less (`most`) than the reserve's; `excuse`: why a difference says nothing."""

    least: int
    most: int
    excuse: str


def dust_of(slots: int, size: int, residual: int | None, *, from_beginning: bool) -> Dust:
    """Bound what is left, if interest was added in each of so many slots.

    `size`: the largest that is known, in raw tokens, rounded up; `residual`: the reserve's debt less the sum of debts; `from_beginning`:
    whether the reserve was looked at before anything was lent.
    """
    most = ROUNDINGS * slots * (1 + size)
    unseen = not from_beginning and residual is not None and most < residual <= ROUNDINGS * slots * (1 + ANY_SIZE)
    return Dust(-2 * slots, most, BEFORE if unseen else "")
