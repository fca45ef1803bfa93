"""The adapter of Pyth's signed prices: every look is a block, and a block is the second of the look.

See the decision `0021-signed-prices-are-a-chain-of-their-own`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from time import time

import pyarrow as pa

from chains.errors import Unsupported
from chains.model import FEEDS, Block, ChainSpec, FeedSpec, Finality, Skipped, VenueSpec
from chains.ports import Batch, Covered, Examined, Head, Observer, RawReader, Records, StateReader
from chains.pyth.clock import block_of
from chains.pyth.endpoints import Endpoints
from chains.pyth.fold import Hermes, Look
from chains.pyth.source import OBSERVATION, LiveSource, Source, StoredSource
from chains.rpc.observer import Unobserved

KIND = "pyth-hermes"
SIGNED = "signed prices as an endpoint gave them whenever it was asked; what they were in between is not known"

BLOCK_SCHEMA = pa.schema(
    [("number", pa.int64()), ("hash", pa.binary()), ("parent_hash", pa.binary()), ("time", pa.int64())]
)
OBSERVATION_SCHEMA = pa.schema(
    [("fetched_at", pa.int64()), ("part", pa.int32()), ("source", pa.string()), ("body", pa.binary())]
)


def connect(
    spec: ChainSpec,
    venues: Sequence[VenueSpec],
    feeds: Sequence[FeedSpec],
    *,
    stored: RawReader | None = None,
    cursor: Block | None = None,
    observer: Observer | None = None,
    clock: Callable[[], float] = time,
) -> PythChain:
    """Make the adapter over its endpoints, or over what was `stored` of them up to `cursor`; `clock`: Unix seconds."""
    if venues:
        raise Unsupported(f"venue {venues[0].id}: {spec.id} tells prices, and has no venues")
    hermes = Hermes([feed for feed in feeds if feed.chain_id == spec.id and feed.kind == KIND], spec.guardian_sets)
    if stored is not None and cursor is not None:
        return PythChain(spec, StoredSource(stored, cursor.number), hermes, live=False)
    watching = observer or Unobserved()
    source = LiveSource(hermes, Endpoints(spec.rpc, observer=watching), observer=watching, clock=clock)
    return PythChain(spec, source, hermes, live=True)


class PythChain:
    """The seconds in which Hermes was asked, and what it said."""

    def __init__(self, spec: ChainSpec, source: Source, hermes: Hermes, *, live: bool) -> None:
        self._spec = spec
        self._source = source
        self._hermes = hermes
        self._live = live
        self._looked_to: int | None = None

    @property
    def spec(self) -> ChainSpec:
        """The configuration this chain was made from."""
        return self._spec

    async def head(self) -> Head:
        """Look, and return the second; what was said cannot change any more."""
        second = await self._source.look()
        return Head(latest=block_of(self._spec.id, second), settled=second, finality=Finality.FINALIZED)

    async def block(self, number: int) -> Block | Skipped | None:
        """Return the block of a second; nobody has to be asked."""
        return block_of(self._spec.id, number)

    async def floor(self, number: int) -> int:
        """Return the second itself: each has a block."""
        return number

    async def advance(self, first: int, last: int, settled: int, state: StateReader) -> Batch:
        """Fold the looks of a span; what brings no news is not kept."""
        del settled
        looks = self._source.looks(first, last)
        rows = self._hermes.fold(state, looks)
        kept = looks if len(rows) or not self._live else ()
        covered = self._covered(looks, first)
        self._looked_to = last if looks else None
        return Batch(
            chain_id=self._spec.id,
            first=first,
            last=block_of(self._spec.id, last),
            raw={"pyth_block": _block_rows(self._spec.id, kept, last), OBSERVATION: _observation_rows(kept)},
            rows=rows,
            covered=covered,
            parent_hash=block_of(self._spec.id, first).parent_hash,
        )

    def _covered(self, looks: Sequence[Look], first: int) -> tuple[Covered, ...]:
        """Say from which look to which feeds were followed: from one look of this process to the next without a gap."""
        if not looks:
            return ()
        begun = first if self._looked_to == first - 1 else looks[0].second
        return (Covered(interest=FEEDS, first=begun, last=looks[-1].second, level="observed", evidence=SIGNED),)

    async def attest(self, first: int, last: int, state: StateReader, records: Records) -> Examined:
        """Add nothing: every update is checked before it is stored."""
        del state, records
        return Examined(first=first, last=last)

    def examine(
        self, first: int, last: int, state: StateReader, records: Records, *, level: str, venues: Collection[str]
    ) -> AsyncIterator[Examined]:
        """Refuse: what was said is evidence itself."""
        del first, last, state, records, level, venues
        raise Unsupported(
            f"chain {self._spec.id}: every update is checked before it is stored; there is nothing to examine"
        )

    async def news(self, timeout_s: float) -> None:
        """Wait: prices are asked for at intervals."""
        await asyncio.sleep(timeout_s)

    async def aclose(self) -> None:
        """Close connections."""
        await self._source.aclose()


def _block_rows(chain_id: str, looks: Iterable[Look], last: int) -> pa.Table:
    blocks = [block_of(chain_id, second) for second in sorted({look.second for look in looks} | {last})]
    rows = [
        {"number": block.number, "hash": block.hash, "parent_hash": block.parent_hash, "time": block.time}
        for block in blocks
    ]
    return pa.Table.from_pylist(rows, schema=BLOCK_SCHEMA)


def _observation_rows(looks: Iterable[Look]) -> pa.Table:
    """One row an update; an answer without any is a row with an empty body, so that it is known to have been given."""
    rows = [
        {"fetched_at": look.second, "part": part, "source": look.source, "body": body}
        for look in looks
        for part, body in enumerate(look.bodies or (b"",))
    ]
    return pa.Table.from_pylist(rows, schema=OBSERVATION_SCHEMA)
