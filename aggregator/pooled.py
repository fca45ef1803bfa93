"""Work by parts, in as many processes as this machine has cores; a part whose process dies is tried again by another one."""

from __future__ import annotations

import gc
import os
import pickle
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Self, TypeVar

from aggregator.preferring import words_of
from indexer.store.errors import StoreError

P = TypeVar("P")
T = TypeVar("T")

FEW = 4
"""Parts that are better done without processes: to start one takes as long."""

TRIES = 3
"""Processes that die of one part before nobody tries it any more."""

ADVICE = "nothing was written; look whether there is memory for it, and try again"

NICE = 5
"""By how much a process gives way."""

SELDOM = 100_000, 20, 50
"""When a process looks for cycles: a part is many objects, hardly any of them in one, and looking takes a fifth of the time."""

SPAWNED = get_context("spawn")


def each_in_processes(
    work: Callable[[P], T], parts: Sequence[P], named: Callable[[P], str], *, parts_each: int = 1
) -> Iterator[T]:
    """Yield what `work`, of a module, makes of each part, in the order in which they are done; what it raises is raised here.

    `named`: what to call a part. `parts_each`: for how many of them at least there is a process, which takes memory.
    Raises `PartFailed` where `TRIES` processes died of one.
    """
    waiting, died = deque(range(len(parts))), [0] * len(parts)
    with ExitStack() as stack:
        crew = [stack.enter_context(_Worker(work)) for _ in range(_crew(len(parts), parts_each))]
        doing: dict[_Worker, int] = {}
        while waiting or doing:
            for idle in [worker for worker in crew if worker not in doing][: len(waiting)]:
                doing[idle] = place = waiting.popleft()
                idle.give(parts[place])
            heard = wait([worker.connection for worker in doing])
            for worker in [each for each in doing if each.connection in heard]:
                place = doing.pop(worker)
                try:
                    yield worker.answer()
                except _Died as error:
                    died[place] += 1
                    if died[place] == TRIES:
                        raise PartFailed(f"{named(parts[place])}: {error}, {TRIES} times; {ADVICE}") from None
                    waiting.appendleft(place)
                    worker.start()


def _crew(parts: int, parts_each: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(min(cores, parts // parts_each), 1)


class PartFailed(StoreError):
    """Every process that was to do a part died of it, or parts could not be handed to any."""


class _Died(Exception):
    """A process ended before its part was done."""


class _Worker:
    """A process that does one part after the other; `connection` is ready when it has done one, or died."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()
        self.connection.close()

    def start(self) -> None:
        """Begin with a new process."""
        self.connection, theirs = SPAWNED.Pipe()
        self._process: SpawnProcess = SPAWNED.Process(target=_do, args=(self._work, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def give(self, part: object) -> None:
        """Let it do a part."""
        try:
            self.connection.send(part)
        except BrokenPipeError:
            return  # it is dead, which its answer tells

    def answer(self) -> Any:  # noqa: ANN401 - whatever the work makes
        """Return what came of the part, or raise what the work raised; raises `_Died`."""
        try:
            done, found = self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            self.connection.close()
            raise _Died(_how(self._process.exitcode)) from None
        if not done:
            raise found
        return found


def _how(status: int | None) -> str:
    ended = f"by signal {-status}" if status is not None and status < 0 else f"with status {status}"
    return f"the process that did it ended {ended}"


def _do(work: Callable[[Any], Any], connection: Connection[Any, Any]) -> None:
    """What a process does until nobody gives it anything any more; whoever answers meanwhile goes first.

    An interruption from the keyboard is for who gave it: he ends it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICE)
    gc.freeze()
    gc.set_threshold(*SELDOM)
    while True:
        try:
            part = connection.recv()
        except EOFError:
            return
        try:
            said = pickle.dumps((True, work(part)), pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # noqa: BLE001 - raised where it was asked for
            said = _sent(error)
        try:
            connection.send_bytes(said)
        except OSError:
            return


def _sent(error: Exception) -> bytes:
    """Write down that the work raised an error: itself, where it can be read again, and else what it says."""
    try:
        said = pickle.dumps((False, error))
        pickle.loads(said)  # noqa: S301 - just written
    except Exception:  # noqa: BLE001 - whatever an error's own making raises
        return pickle.dumps((False, RuntimeError(words_of(error))))
    return said
