"""Spark says of a book what the store's own view says, and of its parts what this process says, on workers that are killed."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from aggregator.book import Book
from aggregator.engines.partitions import parts_of, tallied
from aggregator.engines.revaluing import BOOKS, More, Said, revalue
from aggregator.risk.scenarios import Scenario
from aggregator.risk.tallies import Tallies, added
from indexer.store import Store
from tests.unit.aggregator.engines.conftest import put_cut
from tests.unit.aggregator.engines.test_engines import agree, expected, rows_of

WORKERS = "local-cluster[2,1,1024]"
WORKER, PYTHON = b"CoarseGrainedExecutorBackend", b"pyspark.daemon"
FOLDERS = b"SPARK_EXECUTOR_DIRS="
PAUSE = 0.1  # seconds between two looks


@pytest.mark.timeout(1800)  # several Java processes, on whatever else this machine does
def test_workers_killed_in_the_middle_change_nothing(
    store: Store, odd: Book, scenarios: list[Scenario], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")  # quicker for so small a book
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    said, tallies = list[Said](), list[Tallies]()

    def put(folder: Path) -> None:
        put_cut(odd, scenarios, folder, monkeypatch)

    more = More(of={}, put=put, told=lambda _task, found, _folder: tallies.append(found))
    lake = tmp_path / "lake"
    run = threading.Thread(target=lambda: said.append(revalue(store, lake, "spark", master=WORKERS, more=more)))

    run.start()
    os.kill(one_that_has_rows(run), signal.SIGKILL)
    os.kill(one_that_does_parts(run), signal.SIGKILL)
    run.join()

    agree(rows_of(lake, said[0]), expected(store))
    book = lake / BOOKS / said[0]["book"]
    assert tallies == [added(tallied(book, part) for part in parts_of(book))]
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


def one_that_does_parts(run: threading.Thread) -> int:
    """A worker below which Python does parts of the book."""
    while run.is_alive():
        for pid in workers():
            if pid in {above for python in below(PYTHON) for above in ancestors(python, parents())}:
                return pid
        run.join(PAUSE)
    raise AssertionError("Spark ended before a worker did parts")


def folders(pid: int) -> list[Path]:
    words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    said = [word.removeprefix(FOLDERS).decode() for word in words if word.startswith(FOLDERS)]
    return [Path(folder) for folder in ":".join(said).split(":") if folder]


def workers() -> set[int]:
    """Processes of Spark's workers below this one."""
    return below(WORKER)


def below(word: bytes) -> set[int]:
    """Processes below this one whose command has a word."""
    found, above = set[int](), parents()
    for pid in above:
        with suppress(OSError):  # what is looked at may be gone
            if word in Path(f"/proc/{pid}/cmdline").read_bytes() and os.getpid() in ancestors(pid, above):
                found.add(pid)
    return found


def parents() -> dict[int, int]:
    found: dict[int, int] = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            with suppress(OSError):
                found[int(place.name)] = int((place / "stat").read_text().rsplit(")", 1)[1].split()[1])
    return found


def ancestors(pid: int, known: dict[int, int]) -> set[int]:
    above = set[int]()
    while pid := known.get(pid, 0):
        above.add(pid)
    return above
