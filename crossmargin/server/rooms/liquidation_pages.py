"""The pages of simulated liquidations, of advice, and of what if."""

from __future__ import annotations

from aiohttp import web
from pydantic import Field

from crossmargin.desk import Desk
from crossmargin.liquidation_asked import Asked
from crossmargin.server.questions import AccountPath
from crossmargin.server.rooms.pages import HTML, TableQuery, answered
from crossmargin.server.route import Room
from crossmargin.server.web import liquidations
from crossmargin.server.web.what_if import what_if

room = Room("pages")


class ScenarioQuery(TableQuery):
    """After which scenario."""

    scenario: str = Field(default="", max_length=160)


class WhatIfQuery(TableQuery):
    """What is done, and what prices do, with commas between."""

    do: str = Field(default="", max_length=2_000)
    shock: str = Field(default="", max_length=2_000)


@room.get("/ui/risk/liquidations", answer=HTML, cached=False, heavy=True)
def show_liquidations(desk: Desk, query: ScenarioQuery) -> web.Response:
    """Return the page of simulated liquidations."""
    asked = Asked(scenario=query.scenario or None)
    found, frozen = desk.liquidations(asked, None), desk.freeze(asked, None)
    return answered(liquidations.liquidations(found, frozen, desk.status(), query.scenario), query.csv)


@room.get("/ui/accounts/{id}/advice", answer=HTML, cached=False)
def show_account_advice(desk: Desk, path: AccountPath, query: TableQuery) -> web.Response:
    """Return the page of what an account may do."""
    return answered(liquidations.advice(desk.advise(path.id, None, None), desk.status()), query.csv)


@room.get("/ui/accounts/{id}/what-if", answer=HTML, cached=False)
def show_what_if_page(desk: Desk, path: AccountPath, query: WhatIfQuery) -> web.Response:
    """Return the page of an account beside itself after actions and moves of prices."""
    actions, shocks = ([part.strip() for part in said.split(",") if part.strip()] for said in (query.do, query.shock))
    found = desk.what_if(path.id, actions, shocks, None) if actions or shocks else None
    return answered(what_if(desk.health(path.id, None), found, (query.do, query.shock), desk.status()), query.csv)
