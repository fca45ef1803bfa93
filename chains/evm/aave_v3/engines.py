"""How pools value accounts, by revision: what differs from one to the next (sources: aave-v3-core 1.19, aave-v3-origin 3.1 to 3.7).

Revisions 1, 2, 7, 9, 10 and 11 were compared with the contracts' own answers. Those between are made of the same parts: 3 and 4 (the patch
of 3.0.2, 3.1) have the `GenericLogic` and `MathUtils` of 3.0, 5 (3.2) differs from 3.3 in no number of an account, and 8 (3.4) from 3.3 in
`calculateCompoundedInterest` alone, which is that of 3.5. A revision that is not here is named and its accounts are not valued.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from chains.evm.aave_v3.maths import (
    PERCENT,
    compounded_interest,
    compounded_interest_by_taylor,
    div_down,
    div_up,
    percent_mul,
    percent_mul_down,
    ray_mul,
    ray_mul_down,
    ray_mul_up,
    wad_div,
)

UNKNOWN_ENGINE = "aave-unknown"

FOLLOWED = range(1, 12)
"""Pool revisions (3.0 to 3.7) whose tokens tell every scaled balance."""

FIRST_LIQUID = 5
"""`POOL_REVISION` of 3.2."""

FIRST_PLAIN = 11
"""`POOL_REVISION` of 3.7: no isolation mode, siloed borrowing or sentinel any more."""

Multiply = Callable[[int, int], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The arithmetic of `getUserAccountData`.

    `supplied`, `owed`: scaled amount and index → token units; `debt_base`: amount · price and unit → base currency;
    `health_factor`: collateral, collateral · thresholds, debt → wad. `liquid`: a category names its assets, instead of an asset its
    category, and has no price of its own; `stable`: debt at a stable rate counts; `decoupled`: the terms of a category hold whatever the
    reserve's own are, and collateral without a threshold counts; `silent`: a liquidation that is paid in aTokens moves indexes and tells
    of no update.
    """

    name: str
    compounded: Multiply
    supplied: Multiply
    owed: Multiply
    debt_base: Multiply
    borrowable: Multiply
    health_factor: Callable[[int, int, int], int]
    liquid: bool = True
    stable: bool = False
    decoupled: bool = False
    silent: bool = False


def _of_the_average(collateral: int, weighted: int, debt: int) -> int:
    return wad_div(percent_mul(collateral, weighted // collateral if collateral else 0), debt)


def _of_the_sum(collateral: int, weighted: int, debt: int) -> int:
    del collateral
    return wad_div(weighted, debt) // PERCENT


_HALF_UP = Engine(
    name="aave-3.3",
    compounded=compounded_interest,
    supplied=ray_mul,
    owed=ray_mul,
    debt_base=div_down,
    borrowable=percent_mul,
    health_factor=_of_the_average,
)
_DIRECTED = Engine(
    name="aave-3.5",
    compounded=compounded_interest_by_taylor,
    supplied=ray_mul_down,
    owed=ray_mul_up,
    debt_base=div_up,
    borrowable=percent_mul_down,
    health_factor=_of_the_sum,
    silent=True,
)

_FIXED = replace(_HALF_UP, name="aave-3.0", liquid=False, stable=True)

ENGINES: Mapping[int, Engine] = {
    **dict.fromkeys((1, 2, 3), _FIXED),
    4: replace(_FIXED, name="aave-3.1"),
    **dict.fromkeys((5, 6), replace(_HALF_UP, name="aave-3.2")),
    7: _HALF_UP,
    8: replace(_HALF_UP, name="aave-3.4", compounded=compounded_interest_by_taylor),
    9: _DIRECTED,
    10: replace(_DIRECTED, name="aave-3.6", decoupled=True),
    11: replace(_DIRECTED, name="aave-3.7", decoupled=True),
}
"""By `POOL_REVISION`; 6 is 3.2.1, which answers another address for tokens of stable debt and computes all as before."""


def engine_of(revision: int | None) -> Engine:
    """Return the engine of a revision, or that of the last one before it that is known: by it, amounts are shown and nothing is valued."""
    return ENGINES[max((known for known in ENGINES if known <= (revision or 0)), default=min(ENGINES))]


def name_of(revision: int | None, *, known: bool = True) -> str:
    """Return the name that rows are stamped with; of code that is not `known`, by the revision that it says."""
    engine = ENGINES.get(revision or 0) if known else None
    if engine is not None:
        return engine.name
    return UNKNOWN_ENGINE if revision is None else f"aave-revision-{revision}"
