"""The `Chain` whose work another process does: calls go there, questions of its folds come back."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from signal import Signals
from threading import Thread
from types import NoneType
from typing import Any, TypeVar

import msgspec

from chains.errors import NodeBusy
from chains.model import Block, ChainSpec, FeedSpec, Skipped, VenueSpec
from chains.ports import Batch, Examined, Exchange, Head, Observer, Records, StateReader
from chains.rpc.observer import Unobserved
from indexer.remote.frames import Buffer, Ended, Frame, receive, send
from indexer.remote.messages import (
    Answer,
    Ask,
    Begin,
    Call,
    Cancel,
    Done,
    Failed,
    Height,
    Met,
    Part,
    Passed,
    ToReading,
    Turned,
    Unanswered,
    error_of,
    packed,
    to_storing,
    unpacked,
)
from indexer.remote.readers import answered
from indexer.unstored import Unstored

T = TypeVar("T")

LABEL = "its own process"
ENDING_S = 5.0
"""How long a process may take to end by itself."""


class ChildLost(NodeBusy):
    """The process that reads a chain ended; the next call starts another one, which goes on from what is stored."""


class ChildFault(Exception):
    """A fault of the program in the process that reads a chain; the message holds its trace."""


class RemoteChain:
    """A chain read by a process of its own, which is started at the first call and again after it was lost."""

    def __init__(
        self,
        spec: ChainSpec,
        venues: Sequence[VenueSpec],
        feeds: Sequence[FeedSpec],
        *,
        observer: Observer | None = None,
    ) -> None:
        self._begin = Begin(spec, list(venues), list(feeds))
        self._observer = observer or Unobserved()
        self._child: Child | None = None

    @property
    def spec(self) -> ChainSpec:
        """The configuration this chain was made from."""
        return self._begin.spec

    @property
    def pid(self) -> int | None:
        """The process that reads now, if one does."""
        return self._child.process.pid if self._child is not None and not self._child.lost else None

    async def head(self) -> Head:
        """Return the newest and the newest settled block; raises `ChainError`."""
        return await self._call(Head, "head")

    async def block(self, number: int) -> Block | Skipped | None:
        """Return one block, the proof that there is none, or `None`; raises `ChainError`."""
        found = await self._call(Height, "block", number)
        return found.block or found.skipped

    async def floor(self, number: int) -> int:
        """Return the number of the newest block at or below a height; raises `ChainError`."""
        return await self._call(int, "floor", number)

    async def advance(self, first: int, last: int, settled: int, state: StateReader) -> Batch:
        """Fetch and fold there upon `state`, which is asked here; raises `ChainError`, and what `state` raised."""
        child, upon = self._running(), None
        if isinstance(state, Unstored) and child.newest is not None and child.newest[1] is state.tip:
            upon, state = child.newest[0], state.stored
        return await child.call(Batch, "advance", [first, last, settled], Readers(state), upon=upon)

    async def attest(self, first: int, last: int, state: StateReader, records: Records) -> Examined:
        """Look for evidence there, against what is stored here; raises `ChainError`."""
        return await self._call(Examined, "attest", first, last, readers=Readers(state, records))

    async def examine(
        self, first: int, last: int, state: StateReader, records: Records, *, level: str, venues: Collection[str]
    ) -> AsyncIterator[Examined]:
        """Look at stored blocks again there, piece by piece; raises `ChainError`."""
        pieces: asyncio.Queue[Examined | None] = asyncio.Queue()
        readers = Readers(state, records, pieces)
        call = asyncio.create_task(self._call(NoneType, "examine", first, last, level, list(venues), readers=readers))
        call.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            await call
        finally:
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

    async def news(self, timeout_s: float) -> None:
        """Return when a node tells of something new, or after `timeout_s` seconds, or when there is no process that listens."""
        try:
            await self._call(NoneType, "news", timeout_s)
        except ChildLost:
            return

    async def aclose(self) -> None:
        """End the process."""
        if self._child is not None:
            await self._child.aclose()
            self._child = None

    async def _call(self, kind: type[T], name: str, *given: object, readers: Readers | None = None) -> T:
        return await self._running().call(kind, name, given, readers)

    def _running(self) -> Child:
        if self._child is None or self._child.lost:
            self._child = Child.started(self._begin, self._observer)
        return self._child


@dataclass(frozen=True, slots=True)
class Readers:
    """What a call may read of the store here, and where its pieces go when it has some."""

    state: StateReader
    records: Records | None = None
    pieces: asyncio.Queue[Any] | None = None


@dataclass(slots=True)
class Waiting:
    """A call under way: who waits for it, what it returns, what it may read here, and what that raised."""

    future: asyncio.Future[Any]
    kind: type[Any]
    readers: Readers | None
    raised: Exception | None = None


@dataclass(slots=True)
class Child:
    """One process, two channels to it, and a thread that listens to each."""

    chain_id: str
    process: subprocess.Popen[bytes]
    main: socket.socket
    state: socket.socket
    loop: asyncio.AbstractEventLoop
    observer: Observer
    waiting: dict[int, Waiting] = field(default_factory=dict)
    numbers: count[int] = field(default_factory=count)
    threads: list[Thread] = field(default_factory=list)
    newest: tuple[int, Block] | None = None
    lost: bool = False
    closing: bool = False

    @classmethod
    def started(cls, begin: Begin, observer: Observer) -> Child:
        """Start a process and tell it its chain."""
        main, theirs = socket.socketpair()
        state, also_theirs = socket.socketpair()
        inherited = (theirs.fileno(), also_theirs.fileno())
        command = [sys.executable, "-P", "-m", "indexer.remote", *map(str, inherited)]
        with theirs, also_theirs:
            process = subprocess.Popen(  # noqa: S603 - this program itself
                command,
                pass_fds=inherited,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        child = cls(begin.spec.id, process, main, state, asyncio.get_running_loop(), observer)
        child.attend()
        child.say(begin)
        return child

    def attend(self) -> None:
        """Listen to both channels, each in a thread."""
        for work in (self.listen, self.answer):
            thread = Thread(target=work, name=f"{work.__name__} {self.chain_id}", daemon=True)
            self.threads.append(thread)
            thread.start()

    def say(self, message: ToReading) -> None:
        """Send a small message; to a process that has gone, nothing."""
        with suppress(Ended):
            send(self.main, msgspec.msgpack.encode(message))

    async def call(
        self, kind: type[T], name: str, given: Sequence[object], readers: Readers | None, *, upon: int | None = None
    ) -> T:
        """Make one call and wait for it; raises what it raised there, or `ChildLost`."""
        number = next(self.numbers)
        waiting = self.waiting[number] = Waiting(self.loop.create_future(), kind, readers)
        self.say(Call(number, name, list(given), upon))
        try:
            returned: T = await waiting.future
        except asyncio.CancelledError:
            self.say(Cancel(number))
            raise
        finally:
            self.waiting.pop(number, None)
        if isinstance(returned, Batch):
            self.newest = number, returned.last
        return returned

    def listen(self) -> None:
        """Take what the process says, in a thread, until it has gone or says what is no message."""
        with self.main:
            try:
                while True:
                    self._heard(receive(self.main))
            except Ended:
                pass
            except Exception:  # noqa: BLE001 - a process that cannot be understood is of no use
                self.process.kill()
            self._later(self._gone, self._ended())

    def _heard(self, frame: Frame) -> None:
        match to_storing(frame[0]):
            case Done() as said:
                self._later(self._done, said.id, self._read(said, frame))
            case Part() as said:
                self._later(self._part, said.id, unpacked((bytes(said.value), []), Examined))
            case Failed() as said:
                self._later(self._failed, said)
            case Passed(exchanges):
                self._later(self._passed, exchanges)
            case Met(node, fault):
                self._later(self.observer.failed, node, error_of(fault))
            case Turned(node, state):
                self._later(self.observer.turned, node, state)

    def _read(self, said: Done, frame: Frame) -> object:
        waiting = self.waiting.get(said.id)
        return None if waiting is None else unpacked((bytes(said.value), frame[1]), waiting.kind)

    def _later(self, what: Callable[..., None], *about: object) -> None:
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(what, *about)

    def _done(self, number: int, value: object) -> None:
        waiting = self.waiting.get(number)
        if waiting is not None and not waiting.future.done():
            waiting.future.set_result(value)

    def _part(self, number: int, piece: Examined) -> None:
        waiting = self.waiting.get(number)
        if waiting is not None and waiting.readers is not None and waiting.readers.pieces is not None:
            waiting.readers.pieces.put_nowait(piece)

    def _failed(self, said: Failed) -> None:
        waiting = self.waiting.get(said.id)
        if waiting is None or waiting.future.done():
            return
        fault = said.fault
        error = waiting.raised or error_of(fault)
        waiting.future.set_exception(error or ChildFault(f"{fault.kind}: {fault.message}\n{fault.trace}"))

    def _passed(self, exchanges: Sequence[Exchange]) -> None:
        for exchange in exchanges:
            self.observer.exchanged(exchange)

    def _gone(self, code: int) -> None:
        self.lost = True
        how = f"was ended by {Signals(-code).name}" if code < 0 else f"ended with code {code}"
        error = ChildLost(f"chain {self.chain_id}: the process that reads it {how}; it is started again")
        if not self.closing:
            self.observer.failed(LABEL, error)
        for waiting in self.waiting.values():
            if not waiting.future.done():
                waiting.future.set_exception(error)
        self._shut()

    def answer(self) -> None:
        """Answer what folds there ask of the state here, in a thread, until the process has gone."""
        with self.state, suppress(Ended):
            while True:
                question = unpacked(receive(self.state), Ask)
                send(self.state, *self._answer_to(question))

    def _answer_to(self, question: Ask) -> tuple[bytes, list[Buffer]]:
        waiting = self.waiting.get(question.call)
        if waiting is None or waiting.readers is None:
            return packed(Unanswered())
        try:
            message, buffers = packed(answered(question, waiting.readers.state, waiting.readers.records))
        except Exception as error:  # noqa: BLE001 - whoever waits for the call gets it
            waiting.raised = error
            return packed(Unanswered())
        return msgspec.msgpack.encode(Answer(msgspec.Raw(message))), buffers

    async def aclose(self) -> None:
        """Close the channels, so that the process ends, and wait for it."""
        self.closing = True
        self._shut()
        for thread in self.threads:
            await asyncio.to_thread(thread.join)

    def _shut(self) -> None:
        for channel in (self.main, self.state):
            with suppress(OSError):
                channel.shutdown(socket.SHUT_RDWR)

    def _ended(self) -> int:
        """Wait for the process, which has no channel any more, and return its code."""
        try:
            return self.process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
