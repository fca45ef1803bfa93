"""An indexer in a process of its own, to be killed and started again over the same store."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from chains.errors import ChainError
from chains.evm import chain
from chains.model import ChainSpec, FeedSpec, VenueSpec
from chains.ports import Exchange, Head
from chains.rpc import NodePool
from indexer import loop
from indexer.loop import Progress, follow, index
from indexer.store import Store

POLL_S = 0.05
PATIENCE_S = 60.0
TIMEOUT_S = 1.0
HASTE = 20
"""So much faster than usual does time pass for the pauses of an indexer: it knows no other time."""
LOADED = ["chains.evm.provider", "tests.simulation.follower"]
"""Loaded once, by the process from which every indexer is forked: a life begins within milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What an indexer does: one chain into a store, and its diary into a file."""

    chain: ChainSpec
    venues: Sequence[VenueSpec]
    feeds: Sequence[FeedSpec]
    store: Path
    diary: Path


class Follower:
    """The lives of an indexer, one after the other."""

    def __init__(self, work: Work) -> None:
        self.work = work
        work.diary.touch()
        self.lives = 0
        self._read = 0
        self._entries: list[dict[str, Any]] = []
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(LOADED)
        self._process: ForkServerProcess | None = None

    def start(self, *, ends: bool = False) -> None:
        """Begin a life: one that follows the chain until it is killed, or one that `ends` where the chain does."""
        self.lives += 1
        self._process = self._context.Process(target=live, args=(self.work, ends))
        self._process.start()

    def kill(self) -> None:
        """End a life at once; raises `AssertionError` for one that had ended by itself."""
        process = self._living()
        process.kill()
        process.join()
        assert process.exitcode == -9, f"the indexer ended by itself: {self.last_words()}"

    async def until(self, done: Awaitable[object]) -> None:
        """Wait for something while the indexer lives; raises `AssertionError` when it ends by itself or patience does."""
        waited, ended = asyncio.ensure_future(done), asyncio.ensure_future(self.ended())
        await asyncio.wait({waited, ended}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        reached = waited.done()
        waited.cancel()
        ended.cancel()
        assert reached, f"the indexer is stuck or ended by itself: {await self.asked_why()}"

    async def ended(self) -> int | None:
        """Wait for the end of a life; returns its exit code."""
        process, gone = self._living(), asyncio.Event()
        asyncio.get_running_loop().add_reader(process.sentinel, gone.set)
        try:
            await gone.wait()
        finally:
            asyncio.get_running_loop().remove_reader(process.sentinel)
        process.join()
        return process.exitcode

    async def finish(self) -> None:
        """Wait until a life ends well; raises `AssertionError` when it does not."""
        code = await asyncio.wait_for(self.ended(), PATIENCE_S)
        assert code == 0, f"the indexer did not end well: {self.last_words()}"

    def put_down(self) -> None:
        """End a life that may have ended."""
        if self._process is not None:
            self._process.kill()
            self._process.join()

    def diary(self) -> list[dict[str, Any]]:
        """Everything that the lives wrote down."""
        with self.work.diary.open("rb") as file:
            file.seek(self._read)
            fresh = file.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._read += len(whole)
        self._entries += [msgspec.json.decode(line) for line in whole.splitlines()]
        return self._entries

    def height(self) -> int:
        """How high the store reaches, by the last thing that was written down."""
        steps = (entry for entry in reversed(self.diary()) if entry["event"] in {"appended", "rewound"})
        return next((step["to"] for step in steps), -1)

    def last_words(self) -> list[dict[str, Any]]:
        return self.diary()[-8:]

    async def asked_why(self) -> list[dict[str, Any]]:
        """Have a life that does not go on write down what it waits for; returns its last words."""
        process = self._living()
        if process.is_alive() and process.pid is not None:
            os.kill(process.pid, signal.SIGUSR1)
            await asyncio.sleep(1)
        return self.last_words()

    def _living(self) -> ForkServerProcess:
        assert self._process is not None
        return self._process


@dataclass(slots=True)
class Diary:
    """A listener that writes each event into a file at once, where a kill cannot take it back."""

    path: Path
    file: int = field(init=False)
    head: Head | None = None

    def __post_init__(self) -> None:
        self.file = os.open(self.path, os.O_APPEND | os.O_CREAT | os.O_WRONLY)

    def note(self, event: str, **facts: object) -> None:
        os.write(
            self.file,
            msgspec.json.encode({"event": event, "life": os.getpid(), "at": round(time.monotonic(), 3), **facts})
            + b"\n",
        )

    def appended(self, progress: Progress) -> None:
        self.note("appended", first=progress.first, to=progress.indexed, rows=progress.rows)

    def rewound(self, chain_id: str, depth: int, to: int) -> None:
        self.note("rewound", depth=depth, to=to)

    def polled(self, chain_id: str, head: Head) -> None:
        if head != self.head:
            self.head = head
            self.note("polled", latest=head.latest.number, settled=head.settled)

    def failed(self, chain_id: str, error: ChainError, retry_in: float) -> None:
        self.note("failed", kind=type(error).__name__, text=str(error))


@dataclass(frozen=True, slots=True)
class Met:
    """Notes every trouble with a node, also one that a retry mended, and when a node is set aside or comes back."""

    diary: Diary

    def exchanged(self, exchange: Exchange) -> None:
        pass

    def failed(self, node: str, error: ChainError) -> None:
        self.diary.note("met", node=node, kind=type(error).__name__, text=str(error))

    def turned(self, node: str, state: str) -> None:
        self.diary.note("turned", node=node, state=state)


def hasty() -> float:
    """Return seconds of the indexer's time."""
    return time.monotonic() * HASTE


async def hurried(seconds: float) -> None:
    """Wait so many seconds of the indexer's time."""
    await asyncio.sleep(seconds / HASTE)


def live(work: Work, ends: bool) -> None:  # noqa: FBT001 - arguments of a process have no names
    """Index until the end of the chain, or follow it until the end of the process."""
    loop.PAUSE_S, loop.LONGEST_PAUSE_S = loop.PAUSE_S / HASTE, loop.LONGEST_PAUSE_S / HASTE
    chain.NodePool = partial(NodePool, timeout_s=TIMEOUT_S, clock=hasty, sleep=hurried)  # type: ignore[assignment, attr-defined]
    diary = Diary(work.diary)
    try:
        with Store.open(work.store) as store:
            asyncio.run(_take_in(work, store, diary, ends=ends))
    except BaseException as error:
        diary.note("ended", kind=type(error).__name__, text=str(error))
        raise


async def _take_in(work: Work, store: Store, diary: Diary, *, ends: bool) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _note_tasks, diary)
    made = chain.connect(work.chain, work.venues, work.feeds, observer=Met(diary))
    async with aclosing(made):
        if ends:
            await index(made, store, until="latest", listener=diary)
        else:
            await follow(made, store, listener=diary, stop=asyncio.Event(), poll_s=POLL_S)


def _note_tasks(diary: Diary) -> None:
    for task in asyncio.all_tasks():
        where = [f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}" for frame in _frames(task)]
        diary.note("waits", task=task.get_name(), where=where)


def _frames(task: asyncio.Task[Any]) -> Iterator[FrameType]:
    """The frames of a suspended task, from the outermost to what it awaits."""
    coroutine: Any = task.get_coro()
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "ag_frame", None)
        if frame is not None:
            yield frame
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "ag_await", None)


def counted(diary: Sequence[dict[str, Any]]) -> Counter[str]:
    """How often each event, and each kind of error, was written down."""
    return Counter(entry["event"] for entry in diary) + Counter(e["kind"] for e in diary if e["event"] == "met")
