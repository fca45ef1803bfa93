"""`liquidations simulate`, `freeze` and `lag`."""

from __future__ import annotations

from rich.console import Console

from crossmargin.cli import figures
from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.output import add_rows, emit, table, words
from crossmargin.cli.progress import told_on
from crossmargin.documents import Document
from crossmargin.liquidation_asked import Asked

ORDERS = (
    "units",
    "rounds",
    "sold USD",
    "lost in sales USD",
    "accounts lose USD",
    "bad debt USD",
    "lenders lose USD",
    "left",
)
FREEZES = ("interest USD", "units", "accounts lose USD", "bad debt USD", "lenders lose USD", "fund left USD", "left")
LATE = ("units", "late", "bad debt USD", "late USD", "lenders lose USD", "late lose USD", "left late")
POOLS = ("bad debt USD", "venue's fund USD", "fund USD", "lenders lose USD", "share")


def simulate(context: Context, asked: Asked, *, at: str | None) -> None:
    with told_on(context, "reading the book") as told, desk_of(context, told=told) as desk:
        document = desk.liquidations(asked, at)
    emit(context, document, lambda console: _show(console, document))


def freeze(context: Context, asked: Asked, *, at: str | None) -> None:
    with told_on(context, "reading the book") as told, desk_of(context, told=told) as desk:
        document = desk.freeze(asked, at)
    emit(context, document, lambda console: _show_freeze(console, document))


def lag(context: Context, asked: Asked, *, at: str | None) -> None:
    with told_on(context, "reading the book") as told, desk_of(context, told=told) as desk:
        document = desk.lag(asked, at)
    emit(context, document, lambda console: _show_lag(console, document))


def _show_lag(console: Console, document: Document) -> None:
    rows = [
        (
            each["day"],
            each["prompt"]["liquidated_units"],
            each["late"]["liquidated_units"],
            figures.usd_up(each["prompt"]["bad_debt_usd"]),
            figures.usd_up(each["late"]["bad_debt_usd"]),
            figures.usd_up(each["prompt"]["lenders_lose_usd"]),
            figures.usd_up(each["late"]["lenders_lose_usd"]),
            each["late"]["standing_units"],
        )
        for each in document["days"]
    ]
    console.print(words(f"{document['window']['name']}, venues {document['lag_hours']} h late", "bold"))
    console.print(add_rows(table("day", *LATE, right=LATE), rows))
    _show_stops(console, [each[name] for each in document["days"] for name in ("prompt", "late")])
    _show_missing(console, document)


def _show(console: Console, document: Document) -> None:
    console.print(add_rows(table("order of sale", *ORDERS, right=ORDERS), map(_order, document["orders"])))
    flows = document["flows"]
    console.print(words(f"in the order {document['terms']['order']}:", "bold"))
    rows = [(name.removesuffix("_usd").replace("_", " "), _flow(name, amount)) for name, amount in flows.items()]
    console.print(add_rows(table("", "USD", right=("USD",)), rows))
    _show_pools(console, document["pools"])
    _show_stops(console, document["orders"])
    _show_missing(console, document)


def _order(each: Document) -> tuple[object, ...]:
    return (
        each["order"],
        each["liquidated_units"],
        each["rounds"] if each["ended"] else f"{each['rounds']}+",
        figures.usd_up(each["sold_usd"]),
        figures.usd_up(each["impact_usd"]),
        figures.usd_up(each["accounts_lose_usd"]),
        figures.usd_up(each["bad_debt_usd"]),
        figures.usd_up(each["lenders_lose_usd"]),
        each["standing_units"],
    )


def _flow(name: str, amount: str) -> str:
    return figures.usd_down(amount) if name.startswith("equity") else figures.usd_up(amount)


def _show_freeze(console: Console, document: Document) -> None:
    rows = [
        (
            each["days"],
            figures.usd_up(each["interest_usd"]),
            each["liquidated_units"],
            figures.usd_up(each["accounts_lose_usd"]),
            figures.usd_up(each["bad_debt_usd"]),
            figures.usd_up(each["lenders_lose_usd"]),
            figures.usd_down(each["funds_left_usd"]),
            each["standing_units"],
        )
        for each in document["freezes"]
    ]
    console.print(add_rows(table("days", *FREEZES, right=("days", *FREEZES)), rows))
    if document["fund_exhausted_after_days"] is not None:
        console.print(words(f"nothing of the funds is left after {document['fund_exhausted_after_days']} days", "bold"))
    _show_stops(console, document["freezes"])
    _show_missing(console, document)


def _show_stops(console: Console, found: list[Document]) -> None:
    """Say where not all has ended, so that more would be lost, and whom venues could not tell of."""
    if not all(each["ended"] for each in found):
        rounds = max(each["rounds"] for each in found)
        console.print(words(f"not all has ended after {rounds} rounds: losses are at least what is told", "yellow"))
    if unknown := max((each["unknown_units"] for each in found), default=0):
        console.print(words(f"units of which their venue could not tell on the way: {unknown}", "yellow"))


def _show_pools(console: Console, pools: list[Document]) -> None:
    rows = [
        (
            f"{each['venue']} {figures.market(each)}",
            figures.usd_up(each["bad_debt_usd"]),
            figures.usd_down(each["by_venue_fund_usd"]),
            figures.usd_down(each["by_fund_usd"]),
            figures.usd_up(each["lenders_lose_usd"]),
            figures.percent(each["lenders_share"]),
        )
        for each in pools
    ]
    if rows:
        console.print(add_rows(table("pool", *POOLS, right=POOLS), rows))


def _show_missing(console: Console, document: Document) -> None:
    if document["assumed"]:
        named = ", ".join(document["assumed"])
        console.print(words(f"sold at what the policy says, for want of a volume or a history: {named}", "yellow"))
    if left_out := document["units_left_out"]:
        said = f"in no total are {left_out:,} of {document['units_with_debt']:,} units with debt (--json names each):"
        console.print(words(said, "yellow"), soft_wrap=True)
    for each in document["left_out_by_reason"]:
        console.print(words(f"  {each['units']:,} at {each['venue']}: {each['detail']}", "yellow"), soft_wrap=True)
