"""A process that is killed at any moment leaves whole steps behind: every one it was told is done, and no part of another."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from tempfile import TemporaryFile

import pytest

from chains.model import Rows
from indexer.store import MEMORY, Store
from tests.support.forked import started
from tests.unit.store.builders import (
    CHAIN,
    Content,
    append,
    batch,
    block,
    content,
    event,
    finalize,
    market,
    position,
    rewind,
)

LAST = 120
STEP = 8


def given(first: int, last: int, fork: str = "") -> Rows:
    """Fifty positions a block, so that a step takes long enough to be killed in."""
    numbers = range(first, last + 1)
    return Rows(
        positions=[position(n, n * 1000 + k, ordinal=k, owner=bytes([k]) * 20) for n in numbers for k in range(50)],
        markets=[market(n, f"{fork}{n}") for n in numbers],
        events=[event(n, 10**38 + n) for n in numbers if n % 7 == 0],
    )


def index(store: Store, *, until: int = LAST, tell: bool = False) -> None:
    """Append to block `until` from wherever the store stands; every second step is first done on a branch and rewound."""
    while (held := store.cursor(CHAIN)) is None or held.block.number < until:
        if held is not None and held.block != block(held.block.number):
            rewind(store, held.block.number - STEP)
            continue
        first = 1 if held is None else held.block.number + 1
        last = first + STEP - 1
        if (first // STEP) % 2:
            append(store, batch(first, last, given(first, last, "b"), logs=[(last, 0)], fork="b", forked_at=first))
            rewind(store, first - 1)
        append(store, batch(first, last, given(first, last), logs=[(last, 0)]))
        finalize(store, last - STEP)
        if tell:
            sys.stdout.write(f"{last}\n")
            sys.stdout.flush()
    finalize(store, until - STEP)  # a process that was killed behind its last append did not


def main() -> None:
    """Index into the store that is named, in a process that will be killed."""
    with Store.open(sys.argv[1]) as store:
        sys.stdout.write("0\n")
        sys.stdout.flush()
        index(store, tell=True)


def killed(path: Path, checkout: Path, after_s: float, *, steps: int = 0) -> int:
    """Run the indexing in another process, kill it so many steps and seconds after it began, and return the last block it told."""
    with (
        TemporaryFile("w+", encoding="utf-8") as complaint,
        started(
            [str(path)], folder=checkout, environment=os.environ, errors=complaint, program="tests.unit.store.test_kill"
        ) as process,
    ):
        assert process.stdout is not None
        first = "".join(process.stdout.readline() for _ in range(1 + steps))
        time.sleep(after_s)
        process.kill()
        told = process.stdout.read()
        process.wait(timeout=30)
        complaint.seek(0)
        assert complaint.read() == ""
    return int((first + told).split()[-1])


@pytest.fixture(scope="module")
def expected() -> Content:
    """What a store holds that nobody disturbed."""
    with Store.open(MEMORY) as undisturbed:
        index(undisturbed)
        return content(undisturbed)


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_index_goes_on_to_the_tables_of_an_undisturbed_one(
    tmp_path: Path, checkout: Path, expected: Content, seed: int
) -> None:
    path = tmp_path / "store.duckdb"
    random = Random(seed)
    kills = 0
    while kills < 5:
        told = killed(path, checkout, random.uniform(0, 0.1), steps=random.randint(0, 3))
        kills += 1
        with Store.open(path) as store:
            held = store.cursor(CHAIN)
            assert (held.block.number if held else 0) >= told

    with Store.open(path) as store:
        index(store)
        assert content(store) == expected


def test_a_killed_store_can_be_read_before_it_is_written_again(tmp_path: Path, checkout: Path) -> None:
    path = tmp_path / "store.duckdb"

    told = killed(path, checkout, 0.05, steps=3)

    with Store.open(path, read_only=True) as store:
        held = store.cursor(CHAIN)
        assert held is not None
        assert held.block.number >= told
        assert len(store.window(CHAIN)) >= 1


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.1, 0.15, 0.2, 0.25])
def test_a_store_that_was_killed_while_it_was_made_can_be_made_again(
    tmp_path: Path, checkout: Path, after_s: float
) -> None:
    path = tmp_path / "store.duckdb"
    make = "import sys, duckdb, pyarrow; from indexer.store import Store; print(flush=True); Store.open(sys.argv[1])"
    with subprocess.Popen(
        [sys.executable, "-c", make, str(path)], stdout=subprocess.PIPE, text=True, cwd=checkout
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(after_s)
        process.kill()

    with Store.open(path) as store:
        append(store, batch(1, 3))


FILL = """
import resource, sys
from indexer.store import Store, StoreError
from tests.unit.store.test_kill import index
with Store.open(sys.argv[1]) as store:
    index(store, until=32)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
    try:
        index(store, until=100_000)
    except StoreError as error:
        print(error, flush=True)
"""


def test_a_full_disk_is_one_message_and_leaves_whole_steps_behind(tmp_path: Path, checkout: Path) -> None:
    path = tmp_path / "store.duckdb"

    filled = subprocess.run(
        [sys.executable, "-c", FILL, str(path)], capture_output=True, text=True, cwd=checkout, check=False
    )

    assert filled.stdout.startswith(f"{path}: cannot be written: "), filled
    with Store.open(path) as store, Store.open(MEMORY) as undisturbed:
        held = store.cursor(CHAIN)
        assert held is not None
        assert held.block.number >= 32
        goal = -(-held.block.number // STEP) * STEP + STEP
        index(store, until=goal)
        index(undisturbed, until=goal)
        assert content(store) == content(undisturbed)
