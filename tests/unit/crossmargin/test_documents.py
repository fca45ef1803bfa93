"""Documents have one spelling, and no text of a stranger acts on a terminal or a spreadsheet."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from crossmargin.cli.health_view import price_rows
from crossmargin.cli.output import add_rows, table, words
from crossmargin.documents import cell, encode, harmless, moment, symbol

HOSTILE = "[bold]\x1b[31mUSDC\x07\u202eCDSU\u200b\x9b2J\r\nx[/]"


def test_a_document_is_compact_ascii_in_its_own_order() -> None:
    assert encode({"b": "é\x1b", "a": [1, None]}) == b'{"b":"\\u00e9\\u001b","a":[1,null]}\n'


def test_what_is_no_number_is_never_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode({"x": float("nan")})


def test_control_format_and_direction_characters_are_replaced() -> None:
    assert harmless(HOSTILE) == "[bold]�[31mUSDC��CDSU��2J��x[/]"


def test_a_symbol_is_no_longer_than_a_symbol() -> None:
    assert symbol("A" * 500) == "A" * 31 + "…"


def test_a_symbol_is_printed_as_it_is_and_not_as_markup() -> None:
    price = {"identity": HOSTILE, "low": "1", "mid": "1", "high": "1", "feeds": []}
    shown = printed(add_rows(table(*"abcdefgh"), price_rows(price)))

    assert "[bold]" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_words_of_any_origin_are_no_markup() -> None:
    assert printed(words("[red]x[/]\x1b[2J")) == "[red]x[/]�[2J\n"


@pytest.mark.parametrize(
    "value, given",
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1+cmd", "'+1+cmd"),
        ("@x", "'@x"),
        ("-5", "-5"),
        ("+1e3", "+1e3"),
        ("USDC", "USDC"),
        ("a\x1bb", "a�b"),
        ("two\nlines", "two\nlines"),
        ("\t=1", "'\t=1"),
        ("a\tb\rc\u202ed", "a\tb�c�d"),
        (-7, -7),
        (None, None),
    ],
)
def test_text_that_begins_like_a_formula_is_quoted_in_csv(value: object, given: object) -> None:
    assert cell(value) == given


def test_moments_are_in_utc() -> None:
    assert moment(1_769_817_600) == "2026-01-31T00:00:00Z"


def printed(thing: object) -> str:
    stream = io.StringIO()
    Console(file=stream, width=200, markup=False, highlight=False, emoji=False).print(thing)
    return stream.getvalue()
