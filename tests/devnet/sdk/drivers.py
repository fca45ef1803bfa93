"""A driver of an SDK as a process: it is asked one JSON document a line and answers one a line, in order."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import pytest

from tests.devnet.sdk.environments import NODE_ROOM, PYTHON_ROOM, MissingPart, node, python

Case = Mapping[str, Any]
Answer = Mapping[str, Any]


class Driver:
    """One running driver."""

    def __init__(self, process: subprocess.Popen[str], log: IO[str]) -> None:
        self._process, self._log = process, log

    def ask(self, case: Case) -> Answer:
        """Return the answer to one case; {"error": …} where the SDK refuses it. Raises RuntimeError when the process has ended."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps(case) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._log.seek(0)
            raise RuntimeError(f"the driver has ended:\n{self._log.read()[-4_000:]}")
        return dict(json.loads(line))


@contextmanager
def driver(command: Sequence[str | Path]) -> Iterator[Driver]:
    """A driver for as long as the block runs."""
    with TemporaryFile("w+", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            yield Driver(process, log)
        finally:
            process.kill()
            process.communicate()


@contextmanager
def driftpy() -> Iterator[Driver]:
    """Ask driftpy's user maths (`python/driftpy_driver.py` says what a case is); skips the test where it cannot be installed."""
    with driver([ready(python), PYTHON_ROOM / "driftpy_driver.py"]) as process:
        yield process


@contextmanager
def drift() -> Iterator[Driver]:
    """Ask @drift-labs/sdk (`node/drift_driver.js`), which has whole numbers; skips the test where it cannot be installed."""
    with driver([ready(node), NODE_ROOM / "drift_driver.js"]) as process:
        yield process


@contextmanager
def klend() -> Iterator[Driver]:
    """Ask klend-sdk (`node/klend_driver.js`); skips the test where it cannot be installed."""
    with driver([ready(node), NODE_ROOM / "klend_driver.js"]) as process:
        yield process


@contextmanager
def marginfi() -> Iterator[Driver]:
    """Ask marginfi-client-v2 (`node/marginfi_driver.js`); skips the test where it cannot be installed."""
    with driver([ready(node), NODE_ROOM / "marginfi_driver.js"]) as process:
        yield process


@contextmanager
def lend() -> Iterator[Driver]:
    """Ask @jup-ag/lend-read (`node/lend_driver.js`); skips the test where it cannot be installed."""
    with driver([ready(node), NODE_ROOM / "lend_driver.js"]) as process:
        yield process


def ready(environment: Any) -> Path:
    """The program of an environment, set up if need be; skips the test where that is impossible."""
    try:
        return Path(environment())
    except MissingPart as missing:
        pytest.skip(str(missing))
