"""The first page: everybody by status, who is closest to liquidation, and what all of it comes to by venue, chain and price."""

from __future__ import annotations

from collections.abc import Sequence

from aggregator.audit.report.page import Html, bars
from crossmargin.documents import Document
from crossmargin.server.books import BookView, Sum, lagging
from crossmargin.server.web.explorer import account_rows
from crossmargin.server.web.figures import usd_down, usd_up
from crossmargin.server.web.frame import STYLES, Grid, Page, chain_warnings, link, shortened, with_doubts

WORST = 10
DRAWN = {"unknown": "warn"}
SUMS = ("supplied USD", "borrowed USD", "without price")
NUMBERS = frozenset({"units", "unknown units", *SUMS})


def overview(view: BookView, status: Document) -> Page:
    """What the book comes to."""
    counts = [(word, view.statuses[word], DRAWN.get(word, STYLES[word])) for word in reversed(STYLES)]
    return Page(
        path="/",
        title="Overview",
        lead=f"{len(view.entries):,} accounts over {len(status['chains'])} chains: margin accounts, and every other owner on its own.",
        as_of=with_doubts(view.as_of, status),
        warnings=[*chain_warnings(status), *lagging(view, status)],
        parts=[
            _by_status(counts),
            account_rows("worst", "Closest to liquidation", view.entries[:WORST], more=[link("/ui/accounts", "all")]),
            _grid("venues", "By venue", ("venue", "protocol", "chain"), view.by_venue),
            _grid("chains", "By chain", ("chain",), view.by_chain),
            _grid("identities", "By price", ("price of",), view.by_identity, counted=False),
        ],
    )


def _by_status(counts: Sequence[tuple[str, int, str]]) -> Html:
    items = "".join(
        f'<li><a href="/ui/accounts?status={word}">{word.replace("_", " ")} <span class="soft">{count:,}</span></a></li>'
        for word, count, _ in counts
    )
    drawn = bars("Accounts by status", [(word.replace("_", " "), count, style) for word, count, style in counts])
    return Html(
        '<section aria-labelledby="by-status"><div class="head"><h2 id="by-status">Accounts by status</h2></div>'
        f'{drawn}<nav aria-label="Accounts by status"><ul class="filters">{items}</ul></nav></section>'
    )


def _grid(name: str, title: str, names: Sequence[str], sums: Sequence[Sum], *, counted: bool = True) -> Grid:
    counts = ("units", "unknown units") if counted else ()
    return Grid(
        name=name,
        title=title,
        columns=(*names, *counts, *SUMS),
        rows=[
            (
                *map(shortened, each.names),
                *((each.units, each.unknown or None) if counted else ()),
                usd_down(each.supplied_usd),
                usd_up(each.debt_usd),
                each.unpriced or None,
            )
            for each in sums
        ],
        plain=[
            (
                *each.names,
                *((each.units, each.unknown) if counted else ()),
                each.supplied_usd,
                each.debt_usd,
                each.unpriced,
            )
            for each in sums
        ],
        numbers=NUMBERS,
        note="Valued at the mid of the house's marks. Supply without a price adds nothing; a sum that includes such debt is unknown."
        " Units shared by several accounts count once.",
    )
