"""`stress`, `at-risk` and `what-if`."""

from __future__ import annotations

from collections.abc import Sequence

import typer
from rich.console import Console

from aggregator.margin.numbers import total
from crossmargin.cli import figures
from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.output import add_rows, emit, table, words
from crossmargin.cli.progress import told_on
from crossmargin.documents import Document
from crossmargin.exits import ExitCode

UNKNOWN = "unknown"
NOT_IN_ROWS = ("units", "reasons", "health_factor_interval")
NUMBERS = (
    "below 1",
    "newly",
    "debt USD",
    "shortfall USD",
    "units",
    "newly there",
    "owed there USD",
    "lacking there USD",
    "too much at",
)
CURVE = ("move", "units", "debt USD", "shortfall USD")


def stress(
    context: Context,
    *,
    severity: str,
    scenarios: Sequence[str],
    shocks: Sequence[str],
    at: str | None,
    fund: float | None,
    accrue: int,
) -> None:
    with told_on(context, "reading the book") as told, desk_of(context, told=told) as desk:
        document = desk.stress(severity, scenarios, shocks, at, fund_usd=fund, accrue_days=accrue)
    emit(context, document, lambda console: _show_stress(console, document))


def at_risk(context: Context, *, at: str | None) -> None:
    with told_on(context, "reading the book") as told, desk_of(context, told=told) as desk:
        document = desk.at_risk(at)
    emit(context, document, lambda console: _show_at_risk(console, document))


def what_if(context: Context, account: str, *, actions: Sequence[str], shocks: Sequence[str], at: str | None) -> None:
    """Print before and after; exits 3 where nothing can be said of after."""
    with desk_of(context) as desk:
        document = desk.what_if(account, actions, shocks, at)
    emit(context, document, lambda console: _show_what_if(console, document))
    if document["after"]["status"] == UNKNOWN:
        raise typer.Exit(ExitCode.UNKNOWN)


def _show_what_if(console: Console, document: Document) -> None:
    before, after = document["before"], document["after"]
    rows = [(name, before[name], after[name]) for name in before if name not in NOT_IN_ROWS]
    old = {(unit["venue"], unit["unit_id"]): unit for unit in before["units"]}
    for unit in after["units"]:
        was = old[unit["venue"], unit["unit_id"]]
        rows.append((f"{unit['venue']} health factor", was["health_factor"], unit["health_factor"]))
        rows.append((f"{unit['venue']} liquidatable", was["liquidatable"], unit["liquidatable"]))
    console.print(add_rows(table("", "before", "after", right=("before", "after")), rows))
    for reason in (*document["notes"], *after["reasons"]):
        console.print(words(f"{reason['code']}: {reason['detail']}", "yellow"), soft_wrap=True)


def _show_stress(console: Console, document: Document) -> None:
    console.print(add_rows(table("scenario", *NUMBERS, right=NUMBERS), map(_scenario, document["scenarios"])))
    for each in document["fragile"]:
        console.print(
            words(f"{each['unit']}: in {each['scenarios']} scenarios, {each['worst_usd']} USD at worst"), soft_wrap=True
        )
    for name, why in document["not_made"].items():
        console.print(words(f"{name} is not made: {why}", "yellow"), soft_wrap=True)
    if document["unmeasured"]:
        names = ", ".join(document["unmeasured"])
        console.print(words(f"not judged by the house, in any scenario: {names}", "yellow"), soft_wrap=True)
    _show_left_out(console, document)


def _scenario(scenario: Document) -> tuple[object, ...]:
    house, venues = scenario["house"], list(scenario["venues"].values())
    return (
        scenario["id"],
        house["below"],
        house["newly_below"],
        figures.usd_up(house["debt_usd"]),
        figures.usd_up(house["shortfall_usd"]),
        sum(each["liquidatable"] for each in venues),
        sum(each["newly_liquidatable"] for each in venues),
        figures.usd_up(_sum(venues, "debt_usd")),
        figures.usd_up(_sum(venues, "shortfall_usd")),
        None if scenario["multiple"] is None else f"{scenario['multiple']}×",
    )


def _sum(venues: Sequence[Document], key: str) -> str:
    return str(total(each[key] for each in venues))


def _show_at_risk(console: Console, document: Document) -> None:
    joint = (*CURVE, "of it, the largest")
    rows = [(*_point(each), figures.percent(each["owners_share"])) for each in document["jointly"]]
    console.print(words("everything that is not worth a dollar", "bold"))
    console.print(add_rows(table(*joint, right=joint), rows))
    for curve in document["alone"]:
        console.print(words(curve["identity"], "bold"))
        console.print(add_rows(table(*CURVE, right=CURVE), map(_point, curve["points"])))
    _show_left_out(console, document)


def _point(point: Document) -> tuple[object, ...]:
    return (
        figures.percent(point["move"]),
        point["units"],
        figures.usd_up(point["debt_usd"]),
        figures.usd_up(point["shortfall_usd"]),
    )


def _show_left_out(console: Console, document: Document) -> None:
    for each in document["left_out"]:
        console.print(words(f"left out: {each['subject']}: {each['detail']}", "yellow"), soft_wrap=True)
