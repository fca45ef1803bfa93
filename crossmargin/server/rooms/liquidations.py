"""Liquidations that are simulated, after a scenario and after the market stood still, and what an account may do before."""

from __future__ import annotations

from pydantic import Field

from crossmargin.desk import Desk
from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.liquidation_asked import Asked
from crossmargin.server.answers.liquidations import FreezeAnswer, LagAnswer, LiquidationsAnswer
from crossmargin.server.answers.risk import AdviceAnswer
from crossmargin.server.questions import LONGEST_AT, AccountPath, AtQuery
from crossmargin.server.route import Room

room = Room("risk")


class SimulationQuery(AtQuery):
    """After which scenario, and how liquidators act."""

    scenario: str | None = Field(
        default=None, min_length=1, max_length=160, description="One of the library; else prices stay."
    )
    severity: str = Field(default="low", max_length=10, description="Of windows: `day`, `close` or `low`.")
    shock: str | None = Field(
        default=None, min_length=1, max_length=LONGEST_AT, description="Moves of a scenario: ETH=-0.3,USDC=-0.05."
    )
    order: str = Field(
        default="least_liquid_first",
        max_length=40,
        description="`least_liquid_first`, `pro_rata`, `most_liquid_first` or `cheapest_per_health`.",
    )
    impact_cap: float = Field(default=0.05, description="The most that a round's sales of an identity lose; 1: no cap.")
    venue_limit_usd: float | None = Field(default=None, description="The most that is paid at a venue in a round.")
    profitable_only: bool = Field(default=False, description="Nobody liquidates at a loss.")
    depth: float | None = Field(default=None, description="The share of the usual liquidity that there is.")
    seed: int = Field(default=0, description="Draws the order of units that are alike.")
    fund: str | None = Field(
        default=None, min_length=1, max_length=LONGEST_AT, description="Funds of venues: aave-v3-base=250000."
    )
    fund_usd: float = Field(default=0.0, description="A fund behind all venues.")
    accrue_days: int = Field(default=0, description="Interest accrues for so many days before.")


class FreezeQuery(SimulationQuery):
    """And how long nothing moves before."""

    days: str | None = Field(default=None, min_length=1, max_length=80, description="Numbers of days: 0,1,3,7.")


class LagQuery(SimulationQuery):
    """And by how much venues' prices are late."""

    lag_hours: float = Field(default=1.0, description="By how many hours venues' prices are late.")


class AdviceQuery(AtQuery):
    """How much may be moved."""

    usd: float | None = Field(default=None, description="USD at most; without it what the configuration says.")


@room.get("/v1/liquidations", answer=LiquidationsAnswer, heavy=True)
def simulate_liquidations(desk: Desk, query: SimulationQuery) -> Document:
    """Return what liquidations come to, round by round, in every order of sale."""
    return desk.liquidations(_asked(query), query.at)


@room.get("/v1/liquidations/freeze", answer=FreezeAnswer, heavy=True)
def simulate_freeze(desk: Desk, query: FreezeQuery) -> Document:
    """Return what they come to after prices stood still for some days, while interest accrued."""
    try:
        days = tuple(int(each) for each in _parts(query.days))
    except ValueError as error:
        raise UsageError(f'"{query.days}" are no numbers of days; write 1,3,7') from error
    return desk.freeze(_asked(query, days), query.at)


@room.get("/v1/liquidations/lag", answer=LagAnswer, heavy=True)
def simulate_lag(desk: Desk, query: LagQuery) -> Document:
    """Return what they come to on each day of a window that happened, while venues see prices late."""
    return desk.lag(_asked(query, lag_h=query.lag_hours), query.at)


@room.get("/v1/accounts/{id}/advice", answer=AdviceAnswer)
def show_advice(desk: Desk, path: AccountPath, query: AdviceQuery) -> Document:
    """Return what an account may do to be further from a liquidation, best first; nothing is done."""
    return desk.advise(path.id, query.usd, query.at)


def _asked(query: SimulationQuery, days: tuple[int, ...] = (), lag_h: float = 0.0) -> Asked:
    return Asked(
        scenario=query.scenario,
        severity=query.severity,
        shocks=_parts(query.shock),
        order=query.order,
        impact_cap=query.impact_cap,
        venue_limit_usd=query.venue_limit_usd,
        profitable_only=query.profitable_only,
        depth=query.depth,
        seed=query.seed,
        funds=_parts(query.fund),
        fund_usd=query.fund_usd,
        days=days,
        accrue_days=query.accrue_days,
        lag_h=lag_h,
    )


def _parts(said: str | None) -> tuple[str, ...]:
    return tuple(part for part in (said or "").split(",") if part)
