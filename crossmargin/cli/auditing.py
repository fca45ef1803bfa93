"""`audit-parity`: our numbers beside what the venues' own contracts answer."""

from __future__ import annotations

import typer
from rich.console import Console

from chains.ports import Outcome
from crossmargin.audited import lines
from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.output import add_rows, emit, table, words
from crossmargin.documents import Document
from crossmargin.exits import ExitCode

COUNTS = ("units", "equal", "different", "unanswered", "unknown", "parity")


def audit_parity(context: Context, *, venue: str | None, sample: int | None, at: str | None) -> None:
    """Compare the next units; exits 4 on any difference, 3 where nothing could be compared."""
    with desk_of(context, writes=True) as desk:
        document = desk.audit_parity(venue, sample, at)
    emit(context, document, lambda console: _show(console, document))
    if document["differences"] or any(total["outcome"] == Outcome.DIFFERENT for total in document["residuals"]):
        raise typer.Exit(ExitCode.UNVERIFIED)
    if not document["compared"]:
        raise typer.Exit(ExitCode.UNKNOWN)


def _counted(outcomes: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items() if count)


def _show(console: Console, document: Document) -> None:
    rows = [
        (
            run["venue"],
            f"{run['block']:,}",
            *(f"{run[name]:,}" for name in COUNTS[:-1]),
            words(run["parity"] or "", "bold red" if run["different"] else "green"),
            _counted(run["totals"]),
            _counted(run["holdings"]),
        )
        for run in document["venues"]
    ]
    console.print(add_rows(table("venue", "block", *COUNTS, "totals", "holdings", right=("block", *COUNTS)), rows))
    for line, grave in lines(document):
        console.print(words(line, "bold red" if grave else "yellow"), soft_wrap=True)
    for skipped in document["skipped"]:
        console.print(words(f"{skipped['venue']}: not compared, {skipped['reason']}", "yellow"), soft_wrap=True)
