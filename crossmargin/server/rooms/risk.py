"""What if: one account after actions and moves of prices, the whole book in scenarios, and what is liquidated at which price."""

from __future__ import annotations

from pydantic import Field

from crossmargin.desk import Desk
from crossmargin.documents import Document
from crossmargin.imports import usd
from crossmargin.server.answers.risk import AtRiskAnswer, StressAnswer, WhatIfAnswer
from crossmargin.server.questions import AT, LONGEST_AT, AccountPath, AtQuery
from crossmargin.server.route import Asked, Room, Scope

room = Room("risk")

MOST = 50
"""Actions, and shocks, of one question."""


class StressQuery(AtQuery):
    """Which scenarios, as of when."""

    severity: str = Field(default="low", max_length=10, description="Of windows: `day`, `close` or `low`.")
    scenario: str | None = Field(
        default=None, min_length=1, max_length=LONGEST_AT, description="Names, with commas between them; else all."
    )
    shock: str | None = Field(
        default=None, min_length=1, max_length=LONGEST_AT, description="Moves of one scenario: ETH=-0.3,USDC=-0.05."
    )
    fund_usd: str | None = Field(
        default=None, max_length=40, description="Also how many times each is too much for so much."
    )
    accrue_days: int = Field(default=0, description="Interest accrues for so many days before.")


class WhatIf(Asked):
    """What is done, what prices do, as of when."""

    actions: list[str] = Field(
        default_factory=list, max_length=MOST, description="KIND:VENUE:ASSET=TOKENS: supply, withdraw, borrow or repay."
    )
    shocks: list[str] = Field(default_factory=list, max_length=MOST, description="Relative moves of prices: ETH=-0.3.")
    at: str | None = Field(default=None, min_length=1, max_length=LONGEST_AT, description=AT)


@room.post("/v1/accounts/{id}/what-if", answer=WhatIfAnswer, scope=Scope.READ)
def show_what_if(desk: Desk, path: AccountPath, body: WhatIf) -> Document:
    """Return an account's health before and after; nothing is done."""
    return desk.what_if(path.id, body.actions, body.shocks, body.at)


@room.get("/v1/stress", answer=StressAnswer, heavy=True)
def show_stress(desk: Desk, query: StressQuery) -> Document:
    """Return what scenarios do to everybody: who falls below one, what venues may liquidate, and what is lacking."""
    fund = None if query.fund_usd is None else usd(query.fund_usd, "fund_usd")
    named, moves = _parts(query.scenario), _parts(query.shock)
    return desk.stress(query.severity, named, moves, query.at, fund_usd=fund, accrue_days=query.accrue_days)


@room.get("/v1/at-risk", answer=AtRiskAnswer, heavy=True)
def show_at_risk(desk: Desk, query: AtQuery) -> Document:
    """Return what may be liquidated at which price, of each identity by itself and of all at once, and whose it is."""
    return desk.at_risk(query.at)


def _parts(said: str | None) -> list[str]:
    return [part for part in (said or "").split(",") if part]
