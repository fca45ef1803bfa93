"""The pages of risk."""

from __future__ import annotations

from typing import Any, Literal

from aiohttp import web

from crossmargin.desk import Desk
from crossmargin.server.rooms.pages import HTML, TableQuery, answered
from crossmargin.server.route import Room
from crossmargin.server.web import risk

room = Room("pages")

NEWEST = "(SELECT max(run_id) FROM public.fct_risk_run)"


class RiskQuery(TableQuery):
    """Which scenarios."""

    kind: Literal["", "window", "grid", "failure", "together"] = ""


@room.get("/ui/risk", answer=HTML, cached=False, heavy=True)
def show_risk(desk: Desk, query: RiskQuery) -> web.Response:
    """Return the page of the newest run over the whole book."""
    heads, standing = _rows(desk, "fct_risk_run", "run_id"), desk.status()
    if not heads:
        return answered(risk.nothing(standing), query.csv)
    watched = "breach_24h DESC NULLS LAST, breach_7d DESC, account_id"
    run = risk.Run(
        head=heads[0],
        scenarios=_rows(desk, "fct_stress", "run_id"),
        curve=_rows(desk, "fct_at_risk", "identity_id NULLS FIRST, move"),
        watched=_rows(desk, "fct_breach_forecast", watched, risk.WATCHED),
    )
    return answered(risk.risk(run, standing, query.kind), query.csv)


@room.get("/ui/risk/haircuts", answer=HTML, cached=False, heavy=True)
def show_advice(desk: Desk, query: TableQuery) -> web.Response:
    """Return the page of the haircuts that the prices that were would have."""
    return answered(risk.advice(desk.recommend_haircuts(), desk.status()), query.csv)


def _rows(desk: Desk, view: str, order: str, most: int = 5_000) -> list[dict[str, Any]]:
    """Return rows of a view of the newest run."""
    found = desk.sql(f"SELECT * FROM public.{view} WHERE run_id = {NEWEST} ORDER BY {order} LIMIT {most}")  # noqa: S608 - words of ours
    names = [column["name"] for column in found["columns"]]
    return [dict(zip(names, row, strict=True)) for row in found["rows"]]
