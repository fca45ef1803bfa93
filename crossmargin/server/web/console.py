"""The SQL console: a form that needs no script, the rows, and what there is to ask about."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from aggregator.audit.report.page import Html, text
from crossmargin.documents import Document
from crossmargin.server.web.frame import ABSENT, Page, chain_warnings

PATH = "/ui/sql"
LONGEST = 2_500
"""Characters of a query that fits into an address; `POST /v1/sql` takes longer ones."""

MOST_SHOWN = 500
NUMBER = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|DECIMAL\([0-9, ]+\)|DOUBLE|FLOAT)$")
"""Types of columns whose values are compared by where their digits stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What the rows are of: the number of the set, when it was published, and the last final block of each chain in it."""

    number: int
    at: str
    final: Mapping[str, int]


def console(
    sql: str,
    *,
    found: Document | None,
    wrong: str,
    views: Sequence[Document],
    published: Published | None,
    status: Document,
) -> Page:
    """`found`: the rows of `sql`; `wrong`: why there are none; `views`: those of the schema document."""
    when = "nothing is published yet" if published is None else f"set {published.number} of {published.at}"
    final = {} if published is None else published.final
    return Page(
        path=PATH,
        title="SQL",
        lead=f"One SELECT over the public views as last published ({when}); read-only, in a worker with resource limits.",
        as_of={
            chain: {"block": block, "time": None, "finality": "published"} for chain, block in sorted(final.items())
        },
        warnings=[*([wrong] if wrong else []), *chain_warnings(status)],
        forms=True,
        parts=[_form(sql), *([] if found is None else [_rows(sql, found)]), _views(views)],
    )


def _form(sql: str) -> Html:
    return Html(
        f'<form action="{PATH}" method="get"><label for="query">Query</label>'
        f'<textarea id="query" name="query" rows="8" maxlength="{LONGEST}" required spellcheck="false">\n{html.escape(sql)}</textarea>'
        '<button type="submit">Ask</button></form>'
    )


def _rows(sql: str, found: Document) -> Html:
    head = "".join(_head(column) for column in found["columns"])
    styles = [_style(column) for column in found["columns"]]
    body = "\n".join(f"<tr>{''.join(map(_cell, row, styles))}</tr>" for row in found["rows"][:MOST_SHOWN])
    return Html(
        '<section aria-labelledby="rows"><div class="head"><h2 id="rows">Rows</h2><span class="csv">'
        f'<a href="{_asking(sql, csv="true")}" download="rows.csv" aria-label="Rows as CSV">CSV</a></span></div>\n'
        '<div class="wide" role="region" aria-label="Rows, table" tabindex="0">'
        f'<table aria-labelledby="rows"><thead><tr>{head}</tr></thead>'
        f'<tbody>\n{body}\n</tbody></table></div><p class="soft">{_counted(found)}</p></section>'
    )


def _head(column: Document) -> str:
    return f'<th scope="col"{_style(column)} title="{text(column["type"])}">{text(column["name"])}</th>'


def _style(column: Document) -> str:
    return ' class="number"' if NUMBER.match(column["type"]) else ""


def _cell(value: object, style: str) -> str:
    return f"<td{style}>{ABSENT if value is None else text(value)}</td>"


def _counted(found: Document) -> str:
    count = len(found["rows"])
    shown = (
        f"{count:,} {'row' if count == 1 else 'rows'}"
        if count <= MOST_SHOWN
        else f"The first {MOST_SHOWN} of {count:,} rows; the CSV has all of them"
    )
    return f"{shown}; there are more than the limit returns." if found["truncated"] else f"{shown}."


def _views(views: Sequence[Document]) -> Html:
    shown = "".join(_view(each) for each in views)
    return Html(f'<section aria-labelledby="views"><h2 id="views">Views</h2>{shown}</section>')


def _view(view: Document) -> str:
    name = text(view["name"])
    to = _asking(f"SELECT * FROM public.{view['name']} LIMIT 100")  # noqa: S608 - only written into a link
    return (
        f"<details><summary>{name}</summary><p>{text(view['comment'] or '')} "
        f'<a href="{to}">Query 100 rows of {name}</a></p><ul>{"".join(_columns(view))}</ul></details>'
    )


def _columns(view: Document) -> Iterator[str]:
    for column in view["columns"]:
        said = f'<span class="soft">{text(column["comment"] or "")}</span>'
        yield f"<li><b>{text(column['name'])}</b> {text(column['type'])} {said}</li>"


def _asking(sql: str, **more: str) -> str:
    return html.escape(f"{PATH}?{urlencode({'query': sql, **more})}")
