"""What every test may use, and how properties are explored."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# On a person's machine each run explores new examples and remembers what failed. In CI the same commit gives
# the same answer: examples are derived from the test itself, so that a red run means a change and never luck.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("explore"), derandomize=True, database=None, print_blob=True)
settings.register_profile("deep", settings.get_profile("explore"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "explore"))


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
