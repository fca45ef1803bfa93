"""An indexer in a process of its own, to be killed: `python -m tests.support.indexer_process JSON`, see `Work`."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from chains.model import ChainSpec, VenueSpec
from chains.registry import connect
from indexer.store import Store
from tests.support.indexing import Narrow, take_in


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


def arguments(chain: ChainSpec, venue: VenueSpec, store: Path, span: int) -> list[str]:
    """The command that does some work."""
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
    return [sys.executable, "-m", "tests.support.indexer_process", msgspec.json.encode(work).decode()]


def main(text: str) -> None:
    work = msgspec.json.decode(text, type=Work)
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
        sys.stdout.write("started\n")
        sys.stdout.flush()
        asyncio.run(take_in(chain, store))


if __name__ == "__main__":
    main(sys.argv[1])
