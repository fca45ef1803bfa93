"""A health document for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from crossmargin.cli import figures
from crossmargin.cli.output import add_rows, table, words
from crossmargin.documents import Document, symbol

BORROW = "borrow"
CALM = frozenset({"ok", "degraded"})
"""States of a mark that need no word."""


def show_health(console: Console, document: Document) -> None:
    """Print everything about an account's health."""
    console.print(_summary(document))
    parts = (units, pools, liabilities, positions, haircuts, prices, liquidation_prices, free_collateral, in_flight)
    for part in parts:
        part(console, document)
    reasons(console, document)


def _summary(document: Document) -> Panel:
    interval = document["health_factor_interval"]
    span = f"  [{figures.factor(interval['low'])} to {figures.factor(interval['high'])}]" if interval else ""
    score = document["score"]
    first = Text.assemble(
        figures.status(document["status"]),
        f"   health factor {figures.factor(document['health_factor'])}{span}",
        f"   weakest unit {figures.factor(document['min_unit_health_factor'])}",
        f"   score {figures.NONE if score is None else score} of 100",
    )
    collateral, debt = document["collateral"], document["debt"]
    second = (
        f"collateral {figures.usd_down(collateral['raw'])} USD   debt {figures.usd_up(debt['raw'])} USD   "
        f"headroom {figures.usd_down(document['headroom'])} USD   LTV {figures.percent(document['ltv'])}"
    )
    distance = document["distance"]
    third = (
        f"max LTV {figures.percent_down(document['max_ltv'])}   common fall {figures.points(distance['common_fall_pct'])}   "
        f"deviations of a day {figures.factor(distance['deviations'])}   market {document['regime']}"
    )
    lines = [first, words(second), words(third), *(words(line, "dim") for line in _as_of(document))]
    return Panel(Group(*lines), title=words(document["account"]), title_align="left", expand=False)


def _as_of(document: Document) -> Iterator[str]:
    for chain_id, at in document["as_of"].items():
        yield f"{chain_id} as of {figures.height(chain_id)} {at['block']:,} ({at['time'] or 'unknown time'}, {at['finality']})"


def units(console: Console, document: Document) -> None:
    """What the venues themselves say."""
    rows = [
        (
            venue["venue"],
            figures.chain(venue["chain"]),
            figures.short(unit["unit_id"]),
            figures.factor(unit["health_factor"]),
            figures.status(unit["status"]),
            figures.usd_down(unit["collateral"]),
            figures.usd_up(unit["debt"]),
        )
        for venue in document["venues"]
        for unit in venue["units"]
    ]
    made = table(
        "venue",
        "chain",
        "unit",
        "health factor",
        "status",
        "collateral",
        "debt",
        right=("health factor", "collateral", "debt"),
    )
    _section(console, "The venues' own numbers", made, rows)


def pools(console: Console, document: Document) -> None:
    """Each pool by itself, where there is more than one."""
    rows = [
        (
            pool["pool"],
            pool["kind"],
            "" if pool["unit_id"] is None else f"{pool['venue']} {figures.short(pool['unit_id'])}",
            figures.factor(pool["health_factor"]),
            figures.status(pool["status"]),
            figures.usd_down(pool["collateral"]),
            figures.usd_up(pool["debt"]),
            figures.usd_up(pool["bad_debt_usd"]),
        )
        for pool in document["pools"]
    ]
    columns = ("pool", "kind", "unit", "health factor", "status", "collateral", "debt", "bad debt")
    made = table(*columns, right=("health factor", "collateral", "debt", "bad debt"))
    _section(console, "Pools", made, rows if len(rows) > 1 else [])


def in_flight(console: Console, document: Document) -> None:
    """What is on its way between chains, where an import said so."""
    rows = [
        (
            sent["message"],
            "proven" if sent["proven"] else "sent",
            sent["identity"],
            sent["amount"],
            figures.usd_down(sent["value_usd"]),
            sent["recipient"],
            sent["sent_at"],
            sent["source"],
        )
        for sent in document["in_flight"]
    ]
    columns = ("message", "state", "asset", "amount", "USD", "to", "sent at", "told by")
    _section(console, "On its way; counts nothing until it is there", table(*columns, right=columns[3:5]), rows)


def haircuts(console: Console, document: Document) -> None:
    """What comes off every position that counts, layer by layer, for the maintenance margin."""
    names = ("market", "liquidity", "peg", "bridge", "chain", "floor", "total")
    rows = [
        (
            venue["venue"],
            position["side"],
            symbol(position["symbol"]),
            *(figures.percent(position["weight"]["maintenance"][name]) for name in names),
            figures.percent(position["weight"]["initial"]["total"]),
        )
        for venue in document["venues"]
        for unit in venue["units"]
        for position in unit["positions"]
        if position["counted"] and _is_estimated(position)
    ]
    made = table("venue", "side", "asset", *names, "initial", right=(*names, "initial"))
    _section(console, "What comes off, or is added to a debt, for the maintenance margin", made, rows)


def _is_estimated(position: Document) -> bool:
    """Whether more is known than the class's own number."""
    return any(float(position["weight"]["maintenance"][name]) > 0 for name in ("market", "liquidity"))


def liabilities(console: Console, document: Document) -> None:
    """What other systems require of collateral in escrows."""
    said = [
        (venue["venue"], unit["unit_id"], unit["liabilities"])
        for venue in document["venues"]
        for unit in venue["units"]
        if unit["liabilities"] and unit["liabilities"]["state"] != "none"
    ]
    rows = [
        (
            venue,
            figures.short(unit_id),
            claim["state"],
            claim["as_of"],
            figures.age(claim["age_s"]),
            figures.usd_up(claim["initial_requirement_usd"]),
            figures.usd_up(claim["maintenance_requirement_usd"]),
            figures.usd_down(claim["pnl_usd"]),
        )
        for venue, unit_id, claim in said
    ]
    columns = ("venue", "unit", "liabilities", "as of", "age", "initial", "maintenance", "PnL")
    _section(console, "What other systems require, in USD", table(*columns, right=columns[4:]), rows)


def positions(console: Console, document: Document) -> None:
    """What is supplied and owed, with the house's value."""
    rows = [
        (
            venue["venue"],
            position["side"],
            symbol(position["symbol"]),
            figures.amount(position["amount"], up=position["side"] == BORROW),
            (figures.usd_up if position["side"] == BORROW else figures.usd_down)(position["value_usd"]),
            "" if position["counted"] else "does not count",
        )
        for venue in document["venues"]
        for unit in venue["units"]
        for position in unit["positions"]
    ]
    made = table("venue", "side", "asset", "amount", "USD", "", right=("amount", "USD"))
    _section(console, "Positions", made, rows)


def prices(console: Console, document: Document) -> None:
    """Every mark, and each feed behind it with its age."""
    names = names_of(document)
    rows = chain.from_iterable(price_rows(price, names) for price in document["prices"])
    made = table("price of", "low", "mid", "high", "feed", "chain", "age", "", right=("low", "mid", "high", "age"))
    _section(console, "Prices in USD", made, list(rows))


def names_of(document: Document) -> dict[str, str]:
    """What to call an asset that no configuration names: its token's symbol, with the address that tells it from others."""
    positions = [p for venue in document["venues"] for unit in venue["units"] for p in unit["positions"]]
    return {p["asset"]: f"{p['symbol']} {figures.short(p['asset'].rpartition(':')[2])}" for p in positions}


def price_rows(price: Document, names: Mapping[str, str] = MappingProxyType({})) -> Iterator[tuple[object, ...]]:
    """One row a feed; the mark stands on the first."""
    identity = names.get(price["identity"], price["identity"])
    mark = (symbol(identity), *(figures.price(price[bound]) for bound in ("low", "mid", "high")))
    feeds = [
        (
            f"{feed['kind']} {figures.short(feed['feed'])}",
            figures.chain(feed["chain"]),
            figures.age(feed["age_s"]),
            Text(_remark(feed, price["state"]), style="yellow"),
        )
        for feed in price["feeds"]
    ]
    for number, feed in enumerate(feeds or [("no feed", "", "", "")]):
        yield (*(mark if number == 0 else ("", "", "", "")), *feed)


def _remark(feed: Document, state: str) -> str:
    """Why a feed is left out; of one that is used what is to be known of it, and the state of its mark where that is a warning."""
    if not feed["used"]:
        return str(feed["reason"])
    caveat = str(feed.get("caveat") or "").partition(":")[0]
    return " ".join(word for word in (caveat, "" if state in CALM else state) if word)


def liquidation_prices(console: Console, document: Document) -> None:
    """Where the account would be liquidated, if one price moved alone."""
    names = names_of(document)
    rows = [
        (
            symbol(names.get(item["identity"], item["identity"])),
            figures.price(item["price_usd"]),
            figures.price(item["liquidation_price_usd"]),
            figures.NONE if item["distance_pct"] is None else f"{float(item['distance_pct']):+.2f}%",
        )
        for item in document["liquidation_prices"]
    ]
    made = table("price of", "now", "liquidation at", "distance", right=("now", "liquidation at", "distance"))
    _section(console, "Liquidation prices of the whole account", made, rows)


def free_collateral(console: Console, document: Document) -> None:
    """What could be taken out, one thing at a time."""
    names = names_of(document)
    rows = [
        (
            symbol(names.get(item["identity"], item["identity"])),
            figures.usd_down(item["usd"]),
            figures.amount(item["amount"], up=False),
        )
        for item in document["free_collateral"]
    ]
    made = table("of", "USD", "amount", right=("USD", "amount"))
    _section(console, "Free collateral by the initial margin, one at a time", made, rows)


def reasons(console: Console, document: Document) -> None:
    """Everything that is missing or doubtful."""
    if not document["reasons"]:
        return
    console.print(words("Reasons", "bold"))
    for reason in document["reasons"]:
        code, subject, detail = (words(reason[key]) for key in ("code", "subject", "detail"))
        code.stylize("yellow")
        console.print(Text.assemble("  ", code, "  ", subject, ": ", detail), soft_wrap=True)


def _section(console: Console, title: str, made: Table, rows: Sequence[Sequence[object]]) -> None:
    if rows:
        console.print(words(title, "bold"))
        console.print(add_rows(made, rows))
        console.print()
