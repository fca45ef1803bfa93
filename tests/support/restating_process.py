"""What takes a chain in and fills in what is lacking, in a process of its own, to be killed: `… JSON`, see `Work`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from chains.model import ChainSpec, FeedSpec, VenueSpec
from indexer.loop import Progress
from indexer.store import Store
from tests.support.restating import HeardBeside, restater

PROGRAM = "tests.support.restating_process"


class Work(msgspec.Struct, kw_only=True):
    """One chain with venues and feeds, taken into a store in batches of at most so many blocks."""

    spec: ChainSpec
    venues: list[VenueSpec]
    feeds: list[FeedSpec]
    store: str
    span: int


class Telling(HeardBeside):
    """Writes a line for each batch that was read beside the store."""

    def appended(self, progress: Progress) -> None:
        sys.stdout.write(f"{progress.indexed}\n")
        sys.stdout.flush()


def argument(work: Work) -> str:
    """What the process is given to do some work."""
    return msgspec.json.encode(work).decode()


def main() -> None:
    work = msgspec.json.decode(sys.argv[1], type=Work)
    with Store.open(Path(work.store)) as store:
        taking = restater(store, work.spec, work.venues, work.feeds, span=work.span, heard=Telling())
        asyncio.run(taking.index("latest"))


if __name__ == "__main__":
    main()
