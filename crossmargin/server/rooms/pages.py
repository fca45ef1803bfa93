"""The dashboard: pages of the documents that the API answers, and their tables as CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Literal

from aiohttp import web
from pydantic import Field

from aggregator.margin.status import Status
from crossmargin.course import course_of
from crossmargin.desk import Desk
from crossmargin.documents import Document
from crossmargin.errors import Forbidden, NoSuchThing
from crossmargin.haircut_history import SOLD_USD
from crossmargin.server.books import Entry, Wanted, behind
from crossmargin.server.etags import etag, known
from crossmargin.server.house import House
from crossmargin.server.questions import LONGEST_AT, LONGEST_NAME, AccountPath
from crossmargin.server.route import QUICK_S, Asked, Room
from crossmargin.server.web import accounts, alerts, explorer, haircuts, markets, overview, rules
from crossmargin.server.web.frame import Grid, Page, as_csv, with_doubts, written

room = Room("pages")

ASSETS = Path(__file__).parent.parent / "assets" / "pages"
KINDS = {"pages.css": "text/css", "pages.js": "text/javascript"}
HTML = "text/html; charset=utf-8"
CSV = "text/csv; charset=utf-8"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PART = 100
"""Accounts on one page."""

EVERYBODY = "all"
OWN_SITES = frozenset({"same-origin", "none"})
"""`Sec-Fetch-Site` of who pressed a button here, or typed the address."""


class TableQuery(Asked):
    """Which table of the page as CSV; without it the page."""

    csv: str | None = Field(default=None, max_length=40)


class ExplorerQuery(TableQuery):
    """Whom to show; what is empty decides nothing."""

    q: str = Field(default="", max_length=LONGEST_NAME)
    status: Literal["", "no_debt", "healthy", "watch", "danger", "liquidatable", "unknown"] = ""
    chain: str = Field(default="", max_length=LONGEST_NAME)
    venue: str = Field(default="", max_length=LONGEST_NAME)
    below: str = Field(default="", pattern=r"^(\d{1,9}(\.\d{1,18})?)?$")
    cursor: str | None = Field(default=None, min_length=1, max_length=LONGEST_AT)

    @property
    def asked(self) -> dict[str, str]:
        """What was asked besides the place in the list."""
        said = {name: getattr(self, name).strip() for name in ("q", "status", "chain", "venue", "below")}
        return {name: value for name, value in said.items() if value}

    @property
    def wanted(self) -> Wanted:
        """The same as a filter."""
        asked = self.asked
        return Wanted(
            status=Status(asked["status"]) if "status" in asked else None,
            chain=asked.get("chain", ""),
            venue=asked.get("venue", ""),
            below=Decimal(asked["below"]) if "below" in asked else None,
            text=asked.get("q", ""),
        )


class AssetPath(Asked):
    """Which file."""

    name: str = Field(max_length=80)


@room.get("/", answer=HTML, cached=False)
def show_overview(desk: Desk, house: House, query: TableQuery) -> web.Response:
    """Return the first page: everybody by status, venue, chain and price."""
    status = desk.status()
    return answered(overview.overview(house.books.now(status), status), query.csv)


@room.get("/ui/accounts", answer=HTML, cached=False)
def explore_accounts(desk: Desk, house: House, query: ExplorerQuery) -> web.Response:
    """Return the list of accounts, worst first, a page at a time; `csv=all`: everybody who is wanted."""
    status = desk.status()
    view = house.books.now(status)
    chosen = view.chosen(query.wanted)
    if query.csv == EVERYBODY:
        return as_file(explorer.account_rows("accounts", "Accounts", chosen), with_doubts(view.as_of, status))
    return answered(
        explorer.explorer(view, status, query.asked, _part(house, query, chosen), at=query.cursor), query.csv
    )


def _part(house: House, query: ExplorerQuery, chosen: Sequence[Entry]) -> explorer.Part:
    """Return the part of a list that goes on behind the query's cursor."""
    question = f"explorer {json.dumps(query.asked, sort_keys=True)}"
    start = 0
    if query.cursor is not None:
        severity, lowest, name = house.cursors.read(question, query.cursor)
        start = behind(chosen, (severity, Decimal(lowest), name))
    shown = chosen[start : start + PART]
    more = len(chosen) > start + len(shown)
    severity, lowest, name = shown[-1].place if shown else (0, Decimal(0), "")
    cursor = house.cursors.write(question, [severity, str(lowest), name]) if more else None
    return explorer.Part(shown=shown, first=start + 1, count=len(chosen), cursor=cursor)


@room.get("/ui/accounts/{id}", answer=HTML, cached=False)
async def show_account_page(desk: Desk, house: House, path: AccountPath, query: TableQuery) -> web.Response:
    """Return the page of one account, with its numbers in the snapshots that were made."""
    body = (await house.current.ask(path.id)).body

    def write() -> web.Response:
        health = json.loads(body)
        course = course_of(house.archive, health["account"])
        return answered(accounts.account(health, course, desk.status()), query.csv)

    return await house.workers.do(write, heavy=False, most_seconds=QUICK_S)


@room.get("/ui/alerts", answer=HTML, cached=False, heavy=True)
def show_alerts(desk: Desk, house: House, query: TableQuery) -> web.Response:
    """Return what is wrong or not known now, and what was undone, restated or changed."""
    status = desk.status()
    return answered(alerts.alerts(house.alerts.now(status), status), query.csv)


@room.get("/ui/prices", answer=HTML, cached=False)
def show_oracles(desk: Desk, query: TableQuery) -> web.Response:
    """Return the page of marks and observations."""
    return answered(markets.oracles(desk.prices(None), desk.status()), query.csv)


@room.get("/ui/chains", answer=HTML, cached=False)
def show_chains(desk: Desk, query: TableQuery) -> web.Response:
    """Return the page of chains and coverage."""
    return answered(markets.chains(desk.status()), query.csv)


@room.get("/ui/policy", answer=HTML, cached=False)
def show_rules(desk: Desk, query: TableQuery) -> web.Response:
    """Return the page of the policy in force, and of every one before and after it."""
    return answered(rules.rules(desk.policy(None), desk.policies(), desk.status()), query.csv)


@room.get("/ui/haircuts", answer=HTML, cached=False)
def show_haircut_page(desk: Desk, house: House, query: TableQuery) -> web.Response:
    """Return the page of what comes off each asset, now and by every policy."""
    page = haircuts.haircuts(desk.haircuts(SOLD_USD, None), house.haircuts.versions(), desk.status())
    return answered(page, query.csv)


@room.get("/ui/haircuts/history", answer=HTML, cached=False, heavy=True)
def show_haircut_days(desk: Desk, house: House, query: TableQuery) -> web.Response:
    """Return the page of haircuts at the last days."""
    status = desk.status()
    return answered(haircuts.history(house.haircuts.days(status), status), query.csv)


@room.get("/ui/assets/{name}", answer="text/css", scope=None, cached=False)
async def show_page_asset(request: web.Request, path: AssetPath) -> web.Response:
    """Return a file that pages are dressed with."""
    if path.name not in KINDS:
        raise NoSuchThing("pages have no such file")
    body = (ASSETS / path.name).read_bytes()
    headers = {"ETag": etag(body), "Cache-Control": "no-cache"}
    if known(request.headers.get("If-None-Match"), headers["ETag"]):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, headers=headers | {"Content-Type": f"{KINDS[path.name]}; charset=utf-8"})


def meant(request: web.Request) -> None:
    """Refuse work that a page of another site makes a browser ask for; raises `Forbidden`."""
    if request.headers.get("Sec-Fetch-Site", "none") not in OWN_SITES:
        raise Forbidden(
            "a page of another site led here: look at what is asked, and ask it from here where you mean it"
        )


def answered(page: Page, csv: str | None) -> web.Response:
    """Answer with a page, or with one of its tables as CSV; raises `NoSuchThing`."""
    if csv is None:
        policy = POLICY.replace("form-action 'none'", "form-action 'self'") if page.forms else POLICY
        headers = {"Content-Type": HTML, "Content-Security-Policy": policy, "Cache-Control": "no-store"}
        return web.Response(body=written(page), headers=headers)
    grid = page.grids.get(csv)
    if grid is None:
        raise NoSuchThing(f'this page has no table "{csv}"; it has {", ".join(page.grids)}')
    return as_file(grid, page.as_of)


def as_file(grid: Grid, as_of: Mapping[str, Document]) -> web.Response:
    """Answer with a table as CSV."""
    headers = {"Content-Type": CSV, "Content-Disposition": f'attachment; filename="{grid.name}.csv"'}
    return web.Response(body=as_csv(grid, as_of), headers=headers | {"Cache-Control": "no-store"})
