"""How tokens round scaled balances: what one event makes of the balance before it, exactly.

`change` is what the event says of the shown balance apart from interest: `value - balanceIncrease` of a `Mint`, the negative sum of both of
a `Burn`; of a transfer, the scaled amount itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from chains.evm.aave_v3.maths import RAY, ray_div, ray_mul, ray_mul_down, ray_mul_up
from chains.model import Side

Multiply = Callable[[int, int], int]

Settle = Callable[[int, int, int], int]
"""(scaled balance before, change, index) → scaled balance after."""


class Rounding(StrEnum):
    """The rule that a token's implementation follows: half up to 3.4, in the protocol's favour from 3.5 on.

    `UNSCALED`: half up, and transfers tell token units and not the scaled amount, as they did before 3.0.1.
    """

    UNSCALED = "unscaled"
    HALF_UP = "half_up"
    DIRECTED = "directed"


def moved(before: int, change: int, index: int) -> int:
    """Add a scaled amount (`BalanceTransfer`)."""
    del index
    return before + change


def half_up(before: int, change: int, index: int) -> int:
    """Add the scaled change, half up either way."""
    return before + ray_div(change, index) if change >= 0 else before - ray_div(-change, index)


def directed_supply(before: int, change: int, index: int) -> int:
    """Return the one scaled balance that is shown, rounded down, as the event says."""
    return -(-(before * index // RAY + change) * RAY // index)  # ray_div_up(ray_mul_down(…) + …), without their calls


def directed_debt(before: int, change: int, index: int) -> int:
    """Return the one scaled debt that is shown, rounded up, as the event says."""
    return (change - -before * index // RAY) * RAY // index  # ray_div_down(ray_mul_up(…) + …), likewise


RULES: Mapping[tuple[Rounding, Side], Settle] = {
    (Rounding.UNSCALED, Side.SUPPLY): half_up,
    (Rounding.UNSCALED, Side.BORROW): half_up,
    (Rounding.HALF_UP, Side.SUPPLY): half_up,
    (Rounding.HALF_UP, Side.BORROW): half_up,
    (Rounding.DIRECTED, Side.SUPPLY): directed_supply,
    (Rounding.DIRECTED, Side.BORROW): directed_debt,
}

LEAST_INDEX: Mapping[Rounding, int] = {Rounding.UNSCALED: 1, Rounding.HALF_UP: 1, Rounding.DIRECTED: RAY}
"""Below it an event does not tell one balance; no token's index is."""


def _as_said(value: int, index: int) -> int:
    del index
    return value


SHOWN: Mapping[Rounding, Multiply] = {
    Rounding.UNSCALED: _as_said,
    Rounding.HALF_UP: ray_mul,
    Rounding.DIRECTED: ray_mul_down,
}
"""What a transfer tells, in token units."""

BALANCES: Mapping[tuple[Rounding, Side], Multiply] = {
    (Rounding.UNSCALED, Side.SUPPLY): ray_mul,
    (Rounding.UNSCALED, Side.BORROW): ray_mul,
    (Rounding.HALF_UP, Side.SUPPLY): ray_mul,
    (Rounding.HALF_UP, Side.BORROW): ray_mul,
    (Rounding.DIRECTED, Side.SUPPLY): ray_mul_down,
    (Rounding.DIRECTED, Side.BORROW): ray_mul_up,
}
"""What a token answers to `balanceOf`: scaled amount and index → token units."""

SCALED: Mapping[Rounding, Multiply] = {
    Rounding.UNSCALED: ray_div,
    Rounding.HALF_UP: _as_said,
    Rounding.DIRECTED: _as_said,
}
"""What it moves of the scaled balance."""

TOLD_UNSCALED = range(1, 4)
"""Pool revisions (3.0 and its patches) whose aTokens may tell of transfers in token units; their code says whether they do."""

FIRST_DIRECTED_POOL = 9
"""`POOL_REVISION` of 3.5."""

_POOL_3_4, _TOKEN_3_5 = 8, 4
_TOKENS = {**dict.fromkeys((1, 2, 3), Rounding.HALF_UP), **dict.fromkeys((4, 5, 6), Rounding.DIRECTED)}


def rounding_of(pool_revision: int | None, token_revision: int | None) -> Rounding | None:
    """Return the rule of a token by its own revision and its pool's; `None` for a token that is not known here.

    Revision 4 is the one of 3.5, but for GHO's debt token, which had it in 3.4 already and is one ahead since: 6 is its own, of 3.6.
    """
    if pool_revision == _POOL_3_4 and token_revision == _TOKEN_3_5:
        return Rounding.HALF_UP
    return None if token_revision is None else _TOKENS.get(token_revision)
