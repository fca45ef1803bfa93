"""Figures for people: never better than the number behind them."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from crossmargin.cli import figures
from crossmargin.cli.context import hoisted


def test_a_health_factor_is_rounded_down_and_a_debt_up() -> None:
    assert figures.factor("1.000099") == "1.0000"
    assert figures.factor("0.999999") == "0.9999"
    assert figures.usd_down("9.99999999") == "9.99"
    assert figures.usd_up("9.99000001") == "10.00"
    assert figures.percent("0.99991") == "100.00%"
    assert figures.points("42.857999") == "42.85%"


def test_what_is_not_known_is_no_number() -> None:
    shown = (figures.factor(None), figures.usd_up(None), figures.percent(None), figures.price(None), figures.age(None))

    assert set(shown) == {"–"}


@pytest.mark.parametrize(
    "value, shown",
    [("0", "0"), ("12345678.9", "12,345,678"), ("1.23456789", "1.23456"), ("0.000000123456789", "0.000000123456")],
)
def test_an_amount_keeps_six_digits(value: str, shown: str) -> None:
    assert figures.amount(value, up=False) == shown


@pytest.mark.parametrize("seconds, shown", [(0, "0s"), (61, "1m 1s"), (3600, "1h"), (90_061, "1d 1h"), (-5, "-5s")])
def test_an_age_has_its_two_largest_units(seconds: int, shown: str) -> None:
    assert figures.age(seconds) == shown


@pytest.mark.parametrize(
    "given, arranged",
    [
        (["health", "a", "--json"], ["--json", "health", "a"]),
        (["health", "--config", "c", "a"], ["--config", "c", "health", "a"]),
        (["health", "--config=c", "a", "-v"], ["--config=c", "-v", "health", "a"]),
        (["sql", "--", "--json"], ["sql", "--", "--json"]),
        (["health", "--config"], ["--config", "health"]),
    ],
)
def test_global_options_may_stand_behind_the_command(given: list[str], arranged: list[str]) -> None:
    assert hoisted(given) == arranged


def test_a_status_is_a_word_and_a_colour() -> None:
    stream = io.StringIO()
    Console(file=stream, width=40).print(figures.status("no_debt"))

    assert stream.getvalue() == "NO DEBT\n"
