"""A forked process ends as one that was started does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.endings import ENDINGS, PROGRAM
from tests.support.forked import started

CODES = {
    "returning": 3,
    "leaving": 4,
    "explaining": 1,
    "failing": 1,
    "waited for": 0,
    "tidying": 0,
    "stopped": -signal.SIGTERM,
}


@pytest.mark.parametrize("ending", sorted(ENDINGS))
def test_a_forked_process_ends_as_a_started_one(ending: str, checkout: Path, tmp_path: Path) -> None:
    """With the same code, output and last word on stderr, whatever of a traceback stands above it."""
    command = [sys.executable, "-m", PROGRAM, ending]
    true = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)

    errors = tmp_path / "errors"
    with (
        errors.open("w") as err,
        started([ending], folder=checkout, environment=os.environ, errors=err, program=PROGRAM) as forked,
    ):
        assert forked.stdout is not None
        said = forked.stdout.read()
        code = forked.wait(timeout=60)

    assert true.returncode == CODES[ending]
    assert (code, said) == (true.returncode, true.stdout)
    assert errors.read_text().splitlines()[-1:] == true.stderr.splitlines()[-1:]
