"""The prices of the story: one path, of which every chain's feeds see a slightly different copy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

Prices: TypeAlias = Mapping[str, float]

START: Prices = {"WETH": 3_000.0, "USDC": 1.0, "WBTC": 60_000.0}
DAILY_NOISE = {"WETH": 0.012, "USDC": 0.0003, "WBTC": 0.009}
CRASH = {"WETH": 0.65, "USDC": 0.997, "WBTC": 0.75}
STAKED_RATE = 1.175
FEED_NOISE = 0.0004


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Prices in dollars, step by step."""

    before: Sequence[Prices]
    crash: Sequence[Prices]
    calm: Sequence[Prices]


def price_path(seed: int, *, before: int, crash: int, calm: int) -> Path:
    """A quiet time, a fall in equal ratios, a slight recovery."""
    rng = Random(f"{seed}/prices")
    quiet = walk(rng, START, before)
    fall = [
        {symbol: price * CRASH[symbol] ** (step / crash) for symbol, price in quiet[-1].items()}
        for step in range(1, crash + 1)
    ]
    return Path(before=quiet, crash=fall, calm=walk(rng, fall[-1], calm))


def walk(rng: Random, start: Prices, steps: int) -> list[Prices]:
    """Small moves around where the walk began."""
    return [
        {symbol: price * (1 + rng.gauss(0, DAILY_NOISE[symbol])) for symbol, price in start.items()}
        for _ in range(steps)
    ]


def seen_by_feeds(rng: Random, prices: Prices) -> dict[str, float]:
    """What one chain's feeds report, the staked token included."""
    seen = {symbol: price * (1 + rng.uniform(-FEED_NOISE, FEED_NOISE)) for symbol, price in prices.items()}
    return seen | {"wstETH": seen["WETH"] * STAKED_RATE}
