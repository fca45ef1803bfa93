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


def arguments(work: Work) -> list[str]:
    """The command that does some work."""
    return [sys.executable, "-m", "tests.support.restating_process", msgspec.json.encode(work).decode()]


def main(text: str) -> None:
    work = msgspec.json.decode(text, type=Work)
    with Store.open(Path(work.store)) as store:
        taking = restater(store, work.spec, work.venues, work.feeds, span=work.span, heard=Telling())
        asyncio.run(taking.index("latest"))


if __name__ == "__main__":
    main(sys.argv[1])
