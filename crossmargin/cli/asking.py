"""Commands that ask: `status`, `health`, `positions`, `account`, `prices`, `inputs`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from decimal import Decimal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aggregator.margin.floor import Gravity
from crossmargin.audited import said_of_holding, said_of_total
from crossmargin.cli import figures
from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.health_view import positions as show_positions
from crossmargin.cli.health_view import price_rows, reasons, show_health
from crossmargin.cli.output import add_rows, emit, facts, table, words, write_json
from crossmargin.coverage import said
from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.exits import ExitCode
from crossmargin.recalled import recalled, recalled_positions

UNKNOWN = "unknown"


def health(context: Context, account: str, *, at: str | None, fail_below: float | None) -> None:
    """Print a health document; the exit code says whether it can be believed and is good enough."""
    with desk_of(context, writes=True) as desk:
        document = desk.health(account, at)
    emit(context, document, lambda console: show_health(console, document))
    if document["status"] == UNKNOWN:
        raise typer.Exit(ExitCode.UNKNOWN)
    lowest = lowest_factor(document)
    if fail_below is not None and lowest is not None and lowest < Decimal(str(fail_below)):
        raise typer.Exit(ExitCode.BELOW)


def known(context: Context, account: str, *, at: str) -> None:
    """Print what was answered about an account at a moment, and what is otherwise now; exit 3 where it was unknown."""
    with desk_of(context, writes=True) as desk:
        document = recalled(desk, account, at)
    emit(context, document, lambda console: _show_recalled(console, document))
    if document["document"]["status"] == UNKNOWN:
        raise typer.Exit(ExitCode.UNKNOWN)


def known_positions(context: Context, account: str, *, at: str) -> None:
    """Print what was answered of an account's positions at a moment, and what is otherwise now."""
    with desk_of(context, writes=True) as desk:
        document = recalled_positions(desk, account, at)

    def show(console: Console) -> None:
        show_positions(console, document["document"])
        _show_difference(console, document)

    emit(context, document, show)


def _show_recalled(console: Console, document: Document) -> None:
    show_health(console, document["document"])
    _show_difference(console, document)


def _show_difference(console: Console, document: Document) -> None:
    """Say when it was answered, and what is otherwise of the same blocks now, and why."""
    console.print(words(f"answered at {document['served_at']}; known at {document['known_at']}"), soft_wrap=True)
    for field in document["differing"]:
        was, now = (json.dumps(document[each].get(field)) for each in ("then", "now"))
        said = f"{field} was {was}, and is {now} of the same blocks"
        console.print(words(said, "yellow"), soft_wrap=True)
    for each in document["causes"]:
        about = f" {each['subject']}" if each["subject"] else ""
        console.print(words(f"cause: {each['code']}{about}: {each['detail']}", "yellow"), soft_wrap=True)
    if document["now"] is not None and not document["differing"]:
        console.print(words("the same is known of these blocks now", "green"))


def lowest_factor(document: Document) -> Decimal | None:
    """The lowest of the house's health factor, its pools' and the weakest unit's, `None` without debt."""
    pools = (pool["health_factor"] for pool in document["pools"])
    known = (document["health_factor"], document["min_unit_health_factor"], *pools)
    return min((Decimal(value) for value in known if value is not None), default=None)


def positions(context: Context, account: str, *, at: str | None) -> None:
    with desk_of(context) as desk:
        document = desk.positions(account, at)

    def show(console: Console) -> None:
        show_positions(console, document)
        reasons(console, document)

    emit(context, document, show)


def accounts(context: Context) -> None:
    with desk_of(context) as desk:
        document = desk.accounts()
    emit(context, document, lambda console: console.print(accounts_table(document)))


def accounts_table(document: Document) -> Table:
    """Accounts in short, one a row."""
    columns = ("account", "members", "status", "health factor", "weakest unit", "score", "collateral USD", "debt USD")
    rows = [
        (
            account["account"],
            _members(account),
            figures.status(account["status"]),
            figures.factor(account["health_factor"]),
            figures.factor(account["min_unit_health_factor"]),
            account["score"],
            figures.usd_down(account["collateral_usd"]),
            figures.usd_up(account["debt_usd"]),
        )
        for account in document["accounts"]
    ]
    return add_rows(table(*columns, right=columns[3:]), rows)


def _members(account: Document) -> str:
    """Count members by what makes them so: 2 declared, 1 attested."""
    kinds = Counter(each["kind"] for each in account["membership"].values())
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def account(context: Context, name: str) -> None:
    with desk_of(context) as desk:
        document = desk.account(name)
    emit(context, document, lambda console: facts(console, document))


def prices(context: Context, *, at: str | None) -> None:
    with desk_of(context) as desk:
        document = desk.prices(at)
    columns = ("price of", "low", "mid", "high", "feed", "chain", "age", "")
    rows = [row for price in document["prices"] for row in price_rows(price)]
    emit(
        context,
        document,
        lambda console: console.print(add_rows(table(*columns, right=("low", "mid", "high", "age")), rows)),
    )


def status(context: Context) -> None:
    """Print how far each chain is; exits 3 when one may not be believed."""
    with desk_of(context) as desk:
        document = desk.status()
    emit(context, document, lambda console: _show_status(console, document))
    if any(chain["reason"] or chain["incomplete"] for chain in document["chains"]):
        raise typer.Exit(ExitCode.UNKNOWN)


def _state(chain: Document) -> Text:
    if chain["reason"] is not None:
        return words(chain["state"], "bold red")
    return words(f"{chain['state']}, stale", "yellow") if chain["stale"] else words(chain["state"], "green")


def _show_status(console: Console, document: Document) -> None:
    columns = ("chain", "name", "state", "block", "time", "final", "head", "age")
    rows = [
        (
            chain["chain"],
            chain["name"],
            _state(chain),
            f"{chain['indexed']['block']:,}" if chain["indexed"] else None,
            chain["indexed"]["time"] if chain["indexed"] else None,
            None if chain["finalized_block"] is None else f"{chain['finalized_block']:,}",
            None if chain["head_block"] is None else f"{chain['head_block']:,}",
            figures.age(chain["lag_seconds"]),
        )
        for chain in document["chains"]
    ]
    console.print(words("a service follows these chains" if document["following"] else "no service is following"))
    console.print(add_rows(table(*columns, right=("block", "final", "head", "age")), rows))
    _show_coverage(console, document)
    _show_audited(console, document)
    for chain in document["chains"]:
        if chain["reason"]:
            console.print(words(f"{chain['chain']}: {chain['reason']['detail']}", "yellow"), soft_wrap=True)
        if chain["indexer"]:
            told = f"{chain['chain']}: comes from the indexer at {chain['indexer']}"
            console.print(words(told), soft_wrap=True)
        if chain["fault"]:
            console.print(words(f"{chain['chain']}: {chain['fault']}", "yellow"), soft_wrap=True)
        for old in chain["outdated"]:
            name = old["venue"] or "price sources"
            told = f"{chain['chain']}: {name} is of derivation {old['version']}, not {old['current']}: {old['lacks']}; {old['mend']}"
            console.print(words(told, "bold red"), soft_wrap=True)
        for part in chain["incomplete"]:
            name, first = part["venue"] or part["feed"], part["from_block"]
            missing = f"{chain['chain']}: {name} is not filled in yet, from block {first:,} on"
            console.print(words(missing, "yellow"), soft_wrap=True)


def _show_coverage(console: Console, document: Document) -> None:
    columns = (
        "chain",
        "final blocks of",
        "from",
        "to",
        "weakest evidence",
        "blocks with less than asked for",
        "findings",
    )
    covered = [(chain["chain"], interest) for chain in document["chains"] for interest in chain["coverage"]]
    rows = [
        (
            chain_id,
            interest["interest"],
            f"{interest['first']:,}",
            f"{interest['last']:,}",
            words(interest["weakest"], "yellow" if interest["unproven_blocks"] else "green"),
            f"{interest['unproven_blocks']:,}",
            words(len(interest["findings"]), "bold red" if interest["findings"] else ""),
        )
        for chain_id, interest in covered
        if interest["weakest"] is not None
    ]
    if rows:
        console.print(add_rows(table(*columns, right=("from", "to", columns[5], "findings")), rows))
    for chain_id, interest in covered:
        for why in dict.fromkeys(span["evidence"] for span in interest["unproven"]):
            console.print(words(f"{chain_id} {interest['interest']}: {why}", "yellow"), soft_wrap=True)
        for finding in interest["findings"]:
            console.print(words(f"{chain_id} {said(finding)}", "bold red"), soft_wrap=True)


def _show_audited(console: Console, document: Document) -> None:
    """Say of each venue how the self-audit stands, and what is not as it must be."""
    venues = [venue for chain in document["chains"] for venue in chain["audited"]]
    columns = ("venue", "compared at", "equal views", "different", "totals", "off", "holdings covered", "short")
    rows = [
        (
            venue["venue"],
            venue["last"]["checked_at"] if venue["last"] else "never",
            f"{venue['views']['equal']:,}",
            words(f"{venue['views']['different']:,}", "bold red" if venue["views"]["different"] else ""),
            f"{venue['totals']['equal'] + venue['totals']['within']:,}",
            words(f"{venue['totals']['different']:,}", "bold red" if venue["totals"]["different"] else ""),
            f"{venue['holdings']['covered']:,}",
            words(f"{venue['holdings']['short']:,}", "bold red" if venue["holdings"]["short"] else ""),
        )
        for venue in venues
    ]
    if rows:
        console.print(add_rows(table(*columns, right=columns[2:]), rows))
    for venue in venues:
        for total in venue["residuals"]:
            console.print(words(said_of_total(total), "bold red"), soft_wrap=True)
        for holding in venue["shortfalls"]:
            grave = holding["gravity"] == Gravity.GRAVE
            console.print(words(said_of_holding(holding), "bold red" if grave else "yellow"), soft_wrap=True)


def inputs(context: Context, digest: str) -> None:
    """Print the inputs as they are kept: the canonical JSON that the digest is of; on a terminal, spread out and safe."""
    with desk_of(context) as desk:
        kept = desk.inputs(digest)
    if sys.stdout.isatty():
        write_json(json.loads(kept))
    else:
        sys.stdout.buffer.write(kept.encode("utf-8") + b"\n")


def tools(context: Context) -> None:
    """Answer as tools on stdin and stdout until stdin ends, where the extra is there; raises `UsageError`."""
    try:
        from crossmargin.cli.tools import serve
    except ModuleNotFoundError as error:
        raise UsageError("tools need the extra mcp: pip install 'crossmargin[mcp]'") from error
    serve(context)
