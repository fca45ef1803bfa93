"""The indexer's side: what an aggregator lacks of a chain, as soon as there is something, and what is seen of the chain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from time import monotonic

from chains.identifiers import IdentifierError, parse_chain
from crossmargin.errors import AskElsewhere, NoSuchThing
from crossmargin.mirror.beacon import Beacon
from crossmargin.mirror.versions import made_by
from crossmargin.mirror.wire import HeadSaid, HeldSaid, SightSaid, block_said, held_of, written
from crossmargin.watch import Clock, Watch
from indexer.mirror import Outcome, Piece, give
from indexer.store import Store

WAIT_S = 10.0
"""For how long an answer is held back while there is nothing new."""

Work = Callable[[Callable[[], bytes | None]], Awaitable[bytes | None]]
"""Does something in a thread."""


class Source:
    """Gives rows of the chains that this service follows; `beacon` is told of all that its followers do."""

    def __init__(self, store: Store, watch: Watch, beacon: Beacon, clock: Clock) -> None:
        self._store, self._watch, self._beacon, self._clock = store, watch, beacon, clock

    async def answer(self, chain_id: str, said: HeldSaid, work: Work) -> bytes:
        """Return what makes an asker hold what the store does, at once or when there is something; raises `DeskError`, `StoreError`."""
        if chain_id not in self._watch.chains:
            raise NoSuchThing(f"{_shown(chain_id)} is not followed here")
        began = monotonic()
        news = self._beacon.next(chain_id)
        found = await work(partial(self._found, chain_id, said, began, wanted=False))
        if found is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(WAIT_S):
                    await news.wait()
            found = await work(partial(self._found, chain_id, said, began, wanted=True))
        assert found is not None  # noqa: S101 - it is wanted now
        return found

    def close(self) -> None:
        """Hold no answer back any more."""
        self._beacon.close()

    def _found(self, chain_id: str, said: HeldSaid, began: float, *, wanted: bool) -> bytes | None:
        """An answer, `None` where it says nothing new and none is wanted then."""
        piece = give(self._store, chain_id, held_of(said))
        if piece.outcome is Outcome.SAME and not wanted:
            return None
        return self._written(chain_id, piece, monotonic() - began)

    def _written(self, chain_id: str, piece: Piece, waited_s: float) -> bytes:
        return written(chain_id, piece, self._sight(chain_id), waited_s=waited_s, made_by=made_by(chain_id))

    def _sight(self, chain_id: str) -> SightSaid:
        cursor = self._store.cursor(chain_id)
        sight = self._watch.sight(chain_id)
        doubt = self._watch.doubt(chain_id, None if cursor is None else cursor.block)
        head = sight.head
        return SightSaid(
            head=None
            if head is None
            else HeadSaid(latest=block_said(head.latest), settled=head.settled, finality=head.finality.value),
            age_s=None if sight.polled_at is None else max(0.0, self._clock() - sight.polled_at),
            fault=sight.fault,
            stopped=sight.stopped,
            broken=sight.broken,
            doubt=None if doubt is None else (doubt.code, doubt.subject, doubt.detail),
        )


def _shown(chain_id: str) -> str:
    try:
        parse_chain(chain_id)
    except IdentifierError:
        return "this chain"
    return chain_id


def refuse_source() -> AskElsewhere:
    """What is said where nobody follows."""
    return AskElsewhere("this service follows no chain; ask one that runs `crossmargin run`")
