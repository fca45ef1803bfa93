"""Odd books by number: what real ones hardly have, and what rules are for; the same number makes the same book."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from aggregator.margin.risk import AssetRisk, Liquidity, PegRisk, RiskInputs
from aggregator.margin.valuation import make_context
from aggregator.oracle.mark import Mark, Unpriced
from aggregator.oracle.rules import State
from chains.model import Side
from tests.unit.aggregator.arrays.books import APART, ESTIMATED, OTHERS, TOGETHER, Holding, Toy, identity, toy

COUNT = ESTIMATED + OTHERS
MODELS = (
    "",
    "[model]\nkappa = 1.0\n",
    '[model]\nhaircuts = "static"\n',
    "[model]\noffset_cap = 0.999\nstress_offset_cap = 0.0\n",
    "[model]\noffset_cap = 0.0\nstress_offset_cap = 0.0\n",
)
POOLS = (
    "",
    APART,
    '[[pool]]\nid = "alone"\nkind = "isolated"\nvenues = ["toy-2"]\ncount_excess = true\n',
    '[[pool]]\nid = "nobody"\nvenues = ["toy-9"]\nminimum_charge_usd = { other = 7.0 }\n',
    TOGETHER,
)
AMOUNTS = (0.0, 1e-6, 1.0, 3e5, 1e12, 1e25)
PRICES = (1e-12, 1e-3, 1.0, 2_000.0, 1e8)
SPREADS = (0.0, 0.0, 0.01, 0.5, 1.0)


def odd(number: int) -> Toy:
    """Make a book of twelve accounts, or of none."""
    chance = random.Random(number)
    accounts = {f"a{place}": _holdings(chance) for place in range(chance.choice((0, 1, 12, 12, 12)))}
    world = toy(
        accounts,
        seed=number,
        model=chance.choice(MODELS) + chance.choice(POOLS),
        stressed=chance.random() < 0.3,
        negative=chance.random() < 0.3,
        claimed=chance.random() < 0.3,
    )
    old = world.context
    context = make_context(
        as_of=old.as_of,
        assets=tuple(old.assets.values()),
        policy=old.policy,
        feeds=(),
        observations=(),
        stale_chains=(),
        risk=_extreme(chance, old.risk),
    )
    marks = {identity(place): _mark(chance, place) for place in range(COUNT)}
    return replace(world, context=replace(context, feed_marks=marks))


def _holdings(chance: random.Random) -> Sequence[Holding]:
    few = chance.sample(range(COUNT), 3)
    return [
        (chance.choice(few), chance.choice(tuple(Side)), chance.choice(AMOUNTS) * chance.choice((1.0, chance.random())))
        for _ in range(chance.choice((0, 1, 2, 2, 3, 4, 9)))
    ]


def _mark(chance: random.Random, place: int) -> Mark | Unpriced:
    if chance.random() < 0.1:
        return Unpriced(identity=identity(place), discarded=())
    mid, spread = chance.choice(PRICES) * chance.uniform(0.9, 1.1), chance.choice(SPREADS)
    return Mark(
        identity=identity(place),
        low=mid * (1 - spread),
        mid=mid,
        high=mid * (1 + chance.choice((spread, 0.0))),
        used=(),
        discarded=(),
        state=chance.choice(tuple(State)) if chance.random() < 0.2 else State.OK,
    )


def _extreme(chance: random.Random, usual: RiskInputs) -> RiskInputs:
    """Estimates as they are, or of what falls to nothing, rises manifold, moves as one, or cannot be sold."""
    wild = chance.random() < 0.5
    assets = [_wild(chance, each) if wild else each for each in usual.assets]
    alike = chance.random() < 0.2
    return replace(
        usual,
        assets=tuple(assets),
        correlation=tuple((1.0,) * len(assets) for _ in assets) if alike else usual.correlation,
        pegs=tuple(
            PegRisk(identity=identity(place), fall=chance.choice((0.0, 0.1, 1.0)), basis="seen", last_day="2025-11-20")
            for place in range(COUNT)
            if chance.random() < 0.2
        ),
        liquidity=tuple(
            Liquidity(
                identity=identity(place),
                daily_volume_usd=chance.choice((0.0, 1.0, 1e6, 1e10)),
                spread=chance.choice((0.0, 0.01, 2.0)),
                fee=chance.choice((0.0, 0.001)),
                as_of="2025",
                source="desk",
            )
            for place in range(COUNT)
            if chance.random() < 0.5
        ),
    )


def _wild(chance: random.Random, usual: AssetRisk) -> AssetRisk:
    fall, rise = chance.choice((0.0, 1e-9, 0.3, 0.999, 1.0)), chance.choice((0.0, 1e-9, 0.5, 3.0))
    return replace(
        usual,
        maintenance=fall,
        initial=min(fall * 1.5, 1.0),
        rise_maintenance=rise,
        rise_initial=rise * 1.5,
        deviation=chance.choice((0.0, 0.05, 0.5)),
    )
