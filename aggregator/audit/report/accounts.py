"""What a report says of accounts: how their health is distributed, and which are worst."""

from __future__ import annotations

import json
from collections import Counter
from decimal import ROUND_CEILING, Decimal
from heapq import nsmallest

from aggregator.audit.lines import Row
from aggregator.audit.report.cover import Tables
from aggregator.audit.report.page import Html, bars, code, marked, paragraph, section, table
from aggregator.margin.numbers import to_places, total

WORST = 25
STATES = ("liquidatable", "danger", "watch", "healthy", "no_debt", "unknown")
STYLES = {
    "liquidatable": "bad",
    "danger": "bad",
    "watch": "warn",
    "healthy": "good",
    "no_debt": "soft",
    "unknown": "warn",
}
SOUND = {"no_debt", "healthy"}

CLOSE = 3
"""Up to this many edges an account stands close to the line."""

EDGES = ("1", "1.02", "1.05", "1.1", "1.2", "1.5", "2", "3")


def health(tables: Tables) -> Html:
    accounts = tables["accounts"]
    states = Counter(row["status"] for row in accounts)
    known = [(row["status"], row["debt_usd"]) for row in accounts if row["debt_usd"] is not None]
    unknown_debts = len(accounts) - len(known)
    debts = {state: total(debt for status, debt in known if status == state) for state in STATES}
    factors = Counter(_band(row["health_factor"]) for row in accounts if row["health_factor"] is not None)
    names = [_band_name(place) for place in range(len(EDGES) + 1)]
    styled = [
        (name, factors[place], "bad" if place == 0 else "warn" if place <= CLOSE else "good")
        for place, name in enumerate(names)
    ]
    rows = [
        (marked(state, STYLES[state]), f"{states[state]:,}", f"{to_places(debts[state], 2, ROUND_CEILING):,}")
        for state in STATES
    ]
    note = f"the debt of {unknown_debts:,} accounts is not known, and is in no sum" if unknown_debts else ""
    return section(
        "Distribution of health",
        bars("Accounts by state", [(state, states[state], STYLES[state]) for state in STATES]),
        paragraph(marked("Accounts with debt, by the house health factor:", "soft")),
        bars("Accounts by health factor", styled),
        table(("state", "accounts", "debt in USD"), rows, numbers=("accounts", "debt in USD"), note=note),
    )


def _band(factor: str) -> int:
    value = Decimal(factor)
    return sum(value >= Decimal(edge) for edge in EDGES)


def _band_name(place: int) -> str:
    if place == 0:
        return f"below {EDGES[0]}"
    return f"{EDGES[place - 1]} and more" if place == len(EDGES) else f"{EDGES[place - 1]} to {EDGES[place]}"


def worst(tables: Tables) -> Html:
    count = sum(row["status"] not in SOUND for row in tables["accounts"])
    found = nsmallest(WORST, (row for row in tables["accounts"] if row["status"] not in SOUND), key=_badness)
    rows = [
        (
            code(row["account"]),
            marked(row["status"], STYLES[row["status"]]),
            row["health_factor"],
            row["min_unit_health_factor"],
            row["collateral_usd"],
            row["debt_usd"],
            ", ".join(dict.fromkeys(each["code"] for each in json.loads(row["reasons"]))),
        )
        for row in found
    ]
    columns = ("account", "state", "health factor", "worst unit's", "collateral in USD", "debt in USD", "reasons")
    note = f"and {count - WORST:,} more accounts that are not healthy, in accounts.ndjson" if count > WORST else ""
    shown = (
        table(columns, rows, numbers=columns[2:6], note=note)
        if rows
        else paragraph("No account is anything but healthy or without debt.")
    )
    return section("Worst accounts", shown)


def _badness(row: Row) -> tuple[int, Decimal, str]:
    """Liquidatable ones first, by their worst unit; those that are not known come after those that are in danger."""
    least = [Decimal(row[name]) for name in ("min_unit_health_factor", "health_factor") if row[name] is not None]
    place = {"liquidatable": 0, "danger": 1, "unknown": 2}.get(row["status"], 3)
    return place, min(least, default=Decimal(0)), row["account"]
