"""A local node on a port of the kernel's choice, ended with the block that started it."""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.devnet.evm.artifacts import INSTALL_HINT, MODULES, MissingPart
from tests.devnet.evm.node import Node

GENESIS_TIME = 1_735_689_600
BLOCK_GAS_LIMIT = 300_000_000
START_SECONDS = 120
STOP_SECONDS = 10
PACKAGES = ("anvil-linux-amd64", "anvil-linux-arm64", "anvil-darwin-arm64", "anvil-darwin-amd64")


@contextmanager
def anvil(
    *, chain_id: int, genesis_time: int = GENESIS_TIME, slots_in_an_epoch: int = 32, more: Sequence[str] = ()
) -> Iterator[Node]:
    """A fresh chain that mines only when told; every sender is trusted without a signature. `more`: other options of the node."""
    with tempfile.TemporaryDirectory(prefix="anvil-") as folder:
        log = Path(folder) / "log"
        command = arguments(
            chain_id=chain_id,
            genesis_time=genesis_time,
            slots_in_an_epoch=slots_in_an_epoch,
            cache=Path(folder) / "cache",
        )
        with log.open("wb") as sink:
            process = subprocess.Popen([*command, *more], stdout=sink, stderr=subprocess.STDOUT)
        try:
            with Node(f"http://127.0.0.1:{listening_port(process, log)}") as node:
                assert_fresh(node, chain_id)
                yield node
        finally:
            stop(process)


def arguments(*, chain_id: int, genesis_time: int, slots_in_an_epoch: int, cache: Path) -> list[str]:
    """The command line of a repeatable chain."""
    options = {
        "--host": "127.0.0.1",
        "--port": 0,
        "--chain-id": chain_id,
        "--timestamp": genesis_time,
        "--slots-in-an-epoch": slots_in_an_epoch,
        "--gas-limit": BLOCK_GAS_LIMIT,
        "--accounts": 0,
        "--order": "fifo",
        "--cache-path": cache,
    }
    switches = ["--no-mining", "--auto-impersonate", "--disable-code-size-limit", "--no-request-size-limit"]
    return [binary(), *switches, *(str(word) for option in options.items() for word in option)]


def binary() -> str:
    """The node's executable: the installed package's, else one on the search path."""
    for package in PACKAGES:
        path = MODULES / "@foundry-rs" / package / "bin" / "anvil"
        if path.exists():
            return str(path)
    found = shutil.which("anvil")
    if found is None:
        raise MissingPart(f"anvil is not there: {INSTALL_HINT}, or put one on the search path")
    return found


def listening_port(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port that the node printed. Raises RuntimeError when it ends or stays silent."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"Listening on 127\.0\.0\.1:(\d+)", log.read_text())
        if found:
            return int(found[1])
        time.sleep(0.01)
    raise RuntimeError(f"anvil did not start:\n{log.read_text()}")


def assert_fresh(node: Node, chain_id: int) -> None:
    """Guard against talking to somebody else's chain."""
    answered, height = int(node.call("eth_chainId"), 16), node.height()
    if (answered, height) != (chain_id, 0):
        raise RuntimeError(f"{node.url} is chain {answered} at block {height}, not a fresh {chain_id}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the process that we started."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
