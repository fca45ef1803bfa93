"""The environments that the SDKs run in: set up once from locks with hashes, and again when a lock changes.

`python -m tests.devnet.sdk.environments` sets up all of them, as `make test` does; a test that finds one missing does so by itself.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE / ".build"
PYTHON_ROOM = HERE / "python"
PYTHON_LOCK = PYTHON_ROOM / "requirements.lock"
PYTHON_ENVIRONMENT = BUILD / "python"
NODE_ROOM = HERE / "node"
NODE_LOCK = NODE_ROOM / "package-lock.json"
NODE_MODULES = NODE_ROOM / "node_modules"
PYTHONS = ("python3.11", "python3.12", "python3.10")
"""What driftpy's pins (numpy 1.26, solders 0.26) have wheels for."""

INSTALL_SECONDS = 280


class MissingPart(Exception):
    """An environment that cannot be set up here, and why."""


@cache
def python() -> Path:
    """Return the interpreter of the environment with driftpy. Raises MissingPart."""
    with once(PYTHON_ENVIRONMENT, PYTHON_LOCK, _install_python):
        return PYTHON_ENVIRONMENT / "bin" / "python"


@cache
def node() -> Path:
    """Return Node.js, with the packages of `node/` installed. Raises MissingPart."""
    found = shutil.which("node")
    if found is None:
        raise MissingPart("the SDKs in JavaScript need Node.js 20 or newer")
    with once(NODE_MODULES, NODE_LOCK, _install_node):
        return Path(found)


@contextmanager
def once(made: Path, lock: Path, install: Callable[[], None]) -> Iterator[None]:
    """Run `install` unless what it makes is there and of this lock; other processes wait for it. Raises MissingPart."""
    BUILD.mkdir(exist_ok=True)
    stamp, digest = BUILD / f"{made.name}.ready", hashlib.sha256(lock.read_bytes()).hexdigest()
    with (BUILD / f"{made.name}.turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (made.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == digest):
            stamp.unlink(missing_ok=True)
            install()
            stamp.write_text(digest, encoding="utf-8")
    yield


def run(command: Sequence[str | Path], *, what: str, **more: str) -> None:
    """Run one step of a set-up. Raises MissingPart with the last line of what it said."""
    try:
        done = subprocess.run(
            command,
            cwd=HERE,
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise MissingPart(f"{what}: {problem}") from problem
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise MissingPart(f"{what}: {said[-1] if said else f'ended with {done.returncode}'}")


def _install_python() -> None:
    """Make the environment; uv is quick, and pip reads settings (a mirror) that uv does not."""
    interpreter = _interpreter()
    shutil.rmtree(PYTHON_ENVIRONMENT, ignore_errors=True)
    run([interpreter, "-m", "venv", PYTHON_ENVIRONMENT], what="no environment for driftpy")
    inside = PYTHON_ENVIRONMENT / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    locked: list[str | Path] = ["--require-hashes", "-r", PYTHON_LOCK]
    try:
        run([uv, "pip", "install", "--quiet", "--python", inside, *locked], what="uv cannot install driftpy")
    except MissingPart:
        pip: list[str | Path] = [inside, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        run([*pip, *locked], what="driftpy cannot be installed")


def _install_node() -> None:
    """Install what the lock names, at its hashes; nothing of it is run."""
    command: list[str | Path] = ["npm", "ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"]
    run([*command, "--prefix", NODE_ROOM], what="the SDKs in JavaScript cannot be installed")


def _interpreter() -> str:
    for candidate in (sys.executable, *PYTHONS):
        found = shutil.which(candidate)
        if found and _fits(found):
            return found
    raise MissingPart(f"driftpy needs one of {', '.join(PYTHONS)}: none is here")


def _fits(interpreter: str) -> bool:
    asked = "import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 13))"
    return subprocess.run([interpreter, "-c", asked], capture_output=True, check=False).returncode == 0


def main() -> int:
    """Set up every environment and say what cannot be; tests that want it are skipped with the same words."""
    for ready in (python, node):
        try:
            ready()
        except MissingPart as missing:
            print(f"Tests beside an SDK will be skipped: {missing}", file=sys.stderr)  # noqa: T201 - for a person
    return 0


if __name__ == "__main__":
    sys.exit(main())
