"""Whoever reads a stream and comes back with the last id that he has misses nothing and gets nothing twice.

Connections break at random, the service is killed and started again, and the chain forks all the while.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from indexer.store import Store
from tests.support.forked import started
from tests.support.streaming_process import CONFIGURATION, PROGRAM
from tests.unit.store.builders import CHAIN

ROUNDS = 4
BREAKS = 2
"""That every reader has in each round, at least."""

SOON_S = 120


@asynccontextmanager
async def streaming(folder: Path, seed: int) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """What the process behind a service says next; it is killed when the context ends."""
    with (
        (folder / "service.log").open("a") as errors,
        started(
            [str(folder), str(seed)], folder=folder, environment=os.environ, errors=errors, program=PROGRAM
        ) as process,
    ):
        said = process.stdout
        assert said is not None

        async def line() -> str:
            async with asyncio.timeout(SOON_S):
                found = (await asyncio.to_thread(said.readline)).strip()
            assert found, f"the service ended: {(folder / 'service.log').read_text()}"
            return found

        try:
            yield line
        finally:
            process.kill()
            process.wait()


class Reader:
    """Remembers every event that it was told, and the last id."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.told: list[Any] = []
        self.last = "0"
        self.breaks = 0

    def take(self, event: Any) -> None:
        self.told.append(event)
        self.last = event["id"]

    async def come_to(self, breaks: int, last: int) -> None:
        while True:
            if self.breaks >= breaks and int(self.last) >= last:
                return
            await asyncio.sleep(0.02)

    async def read(self, session: aiohttp.ClientSession, url: str) -> None:
        """Read for a while, breaking off now and then."""
        while True:
            try:
                async with asyncio.timeout(self.chance.uniform(0.05, 0.5)):
                    await self.read_on(session, url)
            except (TimeoutError, aiohttp.ClientError):
                self.breaks += 1

    async def read_on(self, session: aiohttp.ClientSession, url: str) -> None:
        raise NotImplementedError


class Streamed(Reader):
    async def read_on(self, session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(f"{url}/v1/stream", headers={"Last-Event-ID": self.last}) as answer:
            assert answer.status == 200, await answer.text()
            lines: dict[str, str] = {}
            async for line in answer.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    lines[name] = value
                    continue
                if "data" in lines:
                    event = json.loads(lines["data"])
                    assert (event["id"], event["kind"]) == (lines["id"], lines["event"])
                    self.take(event)
                self.last = lines.get("id", self.last)
                lines = {}


class Conversing(Reader):
    async def read_on(self, session: aiohttp.ClientSession, url: str) -> None:
        async with session.ws_connect(f"{url}/v1/ws") as socket:
            await socket.send_json({"op": "subscribe", "id": "all", "after": self.last})
            async for message in socket:
                frame = json.loads(message.data)
                if frame["op"] == "event":
                    self.take(frame["event"])
                elif frame["op"] == "heartbeat":
                    self.last = frame["last"]
                else:
                    assert frame["op"] == "subscribed"


async def test_a_reader_who_comes_back_misses_nothing_and_gets_nothing_twice(tmp_path: Path) -> None:
    (tmp_path / "crossmargin.toml").write_text(CONFIGURATION)
    readers = [Streamed(1), Streamed(2), Conversing(3), Conversing(4)]
    async with aiohttp.ClientSession() as session:
        for seed in (*range(1, ROUNDS + 1), 0):
            async with streaming(tmp_path, seed) as line:
                url, before = await line(), [each.breaks for each in readers]
                reading = [asyncio.create_task(reader.read(session, url)) for reader in readers]
                last = await line()
                async with asyncio.timeout(SOON_S):
                    for each, had in zip(readers, before, strict=True):
                        await each.come_to(had + BREAKS, int(last) if seed == 0 else 0)
                for task in reading:
                    task.cancel()
                await asyncio.gather(*reading, return_exceptions=True)

    with Store.open(tmp_path / "data" / "crossmargin.duckdb") as store, store.reading() as reader:
        stored = [str(row.id) for row in reader.events_after(0, 100_000)]
        kinds = {row.kind for row in reader.events_after(0, 100_000)}
        found = store.query(STANDING, timeout_s=60, max_rows=100_000).rows
    assert kinds == {"liquidation", "retracted"}
    assert len(stored) > ROUNDS * 20
    for each in readers:
        assert [event["id"] for event in each.told] == stored
    assert standing(readers[0].told) == [list(row) for row in found]


STANDING = "SELECT block_number, tx_hash FROM public.lending_event WHERE transaction_type = 'liquidation' ORDER BY ALL"


def standing(told: list[Any]) -> list[list[Any]]:
    """What is left of liquidations after what was retracted."""
    gone = {event["retracts"] for event in told if event["kind"] == "retracted"}
    left = [event for event in told if event["kind"] == "liquidation" and event["id"] not in gone]
    assert all(event["chain"] == CHAIN for event in left)
    return sorted([event["block"]["number"], event["tx"]] for event in left)
