"""`advise`."""

from __future__ import annotations

import typer
from rich.console import Console

from crossmargin.cli import figures
from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.output import add_rows, emit, table, words
from crossmargin.documents import Document, symbol
from crossmargin.exits import ExitCode

COLUMNS = ("moved USD", "cost USD", "health after", "gain", "per 1,000 USD", "by cost", "score")


def advise(context: Context, account: str, *, usd: float | None, at: str | None) -> None:
    with desk_of(context) as desk:
        document = desk.advise(account, usd, at)
    emit(context, document, lambda console: _show(console, document))
    if document["status"] == "unknown":
        raise typer.Exit(ExitCode.UNKNOWN)


def _show(console: Console, document: Document) -> None:
    console.print(words(f"health {document['health'] or '–'}, moving up to {document['budget_usd']} USD", "bold"))
    rows = [
        (
            "; ".join(
                f"{each['kind']} {each['tokens']} {symbol(each['symbol']) or each['asset']} at {each['venue']}"
                for each in found["actions"]
            ),
            figures.usd_up(found["moved_usd"]),
            figures.usd_up(found["cost_usd"]),
            found["health_after"],
            found["gain"],
            found["gain_per_thousand_usd"],
            found["rank_by_cost"],
            found["score_after"],
        )
        for found in document["advice"]
    ]
    console.print(add_rows(table("do", *COLUMNS, right=COLUMNS), rows))
    for reason in document["refused"]:
        console.print(words(f"not tried: {reason}", "yellow"), soft_wrap=True)
    for reason in document["reasons"]:
        console.print(words(f"{reason['code']}: {reason['detail']}", "yellow"), soft_wrap=True)
