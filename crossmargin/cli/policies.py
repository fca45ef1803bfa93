"""`policy show|list|check|preview|schedule|withdraw`."""

from __future__ import annotations

import typer
from rich.console import Console

from crossmargin.cli import figures
from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.output import add_rows, emit, facts, table, words
from crossmargin.cli.progress import told_on
from crossmargin.cli.reading import read_text
from crossmargin.documents import Document
from crossmargin.exits import ExitCode

STYLES = {"in force": "green", "scheduled": "yellow", "superseded": "", "withdrawn": "dim"}
SHOWN = 50
"""Accounts that are listed for people; JSON lists all."""


def show(context: Context, *, at: str | None) -> None:
    with desk_of(context) as desk:
        document = desk.policy(at)
    emit(context, document, lambda console: facts(console, document))


def listing(context: Context) -> None:
    with desk_of(context) as desk:
        document = desk.policies()
    emit(context, document, lambda console: _show_list(console, document))


def check(context: Context, source: str) -> None:
    """Read a file and describe it; raises `PolicyError` and `SettingsError`. Needs no store."""
    from aggregator.governance.terms import read_terms
    from crossmargin.policies import check_names, described

    terms = read_terms(_read(source))
    check_names(context.settings(), terms)
    document = described(terms) | {"classes": sorted(terms.policy.classes)}
    emit(context, document, lambda console: facts(console, document))


def preview(context: Context, source: str, *, fail: bool) -> None:
    """Print what a file would do; exits 5 where it is to `fail` and anybody falls below 1."""
    text = _read(source)
    with told_on(context, "reading the book") as told, desk_of(context, told=told) as desk:
        document = desk.preview_policy(text)
    emit(context, document, lambda console: _show_preview(console, document))
    if fail and document["newly_below"]:
        raise typer.Exit(ExitCode.BELOW)


def schedule(context: Context, source: str, *, emergency: bool) -> None:
    """Enter a file; raises the refusals of `crossmargin.policies`."""
    from crossmargin.policies import user

    text = _read(source)
    with desk_of(context, writes=True) as desk:
        document = desk.schedule_policy(text, emergency=emergency, who=user())
    emit(context, document, lambda console: facts(console, document))


def withdraw(context: Context, version: str, *, note: str, emergency: bool) -> None:
    """Take a scheduled policy back; raises the refusals of `crossmargin.policies`."""
    from crossmargin.policies import user

    with desk_of(context, writes=True) as desk:
        document = desk.withdraw_policy(version, note=note, emergency=emergency, who=user())
    emit(context, document, lambda console: facts(console, document))


def _show_list(console: Console, document: Document) -> None:
    columns = ("version", "state", "from", "entered", "by", "approved by", "emergency", "digest", "note")
    rows = [
        (
            row["version"] or "(none)",
            words(row["state"], STYLES[row["state"]]),
            row["effective_from"] or "the beginning",
            row["logged_at"],
            row["logged_by"],
            ", ".join(row["approved_by"]),
            words("yes", "bold red") if row["emergency"] else "",
            row["digest"][:19],
            row["note"],
        )
        for row in document["policies"]
    ]
    console.print(add_rows(table(*columns), rows))
    console.print(
        words(f"the configured file {document['file']['path']} is {document['file']['state']}"), soft_wrap=True
    )


def _show_preview(console: Console, document: Document) -> None:
    rules = [
        (change["key"], change["before"], change["after"], words("tightens", "bold red") if change["tightens"] else "")
        for change in document["changes"]
    ]
    console.print(add_rows(table("rule", "before", "after", ""), rows=rules))
    columns = ("status", "accounts before", "after", "debt USD before", "debt USD after")
    rows = [
        (
            figures.status(status),
            f"{both['before']['accounts']:,}",
            f"{both['after']['accounts']:,}",
            figures.usd_up(both["before"]["debt_usd"]),
            figures.usd_up(both["after"]["debt_usd"]),
        )
        for status, both in document["statuses"].items()
    ]
    console.print(add_rows(table(*columns, right=columns[1:]), rows))
    _show_newly_below(console, document)


def _show_newly_below(console: Console, document: Document) -> None:
    stake, fallen = document["at_stake"], document["newly_below"]
    told = f"{len(fallen):,} of {document['accounts']:,} accounts fall below 1"
    console.print(words(told, "bold red" if fallen else "green"))
    if not fallen:
        return
    columns = ("account", "health factor before", "after", "collateral USD", "debt USD")
    rows = [
        (
            moved["account"],
            figures.factor(moved["before"]["health_factor"]),
            figures.factor(moved["after"]["health_factor"]),
            figures.usd_down(moved["after"]["collateral_usd"]),
            figures.usd_up(moved["after"]["debt_usd"]),
        )
        for moved in fallen[:SHOWN]
    ]
    rows.append(("together", "", "", figures.usd_down(stake["collateral_usd"]), figures.usd_up(stake["debt_usd"])))
    console.print(add_rows(table(*columns, right=columns[1:]), rows))
    if len(fallen) > SHOWN:
        console.print(words(f"and {len(fallen) - SHOWN:,} more; --json lists all"))


def _read(source: str) -> str:
    from aggregator.governance.terms import LARGEST_FILE

    return read_text(source, most=LARGEST_FILE, instead=", and no policy is")
