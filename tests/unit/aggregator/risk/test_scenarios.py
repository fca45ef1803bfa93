"""The library that ships, what it makes of a book, and what is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.risk.scenarios import (
    Held,
    Library,
    Rule,
    ScenarioError,
    Severity,
    failures,
    grid,
    in_window,
    parse_library,
    shocked,
)

LIBRARY = Path(__file__).parents[4] / "config" / "scenarios.toml"
ETHER = Held(asset="eip155:1/slip44:60", identity="ETH", chain="eip155:1")
STAKED = Held(asset="eip155:1/erc20:0x01", identity="rETH", chain="eip155:1", staked=True, redeems="ETH", peg=0.02)
DOLLAR = Held(asset="eip155:10/erc20:0x02", identity="crvUSD", chain="eip155:10", usd_like=True, peg=0.05)
BRIDGED = Held(asset="eip155:10/erc20:0x03", identity="ETH", chain="eip155:10", bridge="multisig")
OTHER = Held(asset="eip155:10/erc20:0x04", identity="OP", chain="eip155:10", beta=1.2)
BOOK = (ETHER, STAKED, DOLLAR, BRIDGED, OTHER)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return tomllib.loads(LIBRARY.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def library(document: dict[str, Any]) -> Library:
    return parse_library(document)


def test_the_library_names_what_happened(library: Library) -> None:
    assert [window.id for window in library.windows][:3] == ["covid-2020", "deleveraging-2021", "ust-2022"]
    assert library.window("usdc-2023").moves["USDC"].low == -0.1226
    assert library.grid[0] == -0.5
    assert library.grid[10] == 0
    assert len(library.grid) == 21


def test_every_asset_has_a_move_and_its_rule(library: Library) -> None:
    made = in_window(library, library.window("ftx-2022"), Severity.LOW, BOOK)

    assert {applied.asset: (applied.move, applied.rule) for applied in made.moves} == {
        ETHER.asset: (-0.3346, Rule.MEASURED),
        STAKED.asset: (pytest.approx((1 - 0.3346) * 0.98 - 1), Rule.REDEEMED),
        DOLLAR.asset: (pytest.approx(-0.05), Rule.DOLLAR),
        BRIDGED.asset: (-0.3346, Rule.MEASURED),
        OTHER.asset: (pytest.approx(-0.2631 * 1.2 * 1.5), Rule.BETA),
    }
    assert made.facts["first"] == "2022-11-05"


def test_a_severity_picks_days_closes_or_lows(library: Library) -> None:
    window = library.window("liquidations-2025")
    link = (Held(asset="a", identity="LINK", chain="eip155:1"),)

    found = [in_window(library, window, severity, link).move("a") for severity in Severity]

    assert found == [-0.2117, -0.2181, -0.5375]


def test_what_follows_a_falling_market_beyond_it_ends_at_nothing(library: Library) -> None:
    wild = (Held(asset="a", identity="MEME", chain="eip155:1", beta=9.0, peg=0.5),)

    assert in_window(library, library.window("covid-2020"), Severity.LOW, wild).move("a") == -1


def test_a_rise_of_the_market_is_not_exaggerated(document: dict[str, Any]) -> None:
    moves = {"BTC": {"day": 0.01, "close": 0.02, "low": 0.01}}
    library = parse_library({**document, "window": [{**document["window"][0], "moves": moves}]})

    (applied,) = in_window(library, library.windows[0], Severity.CLOSE, (OTHER,)).moves
    assert applied.move == pytest.approx(0.02 * 1.2)


def test_a_shock_moves_what_it_names_and_dollars_stay(library: Library) -> None:
    made = shocked("mine", {"ETH": -0.3, OTHER.asset: 0.1}, BOOK, others=-0.2)

    assert [applied.move for applied in made.moves] == [-0.3, -0.2, 0.0, -0.3, 0.1]
    assert [applied.rule for applied in made.moves] == [Rule.SAID, Rule.SAID, Rule.UNTOUCHED, Rule.SAID, Rule.SAID]


def test_grid_and_failures_cover_the_book(library: Library) -> None:
    made = {scenario.id: scenario for scenario in (*grid(library, BOOK), *failures(library, BOOK))}

    assert made["all-30%"].move(OTHER.asset) == -0.3
    assert made["all-30%"].move(DOLLAR.asset) == 0
    assert made["depeg-crvUSD"].move(DOLLAR.asset) == -0.12
    assert made["discount-rETH"].move(STAKED.asset) == -0.1
    assert [applied.move for applied in made["bridge-multisig"].moves] == [0, 0, 0, -1, 0]
    assert made["frozen-eip155:10"].frozen == ("eip155:10",)
    assert len(made) == 21 + 1 + 1 + 1 + 2


@given(st.lists(st.sampled_from(BOOK), min_size=1), st.sampled_from(list(Severity)), st.integers(0, 8))
def test_nothing_loses_more_than_all(held: list[Held], severity: Severity, index: int) -> None:
    library = parse_library(tomllib.loads(LIBRARY.read_text(encoding="utf-8")))
    made = in_window(library, library.windows[index], severity, held)

    assert len(made.moves) == len(held)
    assert all(-1 <= applied.move <= 0.1 for applied in made.moves)


@pytest.mark.parametrize(
    "moves, held, complaint",
    [
        ({"ETH": -1.01}, BOOK, "ETH: a move must be from -1"),
        ({"ETH": float("nan")}, BOOK, "a move must be from -1"),
        ({"DOGE": -0.1}, BOOK, 'nobody holds or owes "DOGE"; there are: ETH, OP, crvUSD, rETH'),
        ({}, (), "nothing can be stressed"),
    ],
)
def test_nonsense_is_refused(moves: dict[str, float], held: tuple[Held, ...], complaint: str) -> None:
    with pytest.raises(ScenarioError, match=complaint):
        shocked("mine", moves, held)


def test_a_scenario_is_of_its_book_alone(library: Library) -> None:
    with pytest.raises(ScenarioError, match="says nothing of"):
        shocked("mine", {}, (ETHER,)).move(OTHER.asset)


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"version": 1}, "version must be a text"),
        ({"grids": {}}, 'unknown key "grids"; did you mean "grid"'),
        ({"grid": {"lowest": -0.5, "highest": 0.5, "step": 0.3}}, "a whole number of steps"),
        ({"grid": {"lowest": -0.5, "highest": 0.5, "step": 1e-9}}, "step at least"),
        ({"mapping": {"market": "BTC", "excess": 0, "beta": 1}}, "excess must be above 0"),
        ({"failures": {"stable": -1.2, "lst": -0.1, "bridge": -1}}, "must be a relative move from -1"),
        ({"freeze": {"days": [0], "depth": 0.1}}, "must be a list of whole days"),
        ({"freeze": {"days": [True], "depth": 0.1}}, "must be a list of whole days"),
        ({"thin": {"share": 1}}, "must be between 0 and 1"),
        ({"thin": {}}, "share is missing"),
    ],
)
def test_a_library_that_cannot_be_meant_says_why(
    document: dict[str, Any], change: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ScenarioError, match=complaint):
        parse_library({**document, **change})


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"id": "FTX"}, 'must be a word such as "ftx-2022"'),
        ({"first": "2022-01-01"}, "must be a day such as"),
        ({"last": None}, "must be a day such as"),
        ({"moves": {}}, "at least one of moves"),
        ({"moves": {"BTC": {"day": -0.1, "close": -0.2, "low": -0.1}}}, "low at most close"),
        ({"moves": {"ETH": {"day": -0.1, "close": -0.1, "low": -0.1}}}, "nor for BTC, which it would follow"),
    ],
)
def test_a_window_that_cannot_be_meant_says_why(
    document: dict[str, Any], change: dict[str, Any], complaint: str
) -> None:
    window = {**document["window"][0], **change}

    with pytest.raises(ScenarioError, match=complaint):
        in_window(parsed := parse_library({**document, "window": [window]}), parsed.windows[0], Severity.LOW, (OTHER,))


def test_two_windows_of_one_name_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ScenarioError, match="is taken by another window"):
        parse_library({**document, "window": [document["window"][0]] * 2})
