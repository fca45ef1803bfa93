"""Answers about risk: scenarios, prices that liquidate, chances, and one account after a change."""

from __future__ import annotations

from typing import Any

from aggregator.margin.document import AsOf, Interval
from aggregator.margin.permits_document import ReasonView
from aggregator.margin.status import Status
from crossmargin.server.answers.model import Answer


class AssetMove(Answer):
    """How a scenario moves a price, as a fraction, and by which rule."""

    asset: str
    move: str
    rule: str


class HouseFalls(Answer):
    """Accounts whose house health factor is below 1; `newly`: that it was not before."""

    below: int
    newly_below: int
    debt_usd: str
    shortfall_usd: str


class VenueFalls(Answer):
    """Units that a venue may liquidate."""

    liquidatable: int
    newly_liquidatable: int
    debt_usd: str
    shortfall_usd: str


class StressedScenario(Answer):
    """What a scenario does; `multiple`: how many times it is too much for the fund that was asked about."""

    id: str
    name: str
    frozen: list[str]
    facts: dict[str, Any]
    """What is known of it: first, last, source, … as the library says."""
    multiple: str | None
    house: HouseFalls
    venues: dict[str, VenueFalls]
    moves: list[AssetMove]


class FragileUnit(Answer):
    """A unit that falls in many scenarios."""

    unit: str
    scenarios: int
    worst_usd: str


class StressAnswer(Answer):
    """What scenarios do to everybody."""

    as_of: dict[str, AsOf]
    library: str
    severity: str
    accrued_days: int
    accounts: int
    units: int
    scenarios: list[StressedScenario]
    not_made: dict[str, str]
    """Scenarios that cannot be made, and why."""
    fragile: list[FragileUnit]
    fragile_units: int
    unmeasured: list[str]
    left_out: list[ReasonView]


class MovePoint(Answer):
    """What may be liquidated where prices move so far."""

    move: str
    units: int
    debt_usd: str
    shortfall_usd: str


class OwnerDebt(Answer):
    """Whose debt it is."""

    account: str
    debt_usd: str


class MoveSpread(MovePoint):
    """The same where all prices move, and where it is; `owners`: the largest, of whom so many are counted for `owners_share`."""

    debt_by_chain_usd: dict[str, str]
    debt_by_venue_usd: dict[str, str]
    collateral_by_asset_usd: dict[str, str]
    owners: list[OwnerDebt]
    owners_counted: int
    owners_share: str


class IdentityMoves(Answer):
    """What may be liquidated where one price moves."""

    identity: str
    points: list[MovePoint]


class AtRiskAnswer(Answer):
    """What may be liquidated at which price."""

    as_of: dict[str, AsOf]
    library: str
    units: int
    jointly: list[MoveSpread]
    alone: list[IdentityMoves]
    left_out: list[ReasonView]


class Forecast(Answer):
    """How likely an account is to be liquidatable within each horizon."""

    account: str
    status: Status
    debt_usd: str
    breach_probability: dict[str, str]


class NotForecast(Answer):
    """An account whose chance is not known."""

    account: str
    reason: ReasonView


class ForecastList(Answer):
    """Chances of accounts with debt, the likeliest first; `calibrated`: the horizons whose chances were tested; `model`: what drew them."""

    as_of: dict[str, AsOf]
    model: str
    paths: int
    seed: int
    horizons: list[str]
    calibrated: list[str]
    identities: list[str]
    simulated: list[str]
    accounts: int
    expected_debt_usd: dict[str, str]
    forecasts: list[Forecast]
    unknown: list[NotForecast]
    unknown_accounts: int


class RiskRun(Answer):
    """What a run over the whole book came to; its rows are for SQL."""

    run: int
    as_of: dict[str, AsOf]
    scenarios: int
    accounts: int
    units: int
    forecasts: int
    unknown_accounts: int


class Action(Answer):
    """What an account does at a venue, in whole tokens."""

    kind: str
    venue: str
    asset: str
    tokens: str


class UnitOutcome(Answer):
    """A unit in short."""

    venue: str
    unit_id: str
    status: Status
    health_factor: str | None
    liquidatable: bool | None
    collateral: str | None
    debt: str | None
    native: dict[str, str] | None
    """The venue's own numbers, under the protocol's own names."""


class AccountOutcome(Answer):
    """An account in short."""

    status: Status
    health_factor: str | None
    health_factor_interval: Interval | None
    min_unit_health_factor: str | None
    score: int | None
    headroom: str | None
    collateral_usd: str
    debt_usd: str | None
    units: list[UnitOutcome]
    reasons: list[ReasonView]


class WhatIfAnswer(Answer):
    """An account before and after; nothing is done."""

    account: str
    as_of: dict[str, AsOf]
    actions: list[Action]
    shocks: dict[str, str]
    before: AccountOutcome
    after: AccountOutcome
    notes: list[ReasonView]


class AdvisedAction(Action):
    """The same, with the token's symbol, which is empty where nobody says it."""

    symbol: str


class Advice(Answer):
    """What an account may do, and what it gains; `outside`: with what it does not have yet; gains `null`: without bound."""

    kind: str
    outside: bool
    actions: list[AdvisedAction]
    moved_usd: str
    cost_usd: str
    gain: str | None
    gain_per_thousand_usd: str | None
    gain_per_usd_of_cost: str | None
    rank_by_cost: int
    health_after: str | None
    health_factor_after: str | None
    min_unit_health_factor_after: str | None
    score_after: int | None
    status_after: Status


class AdviceAnswer(Answer):
    """What an account may do to be further from a liquidation, best first; nothing is done."""

    account: str
    as_of: dict[str, AsOf]
    status: Status
    health: str | None
    budget_usd: str
    advice: list[Advice]
    helpful: int
    useless: int
    refused: list[str]
    rules: list[str]
    reasons: list[ReasonView]
