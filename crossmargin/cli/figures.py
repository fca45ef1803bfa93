"""Decimal strings as people read them; rounding never makes an account look better."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from rich.text import Text

from aggregator.margin.numbers import EXACT, six_digits, to_places
from crossmargin.documents import symbol

NONE = "–"
SECONDS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
STATUS_STYLES: Mapping[str, str] = {
    "no_debt": "green",
    "healthy": "green",
    "watch": "yellow",
    "danger": "bold red",
    "liquidatable": "bold white on red",
    "unknown": "bold magenta",
}
HUGE = Decimal(10) ** 6


def status(word: str) -> Text:
    return Text(word.replace("_", " ").upper(), style=STATUS_STYLES.get(word, ""))


def factor(value: str | None) -> str:
    """A health factor, down to four places."""
    if value is None:
        return NONE
    number = Decimal(value)
    return "> 1,000,000" if number > HUGE else f"{to_places(number, 4, ROUND_FLOOR):,}"


def usd_down(value: str | None) -> str:
    """What is owned."""
    return NONE if value is None else f"{to_places(Decimal(value), 2, ROUND_FLOOR):,}"


def usd_up(value: str | None) -> str:
    """What is owed."""
    return NONE if value is None else f"{to_places(Decimal(value), 2, ROUND_CEILING):,}"


def percent(value: str | None) -> str:
    """A ratio as a percentage, upward."""
    return NONE if value is None else f"{_percents(value, ROUND_CEILING):,}%"


def percent_down(value: str | None) -> str:
    """A ratio that is good news as a percentage."""
    return NONE if value is None else f"{_percents(value, ROUND_FLOOR):,}%"


def points(value: str | None) -> str:
    """What may still fall, told in percent, down."""
    return NONE if value is None else f"{to_places(Decimal(value), 2, ROUND_FLOOR):,}%"


def _percents(value: str, rounding: str) -> Decimal:
    return to_places(EXACT.scaleb(Decimal(value), 2), 2, rounding)


def amount(value: str, *, up: bool) -> str:
    """A number of tokens in at least six significant digits."""
    number = Decimal(value)
    return f"{six_digits(number, ROUND_CEILING if up else ROUND_FLOOR):,f}" if number else "0"


def price(value: str | None) -> str:
    if value is None:
        return NONE
    number = Decimal(value)
    return f"{to_places(number, 2 if abs(number) >= 10 else 6, ROUND_HALF_EVEN):,}"  # noqa: PLR2004 - cents, from ten dollars on


def age(seconds: int | None) -> str:
    """A span of time in its two largest units."""
    if seconds is None:
        return NONE
    parts: list[str] = []
    left = abs(seconds)
    for unit, size in SECONDS:
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
    return ("-" if seconds < 0 else "") + " ".join(parts[:2])


def short(address: str) -> str:
    """An address by its two ends."""
    return address if len(address) <= 14 else f"{address[:8]}…{address[-4:]}"  # noqa: PLR2004 - it would be no shorter


def market(told: Mapping[str, str | None]) -> str:
    """A market by the token that it is of, where that is known, and the ends of its address."""
    address = short(str(told["market"]))
    return f"{symbol(told['symbol'])} ({address})" if told["symbol"] else address


def chain(chain_id: str) -> str:
    """A chain by its CAIP-2 id, with the ends of what is long in it: a genesis hash."""
    family, _, reference = chain_id.partition(":")
    return f"{family}:{short(reference)}"


def height(chain_id: str) -> str:
    """What a chain counts."""
    return "slot" if chain_id.startswith("solana:") else "block"


def record(chain_id: str) -> str:
    """What nodes of a chain give."""
    return "transaction" if chain_id.startswith("solana:") else "log"
