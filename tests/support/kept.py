"""Stores that many tests ask of: each is made once in a run of pytest, whichever of its processes needs it first, and then copied."""

from __future__ import annotations

import asyncio
import fcntl
import shutil
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from chains.model import ChainSpec, VenueSpec
from chains.registry import connect
from crossmargin.demo.recording import Recording
from crossmargin.demo.replay import ReplayNode
from indexer.loop import Until
from indexer.store import Store
from tests.support.indexing import Heard, Narrow, take_in


class Run(Protocol):
    """A recorded run of an EVM protocol."""

    @property
    def name(self) -> str: ...
    def spec(self, url: str) -> ChainSpec: ...
    def venue(self) -> VenueSpec: ...
    def recording(self) -> Recording: ...


class Kept:
    """Files and folders by name, in a folder that all processes of a run of pytest share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def copied(self, name: str, make: Callable[[Path], object], to: Path) -> Path:
        """Copy a file or a folder to `to`; `make` makes it where it is not there yet, and no other process does so meanwhile."""
        kept, unfinished = self._folder / name, self._folder / f"{name}.unfinished"
        with (self._folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                if unfinished.is_dir():
                    shutil.rmtree(unfinished)
                unfinished.unlink(missing_ok=True)
                make(unfinished)
                unfinished.rename(kept)
        (shutil.copytree if kept.is_dir() else shutil.copy)(kept, to)
        return to

    def taken_in(self, run: Run, to: Path, stops: Sequence[Until] = ("latest",)) -> Path:
        """Copy the store of a recorded run to `to`: taken in by one span up to each of some blocks."""

        def make(path: Path) -> None:
            with Store.open(path) as store:
                asyncio.run(replayed(run, store, stops=stops))

        return self.copied(f"{run.name}-{sha256(repr(stops).encode()).hexdigest()[:12]}.duckdb", make, to)


async def replayed(run: Run, store: Store, *, stops: Sequence[Until] = ("latest",), span: int = 10_000) -> list[Heard]:
    """Take a recorded run into a store up to each of some blocks, in spans of at most `span` blocks."""
    async with ReplayNode(run.recording()) as node:
        return [
            await take_in(Narrow(connect(run.spec(node.url), [run.venue()], []), span), store, until=until)
            for until in stops
        ]
