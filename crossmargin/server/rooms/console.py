"""The SQL console: what is published, asked from a page."""

from __future__ import annotations

import json

from aiohttp import web
from pydantic import Field

from crossmargin.desk import Desk
from crossmargin.documents import moment
from crossmargin.errors import DeskError, Forbidden, NotStored, Unauthorized
from crossmargin.server.access import Asker
from crossmargin.server.house import House
from crossmargin.server.rooms.pages import HTML, answered, meant
from crossmargin.server.rooms.queries import admit
from crossmargin.server.route import Asked, Room
from crossmargin.server.web import console
from crossmargin.sql import Answer, Form
from crossmargin.sql.errors import SqlBusy, SqlRefused, SqlTimeout

room = Room("pages")

SAID = (SqlRefused, SqlTimeout, SqlBusy, NotStored, Forbidden, Unauthorized)

KEYS_ONLY = (
    "This service answers SQL to keys only, and a browser sends none: use POST /v1/sql or `crossmargin sql`, "
    "or let anybody ask with anonymous = true in [sql]"
)


class ConsoleQuery(Asked):
    """One SELECT; `csv`: its rows as a file."""

    query: str | None = Field(default=None, max_length=console.LONGEST)
    csv: bool = False


@room.get("/ui/sql", answer=HTML, cached=False, heavy=True)
def show_console(desk: Desk, house: House, asker: Asker, request: web.Request, query: ConsoleQuery) -> web.Response:
    """Return the page of one query over what is published, and its rows."""
    sql = (query.query or "").strip()
    if sql and query.csv:
        return _file(_asked(house, asker, request, sql, Form.CSV))
    found, wrong = None, ""
    try:
        admit(asker, house)
        found = json.loads(_asked(house, asker, request, sql, Form.JSON).body, parse_float=str) if sql else None
    except SAID as error:
        wrong = _words(error)
    page = console.console(
        sql,
        found=found,
        wrong=wrong,
        views=desk.schema()["views"],
        published=_published(house),
        status=desk.status(),
    )
    return answered(page, None)


def _published(house: House) -> console.Published | None:
    found = house.guard.published()
    if found is None:
        return None
    return console.Published(number=found.number, at=moment(found.published_at), final=found.final)


def _asked(house: House, asker: Asker, request: web.Request, sql: str, form: Form) -> Answer:
    """Ask; a page of another site must not make a browser ask anything here."""
    admit(asker, house)
    meant(request)
    return house.guard.ask(sql, key=asker.id, form=form)


def _words(error: DeskError) -> str:
    return KEYS_ONLY if isinstance(error, Unauthorized) else str(error)


def _file(answer: Answer) -> web.Response:
    headers = {"Content-Type": answer.content_type, "Content-Disposition": 'attachment; filename="rows.csv"'}
    return web.Response(body=answer.body, headers=headers)
