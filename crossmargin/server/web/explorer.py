"""The list of all accounts: found, filtered, a page at a time, the worst first."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import quote, urlencode

from aggregator.audit.report.page import Html, short, text
from aggregator.margin import numbers
from crossmargin.documents import Document
from crossmargin.server.books import BookView, Entry, lagging
from crossmargin.server.web.figures import factor, usd_down, usd_up
from crossmargin.server.web.frame import STYLES, Grid, Page, chain_warnings, link, status, titled, whole, with_doubts

PATH = "/ui/accounts"
COLUMNS = (
    "account",
    "status",
    "health factor",
    "weakest unit",
    "score",
    "collateral USD",
    "debt USD",
    "venues",
    "members",
)
NUMBERS = frozenset({"health factor", "weakest unit", "score", "collateral USD", "debt USD", "members"})
BOUNDS = ("1", "1.02", "1.05", "1.1", "1.25", "1.5", "2")
"""Health factors below which one may look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What is shown of `count` accounts that are wanted: `shown` of them, the first being number `first`; `cursor`: of what follows."""

    shown: Sequence[Entry]
    first: int
    count: int
    cursor: str | None


def explorer(view: BookView, status: Document, asked: Mapping[str, str], part: Part, *, at: str | None) -> Page:
    """Those who are wanted. `asked`: what was asked, by name, as far as it was; `at`: the cursor that led here."""
    last = part.first + len(part.shown) - 1
    more = [link(_to(asked, csv="all"), f"CSV of all {part.count:,}")]
    grid = account_rows(
        "accounts", f"{part.first:,} to {last:,} of {part.count:,}" if part.shown else "Nobody", part.shown, more=more
    )
    return Page(
        path=PATH,
        asked=urlencode({**asked, **({} if at is None else {"cursor": at})}),
        title="Accounts",
        lead="Worst first: unknown accounts, then by the lower of the house's and the venues' health factors.",
        as_of=with_doubts(view.as_of, status),
        warnings=[*chain_warnings(status), *lagging(view, status)],
        forms=True,
        parts=[_statuses(view, asked), _form(view, asked), grid, _pages(asked, part, at)],
    )


def account_rows(name: str, title: str, entries: Sequence[Entry], *, more: Sequence[Html] = ()) -> Grid:
    """The table of some accounts."""
    return Grid(
        name=name, title=title, columns=COLUMNS, rows=[_row(each) for each in entries], plain=[_plain(each) for each in entries],
        numbers=NUMBERS, more=more,
    )  # fmt: skip


def account_path(account: str) -> str:
    """The address of the page of an account."""
    return f"{PATH}/{quote(account, safe=':')}"


def brief(account: str) -> str:
    """The id of an account in short: of an address, its chain stays as it is to be told from others."""
    chain, mark, address = account.rpartition(":")
    return f"{short(chain)}{mark}{short(address)}"


def _row(entry: Entry) -> tuple[object, ...]:
    row = entry.row
    name = titled(brief(row.account), row.account)
    return (
        Html(f'<a href="{text(account_path(row.account))}">{name}</a>'),
        status(row.status.value),
        factor(_said(row.health_factor)),
        factor(_said(row.min_unit_health_factor)),
        row.score,
        usd_down(_said(row.collateral_usd)),
        usd_up(_said(row.debt_usd)),
        whole(*sorted(entry.venues)),
        entry.members,
    )


def _plain(entry: Entry) -> tuple[object, ...]:
    row = entry.row
    return (
        row.account,
        row.status.value,
        *(_said(value) for value in (row.health_factor, row.min_unit_health_factor)),
        row.score,
        *(_said(value) for value in (row.collateral_usd, row.debt_usd)),
        " ".join(sorted(entry.venues)),
        entry.members,
    )


def _said(value: Decimal | None) -> str | None:
    return None if value is None else numbers.text(value)


def _statuses(view: BookView, asked: Mapping[str, str]) -> Html:
    """Unknown first: it is the worst, and nobody is to overlook it."""
    words = ["", *reversed(STYLES)]
    items = "".join(f"<li>{_filter(view, asked, word)}</li>" for word in words)
    return Html(f'<nav aria-label="By status"><ul class="filters">{items}</ul></nav>')


def _filter(view: BookView, asked: Mapping[str, str], word: str) -> str:
    here = ' aria-current="true"' if word == asked.get("status", "") else ""
    count = view.statuses[word] if word else len(view.entries)
    others = {name: value for name, value in asked.items() if name != "status"}
    to = html.escape(_to(others, **({"status": word} if word else {})))
    return f'<a href="{to}"{here}>{word.replace("_", " ") or "all"} <span class="soft">{count:,}</span></a>'


def _form(view: BookView, asked: Mapping[str, str]) -> Html:
    bounds = [(bound, f"below {bound}") for bound in BOUNDS]
    return Html(
        f'<form class="row" action="{PATH}" method="get" role="search" aria-label="Find accounts">'
        f'<label>Account or owner <input name="q" type="search" maxlength="160" value="{text(asked.get("q", ""))}"></label>'
        f"{_choice('chain', 'Chain', [(name, name) for name in view.chains], asked)}"
        f"{_choice('venue', 'Venue', [(name, name) for name in view.venues], asked)}"
        f"{_choice('below', 'Health factor', bounds, asked)}"
        f"{_choice('status', 'Status', [(word, word.replace('_', ' ')) for word in reversed(STYLES)], asked)}"
        '<button type="submit">Find</button></form>'
    )


def _choice(name: str, title: str, options: Sequence[tuple[str, str]], asked: Mapping[str, str]) -> str:
    chosen = asked.get(name, "")
    shown = "".join(
        f'<option value="{text(value)}"{" selected" if value == chosen else ""}>{text(said)}</option>'
        for value, said in (("", "any"), *options)
    )
    return f'<label>{title} <select name="{name}">{shown}</select></label>'


def _pages(asked: Mapping[str, str], part: Part, at: str | None) -> Html:
    links = [] if at is None else [link(_to(asked), "First page")]
    links += [] if part.cursor is None else [link(_to(asked, cursor=part.cursor), "Next page")]
    items = "".join(f"<li>{each}</li>" for each in links)
    return Html(f'<nav aria-label="Pages of this list"><ul class="filters">{items}</ul></nav>' if links else "")


def _to(asked: Mapping[str, str], **more: str) -> str:
    said = urlencode({**asked, **more})
    return f"{PATH}?{said}" if said else PATH
