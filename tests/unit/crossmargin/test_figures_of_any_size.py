"""Figures of any size: what people read is the number, rounded to the worse side, however large it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crossmargin.cli import figures as told
from crossmargin.server.web import figures as drawn

LARGEST = 10**330
"""Beyond all that 256 bits are in tokens of 255 decimals, at any price."""

SIZES = {"k": 10**3, "M": 10**6, "bn": 10**9}
Shown = Callable[[str], object]

DOWN: dict[str, tuple[Shown, Fraction]] = {
    "usd_down": (told.usd_down, Fraction(1, 100)),
    "percent_down": (told.percent_down, Fraction(1, 10_000)),
    "amount": (lambda value: told.amount(value, up=False), Fraction(1)),
    "page usd_down": (drawn.usd_down, Fraction(10**7)),
    "page own_down": (drawn.own_down, Fraction(10**7)),
    "page amount": (lambda value: drawn.amount(value, up=False), Fraction(1)),
    "page factor": (drawn.factor, Fraction(1, 10_000)),
}
UP: dict[str, tuple[Shown, Fraction]] = {
    "usd_up": (told.usd_up, Fraction(1, 100)),
    "percent": (told.percent, Fraction(1, 10_000)),
    "amount": (lambda value: told.amount(value, up=True), Fraction(1)),
    "page usd_up": (drawn.usd_up, Fraction(10**7)),
    "page own_up": (drawn.own_up, Fraction(10**7)),
    "page amount": (lambda value: drawn.amount(value, up=True), Fraction(1)),
    "page percent": (lambda value: drawn.percent(value) or "", Fraction(1, 10_000)),
}
NEAREST: dict[str, tuple[Shown, Fraction]] = {
    "price": (told.price, Fraction(1, 100)),
    "page price": (drawn.price_of, Fraction(1, 10**6)),
}

values = st.tuples(st.integers(0, LARGEST), st.integers(0, 18)).map(lambda pair: f"{Decimal(pair[0]):f}e-{pair[1]}")


def written(value: str) -> str:
    """The number as a document has it: in full."""
    return f"{Decimal(value):f}"


def read(shown: object) -> Fraction:
    """The number that a person reads: its unit and its percent sign count."""
    words = re.sub(r"<[^>]+>", "", str(shown)).replace(",", "")
    found = re.fullmatch(r"([0-9.]+)(?:e([+-]\d+))?(?: ?(k|M|bn|%))?", words)
    assert found is not None, words
    number = Fraction(found[1]) * Fraction(10) ** int(found[2] or 0)
    return number / 100 if found[3] == "%" else number * SIZES.get(found[3] or "", 1)


@pytest.mark.parametrize("name", DOWN)
@given(value=values)
@example(value="12345678901234567890123456.7890123")
def test_what_is_had_is_never_shown_larger(name: str, value: str) -> None:
    shown, step = DOWN[name]

    assert 0 <= Fraction(value) - read(shown(written(value))) < step


@pytest.mark.parametrize("name", UP)
@given(value=values)
@example(value="12345678901234567890123456.7890123")
def test_what_is_owed_is_never_shown_smaller(name: str, value: str) -> None:
    shown, step = UP[name]

    assert 0 <= read(shown(written(value))) - Fraction(value) < step


@pytest.mark.parametrize("name", NEAREST)
@given(value=values)
@example(value="12345678901234567890123456.7890123")
def test_prices_are_off_by_less_than_their_last_place(name: str, value: str) -> None:
    shown, step = NEAREST[name]

    assert abs(read(shown(written(value))) - Fraction(value)) < step
