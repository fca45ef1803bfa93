"""The process that reads one chain: it answers calls, and asks for the state that its folds need."""

from __future__ import annotations

import asyncio
import signal
import socket
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Thread

import msgspec

from chains.errors import ChainError
from chains.model import Block
from chains.ports import Batch, Chain, Exchange, StateReader
from chains.registry import connect
from indexer.housekeeping import keep_house
from indexer.remote.frames import Buffer, Ended, Frame, receive, send
from indexer.remote.messages import (
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
    ToStoring,
    Turned,
    columnar,
    fault_of,
    packed,
    to_reading,
)
from indexer.remote.readers import Channel, RemoteRecords, RemoteState
from indexer.unstored import Memory, Unstored

TELL_EVERY_S = 0.25

READ_BACK = ("solana_account",)
"""Raw tables that a state consists of."""


class Telling:
    """The observer of this process: it tells the other one, of many exchanges at a time."""

    def __init__(self, tell: Callable[[ToStoring], None]) -> None:
        self._tell = tell
        self._exchanges: list[Exchange] = []

    def exchanged(self, exchange: Exchange) -> None:
        if not self._exchanges:
            asyncio.get_running_loop().call_later(TELL_EVERY_S, self.flush)
        self._exchanges.append(exchange)

    def failed(self, node: str, error: ChainError) -> None:
        self._tell(Met(node, fault_of(error)))

    def turned(self, node: str, state: str) -> None:
        self._tell(Turned(node, state))

    def flush(self) -> None:
        """Tell what is not told yet."""
        exchanges, self._exchanges = self._exchanges, []
        if exchanges:
            self._tell(Passed(exchanges))


@dataclass(slots=True)
class Reading:
    """The chain of this process and the calls that are under way; a chain that cannot be made fails every call.

    `newest`: the call that made the newest batch, what the store will hold of it, and what was known before it.
    """

    main: socket.socket
    state: Channel
    chain: Chain | Exception | None = None
    newest: tuple[int, Batch, Memory] | None = None
    tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict)

    async def serve(self) -> None:
        """Answer until the other end is closed."""
        incoming: asyncio.Queue[Frame | None] = asyncio.Queue()
        _listen(self.main, incoming)
        try:
            while (frame := await incoming.get()) is not None:
                self._take(to_reading(frame[0]))
        finally:
            await self._end()

    def _take(self, said: ToReading) -> None:
        match said:
            case Begin():
                self.chain = self._connected(said)
            case Call(number):
                task = self.tasks[number] = asyncio.create_task(self._answer(said))
                task.add_done_callback(lambda _: self.tasks.pop(number, None))
            case Cancel(number):
                if number in self.tasks:
                    self.tasks[number].cancel()

    def _connected(self, begin: Begin) -> Chain | Exception:
        try:
            return connect(begin.spec, begin.venues, begin.feeds, observer=Telling(self._tell))
        except Exception as error:  # noqa: BLE001 - whoever calls is told
            return error

    async def _answer(self, call: Call) -> None:
        buffers: list[Buffer] = []
        try:
            message, buffers = packed(await self._result(call))
            said: Done | Failed = Done(call.id, msgspec.Raw(message))
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told
            said = Failed(call.id, fault_of(error, "".join(traceback.format_exception(error))))
        self._tell(said, buffers)

    async def _result(self, call: Call) -> object:
        chain, records = self._made(), RemoteRecords(self.state, call.id)
        match call.name, call.given:
            case "block", [number]:
                found = await chain.block(number)
                return Height(block=found) if isinstance(found, Block) else Height(skipped=found)
            case "advance", [first, last, settled]:
                return await self._advance(call, first, last, settled)
            case "attest", [first, last]:
                return await chain.attest(first, last, self._state(call), records)
            case "examine", [first, last, level, venues]:
                pieces = chain.examine(first, last, self._state(call), records, level=level, venues=venues)
                async for piece in pieces:
                    self._tell(Part(call.id, msgspec.Raw(packed(piece)[0])))
                return None
            case name, given:
                return await getattr(chain, name)(*given)

    async def _advance(self, call: Call, first: int, last: int, settled: int) -> Batch:
        state = self._state(call)
        batch = columnar(await self._made().advance(first, last, settled, state))
        told = replace(batch, raw={name: batch.raw[name] for name in READ_BACK if name in batch.raw})
        self.newest = call.id, told, state.kept() if isinstance(state, Unstored) else Memory()
        return batch

    def _state(self, call: Call) -> StateReader:
        """Read the store, and over it what it was given last where it may not hold that yet."""
        stored = RemoteState(self.state, call.id)
        if call.upon is None or self.newest is None:
            return stored
        number, batch, memory = self.newest
        if number != call.upon:
            raise RuntimeError(f"call {call.id} builds upon batch {call.upon}, and {number} is the newest")
        return Unstored(stored, batch, memory)

    def _made(self) -> Chain:
        if self.chain is None:
            raise RuntimeError("a call came before its chain")
        if isinstance(self.chain, Exception):
            raise self.chain
        return self.chain

    def _tell(self, said: ToStoring, buffers: Sequence[Buffer] = ()) -> None:
        """Send; where nobody listens any more, the end comes of itself."""
        with suppress(Ended):
            send(self.main, msgspec.msgpack.encode(said), buffers)

    async def _end(self) -> None:
        running = list(self.tasks.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self.chain is not None and not isinstance(self.chain, Exception):
            await self.chain.aclose()


def _listen(channel: socket.socket, incoming: asyncio.Queue[Frame | None]) -> None:
    """Put every frame into the queue, and `None` when the other end is closed."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        with suppress(RuntimeError):
            try:
                while True:
                    loop.call_soon_threadsafe(incoming.put_nowait, receive(channel))
            except Ended:
                loop.call_soon_threadsafe(incoming.put_nowait, None)

    Thread(target=read, name="calls", daemon=True).start()


def main(arguments: Sequence[str]) -> None:
    """Serve over two inherited sockets, whose numbers are the arguments, until they are closed."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    keep_house()
    channel, state = (socket.socket(fileno=int(number)) for number in arguments)
    asyncio.run(Reading(channel, Channel(state)).serve())
