"""The installed command as its users run it: configuration files, commands, a server, HTTP answers."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.devnet.evm.chain import Devnet
from tests.support.forked import completed, started


def chain_tables(net: Devnet) -> str:
    return f"""
[[chain]]
id = "eip155:{net.chain_id}"
name = "chain-{net.chain_id}"
rpc = ["{net.url}"]
finality = "finalized"
start_block = 0

[[venue]]
id = "aave-{net.chain_id}"
protocol = "aave-v3"
chain = "eip155:{net.chain_id}"
address = "{net.market.pool}"
start_block = {net.market.start_block}
"""


def crossmargin(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return completed(arguments, folder=folder, environment=os.environ)


def get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=30) as reply:  # noqa: S310 - our own loopback address
        return dict(json.load(reply))


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """`crossmargin serve` on a free port, until the block ends."""
    with started(["serve", "--port", "0"], folder=folder, environment=os.environ) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().removeprefix("serving on ").strip()
        finally:
            server.terminate()
            assert server.wait(timeout=30) == 0
