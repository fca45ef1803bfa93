"""`watch-list` and `risk-run`."""

from __future__ import annotations

from rich.console import Console

from crossmargin.cli import figures
from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.output import add_rows, emit, table
from crossmargin.cli.progress import told_on
from crossmargin.documents import Document


def watch_list(context: Context, *, top: int, seed: int, at: str | None) -> None:
    with told_on(context, "reading the book") as told, desk_of(context, told=told) as desk:
        document = desk.forecasts(at, top=top, seed=seed)
    emit(context, document, lambda console: _show(console, document))


def risk_run(context: Context) -> None:
    with told_on(context, "reading the book") as told, desk_of(context, writes=True, told=told) as desk:
        document = desk.run_risk()
    emit(context, document, lambda console: console.print(_told(document)))


def _told(run: Document) -> str:
    return (
        f"run {run['run']}: {run['scenarios']} scenarios over {run['accounts']} accounts and {run['units']} units, "
        f"{run['forecasts']} forecasts, {run['unknown_accounts']} unknown; fct_stress has them as run_id {run['run']}"
    )


def _show(console: Console, document: Document) -> None:
    horizons = document["horizons"]
    columns = ("account", "status", "debt USD", *(f"within {name}" for name in horizons))
    rows = [
        (
            each["account"],
            each["status"],
            figures.usd_up(each["debt_usd"]),
            *(figures.percent(each["breach_probability"][name]) for name in horizons),
        )
        for each in document["forecasts"]
    ]
    console.print(add_rows(table(*columns, right=columns[2:]), rows))
    known, shown = document["accounts"], len(rows)
    console.print(f"{shown} of {known} accounts with debt, by {document['paths']} paths; not calibrated: 1h")
    if document["unknown_accounts"]:
        console.print(f"{document['unknown_accounts']} accounts with debt of which nothing can be announced:")
        for each in document["unknown"]:
            console.print(f"  {each['account']}: {each['reason']['detail']}", highlight=False, markup=False)
    if document["simulated"]:
        console.print(f"with too short a history, so that they go with the market: {', '.join(document['simulated'])}")
