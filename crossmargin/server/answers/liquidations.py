"""Answers about liquidations that are simulated."""

from __future__ import annotations

from typing import Any

from aggregator.margin.document import AsOf
from aggregator.margin.permits_document import ReasonView
from crossmargin.server.answers.model import Answer
from crossmargin.server.answers.risk import AssetMove


class SimulatedScenario(Answer):
    """What happens before."""

    id: str
    name: str
    facts: dict[str, Any]
    """What is known of it: first, last, source, … as the library says."""
    moves: list[AssetMove]


class LiquidationTerms(Answer):
    """How liquidators act."""

    order: str
    impact_cap: str
    rounds: int
    venue_limit_usd: str | None
    profitable_only: bool
    depth: str
    seed: int


class LeftOut(Answer):
    """How many units with debt of a venue are in no total, and why."""

    venue: str
    detail: str
    units: int


class Simulation(Answer):
    """What a simulation is of, what it rests on, what it assumes of which identities and what it leaves out.

    `units_left_out` of `units_with_debt` are in no total, which are at least what is told then.
    """

    as_of: dict[str, AsOf]
    library: str
    policy: str
    scenario: SimulatedScenario | None
    terms: LiquidationTerms
    rules: list[str]
    assumed: list[str]
    depth_curves: list[str]
    units_with_debt: int
    units_left_out: int
    left_out_by_reason: list[LeftOut]
    left_out: list[ReasonView]


class Stopped(Answer):
    """Where a run stopped: `ended` or not after its last round; units that may be liquidated still, and that are not known."""

    rounds: int
    ended: bool
    standing_units: int
    unknown_units: int


class OrderOutcome(Stopped):
    """What an order of sale comes to."""

    order: str
    liquidated_units: int
    sold_usd: str
    impact_usd: str
    accounts_lose_usd: str
    bad_debt_usd: str
    lenders_lose_usd: str


class Flows(Answer):
    """Who loses and who gains, USD."""

    accounts_lose_usd: str
    liquidators_gain_usd: str
    venues_keep_usd: str
    impact_usd: str
    forgiven_usd: str
    revalued_usd: str
    equity_before_usd: str
    equity_after_usd: str


class VenueFlows(Answer):
    """What is paid and seized at a venue."""

    units: int
    paid_usd: str
    seized_usd: str
    keeps_usd: str


class PoolLoss(Answer):
    """Bad debt of a market, and who bears it; `symbol`: what is owed there; `lenders_share`: of what is lent there."""

    venue: str
    market: str
    symbol: str | None
    bad_debt_usd: str
    by_venue_fund_usd: str
    by_fund_usd: str
    lenders_lose_usd: str
    lenders_share: str | None


class SalePrice(Answer):
    """How far sales move a price."""

    asset: str
    identity: str
    move: str


class LiquidationStep(Answer):
    """One liquidation."""

    round: int
    collateral: str
    debt: str
    paid_raw: str
    seized_raw: str
    fee_raw: str
    paid_usd: str
    seized_usd: str
    impact_usd: str
    forgiven_usd: str


class LiquidatedUnit(Answer):
    """A unit, and what is done to it."""

    unit: str
    loses_usd: str
    steps: list[LiquidationStep]


class LiquidationsAnswer(Simulation):
    """What liquidations come to, in every order of sale; what is told of one is of the order of its terms."""

    accrued_days: int
    orders: list[OrderOutcome]
    flows: Flows
    venues: dict[str, VenueFlows]
    pools: list[PoolLoss]
    funds_left_usd: dict[str, str]
    fund_left_usd: str
    sold_usd: dict[str, str]
    prices: list[SalePrice]
    units: list[LiquidatedUnit]
    standing: list[str]
    unknown: list[str]


class Freeze(Stopped):
    """What they come to after prices stood still for some days."""

    days: int
    interest_usd: str
    liquidated_units: int
    liquidated_by_chain: dict[str, int]
    accounts_lose_usd: str
    impact_usd: str
    bad_debt_usd: str
    lenders_lose_usd: str
    funds_left_usd: str
    pools: list[PoolLoss]


class FreezeAnswer(Simulation):
    """The same for several numbers of days, and after how many funds are used up."""

    freezes: list[Freeze]
    fund_exhausted_after_days: int | None


class LagWindow(Answer):
    """Days that happened."""

    id: str
    name: str
    first: str
    last: str
    source: str


class ShownMove(AssetMove):
    """A move, and what of it venues see."""

    shown: str


class LagOutcome(Stopped):
    """What liquidations of a day come to."""

    liquidated_units: int
    accounts_lose_usd: str
    liquidators_gain_usd: str
    impact_usd: str
    bad_debt_usd: str
    lenders_lose_usd: str


class LagDay(Answer):
    """A day where venues see prices as they are, and late."""

    day: str
    moves: list[ShownMove]
    prompt: LagOutcome
    late: LagOutcome


class LagAnswer(Simulation):
    """What they come to on each day of a window while venues see prices late."""

    accrued_days: int
    window: LagWindow
    lag_hours: str
    days: list[LagDay]
