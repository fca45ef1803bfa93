"""Compiled code gives way to what gives the same without it, whatever a compiler or its files raise, and that is said once."""

from __future__ import annotations

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from aggregator.preferring import NotCompiled, compiling, preferred

FULL_DISK = """
import logging, os, resource, sys
import numpy as np
from aggregator.jitted import in_turns, jitted, on_all_cores
from aggregator.preferring import preferred

logging.basicConfig(format="%(levelname)s %(word)s %(message)s")
resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))

def doubled(_turn, numbers):
    for place in range(len(numbers)):
        numbers[place] *= 2

def in_numpy(numbers):
    numbers *= 2

kept = jitted()(doubled)
for name, call in {"turns": lambda numbers: in_turns(kept, 1, numbers), "cores": lambda numbers: on_all_cores(kept, 0, numbers)}.items():
    kernel, numbers = preferred(name, lambda: call, in_numpy), np.ones(3)
    kernel(numbers)
    kernel(numbers)
    print(name, numbers.tolist())
"""


def plain(found: list[int]) -> None:
    found.append(0)


class Failing:
    """Writes nothing and raises: `says` while it compiles, or what is no fault of a compiler."""

    def __init__(self, says: Exception) -> None:
        self.calls, self._says = 0, says

    def __call__(self, _found: list[int]) -> None:
        self.calls += 1
        with compiling():
            raise self._says


@pytest.mark.parametrize(
    "said", [OSError(28, "No space left on device"), EOFError("Ran out\nof input"), RuntimeError("unknown opcode")]
)
def test_what_cannot_be_compiled_is_computed_without_and_said_once(
    said: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    compiled, found = Failing(said), list[int]()
    kernel = preferred("the sum", lambda: compiled, plain)

    for _ in range(3):
        kernel(found)

    assert found == [0, 0, 0]
    assert compiled.calls == 1
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert vars(record)["word"] == "not_compiled"
    assert record.getMessage().startswith(f"the sum without compiled code, slower: {type(said).__name__}: ")
    assert "\n" not in record.getMessage()


def test_threads_that_find_out_together_say_it_once(caplog: pytest.LogCaptureFixture) -> None:
    kernel = preferred("the sum", lambda: Failing(OSError("full")), plain)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(kernel, [[] for _ in range(64)]))

    assert len(caplog.records) == 1


def test_what_a_compiled_kernel_raises_of_what_it_is_given_is_raised() -> None:
    """It may have written something by then."""

    def wrong(_found: list[int]) -> None:
        raise MemoryError("no room")

    found = list[int]()
    with pytest.raises(MemoryError, match="no room"):
        preferred("the sum", lambda: wrong, plain)(found)
    assert found == []


def test_what_is_not_installed_is_no_event_and_what_cannot_be_loaded_is(caplog: pytest.LogCaptureFixture) -> None:
    def load(error: Exception) -> Any:
        raise error

    assert preferred("the sum", lambda: load(ImportError("no numba")), plain) is plain
    assert not caplog.records
    assert preferred("the sum", lambda: load(AttributeError("another inside")), plain) is plain
    assert "another inside" in caplog.text


def test_a_compiler_names_its_own_error() -> None:
    with pytest.raises(NotCompiled, match="OSError: full") as caught, compiling():
        raise OSError("full")
    assert isinstance(caught.value.__cause__, OSError)


def test_a_disk_that_is_full_leaves_the_same_numbers(tmp_path: Path) -> None:
    """The compiler's own files are refused: what may be written is less than they are."""
    pytest.importorskip("numba")
    (tmp_path / "job.py").write_text(FULL_DISK, encoding="utf-8")

    ended = subprocess.run(
        [sys.executable, str(tmp_path / "job.py")],
        env={"NUMBA_CACHE_DIR": str(tmp_path / "kept"), "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["turns [4.0, 4.0, 4.0]", "cores [4.0, 4.0, 4.0]"]
    assert [line.split(":")[0] for line in ended.stderr.splitlines()] == [
        f"WARNING not_compiled {name} without compiled code, slower" for name in ("turns", "cores")
    ]
