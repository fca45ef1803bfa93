"""`index` and `rebuild`: chains into the store, and the store derived again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from rich.console import Console

from chains.identifiers import IdentifierError, format_hash, parse_chain
from crossmargin.app import must_follow_here, opened, policy_of, restater
from crossmargin.cli.aside import Aside, names_of, show_restated
from crossmargin.cli.context import Context
from crossmargin.cli.output import add_rows, emit, table
from crossmargin.cli.progress import progress_on
from crossmargin.cli.tasks import run
from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.outdated import outdated
from crossmargin.settings import Settings
from crossmargin.settings.section import nearest
from crossmargin.starts import found, stored
from crossmargin.traffic import Counted
from indexer import loop
from indexer.housekeeping import keep_house
from indexer.loop import Until
from indexer.restating import Restater
from indexer.store import Store

MEMORY = "128MB"
"""What DuckDB may hold while a command does nothing but index: enough to append, however large the store."""


def index(context: Context, *, until: str, chains: tuple[str, ...]) -> None:
    """Take in the chains side by side up to a target; raises `ChainError` and `StoreError`."""
    keep_house()
    settings = context.settings()
    policy_of(settings)
    settings = run(found(settings))
    target, chosen = _target(until), chosen_chains(settings, chains)
    must_follow_here(settings, *chosen)
    if isinstance(target, int) and len(chosen) > 1:
        raise UsageError(f"block {target} of which chain? Name one with --chain, or index until latest or finalized")
    traffic = Counted()
    with (
        opened(settings, memory=MEMORY) as store,
        progress_on(context, names_of(settings), traffic) as listener,
    ):
        _warn(context, settings, store)
        aside = Aside(listener)
        make = partial(restater, settings, store=store, listener=listener, told=aside)
        run(_index_all([make(each, observer=traffic.of(each)) for each in chosen], target))
        document = {"chains": [_reached(store, chain_id) for chain_id in chosen], "restated": aside.documents()}
    emit(context, document, lambda console: _show(console, document))
    if isinstance(target, int) and not context.quiet and (ends := document["chains"][0]["block"]) != target:
        context.stderr().print(f"block {target} is not reached: the store ends at {ends}", soft_wrap=True)


def _warn(context: Context, settings: Settings, store: Store) -> None:
    """Say what of the store an earlier version made."""
    with store.reading() as reader:
        for each in outdated(reader, settings.venues, settings.feeds):
            context.stderr().print(each.sentence, style="bold red", soft_wrap=True)


async def _index_all(chains: Sequence[Restater], until: Until) -> None:
    """A chain that fails ends the others, at a step's end: what was committed stays."""
    async with asyncio.TaskGroup() as group:
        for chain in chains:
            group.create_task(chain.index(until))


def rebuild(context: Context) -> None:
    """Derive every chain again from its raw rows."""
    settings = stored(context.settings(), writes=True)
    must_follow_here(settings, *(chain.spec.id for chain in settings.chains))
    with opened(settings) as store, progress_on(context, names_of(settings)) as listener:
        for chain in settings.chains:
            chain_id = chain.spec.id
            venues, feeds = settings.venues_of(chain_id), settings.feeds_of(chain_id)
            run(loop.rebuild(chain.spec, venues, feeds, store, listener=listener))
        document = {"chains": [_reached(store, chain.spec.id) for chain in settings.chains], "restated": []}
    emit(context, document, lambda console: _show(console, document))


def _show(console: Console, document: Document) -> None:
    columns = ("chain", "block", "hash", "final")
    rows = [(row["chain"], row["block"], row["hash"], row["finalized_block"]) for row in document["chains"]]
    console.print(add_rows(table(*columns, right=("block", "final")), rows))
    show_restated(console, document)


def _target(until: str) -> Until:
    match until:
        case "latest" | "finalized":
            return until
        case number if number.isascii() and number.isdigit():
            return int(number)
        case _:
            raise UsageError(f'--until must be latest, finalized or a block, not "{until}"')


def chosen_chains(settings: Settings, chains: tuple[str, ...]) -> tuple[str, ...]:
    """Return the chains that were asked for, by id or by name, or all; raises `UsageError` for one that is not configured."""
    known = [chain.spec.id for chain in settings.chains]
    named = {chain.spec.name: chain.spec.id for chain in settings.chains}
    asked = [named.get(name, name) for name in chains]
    for chain_id in asked:
        if ":" not in chain_id:
            raise UsageError(f'--chain: no chain "{chain_id}" is configured; {nearest(chain_id, [*named, *known])}')
        try:
            parse_chain(chain_id)
        except IdentifierError as error:
            raise UsageError(f"--chain: {error}") from error
        if chain_id not in known:
            raise UsageError(f"--chain {chain_id} is not configured; {nearest(chain_id, known)}")
    return tuple(dict.fromkeys(asked)) or tuple(known)


def _reached(store: Store, chain_id: str) -> dict[str, object]:
    cursor = store.cursor(chain_id)
    if cursor is None:
        return {"chain": chain_id, "block": None, "hash": None, "finalized_block": None}
    return {
        "chain": chain_id,
        "block": cursor.block.number,
        "hash": format_hash(chain_id, cursor.block.hash),
        "finalized_block": cursor.finalized if cursor.finalized >= 0 else None,
    }
