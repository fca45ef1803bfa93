"""An indexer in a process of its own, to be killed: `started([JSON], program=PROGRAM, …)`, see `Work`."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from chains.model import ChainSpec, VenueSpec
from chains.registry import connect
from indexer.loop import Progress
from indexer.store import Store
from tests.support.indexing import Heard, Narrow, take_in

PROGRAM = "tests.support.indexer_process"


class Work(msgspec.Struct, kw_only=True):
    """One chain with one venue, taken into a store in spans of at most so many blocks."""

    chain_id: str
    url: str
    start_block: int
    protocol: str
    venue: str
    address: bytes
    venue_start: int
    options: dict[str, Any]
    store: str
    span: int


class Telling(Heard):
    """Writes a line for each step that was stored."""

    def appended(self, progress: Progress) -> None:
        tell(f"{progress.indexed}")


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def argument(chain: ChainSpec, venue: VenueSpec, store: Path, span: int) -> str:
    """What the process is given to do some work."""
    work = Work(
        chain_id=chain.id,
        url=chain.rpc[0],
        start_block=chain.start_block,
        protocol=venue.protocol,
        venue=venue.id,
        address=venue.address,
        venue_start=venue.start_block,
        options=dict(venue.options),
        store=str(store),
        span=span,
    )
    return msgspec.json.encode(work).decode()


def main() -> None:
    work = msgspec.json.decode(sys.argv[1], type=Work)
    spec = ChainSpec(
        id=work.chain_id, name="devnet", rpc=(work.url,), finality="finalized", start_block=work.start_block
    )
    venue = VenueSpec(
        id=work.venue,
        protocol=work.protocol,
        chain_id=work.chain_id,
        address=work.address,
        start_block=work.venue_start,
        options=work.options,
    )
    chain = Narrow(connect(spec, [venue], []), work.span)
    if work.chain_id.startswith("eip155:"):
        import_module(
            "chains.evm.provider"
        )  # loaded on first use otherwise, which takes longer than this process may live
    with Store.open(Path(work.store)) as store:
        tell("started")
        asyncio.run(take_in(chain, store, heard=Telling()))


if __name__ == "__main__":
    main()
