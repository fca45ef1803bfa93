"""What every page has: where one is, as of when, what is stale, and its tables as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aggregator.audit.report.page import Html, marked, short, text
from crossmargin.documents import Document, cell

NAME = "crossmargin"
PAGES = (
    ("/", "Overview"),
    ("/ui/accounts", "Accounts"),
    ("/ui/alerts", "Alerts"),
    ("/ui/risk", "Risk"),
    ("/ui/prices", "Oracles"),
    ("/ui/chains", "Chains"),
    ("/ui/snapshots", "Snapshots"),
    ("/ui/policy", "Policy"),
    ("/ui/haircuts", "Haircuts"),
    ("/ui/sql", "SQL"),
    ("/docs", "API"),
)
STYLES = {
    "no_debt": "soft",
    "healthy": "good",
    "watch": "warn",
    "danger": "bad",
    "liquidatable": "bad",
    "unknown": "unknown",
}
"""The style of each status of an account."""

ABSENT = "–"
AS_OF = "as of"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table: `rows` as they are shown, `plain` as CSV has them, where that differs; `numbers`: the columns that stand right.

    `more`: links beside the one to the CSV.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    plain: Sequence[Sequence[object]] | None = None
    numbers: frozenset[str] = frozenset()
    note: str = ""
    more: Sequence[Html] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page before it is written: its `grids` can each be had as CSV under its own address with `?csv=name`.

    `as_of`: the block of each chain, with a `doubt` where the chain may not be believed. `asked`: what the address asks besides, so
    that the CSV has the same rows. `forms`: whether it has any.
    """

    path: str
    title: str
    lead: str
    parts: Sequence[Html | Grid]
    as_of: Mapping[str, Document] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    asked: str = ""
    forms: bool = False

    @property
    def grids(self) -> dict[str, Grid]:
        return {part.name: part for part in self.parts if isinstance(part, Grid)}


def written(page: Page) -> bytes:
    """Return the page as it is sent."""
    body = "\n".join(_grid(page, part) if isinstance(part, Grid) else part for part in page.parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(page.title)} · {NAME}</title>\n"
        '<link rel="stylesheet" href="/ui/assets/pages.css">\n<link rel="icon" href="data:,">\n'
        '<script src="/ui/assets/pages.js" defer></script>\n</head>\n<body>\n'
        '<a class="skip" href="#main">Skip to the content</a>\n'
        f"{_header(page)}\n{_as_of(page)}\n{_warnings(page)}\n"
        f'<main id="main" tabindex="-1">\n<h1>{text(page.title)}</h1>\n<p class="lead">{text(page.lead)}</p>\n{body}\n</main>\n'
        "</body>\n</html>\n"
    ).encode()


def as_csv(grid: Grid, as_of: Mapping[str, Document]) -> bytes:
    """Return a table with every number as it is, and in its last column the blocks that it is as of.

    Texts that a spreadsheet would take for formulas are quoted.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    said = " ".join(_in_short(chain, cut) for chain, cut in as_of.items())
    writer.writerow([*grid.columns, AS_OF])
    for row in grid.rows if grid.plain is None else grid.plain:
        writer.writerow(["" if value is None else cell(str(value)) for value in (*row, said)])
    return out.getvalue().encode()


def standing_at(status: Document) -> dict[str, Document]:
    """Return the last stored block of each chain of a status document, as a page's `as_of`."""
    return {chain["chain"]: _stored(chain) for chain in status["chains"] if chain["indexed"] is not None}


def with_doubts(as_of: Mapping[str, Document], status: Document) -> dict[str, Document]:
    """Mark the chains that may not be believed."""
    doubts = {chain["chain"]: chain["reason"]["code"] for chain in status["chains"] if chain["reason"]}
    return {chain: {**cut, "doubt": doubts.get(chain)} for chain, cut in as_of.items()}


def chain_warnings(status: Document) -> list[str]:
    """Say of each chain why it may not be believed."""
    return [f"{chain['name']}: {chain['reason']['detail']}" for chain in status["chains"] if chain["reason"]]


def _stored(chain: Document) -> Document:
    indexed, final = chain["indexed"], chain["finalized_block"]
    is_final = final is not None and indexed["block"] <= final
    doubt = chain["reason"]["code"] if chain["reason"] else None
    return {**indexed, "finality": "finalized" if is_final else "latest", "doubt": doubt}


def _in_short(chain: str, cut: Document) -> str:
    doubt = f"({cut['doubt']})" if cut.get("doubt") else ""
    return f"{chain}={cut['block']}@{cut['time']}{doubt}"


def status(word: str) -> Html:
    """A status in words and colour."""
    return marked(word.replace("_", " "), f"status {STYLES.get(word, 'unknown')}")


def link(to: str, name: object) -> Html:
    """A link; `to` is an address of this service."""
    return Html(f'<a href="{text(to)}">{text(name)}</a>')


def titled(shown: object, whole: object) -> Html:
    """Show something short; all of it is there for who points at it."""
    return Html(f'<span title="{text(whole)}">{text(shown)}</span>')


def whole(*names: str) -> Html:
    """Show names of which none is torn at the end of a line."""
    return Html(", ".join(f'<span class="whole">{text(name)}</span>' for name in names))


def shortened(name: str) -> Html:
    """Show the ends of what is long, such as an address or the id of a chain; all of it is there for who points at it."""
    return titled(str(short(name)), name)


def cut(value: object, longest: int = 120) -> Html | None:
    """Show the beginning of what may be long; all of it is there for who points at it."""
    if value is None or value == "":
        return None
    whole = str(value)
    shown = whole if len(whole) <= longest else f"{whole[: longest - 1]}…"
    return Html(f'<span class="long" title="{text(whole)}">{text(shown)}</span>')


def listed(items: Iterable[object]) -> Html:
    found = "".join(f"<li>{item if isinstance(item, Html) else text(item)}</li>" for item in items)
    return Html(f"<ul>{found}</ul>") if found else Html("")


def _header(page: Page) -> str:
    items = "".join(f'<li><a href="{to}"{_current(page.path, to)}>{text(name)}</a></li>' for to, name in PAGES)
    return (
        f'<header><a class="brand" href="/">{NAME}</a><nav aria-label="Pages"><ul>{items}</ul></nav>'
        '<button type="button" id="theme" hidden>Dark or light</button></header>'
    )


def _current(path: str, to: str) -> str:
    here = path == to or (to != "/" and path.startswith(f"{to}/"))
    return ' aria-current="page"' if here else ""


def _as_of(page: Page) -> str:
    chains = "".join(_place(chain, cut) for chain, cut in page.as_of.items())
    inner = f"<ul>{chains}</ul>" if chains else "<p>no block yet: nothing is stored</p>"
    return f'<section class="as-of" aria-label="As of">{inner}</section>'


def _place(chain: str, cut: Document) -> str:
    block, time = text(f"{cut['block']:,}"), "" if cut["time"] is None else text(cut["time"])
    shown = f' · <time datetime="{time}">{time}</time>' if time else ""
    doubt = f' · <span class="bad">{text(cut["doubt"])}</span>' if cut.get("doubt") else ""
    return f"<li><b>{text(chain)}</b> block {block}{shown} · {text(cut['finality'])}{doubt}</li>"


def _warnings(page: Page) -> str:
    if not page.warnings:
        return ""
    return f'<section class="stale" role="alert"><p>Some of this may be out of date or wrong:</p>{listed(page.warnings)}</section>'


def _grid(page: Page, grid: Grid) -> str:
    def side(column: str) -> str:
        return ' class="number"' if column in grid.numbers else ""

    head = "".join(f'<th scope="col"{side(column)}>{text(column)}</th>' for column in grid.columns)
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{side(column)}>{_shown(value)}</td>" for column, value in zip(grid.columns, row, strict=True))
        + "</tr>"
        for row in grid.rows
    )
    empty = "" if grid.rows else '<p class="soft">Nothing to show.</p>'
    note = f'<p class="soft">{text(grid.note)}</p>' if grid.note else ""
    return (
        f'<section aria-labelledby="{grid.name}"><div class="head"><h2 id="{grid.name}">{text(grid.title)}</h2>'
        f'<span class="csv">{_csv_link(page, grid)}{"".join(f" · {each}" for each in grid.more)}</span></div>\n'
        f'<div class="wide" role="region" aria-label="{text(grid.title)}, table" tabindex="0">'
        f'<table aria-labelledby="{grid.name}"><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div>{empty}{note}</section>"
    )


def _csv_link(page: Page, grid: Grid) -> str:
    asked = f"{page.asked}&" if page.asked else ""
    return (
        f'<a href="{text(page.path)}?{text(asked)}csv={grid.name}" download="{grid.name}.csv" '
        f'aria-label="{text(grid.title)} as CSV">CSV</a>'
    )


def _shown(value: object) -> str:
    if value is None or value == "":
        return ABSENT
    return value if isinstance(value, Html) else text(value)
