"""Spark says of a book what the store's own view says, on workers that are processes of their own, one of which is killed."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from aggregator.engines.revaluing import Said, revalue
from indexer.store import Store
from tests.unit.aggregator.engines.test_engines import agree, expected, rows_of

WORKERS = "local-cluster[2,1,1024]"
WORKER = b"CoarseGrainedExecutorBackend"
FOLDERS = b"SPARK_EXECUTOR_DIRS="
PAUSE = 0.1  # seconds between two looks


@pytest.mark.timeout(1800)  # several Java processes, on whatever else this machine does
def test_a_worker_killed_in_the_middle_changes_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")  # quicker for so small a book
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    said: list[Said] = []
    run = threading.Thread(target=lambda: said.append(revalue(store, tmp_path / "lake", "spark", master=WORKERS)))

    run.start()
    os.kill(one_that_has_rows(run), signal.SIGKILL)
    run.join()

    agree(rows_of(tmp_path / "lake", said[0]), expected(store))
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]


def one_that_has_rows(run: threading.Thread) -> int:
    """A worker that wrote rows for the next stage, which are lost with it."""
    while run.is_alive():
        for pid in workers():
            with suppress(OSError):  # what is looked at may be gone
                if any(part for folder in folders(pid) for part in folder.rglob("shuffle_*.data")):
                    return pid
        run.join(PAUSE)
    raise AssertionError("Spark ended before a worker had rows")


def folders(pid: int) -> list[Path]:
    words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    said = [word.removeprefix(FOLDERS).decode() for word in words if word.startswith(FOLDERS)]
    return [Path(folder) for folder in ":".join(said).split(":") if folder]


def workers() -> set[int]:
    """Processes of Spark's workers below this one."""
    parents, found = dict[int, int](), set[int]()
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            parents[int(place.name)] = int((place / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if WORKER in (place / "cmdline").read_bytes():
                found.add(int(place.name))
        except OSError:  # ended meanwhile
            continue
    return {pid for pid in found if os.getpid() in ancestors(pid, parents)}


def ancestors(pid: int, parents: dict[int, int]) -> set[int]:
    above = set[int]()
    while pid := parents.get(pid, 0):
        above.add(pid)
    return above
