"""What a report says of accounts: how their health is distributed, and which are worst."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection
from decimal import ROUND_CEILING, Decimal
from heapq import nsmallest

from aggregator.audit.lines import Row
from aggregator.audit.picked import counted, picked, taken
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
_EDGES = [*map(Decimal, EDGES)]


def health(tables: Tables) -> Html:
    accounts = tables["accounts"]
    states = Counter({status: count for (status,), count in counted(accounts, "status").items()})
    known = [(status, debt) for status, debt in picked(accounts, "status", "debt_usd") if debt is not None]
    unknown_debts = len(accounts) - len(known)
    debts = {state: total(debt for status, debt in known if status == state) for state in STATES}
    factors = Counter(_band(factor) for (factor,) in picked(accounts, "health_factor") if factor is not None)
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
    return bisect_right(_EDGES, Decimal(factor))


def _band_name(place: int) -> str:
    if place == 0:
        return f"below {EDGES[0]}"
    return f"{EDGES[place - 1]} and more" if place == len(EDGES) else f"{EDGES[place - 1]} to {EDGES[place]}"


def worst(tables: Tables) -> Html:
    count, found = _worst(tables["accounts"])
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


def _worst(accounts: Collection[Row]) -> tuple[int, list[Row]]:
    """Return how many accounts are not sound, and the worst of them."""
    said = picked(accounts, "status", "min_unit_health_factor", "health_factor", "account")
    bad = [(_badness(*each), number) for number, each in enumerate(said) if each[0] not in SOUND]
    return len(bad), taken(accounts, [number for _, number in nsmallest(WORST, bad)])


def _badness(status: str, unit: str | None, house: str | None, account: str) -> tuple[int, Decimal, str]:
    """Liquidatable ones first, by their worst unit; those that are not known come after those that are in danger."""
    least = [Decimal(each) for each in (unit, house) if each is not None]
    place = {"liquidatable": 0, "danger": 1, "unknown": 2}.get(status, 3)
    return place, min(least, default=Decimal(0)), account
