"""`restate`: blocks that are stored, read again, and what is otherwise now taken over."""

from __future__ import annotations

from crossmargin.app import must_exist, must_follow_here, opened, restater
from crossmargin.cli.aside import Aside, names_of, show_restated
from crossmargin.cli.context import Context
from crossmargin.cli.indexing import chosen_chains
from crossmargin.cli.output import emit
from crossmargin.cli.progress import progress_on
from crossmargin.cli.tasks import run
from crossmargin.errors import NotStored, UsageError
from crossmargin.settings import Settings
from crossmargin.settings.section import nearest
from crossmargin.starts import found
from crossmargin.traffic import Counted
from indexer.store import Cursor, Store

ASKED_FOR = "asked for by an operator"


def restate(
    context: Context, *, chain: str, venue: str | None, first: int | None, cause: str | None, accept_removal: bool
) -> None:
    """Read a venue, or everything of a chain, again; raises `ChainError`, `StepRefused` and `DeskError`."""
    settings = context.settings()
    must_exist(settings)
    settings = run(found(settings))
    (chain_id,) = chosen_chains(settings, (chain,))
    must_follow_here(settings, chain_id)
    traffic = Counted()
    with opened(settings) as store, progress_on(context, names_of(settings), traffic) as listener:
        _check(settings, chain_id, _stored(store, chain_id), venue, first)
        aside = Aside(listener)
        work = restater(settings, chain_id, store, listener=listener, told=aside, observer=traffic.of(chain_id))
        run(work.restate(venue_id=venue, first=first, cause=cause or ASKED_FOR, accept_removal=accept_removal))
        document = {"restated": aside.documents()}
    emit(context, document, lambda console: show_restated(console, document))


def _stored(store: Store, chain_id: str) -> Cursor:
    held = store.cursor(chain_id)
    if held is None:
        raise NotStored(f"nothing of {chain_id} is indexed yet; run `crossmargin index`")
    return held


def _check(settings: Settings, chain_id: str, held: Cursor, venue: str | None, first: int | None) -> None:
    if first is not None and first > held.block.number:
        raise UsageError(f"--from {first}: {chain_id} is indexed up to block {held.block.number}")
    if venue is None:
        return
    known = {spec.id: spec for spec in settings.venues_of(chain_id)}
    if venue not in known:
        raise UsageError(f"--venue {venue} is not a venue of {chain_id}; {nearest(venue, known)}")
    if known[venue].start_block > held.block.number:
        raise UsageError(
            f"--venue {venue} begins in block {known[venue].start_block}, and {chain_id} is indexed up to block {held.block.number}"
        )
