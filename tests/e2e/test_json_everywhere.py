"""With `--json` a command prints one document on stdout, and nothing else there."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crossmargin.cli.reference import leaves
from crossmargin.packaged import config
from tests.e2e.conftest import Indexed
from tests.support.recorded import crossmargin

CALLS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("init",): ("--chain", "base", "--output", "other.toml"),
    ("check",): (),
    ("status",): (),
    ("account", "list"): (),
    ("account", "show"): ("stretched",),
    ("at-risk",): (),
    ("prices",): (),
    ("prices", "import"): ("ETH.csv",),
    ("prices", "list"): (),
    ("prices", "show"): ("ETH",),
    ("liquidity", "import"): ("liquidity.csv",),
    ("liquidity", "list"): (),
    ("haircuts", "show"): (),
    ("sql",): ("SELECT 1 AS one",),
    ("snapshot", "create"): (),
    ("snapshot", "list"): (),
    ("policy", "show"): (),
    ("policy", "list"): (),
    ("policy", "check"): ("policy.toml",),
    ("keys", "rotate"): (),
}
"""Words behind each command; they are called in any order."""


@pytest.fixture(scope="module")
def folder(indexed_once: Indexed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all of them, with files to take in beside it."""
    made = tmp_path_factory.mktemp("json") / "indexed"
    shutil.copytree(indexed_once.folder, made)
    days = [datetime.now(UTC).date() - timedelta(days=day) for day in range(400, 0, -1)]
    closes = [100 + (number * 37) % 11 for number in range(len(days))]
    lines = [f"{day},{close - 1},{close + 1},{close}" for day, close in zip(days, closes, strict=True)]
    (made / "ETH.csv").write_text("\n".join(["date,low,high,close", *lines]))
    (made / "liquidity.csv").write_text(
        f"asset,as_of,daily_volume_usd,spread,fee\nETH,{days[-1]},1000000,0.001,0.003\n"
    )
    (made / "policy.toml").write_text(config("policy.toml").read_text(encoding="utf-8"))
    for needed in (("keys", "create"), ("prices", "import", "ETH.csv"), ("liquidity", "import", "liquidity.csv")):
        done = crossmargin(made, *needed)
        assert done.returncode == 0, done.stderr
    return made


@pytest.mark.parametrize("path", CALLS, ids=" ".join)
def test_a_command_prints_one_document(folder: Path, path: tuple[str, ...]) -> None:
    done = crossmargin(folder, *path, *CALLS[path], "--json")

    assert done.returncode in {0, 3}, done.stderr
    assert isinstance(json.loads(done.stdout), dict)


def test_what_is_called_here_are_commands() -> None:
    assert CALLS.keys() <= {path for path, _ in leaves()}
