"""Numbers as people read them, and drawings of them; nothing is rounded to the better."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

from aggregator.audit.report.page import Html, marked, short, text
from aggregator.margin.numbers import EXACT, six_digits, to_places
from crossmargin.documents import Document, symbol
from crossmargin.server.web.frame import titled

UNITS = ((9, "bn"), (6, "M"), (3, "k"))
"""Powers of ten and what they are called."""

NONE_OF_ITS_OWN = "the venue has no such number of its own, or it is unknown"
SCALE_END = Decimal(3)
"""The health factor at the right end of a gauge; more stands there too."""

WIDTH = 320


def usd_down(value: str | None) -> Html:
    """What is had, in USD; without a value it is not known."""
    return marked("unknown", "unknown") if value is None else _short(value, ROUND_FLOOR, "USD")


def usd_up(value: str | None) -> Html:
    """What is owed, in USD; without a value it is not known."""
    return marked("unknown", "unknown") if value is None else _short(value, ROUND_CEILING, "USD")


def own_down(value: str | None) -> Html:
    """What is had by a venue's own number; some venues have none."""
    return titled("–", NONE_OF_ITS_OWN) if value is None else _short(value, ROUND_FLOOR, "of its currency")


def own_up(value: str | None) -> Html:
    """What is owed by a venue's own number; some venues have none."""
    return titled("–", NONE_OF_ITS_OWN) if value is None else _short(value, ROUND_CEILING, "of its currency")


def _short(value: str, rounding: str, currency: str) -> Html:
    number = Decimal(value)
    for power, unit in UNITS:
        if abs(number) >= 10**power:
            return titled(f"{to_places(EXACT.scaleb(number, -power), 2, rounding):,} {unit}", f"{value} {currency}")
    return titled(f"{to_places(number, 2, rounding):,}", f"{value} {currency}")


def factor(value: str | None) -> Html:
    """A health factor, down to four places."""
    if value is None:
        return titled("–", "there is no debt, or it is unknown")
    return titled(f"{to_places(Decimal(value), 4, ROUND_FLOOR):,}", value)


def percent(value: str | None) -> str | None:
    """A ratio as a percentage, upward."""
    return None if value is None else f"{to_places(EXACT.scaleb(Decimal(value), 2), 2, ROUND_CEILING):,} %"


def counted(number: int | None) -> str | None:
    """A count, or so many seconds, with its thousands apart."""
    return None if number is None else f"{number:,}"


def amount(value: str, *, up: bool) -> Html:
    """A number of tokens in six significant digits; all of it on pointing at it."""
    number = Decimal(value)
    return titled(f"{six_digits(number, ROUND_CEILING if up else ROUND_FLOOR):,f}" if number else "0", value)


def price_of(value: str, rounding: str = ROUND_HALF_EVEN) -> Html:
    """A price to six places, a small one to six digits, so that none looks like zero; all of it on pointing at it."""
    number = Decimal(value)
    if abs(number) >= 1:
        return titled(f"{to_places(number, 6, rounding):,}", value)
    return titled(f"{Context(prec=6, rounding=rounding).plus(number):f}", value)


def market(told: Document) -> Html:
    """A market by the token that it is of, where that is known, and the ends of its address; all of it on pointing at it."""
    address = short(told["market"])
    return titled(f"{symbol(told['symbol'])} ({address})" if told["symbol"] else address, told["market"])


def gauge(low: str | None, mid: str | None, high: str | None) -> Html:
    """Draw a health factor with its interval between 0 and 3; liquidation starts below 1."""
    if mid is None:
        return Html('<p class="soft">No health factor to show.</p>')

    def at(value: str) -> int:
        return int(min(max(Decimal(value), Decimal(0)), SCALE_END) / SCALE_END * WIDTH)

    left, right = at(low or "0"), at(high) if high is not None else WIDTH
    one, here = at("1"), at(mid)
    said = f"health factor {mid}, between {low or 'unknown'} and {high or 'unknown'}; liquidation starts below 1"
    return Html(
        f'<svg class="gauge" viewBox="-10 0 {WIDTH + 20} 62" role="img" aria-label="{text(said)}"><title>{text(said)}</title>'
        f'<rect class="under" x="0" y="20" width="{one}" height="14"></rect>'
        f'<rect class="over" x="{one}" y="20" width="{WIDTH - one}" height="14"></rect>'
        f'<rect class="interval" x="{left}" y="16" width="{max(right - left, 1)}" height="22"></rect>'
        f'<line class="here" x1="{here}" y1="10" x2="{here}" y2="44"></line>'
        f'<text x="{one}" y="58" text-anchor="middle">1</text><text x="0" y="58" text-anchor="middle">0</text>'
        f'<text x="{WIDTH}" y="58" text-anchor="middle">3+</text></svg>'
    )
