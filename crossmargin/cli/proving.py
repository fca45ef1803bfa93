"""`prove-coverage`: stored blocks looked at again, so that their coverage says how sure it is that nothing is missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Any

import typer
from rich.console import Console

from chains.completeness import COMPLETENESS, Level, rank
from chains.errors import NodeBusy, NodeWrong
from chains.identifiers import EVM, namespace_of
from chains.model import FEEDS, VenueSpec
from chains.ports import Chain, Covered, Examined, Finding
from crossmargin.app import connect, must_exist, opened
from crossmargin.cli.context import Context
from crossmargin.cli.indexing import chosen_chains
from crossmargin.cli.output import add_rows, emit, table, words
from crossmargin.cli.tasks import run
from crossmargin.coverage import finding_document, said, span_document
from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.exits import ExitCode
from crossmargin.settings import Settings
from crossmargin.settings.section import nearest
from crossmargin.starts import stored
from indexer.steps import Attest
from indexer.store import Store
from indexer.store.coverage import merged

LINE_EVERY_S = 3.0
TRIES = 3
PAUSE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to look at: blocks `first`..`last` of a chain, what its `venues` (ids, and `FEEDS`) took in, for evidence of `level`."""

    chain_id: str
    first: int
    last: int
    venues: tuple[str, ...]
    level: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for on the command line; `None`: everything, or as far as it goes."""

    chains: tuple[str, ...]
    venue: str | None
    first: int | None
    last: int | None
    level: str


Say = Callable[[Question, Examined], None]


def prove_coverage(context: Context, wish: Wish) -> None:
    """Look at stored, final blocks again; exits 4 where the store is wrong, 3 where less than was asked for could be shown."""
    settings = context.settings()
    must_exist(settings)
    settings = stored(settings, writes=True)
    asked = _chains(settings, wish.chains, wish.venue)
    if (wish.first is not None or wish.last is not None) and len(asked) > 1:
        raise UsageError("blocks of which chain? Name one with --chain or --venue")
    with opened(settings) as store:
        questions = [_question(settings, store, chain_id, wish) for chain_id in asked]
        document = run(_proven(settings, store, [q for q in questions if q], _teller(context)))
    emit(context, document, lambda console: _show(console, document))
    if any(chain["findings"] for chain in document["chains"]):
        raise typer.Exit(ExitCode.UNVERIFIED)
    if any(chain["unproven_blocks"] for chain in document["chains"]):
        raise typer.Exit(ExitCode.UNKNOWN)


def _chains(settings: Settings, chains: tuple[str, ...], venue: str | None) -> list[str]:
    if venue is None:
        known = [chain_id for chain_id in chosen_chains(settings, chains) if namespace_of(chain_id) == EVM]
        if not known:
            raise UsageError("there is no EVM chain to look at; balances prove the others before they are stored")
        return known
    found = _venue(settings, venue)
    if chains and found.chain_id not in chains:
        raise UsageError(f"--venue {venue} is on {found.chain_id}, not on {', '.join(chains)}; leave out --chain")
    if namespace_of(found.chain_id) != EVM:
        raise UsageError(f"--venue {venue} is on {found.chain_id}, where balances prove everything before it is stored")
    return [found.chain_id]


def _venue(settings: Settings, venue: str) -> VenueSpec:
    known = {spec.id: spec for spec in settings.venues}
    if venue not in known:
        raise UsageError(f"--venue {venue} is not configured; {nearest(venue, known)}")
    return known[venue]


def _question(settings: Settings, store: Store, chain_id: str, wish: Wish) -> Question | None:
    cursor = store.cursor(chain_id)
    final = cursor.finalized if cursor else -1
    if wish.last is not None and wish.last > final:
        raise UsageError(f"--to {wish.last}: the last final block of {chain_id} here is {final}")
    venue = _venue(settings, wish.venue) if wish.venue else None
    start = venue.start_block if venue else settings.chain(chain_id).spec.start_block
    first, last = max(wish.first or 0, start), final if wish.last is None else wish.last
    names = (venue.id,) if venue else (*(spec.id for spec in settings.venues_of(chain_id)), FEEDS)
    level = COMPLETENESS[wish.level]
    if first > last and (wish.first is not None or wish.last is not None):
        raise UsageError(
            f"of {chain_id} no final block from {first} to {last} is there to look at; it is followed from {start} to {final}"
        )
    return Question(chain_id=chain_id, first=first, last=last, venues=names, level=level) if first <= last else None


async def _proven(settings: Settings, store: Store, questions: Sequence[Question], say: Say) -> dict[str, Any]:
    return {"chains": [await _chain(settings, store, question, say) for question in questions]}


async def _chain(settings: Settings, store: Store, question: Question, say: Say) -> dict[str, Any]:
    covered: list[Covered] = []
    findings: list[Finding] = []
    async with aclosing(connect(settings, question.chain_id)) as chain:
        async for piece in _pieces(chain, store, question):
            step = Attest(chain_id=question.chain_id, covered=piece.covered, findings=piece.findings)
            await asyncio.to_thread(store.apply, step)
            covered = merged([*covered, *piece.covered])
            findings += piece.findings
            say(question, piece)
    spec = settings.chain(question.chain_id).spec
    short = merged(span for span in covered if rank(span.level) < rank(question.level))
    return {
        "chain": question.chain_id,
        "from": question.first,
        "to": question.last,
        "level": question.level.value,
        "spans": [{"interest": span.interest, **span_document(span)} for span in covered],
        "unproven_blocks": max((blocks_of(short, span.interest) for span in short), default=0),
        "findings": [finding_document(spec.id, finding) for finding in sorted(findings, key=lambda f: f.block)],
        "mend": mending(spec.id, findings),
    }


async def _pieces(chain: Chain, store: Store, question: Question) -> AsyncIterator[Examined]:
    """Look at a span from its end down; a piece at which nodes fail is tried again, and what is above it is not looked at twice."""
    chain_id, last, failures = question.chain_id, question.last, 0
    while last >= question.first:
        looked = chain.examine(
            question.first,
            last,
            store.state(chain_id),
            store.records(chain_id),
            level=question.level.value,
            venues=question.venues,
        )
        try:
            async for piece in looked:
                last, failures = piece.first - 1, 0
                yield piece
        except (NodeBusy, NodeWrong):
            failures += 1
            if failures >= TRIES:
                raise
            await asyncio.sleep(PAUSE_S * failures)


def mending(chain_id: str, findings: Collection[Finding]) -> str | None:
    """Return the command that reads again what is wrong, `None` where nothing is."""
    if not findings:
        return None
    names = {finding.interest.removeprefix("venue:") for finding in findings}
    venue = f" --venue {names.pop()}" if len(names) == 1 and FEEDS not in names else ""
    removal = " --accept-removal" if any(finding.kind == "extra" for finding in findings) else ""
    return f"crossmargin restate --chain {chain_id}{venue} --from {min(f.block for f in findings)}{removal}"


def blocks_of(spans: Iterable[Covered], interest: str) -> int:
    """Return how many blocks spans of an interest hold."""
    return sum(span.last - span.first + 1 for span in spans if span.interest == interest)


def _teller(context: Context) -> Say:
    """Tell of progress on stderr every few seconds, and of what is found wrong at once."""
    console, told = context.stderr(), [float("-inf")]

    def say(question: Question, piece: Examined) -> None:
        for finding in piece.findings:
            console.print(words(said(finding_document(question.chain_id, finding)), "red"), soft_wrap=True)
        done = question.last - piece.first + 1
        if piece.first > question.first and monotonic() - told[0] < LINE_EVERY_S:
            return
        told[0] = monotonic()
        share = done / (question.last - question.first + 1)
        console.print(f"{question.chain_id}: {share:.0%}, down to block {piece.first:,}", soft_wrap=True)

    return (lambda _question, _piece: None) if context.quiet else say


def _show(console: Console, document: Document) -> None:
    columns = ("chain", "of", "from", "to", "level", "evidence")
    rows = [
        (
            chain["chain"],
            span["interest"],
            f"{span['first']:,}",
            f"{span['last']:,}",
            words(span["level"], "green" if span["level"] == chain["level"] else "yellow"),
            span["evidence"],
        )
        for chain in document["chains"]
        for span in chain["spans"]
    ]
    console.print(add_rows(table(*columns, right=("from", "to")), rows))
    for chain in document["chains"]:
        for finding in chain["findings"]:
            console.print(words(said(finding), "bold red"), soft_wrap=True)
        if chain["mend"]:
            console.print(words(f"mend it with: {chain['mend']}"), soft_wrap=True)
