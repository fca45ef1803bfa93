"""`webhooks add|list|remove|test|log`: events that are sent to subscribers."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from typer import Exit

from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.output import add_rows, emit, facts, table, words
from crossmargin.documents import Document
from crossmargin.exits import ExitCode
from crossmargin.policies import user


def add(
    context: Context,
    url: str,
    *,
    kinds: Sequence[str],
    owners: Sequence[str],
    venues: Sequence[str],
    assets: Sequence[str],
    min_band: str | None,
) -> None:
    """Add one and print the secret that signs what it is sent, once."""
    wanted = {
        "kinds": list(kinds),
        "owners": list(owners),
        "venues": list(venues),
        "assets": list(assets),
        "min_band": min_band,
    }
    with desk_of(context, writes=True) as desk:
        made = desk.add_webhook(url, wanted, who=user())
    emit(context, made, lambda console: _show_made(console, made))


def listing(context: Context) -> None:
    with desk_of(context) as desk:
        document = desk.webhooks()
    rows = [
        (each["id"], each["url"], each["state"], each["reason"], each["created_at"]) for each in document["webhooks"]
    ]
    emit(
        context,
        document,
        lambda console: console.print(add_rows(table("id", "url", "state", "reason", "made"), rows)),
    )


def remove(context: Context, webhook_id: str) -> None:
    with desk_of(context, writes=True) as desk:
        document = desk.remove_webhook(webhook_id)
    emit(context, document, lambda console: facts(console, document))


def test(context: Context, webhook_id: str) -> None:
    """Try one out; exits 1 where it was not taken."""
    with desk_of(context, writes=True) as desk:
        document = desk.test_webhook(webhook_id)
    emit(context, document, lambda console: facts(console, document))
    if not document["delivered"]:
        raise Exit(ExitCode.FAILED)


def log(context: Context, webhook_id: str) -> None:
    with desk_of(context) as desk:
        document = desk.webhook_log(webhook_id)
    names = ("event", "state", "attempts", "last_at", "next_at", "answer")
    rows = [tuple(each[name] if each[name] is not None else "" for name in names) for each in document["deliveries"]]
    emit(context, document, lambda console: console.print(add_rows(table(*names), rows)))


def _show_made(console: Console, made: Document) -> None:
    facts(console, {key: "all" if value == [] else value for key, value in made.items() if key != "secret"})
    console.print(words("The secret that signs, shown only now:", "yellow"))
    console.print(made["secret"], soft_wrap=True, markup=False, highlight=False)
