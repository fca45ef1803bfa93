"""A challenger learns what is there to be learnt, knows nothing of the day that it is for, and is not promoted where it is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aggregator.risk.bars import Bars
from aggregator.risk.challenger import check_loss, learnt, regression_quantile, score_card
from aggregator.risk.history import BadHistory, Floats
from crossmargin.histories import read_bars, read_volumes
from tests.support.walks import bars_of, walks

PRICES = Path(__file__).parents[5] / "shared" / "fixtures" / "prices"
DAYS = 2400


def signalled(seed: int = 4) -> tuple[Bars, Floats]:
    """Days of which every twentieth is three times as wild, which the volume of the day before gives away."""
    chance = np.random.default_rng(seed)
    wild = np.arange(DAYS) % 20 == 0
    returns = np.where(wild, 0.06, 0.02) * chance.normal(size=DAYS)
    volumes = np.where(np.append(wild, wild[0]), 9.0, 1.0)
    return bars_of("A", returns, 0.02, chance), volumes


def test_a_quantile_that_is_linear_is_found() -> None:
    chance = np.random.default_rng(1)
    inputs = chance.normal(size=(20_000, 2))
    outputs = 1.0 + 0.8 * inputs[:, 0] + chance.normal(size=20_000) * 0.3

    weights = regression_quantile(inputs, outputs, 0.9)

    assert weights[1] == pytest.approx(0.8, abs=0.12)
    assert weights[2] == pytest.approx(0.0, abs=0.05)
    assert np.mean(outputs < weights[0] + inputs @ weights[1:]) == pytest.approx(0.9, abs=0.04)


def test_what_volume_gives_away_is_learnt() -> None:
    bars, volumes = signalled()
    knows, blind = score_card(bars, volumes), score_card(bars)

    assert knows.loss < 0.97 * knows.champion_loss
    assert knows.loss < blind.loss
    assert knows.days == DAYS - 1000


def test_the_day_itself_is_not_known() -> None:
    [bars] = walks("A", 1300)
    crashed = bars.history.closes.copy()
    crashed[-1] *= 0.5
    other = Bars(
        history=type(bars.history)(asset="A", first=bars.history.first, closes=crashed),
        lows=np.minimum(bars.lows, crashed),
        highs=np.maximum(bars.highs, crashed),
    )

    assert (learnt(bars)[:-1] == learnt(other)[:-1]).all()
    assert learnt(bars)[-1] != learnt(other)[-1]


def test_a_model_that_is_wrong_is_not_promoted() -> None:
    [bars] = walks("A", 2000)
    returns = bars.history.returns.copy()
    returns[1200::40] = -0.2
    card = score_card(bars_of("A", returns, 0.03, np.random.default_rng(1)))

    assert "Kupiec" in card.failed
    assert not card.promoted
    [short] = walks("B", 1400)
    assert "730 days" in score_card(short).failed
    with pytest.raises(BadHistory, match="learns from 1001 at least"):
        learnt(walks("A", 900)[0])


def test_the_right_quantile_loses_least() -> None:
    falls = np.random.default_rng(3).normal(size=50_000)

    losses = [check_loss(falls, np.full(50_000, level)) for level in (1.8, 2.326, 2.9)]
    assert min(losses) == losses[1]


@pytest.mark.skipif(not PRICES.is_dir(), reason="the price history is other people's data, and not here")
@pytest.mark.parametrize("asset", ["btc", "eth", "sol", "bnb", "link"])
def test_on_real_prices_less_is_lost_than_by_filtered_simulation(asset: str) -> None:
    path = PRICES / f"a_{asset}_usd_1d.csv"
    card = score_card(read_bars(path), read_volumes(path))

    assert card.loss < card.champion_loss
    assert card.challenger.holds()
    assert card.challenger.kupiec_p > 0.05
    assert card.days > 1000
