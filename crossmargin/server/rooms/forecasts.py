"""Forecasts: who is likely to be liquidatable soon, and which haircuts the prices that were would have."""

from __future__ import annotations

from pydantic import Field

from crossmargin.desk import Desk
from crossmargin.documents import Document
from crossmargin.server.answers.risk import ForecastList, RiskRun
from crossmargin.server.answers.rules import HaircutRecommendation
from crossmargin.server.questions import AtQuery
from crossmargin.server.route import Room, Scope

room = Room("risk")

MOST = 10_000
LARGEST_SEED = 2**63 - 1


class ForecastQuery(AtQuery):
    """How many, drawn from which seed, as of when."""

    top: int = Field(default=100, ge=1, le=MOST, description="So many accounts, the likeliest first.")
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED, description="The same seed gives the same paths.")


@room.get("/v1/forecasts", answer=ForecastList, heavy=True)
def list_forecasts(desk: Desk, query: ForecastQuery) -> Document:
    """Return how likely accounts with debt are to be liquidatable within an hour, a day and a week, the likeliest first."""
    return desk.forecasts(query.at, top=query.top, seed=query.seed)


@room.get("/v1/haircuts/recommendation", answer=HaircutRecommendation, heavy=True)
def recommend_haircuts(desk: Desk) -> Document:
    """Return what the haircuts of the policy in force would become, as a draft, with its effect on everybody; nothing is entered."""
    return desk.recommend_haircuts()


@room.post("/v1/risk-runs", answer=RiskRun, scope=Scope.ADMIN, heavy=True, most_seconds=None)
def run_risk(desk: Desk) -> Document:
    """Take the book through scenarios, prices and paths, and keep what it comes to for SQL (`fct_risk_run`)."""
    return desk.run_risk()
