"""SQL: over the store itself for its owner, over what is published for others, and only where that is allowed."""

from __future__ import annotations

from typing import Literal

from aiohttp import web
from pydantic import Field

from crossmargin.desk import Desk
from crossmargin.documents import Document, encode
from crossmargin.errors import Forbidden, UsageError
from crossmargin.server.access import ANONYMOUS, OWNER, Asker, check
from crossmargin.server.answers.controls import LakeParts, PublishedSet, Rows, SchemaAnswer
from crossmargin.server.house import House
from crossmargin.server.route import Asked, Room, Scope
from crossmargin.sql import Answer, Form, form_of
from crossmargin.sql.answers import CONTENT_TYPES, ROWS_HEADER, TRUNCATED_HEADER
from crossmargin.sql.errors import SqlRefused
from indexer.store.errors import QueryRefused

room = Room("sql")

LIVE, PUBLISHED = "live", "published"


class Query(Asked):
    """One SELECT over the views of the schema `public`, of the live store (its owner) or of what is published (everybody else).

    `formulas`: leave texts in CSV as they are, also those that a spreadsheet would take for a formula.
    """

    query: str = Field(min_length=1)
    source: Literal["live", "published"] | None = None
    formulas: bool = False


@room.post("/v1/sql", answer=Rows, scope=None, heavy=True, most_seconds=None)
def ask_sql(desk: Desk, house: House, asker: Asker, request: web.Request, body: Query) -> web.Response:
    """Return the rows of one SELECT in the form that `Accept` asks for: JSON, CSV, an Arrow stream or Parquet."""
    admit(asker, house)
    if not body.query.strip():
        raise UsageError('"query" must be one SELECT')
    try:
        return _rows(desk, house, asker, request, body)
    except (SqlRefused, QueryRefused) as error:
        why = None if house.lake is None else house.lake.why_not(str(error))
        raise error if why is None else type(error)(f"{error}; {why}") from None


def _rows(desk: Desk, house: House, asker: Asker, request: web.Request, body: Query) -> web.Response:
    source = body.source or (LIVE if asker is OWNER else PUBLISHED)
    if source == LIVE and asker is not OWNER:
        raise Forbidden('the store itself is for its owner; ask "source": "published"')
    form = form_of(request.headers.get("Accept", ""))
    if source == PUBLISHED:
        return response(house.guard.ask(body.query, key=asker.id, form=form, formulas=body.formulas))
    if form is Form.JSON:
        return web.Response(body=encode(desk.sql(body.query)), content_type=CONTENT_TYPES[form])
    return response(desk.rows(body.query, form, formulas=body.formulas))


@room.post("/v1/publish", answer=PublishedSet, scope=Scope.ADMIN, heavy=True, most_seconds=None)
def publish(desk: Desk) -> Document:
    """Write what is final to the published files."""
    return desk.publish()


@room.post("/v1/lake/parts", answer=LakeParts, scope=Scope.ADMIN, heavy=True, most_seconds=None)
def publish_parts(desk: Desk) -> Document:
    """Put the parts of a lake that are due into it."""
    return desk.publish_parts()


@room.get("/v1/schema", answer=SchemaAnswer)
def show_schema(desk: Desk) -> Document:
    """Return every public view and column, with what it means."""
    return desk.schema()


def admit(asker: Asker, house: House) -> None:
    """Refuse whoever may not ask SQL here; raises `Unauthorized` and `Forbidden`."""
    if not (asker.id == ANONYMOUS and house.anonymous_sql):
        check(asker, Scope.SQL)


def response(answer: Answer) -> web.Response:
    """Answer with rows in their form."""
    headers = {
        "Content-Type": answer.content_type,
        ROWS_HEADER: str(answer.rows),
        TRUNCATED_HEADER: str(answer.truncated).lower(),
    }
    return web.Response(body=answer.body, headers=headers)
