"""The demonstration's recorded chains for tests: nodes that serve them from a thread, and the command over them."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from crossmargin.demo import solana_recording
from crossmargin.demo.configuration import configuration
from crossmargin.demo.recorded import Node
from crossmargin.demo.recording import Recording, load
from crossmargin.demo.replay import ReplayNode
from crossmargin.demo.solana_recording import SolanaRecording
from crossmargin.demo.solana_replay import SolanaReplayNode
from crossmargin.packaged import recordings, solana_recordings
from tests.support.forked import Running, completed, started

T = TypeVar("T")

CONFIGURATION = "crossmargin.toml"


@lru_cache
def recorded() -> tuple[Recording, Recording]:
    """The two recorded EVM chains."""
    north, south = (load(path) for path in recordings())
    return north, south


@lru_cache
def recorded_solana() -> SolanaRecording:
    """The recorded Solana chain beside them."""
    (east,) = (solana_recording.load(path) for path in solana_recordings())
    return east


class Nodes:
    """Replay nodes on an event loop in a thread of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.open: list[Node] = []

    def start(self, recording: Recording, head: int | None = None) -> ReplayNode:
        """Serve one more recording."""
        node = ReplayNode(recording, head=head)
        self._open(node)
        return node

    def start_solana(self, recording: SolanaRecording, head: int | None = None) -> SolanaReplayNode:
        """Serve one more recorded Solana chain."""
        node = SolanaReplayNode(recording, head=head)
        self._open(node)
        return node

    def _open(self, node: Node) -> None:
        self.do(node.__aenter__)
        self.open.append(node)

    def stop(self, node: Node) -> None:
        """Take a node off the network."""
        self.open.remove(node)
        self.do(lambda: node.__aexit__(None, None, None))

    def do(self, work: Callable[[], Awaitable[T]]) -> T:
        async def await_it() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(await_it(), self._loop).result(timeout=30)


@contextmanager
def nodes_running() -> Iterator[Nodes]:
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    nodes = Nodes(loop)
    try:
        yield nodes
    finally:
        for node in [*nodes.open]:
            nodes.stop(node)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def configure(folder: Path, nodes: Sequence[Node], edit: Callable[[str], str] = str) -> Path:
    """Write the demonstration's configuration over some nodes, with one edit, which changes something."""
    text = configuration([(node.recording, node.url) for node in nodes], host="127.0.0.1", port=0, public=False)
    edited = edit(text)
    assert edit is str or edited != text, "the edit finds nothing to change"
    path = folder / CONFIGURATION
    path.write_text(edited, encoding="utf-8")
    return path


def crossmargin(
    folder: Path, *arguments: str, stdin: str = "", variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a folder."""
    return completed(arguments, folder=folder, environment=environment(variables), stdin=stdin)


@contextmanager
def service(folder: Path, *arguments: str, ends_with: int = 0) -> Iterator[tuple[str, Running]]:
    """Run `crossmargin run` or `serve` until the block ends; gives its address. It must then end as it should."""
    with (
        (folder / "service.log").open("w") as errors,
        started([*arguments, "--port", "0"], folder=folder, environment=environment(None), errors=errors) as process,
    ):
        assert process.stdout is not None
        try:
            yield process.stdout.readline().removeprefix("serving on ").strip(), process
        finally:
            process.terminate()
            assert process.wait(timeout=30) == ends_with


def environment(variables: Mapping[str, str] | None) -> dict[str, str]:
    """Nothing of the caller's that would change what is printed."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CROSSMARGIN") and name not in {"COLUMNS", "NO_COLOR", "FORCE_COLOR"}
    }
    return plain | dict(variables or {})


def owner_of(name: str) -> str:
    """An owner with positions on both chains, by the name that the story gives it."""
    return str(recorded()[0].story[name])


def numbers_at(recording: Recording, block: int, owner: str) -> list[str]:
    """What `getUserAccountData` answered about an owner at a recorded block."""
    (expected,) = (item for item in recording.expected if item["block"] == block)
    answers: dict[str, Any] = expected["accounts"]
    found: list[str] = next(numbers for key, numbers in answers.items() if key.lower() == owner.lower())
    return found
