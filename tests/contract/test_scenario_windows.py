"""The moves of `config/scenarios.toml` are those of the price histories, where these are beside the checkout."""

from __future__ import annotations

import csv
import tomllib
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from aggregator.risk.scenarios import Window, parse_library

PRICES = Path(__file__).parents[3] / "shared" / "fixtures" / "prices"
LIBRARY = Path(__file__).parents[2] / "config" / "scenarios.toml"
SETS = "abd"
"""Those of which all bars come from one place; the others repeat them."""

Bars = dict[date, tuple[float, float]]
"""Day → low and close."""


def bars(identity: str) -> Bars | None:
    for name in SETS:
        path = PRICES / f"{name}_{identity.lower()}_usd_1d.csv"
        if path.exists():
            with path.open(encoding="utf-8") as file:
                rows = csv.DictReader(file)
                return {date.fromisoformat(row["date"]): (float(row["low"]), float(row["close"])) for row in rows}
    return None


def measured(window: Window, known: Bars) -> tuple[float, float, float]:
    days = [window.first + timedelta(days=number) for number in range((window.last - window.first).days + 1)]
    closes = [known[day][1] for day in days]
    lows = [min(known[day]) for day in days[1:]]
    return (
        min(after / before for before, after in pairwise(closes)) - 1,
        min(closes[1:]) / closes[0] - 1,
        min(lows) / closes[0] - 1,
    )


@pytest.mark.skipif(not PRICES.is_dir(), reason="price histories of others are not beside this checkout")
def test_windows_are_as_they_were_measured() -> None:
    library = parse_library(tomllib.loads(LIBRARY.read_text(encoding="utf-8")))
    compared = 0
    for window in library.windows:
        for identity, moves in window.moves.items():
            known = bars(identity)
            assert known is not None, identity
            assert (moves.day, moves.close, moves.low) == pytest.approx(measured(window, known), abs=5.1e-5), (
                window.id,
                identity,
            )
            compared += 1
    assert compared == sum(len(window.moves) for window in library.windows) > 100
