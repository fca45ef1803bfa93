"""House numbers (float64) on their way out: decimals of fixed places, rounded to the safe side.

Down: collateral, health factor, headroom, distance, what is left of a fund. Up: debt, loan to value, haircuts, losses and shares of them,
costs, the chance of a breach. To the nearest: what is good news on neither side, such as prices, their moves and statistics.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from functools import reduce

WAD = 10**18
USD_PLACES = 8
RATIO_PLACES = 6
PRICE_PLACES = 12
AMOUNT_PLACES = 12

EXACT = Context(prec=700)
"""Room for any amount: the usual context has 28 digits, which 10^11 tokens of 18 decimals do not fit."""

_LATEST_TIME = 253_402_300_799


def usd_down(value: float) -> Decimal:
    return rounded(value, USD_PLACES, ROUND_FLOOR)


def usd_up(value: float) -> Decimal:
    return rounded(value, USD_PLACES, ROUND_CEILING)


def amount_down(value: float) -> Decimal:
    """Return an amount of whole tokens, which may be in parts."""
    return rounded(value, AMOUNT_PLACES, ROUND_FLOOR)


def ratio_down(value: float) -> Decimal:
    return rounded(value, RATIO_PLACES, ROUND_FLOOR)


def ratio_up(value: float) -> Decimal:
    return rounded(value, RATIO_PLACES, ROUND_CEILING)


def ratio_nearest(value: float) -> Decimal:
    return rounded(value, RATIO_PLACES, ROUND_HALF_EVEN)


def price(value: float) -> Decimal:
    """Round to the nearest: a price is good news on one side and bad news on the other."""
    return rounded(value, PRICE_PLACES, ROUND_HALF_EVEN)


def wad_down(value: int) -> Decimal:
    """Turn a wad into a ratio of the usual places, downward."""
    return EXACT.scaleb(Decimal(value * 10**RATIO_PLACES // WAD), -RATIO_PLACES)


def whole_tokens(raw: int, decimals: int) -> Decimal:
    """Return a raw amount in whole units, exactly."""
    return EXACT.scaleb(Decimal(raw), -decimals)


def scaled(raw: int, decimals: int) -> str:
    """Write a raw amount in whole units, exactly."""
    return text(whole_tokens(raw, decimals))


def base_amount(raw: int, unit: int, *, owed: bool = False) -> str:
    """Write an amount of a venue's base currency: exact where its unit is 10^8 or less, else downward, and what is `owed` upward."""
    whole = raw * 10**USD_PLACES
    return text(EXACT.scaleb(Decimal(-(-whole // unit) if owed else whole // unit), -USD_PLACES))


def text(value: Decimal) -> str:
    """Write a decimal in full, without an exponent and without a negative zero."""
    return format(value or abs(value), "f")


def rfc3339(unix_s: int) -> str | None:
    """Write a time in UTC, or `None` for one that no calendar holds."""
    if not 0 <= unix_s <= _LATEST_TIME:
        return None
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rounded(value: float, places: int, rounding: str) -> Decimal:
    """Round the shortest decimal that stands for a float, so that 0.3 down is 0.3."""
    return to_places(Decimal(repr(value)), places, rounding)


def to_places(value: Decimal, places: int, rounding: str) -> Decimal:
    """Round a number of any size to so many places."""
    return value.quantize(Decimal(1).scaleb(-places), rounding=rounding, context=EXACT)


def six_digits(value: Decimal, rounding: str) -> Decimal:
    """Round to six significant digits of at most 18 places; what is large keeps all before its point."""
    return to_places(value, min(max(0, 5 - value.adjusted()), 18), rounding)


def total(values: Iterable[str]) -> Decimal:
    """Add decimals of any size, exactly."""
    return reduce(EXACT.add, map(Decimal, values), Decimal(0))
