"""Environments of peers, made once in the cache folder from pinned versions."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.sync.task import Unavailable

_UV = str(Path(sys.executable).with_name("uv"))


def python_with(folder: Path, *steps: Sequence[str]) -> Path:
    """Make a virtual environment with packages, installed step by step, and return its interpreter; raises `Unavailable`."""
    python, mark = folder / "bin" / "python", folder / ".installed"
    wanted = json.dumps([list(step) for step in steps])
    if mark.exists() and mark.read_text() == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    _do([_UV, "venv", "--quiet", "--python", sys.executable, str(folder)])
    for step in steps:
        _do([_UV, "pip", "install", "--quiet", "--python", str(folder), *step])
    mark.write_text(wanted)
    return python


def node_with(folder: Path, packages: Sequence[str]) -> Path:
    """Make a folder with npm packages and return it; raises `Unavailable`."""
    mark = folder / ".installed"
    wanted = json.dumps(list(packages))
    if mark.exists() and mark.read_text() == wanted:
        return folder
    if shutil.which("npm") is None:
        raise Unavailable("npm is not installed")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "package.json").write_text('{"name": "bench-peer", "private": true, "type": "module"}')
    _do(["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder), *packages])
    mark.write_text(wanted)
    return folder


def _do(command: Sequence[str]) -> None:
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if run.returncode != 0:
        lines = [line for line in (run.stderr or run.stdout).splitlines() if line.strip()]
        raise Unavailable(f"it does not install: {' '.join(lines[-2:])[:300]}")
