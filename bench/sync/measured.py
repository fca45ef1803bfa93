"""A process and all that it starts: wall clock, CPU, peak memory."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.sync.task import Run

SAMPLE_S = 0.01
LONGEST_S = 1_800.0


class Failed(Exception):
    """A process that ended badly, or not at all."""


def run(
    command: Sequence[str],
    *,
    folder: Path,
    cores: frozenset[int],
    environment: Mapping[str, str] | None = None,
    until: str | None = None,
) -> tuple[Run, str]:
    """Run a command to its end, or until it says `until`; return what it took and what it said. Raises `Failed`."""
    log = folder / "output.log"
    began = time.perf_counter()
    with log.open("wb") as sink:
        process = subprocess.Popen(
            pinned(command, cores), cwd=folder, env=surroundings(environment), stdout=sink, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    peaks: dict[int, float] = {}
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, peaks, ended), daemon=True)
    watcher.start()
    seconds = _wait_for(log, until, process, began) if until else None
    _, status, usage = os.wait4(process.pid, 0)
    seconds = seconds if seconds is not None else time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    ended.set()
    watcher.join()
    said = log.read_text(errors="replace")
    if process.returncode != 0 and until is None:
        raise Failed(f"{command[0]} ended with {process.returncode}:\n{said[-2_000:]}")
    found = Run(
        seconds=seconds,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mb=sum(peaks.values()),
        stored_mb=stored_mb(folder),
    )
    return found, said


def surroundings(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a contender: this one, and Python may keep its compiled modules, as it does for users."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | dict(more or {})


def pinned(command: Sequence[str], cores: frozenset[int]) -> list[str]:
    return ["taskset", "--cpu-list", ",".join(map(str, sorted(cores))), *command]


def _wait_for(log: Path, word: str, process: subprocess.Popen[bytes], began: float) -> float:
    """Return the seconds until the word was said, and end the process and its children then."""
    seconds: float | None = None
    while time.perf_counter() - began < LONGEST_S and seconds is None and _lives(process.pid):
        if word in log.read_text(errors="replace"):
            seconds = time.perf_counter() - began
        time.sleep(SAMPLE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    if seconds is None:
        os.wait4(process.pid, 0)
        raise Failed(f"it never said {word!r}:\n{log.read_text(errors='replace')[-2_000:]}")
    return seconds


def _lives(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False


def _watch(root: int, peaks: dict[int, float], ended: threading.Event) -> None:
    while not ended.wait(SAMPLE_S):
        for pid in _tree(root):
            with contextlib.suppress(OSError, StopIteration, ValueError):
                lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
                peaks[pid] = int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1_024


def _tree(root: int) -> list[int]:
    found = [root]
    for pid in found:
        with contextlib.suppress(OSError):
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(child) for child in children.read_text(encoding="utf-8").split()]
    return found


def stored_mb(folder: Path) -> float:
    """Return the size of what a run left behind, without its log."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != "output.log") / 1e6
