"""What every test may use, and how properties are explored."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.kept import Kept
from tests.support.new_stores import Made, migrated
from tests.support.order import long_first

# On a person's machine each run explores new examples and remembers what failed. In CI the same commit gives
# the same answer: examples are derived from the test itself, so that a red run means a change and never luck.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Of these few examples a run at night (`HYPOTHESIS_PROFILE=nightly`) tries ten times as many, and others each time.
CI = {"max_examples": 40, "derandomize": True, "database": None, "print_blob": True}
settings.register_profile("ci", settings.get_profile("explore"), **CI)
settings.register_profile("nightly", settings.get_profile("explore"), max_examples=400, print_blob=True)
settings.register_profile("deep", settings.get_profile("explore"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "explore"))

YOUNG = 5_000
"""So many new objects are made between two looks for garbage: Python's 700 cost a test run a twentieth of its time."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while tests are collected, and never again among them: they stay, and each look takes an eighth of a second."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(YOUNG)
        gc.enable()


def pytest_unconfigure() -> None:
    """Let go of the tests: what is kept to the end of a process, libraries complain of as a leak."""
    gc.unfreeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with long tests where several processes run them, after chance has ordered them."""
    if hasattr(config, "workerinput"):
        paths = [item.nodeid.partition("::")[0] for item in items]
        items[:] = [items[n] for n in long_first(paths, config.workerinput["workercount"])]


@pytest.fixture(scope="session", autouse=True)
def stores_of_one_make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Stores that a test opens have their schema from one that was migrated once; `by_migrations` asks for the migrations."""
    with pytest.MonkeyPatch.context() as patch:
        Made(tmp_path_factory.mktemp("made")).stands_in(patch)
        yield


@pytest.fixture
def by_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stores be made by the migrations."""
    migrated(monkeypatch)


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Stores that are made once and copied, also between the processes of one run."""
    base = tmp_path_factory.getbasetemp()
    return Kept((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "kept")


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder of this checkout."""
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def tracked(checkout: Path) -> frozenset[str]:
    """Every file that a commit of this checkout holds or would hold, by its path from the top."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, cwd=checkout, capture_output=True, text=True, check=True)
    return frozenset(path for path in done.stdout.splitlines() if (checkout / path).exists())


@pytest.fixture(scope="session")
def commands() -> frozenset[str]:
    """The commands that `crossmargin --help` lists."""
    asked = [str(Path(sys.executable).with_name("crossmargin")), "--help"]
    plain = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(asked, env=plain, capture_output=True, text=True, check=True)
    return frozenset(re.findall(r"^[│|\s]+([a-z][a-z-]*)\s{2,}\S", done.stdout, flags=re.MULTILINE))
