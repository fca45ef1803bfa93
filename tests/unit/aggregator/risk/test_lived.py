"""Windows of days that a store knows: measured, the worst of them, and what a late oracle shows."""

from __future__ import annotations

import math
import tomllib
from datetime import date, timedelta
from pathlib import Path

import pytest

from aggregator.risk.lived import lagging, measured, worst
from aggregator.risk.scenarios import Held, Library, Moves, Rule, ScenarioError, Severity, in_window, parse_library
from aggregator.risk.series import PriceDay, Series, series_of

FIRST = date(2024, 1, 1)
ETHER = Held(asset="eip155:1/slip44:60", identity="ETH", chain="eip155:1")
BITCOIN = Held(asset="eip155:1/erc20:0x01", identity="BTC", chain="eip155:1")
OTHER = Held(asset="eip155:1/erc20:0x02", identity="OP", chain="eip155:1", beta=1.0)


def series(name: str, closes: list[float], *, missing: tuple[int, ...] = (), no_low: tuple[int, ...] = ()) -> Series:
    days = [
        PriceDay(
            FIRST + timedelta(days=number), close, None if number in no_low else close * 0.95, close * 1.05, "here"
        )
        for number, close in enumerate(closes)
        if number not in missing
    ]
    made = series_of(name, days)
    assert made is not None
    return made


@pytest.fixture(scope="module")
def library() -> Library:
    document = Path(__file__).parents[4] / "config" / "scenarios.toml"
    return parse_library(tomllib.loads(document.read_text(encoding="utf-8")))


BTC = [100.0, 90.0, 81.0, 100.0, 95.0, 70.0, 100.0]


def test_the_worst_days_are_the_market_s_and_all_that_is_known_is_measured_on_them() -> None:
    # One day: 95 → 70. Two: 100 → 95 → 70 is −30 %, more than 100 → 81.
    both = {"BTC": series("BTC", BTC), "ETH": series("ETH", [10.0, 10.0, 10.0, 10.0, 8.0, 9.0, 9.0])}

    day, two = worst(both, "BTC", 1), worst(both, "BTC", 2)

    assert (day.id, day.first, day.last) == ("worst-1d", date(2024, 1, 5), date(2024, 1, 6))
    assert (two.first, two.last) == (date(2024, 1, 4), date(2024, 1, 6))
    assert parts(two.moves["BTC"]) == pytest.approx((70 / 95 - 1, -0.3, -0.335))
    assert parts(two.moves["ETH"]) == pytest.approx((-0.2, -0.2, -0.24))


def parts(moves: Moves) -> tuple[float, float, float]:
    return moves.day, moves.close, moves.low


def test_days_over_a_gap_are_none_and_of_what_is_not_known_whole_nothing_is_measured(library: Library) -> None:
    gapped = {"BTC": series("BTC", BTC, missing=(4,)), "ETH": series("ETH", BTC, missing=(1,))}

    found = worst(gapped, "BTC", 1)

    assert (found.first, found.last) == (date(2024, 1, 1), date(2024, 1, 2))
    assert set(found.moves) == {"BTC"}
    made = in_window(library, found, Severity.CLOSE, [ETHER, BITCOIN])
    assert {each.asset: each.rule for each in made.moves} == {ETHER.asset: Rule.BETA, BITCOIN.asset: Rule.MEASURED}
    assert made.move(ETHER.asset) == pytest.approx(-0.1 * library.mapping.excess)
    assert measured({"BTC": series("BTC", BTC, no_low=(2,))}, FIRST, FIRST + timedelta(days=2)) == {}


def test_too_short_a_history_has_no_worst_days() -> None:
    with pytest.raises(ScenarioError, match="less than 8 days of BTC"):
        worst({"BTC": series("BTC", BTC)}, "BTC", 7)
    with pytest.raises(ScenarioError, match="less than 2 days of BTC"):
        worst({}, "BTC", 1)


def test_a_late_oracle_shows_what_was_so_many_hours_before(library: Library) -> None:
    known = {"BTC": series("BTC", BTC)}
    window = worst(known, "BTC", 2)

    prompt = lagging(library, window, [BITCOIN, OTHER], known, 0)
    half, whole = (lagging(library, window, [BITCOIN, OTHER], known, hours) for hours in (12, 24))

    assert [each.day for each in prompt] == [date(2024, 1, 5), date(2024, 1, 6)]
    assert [each.shown for each in prompt] == [each.market for each in prompt]
    assert [each.market.move(BITCOIN.asset) for each in whole] == pytest.approx([-0.05, -0.3])
    assert [each.shown.move(BITCOIN.asset) for each in whole] == pytest.approx([0, -0.05])
    assert half[1].shown.move(BITCOIN.asset) == pytest.approx(math.sqrt(0.95 * 0.7) - 1)
    assert half[0].shown.move(BITCOIN.asset) == pytest.approx(math.sqrt(1 * 0.95) - 1)
    assert whole[1].shown.move(OTHER.asset) == pytest.approx(-0.05 * library.mapping.excess)


def test_a_lag_that_cannot_be_is_refused(library: Library) -> None:
    known = {"BTC": series("BTC", BTC)}
    window = worst(known, "BTC", 2)

    for hours in (-1, math.nan, 169):
        with pytest.raises(ScenarioError, match="hours late"):
            lagging(library, window, [BITCOIN], known, hours)
    with pytest.raises(ScenarioError, match="not every day of BTC from 2023-12-31"):
        lagging(library, window, [BITCOIN], known, 96)
