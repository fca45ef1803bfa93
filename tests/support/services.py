"""Services that run side by side over recorded chains: started, asked, killed, and led onto another branch."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from eth_hash.auto import keccak

from chains.evm.evidence.headers import encodings
from crossmargin.demo.recording import Recording
from crossmargin.demo.replay import ReplayNode
from tests.support.forked import Running, started
from tests.support.recorded import crossmargin, environment

FORKED_AT = 146
GIVE_UP_S = 240


def forked(recording: Recording) -> Recording:
    """The same chain, but another one from `FORKED_AT` on: blocks with other hashes, each of its own header."""
    blocks = dict(recording.blocks)
    hashes: dict[object, str] = {}
    for number in range(FORKED_AT, recording.last + 1):
        said = recording.blocks[number]
        which = next(i for i, text in enumerate(encodings(said)) if f"0x{keccak(text).hex()}" == said["hash"])
        other = {**said, "extraData": "0xf0", "parentHash": hashes.get(said["parentHash"], said["parentHash"])}
        other["hash"] = f"0x{keccak(list(encodings(other))[which]).hex()}"
        hashes[said["hash"]] = other["hash"]
        blocks[number] = other
    logs = [{**log, "blockHash": hashes.get(log["blockHash"], log["blockHash"])} for log in recording.logs]
    return replace(recording, blocks=blocks, logs=logs)


def switch(node: ReplayNode, recording: Recording, head: int) -> None:
    """Let a node follow another branch."""
    node.recording, node.head = recording, head
    node._by_hash = {header["hash"]: number for number, header in recording.blocks.items()}


@contextmanager
def running(folder: Path, *arguments: str, port: str = "0") -> Iterator[tuple[str, Running]]:
    """A service, until the block ends or it is killed; gives its address."""
    with (
        (folder / f"{arguments[0]}.log").open("a") as errors,
        started([*arguments, "--port", port], folder=folder, environment=environment(None), errors=errors) as process,
    ):
        assert process.stdout is not None
        try:
            yield process.stdout.readline().removeprefix("serving on ").strip(), process
        finally:
            if process.poll() is None:
                process.terminate()
            assert process.wait(timeout=60) in {0, -signal.SIGKILL}


def ask(url: str, route: str) -> dict[str, Any]:
    with urllib.request.urlopen(url + route, timeout=60) as reply:  # noqa: S310 - our own loopback address
        return dict(json.load(reply))


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + GIVE_UP_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def indexed(url: str) -> tuple[int, str]:
    """The last block of the first chain of a service, and its hash."""
    said = ask(url, "/v1/status")["chains"][0]["indexed"]
    return (-1, "") if said is None else (said["block"], said["hash"])


def done(folder: Path, *arguments: str) -> dict[str, Any]:
    ended = crossmargin(folder, *arguments, "--json")
    assert ended.returncode == 0, ended.stderr
    return dict(json.loads(ended.stdout))


def killed(process: Running) -> None:
    process.kill()
    process.wait(timeout=60)
