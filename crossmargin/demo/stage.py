"""The stage: recorded chains on loopback nodes, and over them everything that would run over real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time

from chains.errors import ChainError
from chains.ports import Head
from chains.redaction import Redactor
from crossmargin.app import connect, opened, policy_of
from crossmargin.demo.configuration import configuration
from crossmargin.demo.recorded import Node, Recorded, node_of
from crossmargin.local_desk import LocalDesk
from crossmargin.logs import Logger
from crossmargin.service import Parts, running_service
from crossmargin.settings import ServerSettings, Settings, load
from crossmargin.watch import Listeners, Watch
from indexer import loop
from indexer.loop import Listener, Progress
from indexer.store import Store

CATCH_UP_S = 60.0
PAUSE_S = 0.02


class Reached:
    """A listener that remembers up to which block each chain is taken in; nothing rewinds a recorded chain."""

    def __init__(self) -> None:
        self.blocks: dict[str, int] = {}

    def appended(self, progress: Progress) -> None:
        self.blocks[progress.chain_id] = progress.indexed

    def rewound(self, chain_id: str, depth: int, to: int) -> None:
        del depth
        self.blocks[chain_id] = to

    def polled(self, chain_id: str, head: Head) -> None:
        """What is taken in is as it was."""

    def failed(self, chain_id: str, error: ChainError, retry_in: float) -> None:
        """It is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What plays: the recordings, the nodes that serve them, and the program over them."""

    nodes: Sequence[Node]
    settings: Settings
    store: Store
    desk: LocalDesk
    watch: Watch
    reached: Reached

    @property
    def recordings(self) -> list[Recorded]:
        return [node.recording for node in self.nodes]

    async def index(self, listener: Listener) -> None:
        """Take in every chain up to its head."""

        async def one(chain_id: str) -> None:
            async with aclosing(connect(self.settings, chain_id)) as chain:
                await loop.index(chain, self.store, until="latest", listener=Listeners(listener, self.reached))

        async with asyncio.TaskGroup() as group:
            for chain in self.settings.chains:
                group.create_task(one(chain.spec.id))

    async def advance(self, heads: Sequence[int]) -> None:
        """Move each node's head and wait until its follower has come after; raises `TimeoutError`."""
        for node, head in zip(self.nodes, heads, strict=True):
            node.set_head(head)
        async with asyncio.timeout(CATCH_UP_S):
            for node in self.nodes:
                await self._caught_up(node)

    async def _caught_up(self, node: Node) -> None:
        chain_id = node.recording.chain_id
        while True:
            sight = self.watch.sight(chain_id)
            if sight.stopped:
                raise RuntimeError(f"{chain_id}: {sight.fault}")
            head = sight.head.latest.number if sight.head is not None else None
            if self.reached.blocks.get(chain_id) == head == node.head:
                return
            await asyncio.sleep(PAUSE_S)


@asynccontextmanager
async def staged(folder: Path, recordings: Sequence[Recorded], server: ServerSettings) -> AsyncIterator[Stage]:
    """Set the stage in a folder: every chain stands just before its crash."""
    async with AsyncExitStack() as stack:
        nodes = [node_of(recording, head=recording.story["before_crash_block"]) for recording in recordings]
        for node in nodes:
            await stack.enter_async_context(node)
        path = folder / "crossmargin.toml"
        text = configuration(
            [(node.recording, node.url) for node in nodes], host=server.host, port=server.port, public=server.public
        )
        path.write_text(text, encoding="utf-8")
        settings = load(path, {})
        store = stack.enter_context(opened(settings))
        watch = Watch(settings.chains, time)
        desk = LocalDesk(settings, store, policy_of(settings), watch=watch)
        yield Stage(nodes=nodes, settings=settings, store=store, desk=desk, watch=watch, reached=Reached())


@asynccontextmanager
async def followed(stage: Stage, log: Logger) -> AsyncIterator[str]:
    """Follow and serve, as `crossmargin run` does; gives the address."""
    parts = Parts(
        settings=stage.settings,
        store=stage.store,
        desk=stage.desk,
        watch=stage.watch,
        redactor=Redactor(),
        log=log,
    )
    async with running_service(parts, stage.reached) as url:
        yield url
