"""`score calibrate`: how often chances of a breach came true over price histories in files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import typer
from rich.console import Console

from aggregator.margin import numbers
from aggregator.risk.announced import Announcing, announced
from aggregator.risk.breach import breach_score
from aggregator.risk.history import BadHistory
from aggregator.risk.reliability import Class, Reliability, reliability
from aggregator.risk.series import series_of_bars
from crossmargin.cli import figures
from crossmargin.cli.context import Context
from crossmargin.cli.output import add_rows, emit, table, words
from crossmargin.cli.progress import told_on
from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.exits import ExitCode
from crossmargin.histories import read_bars


def calibrate(
    context: Context,
    files: Sequence[Path],
    *,
    since: str | None,
    until: str | None,
    days: int | None,
    pool: int | None,
) -> None:
    """Print the reliability table of announced chances; exits 4 where they did not come true as often as announced.

    `days`: the chances that the watch list announces for so many days, drawn from `pool` days before; `None`: the score's.
    """
    first, last = _day("--since", since), _day("--until", until)
    try:
        with told_on(context, "reading histories") as told:
            bars = [read_bars(path) for path in files]
            if days is None:
                found = reliability(bars, since=first, until=last, told=told)
            else:
                how = Announcing(days=days, pool=pool, since=first or date.min, until=last or date.max)
                found = announced([series_of_bars(each) for each in bars], how, told)
    except BadHistory as error:
        raise UsageError(str(error)) from error
    document = _document(found)
    emit(context, document, lambda console: _show(console, document))
    if not found.holds:
        raise typer.Exit(ExitCode.UNVERIFIED)


def _day(option: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r} is no day; write it as 2024-01-31") from error


def _document(found: Reliability) -> Document:
    return {
        "assets": list(found.assets),
        "first": found.first.isoformat(),
        "last": found.last.isoformat(),
        "cases": found.cases,
        "brier": _digits(found.brier),
        "climate_brier": _digits(found.climate),
        "holds": found.holds,
        "classes": [_class(each) for each in found.classes],
    }


def _class(each: Class) -> Document:
    return {
        "from": _digits(each.low),
        "to": _digits(each.high),
        "cases": each.cases,
        "days": each.days,
        "announced": _digits(each.announced),
        "realised": _digits(each.realised),
        "deviations": _digits(each.deviations),
        "score": breach_score(each.announced),
        "telling": each.telling,
        "holds": each.holds,
    }


def _digits(value: float) -> str:
    return numbers.text(numbers.ratio_nearest(value))


def _show(console: Console, document: Document) -> None:
    columns = ("announced from", "to", "cases", "days", "announced", "came true", "deviations", "score", "holds")
    rows = [
        (
            figures.percent(item["from"]),
            figures.percent(item["to"]),
            item["cases"],
            item["days"],
            figures.percent(item["announced"]),
            figures.percent(item["realised"]),
            item["deviations"][:5],
            item["score"],
            _verdict(item),
        )
        for item in document["classes"]
    ]
    console.print(add_rows(table(*columns, right=columns[:8]), rows))
    console.print(
        f"{', '.join(document['assets'])} from {document['first']} to {document['last']}: mean squared error {document['brier']}, "
        f"{document['climate_brier']} for one who knows the average alone"
    )


def _verdict(item: Document) -> object:
    if not item["telling"]:
        return "too few"
    return words("yes", "green") if item["holds"] else words("NO", "bold red")
