"""What takes a chain in and fills in what is lacking, in a process of its own, to be killed: `… JSON`, see `Work`."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from pathlib import Path

import msgspec

from chains.model import ChainSpec, FeedSpec, VenueSpec
from indexer.store import Store
from tests.support.restating import restater


class Work(msgspec.Struct, kw_only=True):
    """One chain with venues and feeds, taken into a store in batches of at most so many blocks."""

    spec: ChainSpec
    venues: list[VenueSpec]
    feeds: list[FeedSpec]
    store: str
    span: int


def arguments(work: Work) -> list[str]:
    """The command that does some work."""
    return [sys.executable, "-m", "tests.support.restating_process", msgspec.json.encode(work).decode()]


def main(text: str) -> None:
    work = msgspec.json.decode(text, type=Work)
    import_module("chains.evm.provider")  # loaded on first use otherwise, which takes longer than this process may live
    with Store.open(Path(work.store)) as store:
        taking = restater(store, work.spec, work.venues, work.feeds, span=work.span)
        sys.stdout.write("started\n")
        sys.stdout.flush()
        asyncio.run(taking.index("latest"))


if __name__ == "__main__":
    main(sys.argv[1])
