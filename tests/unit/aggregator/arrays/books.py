"""Random books on toy assets: some with estimates, some without, priced by feeds; each account as `assess` judges it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from aggregator.arrays.book import ArrayBook
from aggregator.arrays.entries import entry_of, estimates_of, marks_of
from aggregator.arrays.kernels import Revalue
from aggregator.margin.account import Assessment, assess
from aggregator.margin.inputs import Asset, Cut
from aggregator.margin.liabilities import Liabilities
from aggregator.margin.policy import parse_policy
from aggregator.margin.risk import AssetRisk, Liquidity, PegRisk, RiskInputs
from aggregator.margin.valuation import Context, OpenUnit, make_context
from aggregator.oracle.mark import Mark, Unpriced
from aggregator.oracle.rules import State
from chains.identifiers import token
from chains.model import Finality, Side, UnitPosition, VenueSpec, VenueUnit
from tests.unit.aggregator.builders import CHAIN, NOW, POLICY, USD, block

LAYERS = """
[layers.chain]
"eip155:1" = 0.01
[layers.class.stable]
peg = 0.02
usd_like = true
[layers.class.major]
cap = 0.9
liquidity = 0.02
"""
APART = '[[pool]]\nid = "alone"\nkind = "isolated"\nvenues = ["toy-2"]\nminimum_charge_usd = { other = 50.0 }\n'
TOGETHER = """
[[pool]]
id = "here"
venues = ["toy-1"]
eligible = ["major", "stable"]
minimum_charge_usd = { other = 30.0 }
[[pool]]
id = "there"
venues = ["toy-2"]
"""
"""Pools: the second venue by itself, and one for each venue."""

ESTIMATED, OTHERS = 6, 3
DECIMALS = 6
VENUE = VenueSpec(id="toy-1", protocol="toy", chain_id=CHAIN, address=b"\xaa" * 20, start_block=1)
SECOND = replace(VENUE, id="toy-2", address=b"\xbb" * 20)
ESCROW = replace(VENUE, id="toy-3", address=b"\xcc" * 20, options={"liabilities": "import", "liability_max_age_s": 600})
"""Of what an account has, every first is at the first venue, every second at the second, every third at the escrow or the first."""

SAID = Liabilities(
    as_of=NOW,
    initial_requirement_usd=Decimal(700),
    maintenance_requirement_usd=Decimal(400),
    pnl_usd=Decimal(-150),
    key=b"k",
    document="d",
)

Holding = tuple[int, Side, float]
"""Number of the asset, side, tokens."""


@dataclass(frozen=True, kw_only=True)
class Toy:
    """A context, and what each account holds."""

    context: Context
    accounts: Mapping[str, Sequence[Holding]]
    claimed: bool = False

    def assessed(self, name: str) -> Assessment:
        return assess(self.context, self._units(self.accounts[name]), chains=[CHAIN], gaps=())

    def _units(self, held: Sequence[Holding]) -> list[OpenUnit]:
        first, second, deposits = held[0::3], held[1::3], held[2::3]
        if not self.claimed or any(side is Side.BORROW for _, side, _ in deposits):
            return [unit([*first, *deposits]), unit(second, SECOND)]
        return [unit(first), unit(second, SECOND), replace(unit(deposits, ESCROW), liabilities=SAID)]

    def arrays(self, kernel: Revalue | None = None) -> ArrayBook:
        assessed = {name: self.assessed(name) for name in self.accounts}
        return ArrayBook.build(
            [entry_of(name, assessment, self.context) for name, assessment in assessed.items()],
            marks_of(assessed.values(), self.context),
            estimates_of(self.context),
            kernel,
        )

    def repriced(self, marks: Mapping[str, Mark | Unpriced]) -> Toy:
        return replace(self, context=replace(self.context, feed_marks={**self.context.feed_marks, **marks}))


def asset(number: int) -> bytes:
    return bytes([number + 1]) * 20


def identity(number: int) -> str:
    return f"A{number}"


def unit(holdings: Sequence[Holding], venue: VenueSpec = VENUE) -> OpenUnit:
    """One unit that answers; its own numbers decide nothing here."""
    positions = tuple(
        UnitPosition(
            market=asset(number),
            asset=asset(number),
            side=side,
            symbol=identity(number),
            decimals=DECIMALS,
            amount_raw=round(tokens * 10**DECIMALS),
            protocol_raw=0,
            counts=True,
            price=None,
            liquidation_threshold=7_500 if side is Side.SUPPLY else None,
        )
        for number, side, tokens in holdings
    )
    owes = any(item.side is Side.BORROW and item.amount_raw for item in positions)
    own = VenueUnit(
        venue_id=venue.id,
        unit_id=b"\x11" * 20,
        owner=b"\x11" * 20,
        native={},
        health_factor_wad=2 * 10**18 if owes else None,
        liquidatable=False,
        has_debt=owes,
        collateral_base=0,
        debt_base=0,
        base_unit=USD,
        positions=positions,
        reasons=(),
        engine_version="toy-1",
    )
    return OpenUnit(venue=venue, at=block(), unit=own)


def mark(number: int, mid: float, spread: float = 0.01, state: State = State.OK) -> Mark:
    low, high = mid * (1 - spread), mid * (1 + spread)
    return Mark(identity=identity(number), low=low, mid=mid, high=high, used=(), discarded=(), state=state)


def toy(
    accounts: Mapping[str, Sequence[Holding]],
    *,
    seed: int = 1,
    model: str = "",
    stressed: bool = False,
    negative: bool = False,
    doubted: bool = False,
    claimed: bool = False,
) -> Toy:
    """Make a context of `ESTIMATED` assets with estimates and `OTHERS` without; the last of either is a stable coin."""
    chance = random.Random(seed)
    count = ESTIMATED + OTHERS
    assets = [
        Asset(
            id=str(token(CHAIN, asset(number))),
            symbol=identity(number),
            asset_class="stable" if number in (ESTIMATED - 1, count - 1) else "major" if number % 2 else "default",
            same_as=identity(number),
        )
        for number in range(count)
    ]
    made = make_context(
        as_of={CHAIN: Cut(block=block(), finality=Finality.FINALIZED)},
        assets=assets,
        policy=parse_policy(POLICY + LAYERS + model),
        feeds=(),
        observations=(),
        stale_chains=(),
        risk=estimates(chance, stressed=stressed, negative=negative),
    )
    states = tuple(State) if doubted else (State.OK,)
    marks = {
        identity(number): mark(number, chance.uniform(0.5, 3000), state=chance.choice(states))
        for number in range(count)
    }
    return Toy(context=replace(made, feed_marks=marks), accounts=accounts, claimed=claimed)


def estimates(chance: random.Random, *, stressed: bool, negative: bool) -> RiskInputs:
    loadings = np.array(
        [[chance.uniform(-1 if negative else 0.2, 1) for _ in range(3)] + [0.4] for _ in range(ESTIMATED)]
    )
    loadings /= np.linalg.norm(loadings, axis=1)[:, None]
    correlation = loadings @ loadings.T
    np.fill_diagonal(correlation, 1.0)
    return RiskInputs(
        assets=tuple(_asset_risk(chance, number) for number in range(ESTIMATED)),
        correlation=tuple(tuple(row) for row in ((correlation + correlation.T) / 2).tolist()),
        pegs=(PegRisk(identity=identity(2), fall=0.06, basis="seen", last_day="2025-11-20"),),
        liquidity=tuple(
            Liquidity(
                identity=identity(number), daily_volume_usd=volume, spread=0.002, fee=0.001, as_of="2025", source="desk"
            )
            for number, volume in ((0, 1e7), (1, 1e9), (3, 0.0))
        ),
        regime="stress" if stressed else "calm",
    )


def _asset_risk(chance: random.Random, number: int) -> AssetRisk:
    fall = chance.uniform(0.02, 0.3)
    return AssetRisk(
        identity=identity(number),
        maintenance=fall,
        initial=fall * 1.5,
        rise_maintenance=fall * 1.1,
        rise_initial=fall * 1.8,
        deviation=fall / 3,
        swing=fall / 3,
        basis="fhs",
        days=1000,
        last_day="2025-11-20",
    )
