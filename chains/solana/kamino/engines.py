"""What differs between versions of klend, by the version that a venue's configuration says runs.

| version | collateral conversion | Pyth account | confidence of the average | cap on the liquidation limit | own LTV of 0 | interest |
|---|---|---|---|---|---|---|
| 1.7 | divides by an exchange rate of 60 bits | push oracle | not checked | `global_unhealthy_borrow_value` | not known | by powers |
| 1.8 to 1.10 | the same | receiver | at most 2 % | not known | not known | by powers |
| 1.11 to 1.16 | amount · liquidity / supply | receiver | at most 2 % | none | taken | by powers |
| 1.17 to 1.24 | the same | receiver | at most 2 % | none | taken | by chained terms |

From 1.25 on interest may accrue by the second; such versions are named and not valued.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

PUSH, RECEIVER = "pyth-push", "pyth-receiver"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """How one range of versions computes.

    `exact_conversion`: cTokens become liquidity in one division; `pyth`: the kind of account it reads; `ema_confidence`: it refuses a
    price whose moving average is too uncertain; `capped`: the liquidation limit has a cap, `None` where that is not known;
    `one_dust_limit`: one limit says what is too small to set both priorities; `counts_collaterals`: a refresh refuses more collaterals
    than the elevation group allows; `lowest_ltv`: a refresh writes `lowest_reserve_deposit_max_ltv_pct`; `settings`: fields that were
    padding before have their meaning; `takes_by_threshold`: for a deposit to be taken only the threshold in force must not be 0, where
    releases before differ in whether the reserve's own loan-to-value and threshold may be; `chained_interest`: beyond four slots each
    term of compound interest is made of the one before it, where releases before take rounded powers of the rate per slot.
    """

    exact_conversion: bool
    pyth: str
    ema_confidence: bool
    capped: bool | None
    one_dust_limit: bool
    counts_collaterals: bool
    lowest_ltv: bool
    settings: bool
    takes_by_threshold: bool
    chained_interest: bool


_V1_7 = Engine(
    exact_conversion=False,
    pyth=PUSH,
    ema_confidence=False,
    capped=True,
    one_dust_limit=True,
    counts_collaterals=True,
    lowest_ltv=False,
    settings=False,
    takes_by_threshold=False,
    chained_interest=False,
)
_V1_8 = Engine(
    exact_conversion=False,
    pyth=RECEIVER,
    ema_confidence=True,
    capped=None,
    one_dust_limit=False,
    counts_collaterals=False,
    lowest_ltv=True,
    settings=True,
    takes_by_threshold=False,
    chained_interest=False,
)
_V1_11 = Engine(
    exact_conversion=True,
    pyth=RECEIVER,
    ema_confidence=True,
    capped=False,
    one_dust_limit=False,
    counts_collaterals=False,
    lowest_ltv=True,
    settings=True,
    takes_by_threshold=True,
    chained_interest=False,
)
_V1_17 = replace(_V1_11, chained_interest=True)

_RANGES: Sequence[tuple[tuple[int, int], tuple[int, int], Engine]] = (
    ((1, 7), (1, 7), _V1_7),
    ((1, 8), (1, 10), _V1_8),
    ((1, 11), (1, 16), _V1_11),
    ((1, 17), (1, 24), _V1_17),
)
KNOWN = "1.7 to 1.24"


def engine_of(version: tuple[int, int] | None) -> Engine | None:
    """Return how a version computes, `None` for one that is not known."""
    if version is None:
        return None
    return next((engine for first, last, engine in _RANGES if first <= version <= last), None)
