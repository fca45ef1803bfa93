"""Parts are done by processes, whatever becomes of these."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections import Counter
from functools import partial
from pathlib import Path
from threading import Lock

import pytest

from aggregator.pooled import TRIES, PartFailed, each_in_processes


def test_a_part_whose_process_is_killed_is_done_by_another(tmp_path: Path) -> None:
    parts = list(range(7))

    found = sorted(each_in_processes(partial(killed_at, tmp_path, {3: 1, 5: TRIES - 1}), parts, str))

    assert found == [each**2 for each in parts]
    assert lives(tmp_path) == {**dict.fromkeys(parts, 1), 3: 2, 5: TRIES}


def test_an_interruption_from_the_keyboard_ends_who_asked_and_no_part() -> None:
    """The terminal sends it to all processes that were begun there."""
    assert sorted(each_in_processes(interrupted_at, [1, 2, 3], str, parts_each=2)) == [1, 2, 3]


def interrupted_at(part: int) -> int:
    os.kill(os.getpid(), signal.SIGINT)
    return part


def test_a_part_of_which_every_process_dies_is_named(tmp_path: Path) -> None:
    with pytest.raises(PartFailed, match=rf"part 3: .* signal {signal.SIGKILL}, {TRIES} times; nothing was written"):
        list(each_in_processes(partial(killed_at, tmp_path, {3: TRIES}), list(range(7)), "part {}".format))

    assert lives(tmp_path)[3] == TRIES
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("raised", ["Kept", "Keyed"])
def test_an_error_that_no_process_can_hand_on_is_said_at_once(raised: str, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=f"^{raised}: part 3 is wrong$"):
        list(each_in_processes(partial(raising_at, tmp_path, raised), list(range(7)), str))

    assert lives(tmp_path)[3] == 1


def test_what_no_process_can_hand_on_is_an_error(tmp_path: Path) -> None:
    with pytest.raises((TypeError, pickle.PicklingError, AttributeError), match="pickle"):
        list(each_in_processes(partial(unsent, tmp_path), [1, 2, 3], str))

    assert max(lives(tmp_path).values()) == 1


class Kept(Exception):
    """Has something that stays in its process."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.lock = Lock()


class Keyed(Exception):
    """Is made otherwise than it is read again."""

    def __init__(self, *, part: int) -> None:
        super().__init__(f"part {part} is wrong")


def raising_at(folder: Path, raised: str, part: int) -> int:
    (folder / f"{part}-{os.getpid()}").touch()
    if part == 3:
        raise Kept("part 3 is wrong") if raised == "Kept" else Keyed(part=part)
    return part


def unsent(folder: Path, part: int) -> object:
    (folder / f"{part}-{os.getpid()}").touch()
    return Lock()


def killed_at(folder: Path, deaths: dict[int, int], part: int) -> int:
    """Square a number; the first so many processes that do some are killed in the middle, as by the kernel when memory ends."""
    begun = len(list(folder.glob(f"{part}-*")))
    (folder / f"{part}-{begun}").touch()
    if begun < deaths.get(part, 0):
        os.kill(os.getpid(), signal.SIGKILL)
    return part**2


def lives(folder: Path) -> dict[int, int]:
    """By part: how many processes began it."""
    return Counter(int(path.name.partition("-")[0]) for path in folder.iterdir())
