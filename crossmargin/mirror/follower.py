"""The aggregator's side: a chain is followed by asking the indexer that has it, until its rows are held here, row for row."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

from chains.errors import ChainError, NodeBusy, NodeWrong
from chains.model import Finality, Reason
from chains.ports import Head
from chains.redaction import label
from chains.rpc.transport import Transport
from crossmargin.mirror.asking import asked, transport_to, understood
from crossmargin.mirror.wire import SightSaid, block_of
from crossmargin.settings import ChainSettings
from crossmargin.watch import Clock, Heard, Watch
from indexer.loop import Listener, Progress
from indexer.mirror import Given, Held, MirrorWrong, Outcome, Piece, held_of, take
from indexer.store import Store
from indexer.store.raw import family

T = TypeVar("T")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0


@dataclass(slots=True)
class _Memory:
    """What was given last, whether what is held has to be compared, and how often in a row nothing came of asking."""

    given: Given | None = None
    compared: bool = False
    failures: int = 0


class Mirror:
    """Follows one chain: `listener` is told as of a chain that is followed here, and `watch` hears what the indexer sees."""

    def __init__(self, chain: ChainSettings, store: Store, watch: Watch, listener: Listener, clock: Clock) -> None:
        if chain.indexer is None:
            raise ValueError(f"{chain.spec.id} is not mirrored")
        self._chain_id = chain.spec.id
        self._indexer = chain.indexer
        self._label = label(chain.indexer.url)
        self._store, self._watch, self._listener, self._clock = store, watch, listener, clock

    async def follow(self, stop: asyncio.Event) -> None:
        """Hold what the indexer holds until `stop` is set; raises `StoreError` where the own store refuses."""
        memory = _Memory()
        transport = transport_to(self._indexer)
        try:
            while not stop.is_set():
                try:
                    await self._step(transport, memory, stop)
                except (NodeBusy, NodeWrong) as error:
                    memory.failures += 1
                    if isinstance(error, NodeWrong):
                        memory.given, memory.compared = None, False
                    await until(stop, asyncio.sleep(self._failed(error, memory.failures)))
        finally:
            await transport.aclose()

    def _failed(self, error: ChainError, failures: int) -> float:
        pause = min(FIRST_PAUSE_S * 2.0 ** (failures - 1), LONGEST_PAUSE_S)
        self._watch.failed(self._chain_id, error, pause)
        self._listener.failed(self._chain_id, error, pause)
        return pause

    async def _step(self, transport: Transport, memory: _Memory, stop: asyncio.Event) -> None:
        """Ask once and take what is given, unless `stop` is set before it came."""
        chain_id, sent_at, began = self._chain_id, self._clock(), monotonic()
        held = await asyncio.to_thread(held_of, self._store, chain_id, memory.given, compared=memory.compared)
        body = await until(stop, asked(transport, self._indexer, chain_id, held))
        if body is None:
            return
        try:
            said, piece = await asyncio.to_thread(understood, chain_id, body, self._label)
            fetched = monotonic()
            await asyncio.to_thread(take, self._store, chain_id, held, piece)
        except MirrorWrong as error:
            raise NodeWrong(f"{self._label}: {error}") from error
        memory.compared = piece.outcome is Outcome.COMPARE
        memory.given = None if memory.compared else piece.given
        memory.failures = memory.failures if memory.compared else 0
        self._hear(said.sight, min(sent_at + said.waited_s, self._clock()))
        if piece.outcome is Outcome.ROWS:
            waited = min(said.waited_s, fetched - began)
            seconds = {"fetch": fetched - began - waited, "store": monotonic() - fetched}
            self._tell(held, piece, said.sight, seconds)

    def _hear(self, sight: SightSaid, told_at: float) -> None:
        """Note what the indexer sees; `told_at`: not later than the moment in which it said so."""
        head = _head(sight)
        self._watch.heard(
            self._chain_id,
            Heard(
                head=head,
                polled_at=None if sight.age_s is None else told_at - sight.age_s,
                fault=sight.fault,
                stopped=sight.stopped,
                broken=sight.broken,
                doubt=None if sight.doubt is None else Reason(sight.doubt[0], self._chain_id, sight.doubt[2]),
                by=self._label,
            ),
        )
        if head is not None:
            self._listener.polled(self._chain_id, head)

    def _tell(self, held: Held, piece: Piece, sight: SightSaid, seconds: dict[str, float]) -> None:
        chain_id, before = self._chain_id, held.block.number if held.block else -1
        if before > piece.above >= held.finalized:
            self._watch.rewound(chain_id, before - piece.above, piece.above)
            self._listener.rewound(chain_id, before - piece.above, piece.above)
        reached = piece.cursor.block.number if piece.cursor else -1
        blocks = family(chain_id).blocks.name
        if reached == before and not set(piece.tables) - {blocks}:
            return
        self._listener.appended(
            Progress(
                chain_id=chain_id,
                first=min(piece.above, reached) + 1,
                indexed=reached,
                target=max(reached, sight.head.latest.number if sight.head else -1),
                records=0,
                rows=sum(
                    table.rows.num_rows for name, table in piece.tables.items() if table.by_block and name != blocks
                ),
                seconds=seconds,
            )
        )


def _head(sight: SightSaid) -> Head | None:
    if sight.head is None:
        return None
    try:
        finality = Finality(sight.head.finality)
    except ValueError as error:
        raise NodeWrong("an indexer names a finality that is not known here") from error
    return Head(latest=block_of(sight.head.latest), settled=sight.head.settled, finality=finality)


async def until(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what work gives, `None` where `stop` is set before that; then it is given up."""
    doing, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({doing, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return doing.result() if doing.done() else None
    finally:
        for task in (doing, stopped):
            task.cancel()
        await asyncio.gather(doing, stopped, return_exceptions=True)
