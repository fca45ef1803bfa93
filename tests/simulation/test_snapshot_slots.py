"""However often it is killed, whatever its clock does and whoever competes with it, a schedule has one snapshot for each of its slots."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from indexer.store import Store
from tests.support.forked import Running, started
from tests.support.snapshot_slots import BEGIN, END, PROGRAM, STEP_S, Office, chain_in, faults, opened, slots

RUNS, RUNS_A_TEST = int(os.environ.get("SLOT_RUNS", "20")), 10
"""200 of them were made when the ledger was; so many are made with each change."""

KILLS = 4
STEPS = 6
SHARED, PATIENCE = 5, 1.05
"""So many of the nine snapshots must be made while processes compete; each lives a little longer than the last, however slow they are."""


class Killed(BaseException):
    """The end of a process, wherever it is."""


class Guillotine:
    """Ends what runs at one of the places at which something lasting happens; what is dead does nothing more."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None
        self.dead, self.kills = False, 0
        for owner, name in (
            (os, "fsync"),
            (Path, "rename"),
            (Path, "write_bytes"),
            (shutil, "copyfile"),
            (shutil, "rmtree"),
        ):
            patch.setattr(owner, name, self._guarded(getattr(owner, name), real=name != "fsync"))
        for name in ("snapshot_ledger", "update_snapshot"):
            patch.setattr(Store, name, self._guarded(getattr(Store, name)))

    def arm(self, left: int | None) -> None:
        self.left, self.dead = left, False

    def _guarded(self, act: Any, *, real: bool = True) -> Any:
        def guarded(*given: Any, **named: Any) -> Any:
            self._step()
            done = act(*given, **named) if real else None
            self._step()
            return done

        return guarded

    def _step(self) -> None:
        if self.dead or self.left == 0:
            self.kills += not self.dead
            self.dead = True
            raise Killed
        if self.left is not None:
            self.left -= 1


class Machine:
    """A folder with a store, and a clock that may stand still, jump ahead or fall back."""

    def __init__(self, folder: Path, rng: Random, guillotine: Guillotine) -> None:
        self.folder, self.rng, self.guillotine = folder, rng, guillotine
        self.path, self.now = folder / "store.duckdb", float(BEGIN + rng.randrange(STEP_S))

    def live(self, kill_after: int | None) -> None:
        """Open the store as a new process does and make some ticks, by a clock that may be a little off; be killed on the way."""
        skew = self.rng.choice((0, 0, -90, 40))
        with opened(self.path, self.folder) as store:
            office = Office(store, self.folder, lambda: self.now + skew)
            self.guillotine.arm(kill_after)
            try:
                for _ in range(STEPS):
                    office.tick()
                    self.now += self.rng.choice((0, 20, 150, 310))
            except Killed:
                self._crash(store)
            finally:
                self.guillotine.arm(None)

    def clock(self) -> float:
        return self.now

    def jump(self) -> None:
        """Be suspended for a while, or let somebody set the clock back."""
        self.now += self.rng.choice((0, 0, -400, 500, 900))

    def _crash(self, store: Store) -> None:
        """Leave the files as they are at this very moment: closing would tidy up."""
        self.guillotine.arm(None)
        kept = [(path, path.read_bytes()) for path in self.folder.glob("store.duckdb*") if path.is_file()]
        store.close()
        for path in self.folder.glob("store.duckdb*"):
            path.unlink()
        for path, content in kept:
            path.write_bytes(content)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chain") / "store.duckdb"
    chain_in(path)
    return path


@pytest.fixture
def guillotine(monkeypatch: pytest.MonkeyPatch) -> Guillotine:
    return Guillotine(monkeypatch)


@pytest.mark.parametrize("first", range(0, RUNS, RUNS_A_TEST))
def test_kills_and_clocks_lose_no_slot_and_make_none_twice(
    first: int, chain: Path, tmp_path: Path, guillotine: Guillotine
) -> None:
    for seed in range(first, first + RUNS_A_TEST):
        rng = Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        (folder / "store.duckdb").write_bytes(chain.read_bytes())
        machine = Machine(folder, rng, guillotine)
        with opened(machine.path, folder) as store:
            Office(store, folder, machine.clock).tick()
            since = store.snapshots()[0].slot_time - 1
        for _ in range(KILLS):
            machine.live(rng.randrange(60))
            machine.jump()
        machine.now = max(machine.now, END - 300)
        machine.live(None)
        machine.now = min(machine.now, END)

        with opened(machine.path, folder) as store:
            office = Office(store, folder, machine.clock)
            office.tick()
            office.tick()
            found = faults(store, folder, slots(since, int(machine.now)))
        assert found == [], f"seed {seed}"
        shutil.rmtree(folder)
    assert guillotine.kills > RUNS_A_TEST


def test_two_processes_that_compete_and_are_killed_make_each_snapshot_once(chain: Path, tmp_path: Path) -> None:
    path, rng, rate = tmp_path / "store.duckdb", Random(7), 240
    path.write_bytes(chain.read_bytes())
    with opened(path, tmp_path) as store:
        Office(store, tmp_path, lambda: BEGIN).tick()
        since = store.snapshots()[0].slot_time - 1
    base = time.time()
    command, errors = [str(path), str(tmp_path), str(base), str(rate)], tmp_path / "errors"
    with ExitStack() as stack:
        said = stack.enter_context(errors.open("a"))

        def one_more() -> Running:
            process = stack.enter_context(
                started(command, folder=tmp_path, environment=os.environ, errors=said, program=PROGRAM)
            )
            stack.callback(process.kill)
            return process

        running, lives = [one_more() for _ in range(2)], 1.0
        while time.time() < base + (END - BEGIN) / rate or len([*tmp_path.glob("snapshots/*")]) < SHARED:
            time.sleep(lives * rng.uniform(0.1, 1))
            lives *= PATIENCE
            _end(running.pop(rng.randrange(2)), errors)
            running.append(one_more())
        for process in running:
            _end(process, errors)

    with opened(path, tmp_path) as store:
        office = Office(store, tmp_path, lambda: END)
        office.tick()
        office.tick()
        assert faults(store, tmp_path, slots(since, END)) == []


def _end(process: Running, errors: Path) -> None:
    """Kill one of our processes; it must not have ended by itself."""
    assert process.poll() is None, errors.read_text()
    process.kill()
    assert process.wait() == -signal.SIGKILL


FULL_DISK = """
import subprocess, sys
from pathlib import Path
from tests.support.snapshot_slots import BEGIN, STEP_S, Office, opened
path, room = Path(sys.argv[1]), Path(sys.argv[2])
now = BEGIN
with opened(path, room) as store:
    office = Office(store, room, lambda: now)
    office.tick()
    now = store.snapshots()[0].slot_time + STEP_S
    try:
        office.tick()
    except OSError as error:
        print("raised", error.strerror)
    for row in store.snapshots():
        print(row.state, row.detail)
    print("left", [each.name for each in (room / "snapshots").iterdir()])
    subprocess.run(["mount", "-o", "remount,size=16m", str(room / "snapshots")], check=True)
    office.tick()
    print(*(row.state for row in store.snapshots()))
    print("made", *sorted(each.name for each in (room / "snapshots").iterdir()))
"""


def test_a_full_disk_is_told_leaves_nothing_and_is_tried_again(chain: Path, tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount of one's own is allowed here")
    (tmp_path / "store.duckdb").write_bytes(chain.read_bytes())
    room = tmp_path / "snapshots"
    room.mkdir()
    script = f'mount -t tmpfs -o size=64k none "{room}" && exec "$@"'
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "store.duckdb"), str(tmp_path)]

    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", *command], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    raised, first, second, coming, left, states, made = done.stdout.splitlines()
    assert raised.endswith("No space left on device")
    assert first.startswith("failed") and "No space left on device" in first  # noqa: PT018
    assert second.startswith("failed")
    assert coming.startswith("waiting")
    assert left == "left []"
    assert states == "done done waiting"
    assert len(made.split()) == 3
