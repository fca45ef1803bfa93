"""How tokens round scaled balances: what one event makes of the balance before it, exactly.

`change` is what the event says of the shown balance apart from interest: `value - balanceIncrease` of a `Mint`, less the sum of both of a
`Burn`; of a transfer, the scaled amount itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from chains.evm.aave_v3.maths import ray_div
from chains.model import Side

Settle = Callable[[int, int, int], int]
"""(scaled balance before, change, index) → scaled balance after."""


class Rounding(StrEnum):
    """The rule that a token's implementation follows."""

    HALF_UP = "half_up"


def moved(before: int, change: int, index: int) -> int:
    """Add a scaled amount (`BalanceTransfer`)."""
    del index
    return before + change


def half_up(before: int, change: int, index: int) -> int:
    """Add the scaled change, half up either way (`ScaledBalanceTokenBase` of 3.0 to 3.4)."""
    return before + ray_div(change, index) if change >= 0 else before - ray_div(-change, index)


RULES: Mapping[tuple[Rounding, Side], Settle] = {
    (Rounding.HALF_UP, Side.SUPPLY): half_up,
    (Rounding.HALF_UP, Side.BORROW): half_up,
}
