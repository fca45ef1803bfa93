"""Recorded chains, indexed once; each test works on a copy of the store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from crossmargin.demo.replay import ReplayNode
from tests.support.kept import Kept
from tests.support.paged import Served, served_pages
from tests.support.recorded import Nodes, configure, crossmargin, nodes_running, recorded


@dataclass(frozen=True, slots=True)
class Indexed:
    """A folder with a configuration and an indexed store, and the nodes that it was indexed from."""

    folder: Path
    nodes: tuple[ReplayNode, ...]


@pytest.fixture(scope="session")
def nodes() -> Iterator[Nodes]:
    with nodes_running() as running:
        yield running


@pytest.fixture(scope="session")
def indexed_once(nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    serving = tuple(nodes.start(recording) for recording in recorded())
    folder = tmp_path_factory.mktemp("indexed")
    configure(folder, serving)
    done = crossmargin(folder, "index")
    assert done.returncode == 0, done.stderr
    return Indexed(folder, serving)


@pytest.fixture
def indexed(indexed_once: Indexed, tmp_path: Path) -> Indexed:
    """A copy of its own for each test."""
    folder = tmp_path / "indexed"
    shutil.copytree(indexed_once.folder, folder)
    return Indexed(folder, indexed_once.nodes)


@pytest.fixture(scope="session")
def played(kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `kept` of a demonstration on a narrow terminal, with what was on its stdout and stderr in `out` and `err` beside it."""

    def make(folder: Path) -> None:
        folder.mkdir()
        done = crossmargin(folder, "demo", "--no-serve", "--keep", "kept", variables={"COLUMNS": "80"})
        assert done.returncode == 0, done.stderr
        (folder / "out").write_text(done.stdout, encoding="utf-8")
        (folder / "err").write_text(done.stderr, encoding="utf-8")

    return kept.copied("demonstration", make, tmp_path_factory.mktemp("played") / "demonstration")


@pytest.fixture(scope="session")
def pages(indexed_once: Indexed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One service for everything that looks at pages."""
    with served_pages(indexed_once.folder, tmp_path_factory.mktemp("pages") / "indexed") as served:
        yield served
