"""Chains to index: generated ones behind our own server, or a real local node that was filled."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.sync import aave_chain, escrow_chain, recorded
from bench.sync.measured import pinned
from bench.sync.task import Task

_GENERATORS: dict[str, Callable[..., None]] = {
    "escrow": escrow_chain.generate,
    "aave-3.5": aave_chain.generate,
    "aave-3.0": partial(aave_chain.generate, version="3.0"),
}
ROOT = Path(__file__).parents[2]


def generated(cache: Path, workload: str, *, seed: int, logs: int, logs_per_block: int) -> Path:
    """Return the folder of a generated chain, made now unless it is there."""
    folder = cache / f"{workload}-{logs}-{logs_per_block}-{seed}"
    if not recorded.is_whole(folder):
        print(f"generating {workload}, {logs:,} logs, seed {seed} …", file=sys.stderr)
        _GENERATORS[workload](folder, seed=seed, logs=logs, logs_per_block=logs_per_block)
    return folder


@contextmanager
def served(folder: Path, cores: frozenset[int]) -> Iterator[Task]:
    """Serve a generated chain from a process of its own, and read it once so that it is in memory."""
    meta: dict[str, Any] = json.loads((folder / "meta.json").read_text())
    with (folder / "logs.json").open("rb") as stream:
        while stream.read(1 << 24):
            pass
    command = pinned([sys.executable, "-m", "bench.sync.server", str(folder.resolve())], cores)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        assert server.stdout is not None
        try:
            yield Task(
                workload=meta["workload"], source="recorded", url=server.stdout.readline().strip(),
                chain_id=meta["chain_id"], head=meta["blocks"] - 1, logs=meta["logs"], contract=meta["contract"],
                start_block=1, book=folder,
            )  # fmt: skip
        finally:
            server.terminate()


def ask(url: str, method: str, *params: object) -> Any:
    """Return the result of one request."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - our own loopback address
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - ditto
        return json.load(answer)["result"]
