"""Whoever waits at a terminal sees what is done, how far it is and what is left of it; elsewhere nothing of it is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from crossmargin.packaged import config
from tests.e2e.conftest import Indexed
from tests.e2e.test_score import written
from tests.support.product import crossmargin
from tests.support.recorded import CONFIGURATION
from tests.support.terminal import terminal
from tests.support.walks import walks

SHOWN: dict[tuple[str, ...], tuple[str, ...]] = {
    ("stress",): ("judging accounts", "scenarios"),
    ("liquidations", "simulate"): ("judging accounts", "orders of sale"),
    ("liquidations", "freeze"): ("judging accounts", "lengths of a freeze"),
    ("at-risk",): ("judging accounts",),
    ("watch-list",): ("judging accounts",),
    ("risk-run",): ("judging accounts", "scenarios"),
    ("policy", "preview", "policy.toml"): ("judging accounts",),
    ("snapshot", "create"): ("judging accounts",),
    ("lake", "publish"): ("chains",),
    ("validate", "A.csv", "B.csv", "--out", "pack"): ("models", "verdicts", "days", "A over 1 d"),
    ("score", "calibrate", "A.csv", "B.csv"): ("days",),
    ("score", "calibrate", "A.csv", "--days", "7"): ("A over 7 d",),
    ("haircuts", "backtest", "A.csv"): ("models",),
}
"""Commands, and what each says that it is doing, with how much of it is left."""

PASSING: dict[tuple[str, ...], str] = {
    ("lake", "join"): "joining",
    ("revalue",): "computing with duckdb",
    ("backup",): "copying the store",
    ("publish",): "publishing",
    ("restore", "--verify", "kept"): "checking",
}
"""Commands of which nobody can tell what is left, and what each says that it is doing."""


@pytest.fixture(scope="module")
def folder(indexed_once: Indexed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bars") / "indexed"
    shutil.copytree(indexed_once.folder, made)
    with (made / CONFIGURATION).open("a") as file:
        file.write('\n[lake]\nurl = "lake"\n')
    (made / "policy.toml").write_text(config("policy.toml").read_text(encoding="utf-8"))
    for needed in (("keys", "create"), ("snapshot", "create"), ("lake", "publish"), ("backup", "kept")):
        done = crossmargin(made, *needed)
        assert done.returncode == 0, done.stderr
    for bars in walks("AB", 1400):
        written(made, bars)
    return made


@pytest.mark.parametrize("command", SHOWN, ids=" ".join)
def test_what_takes_long_tells_how_much_of_it_is_left(folder: Path, command: tuple[str, ...]) -> None:
    with terminal(folder, *command) as shown:
        code = shown.end()

    assert code in {0, 4, 5}, shown.seen
    for doing in SHOWN[command]:
        assert doing in shown.seen
    assert "ETA 0:00:00" in shown.seen
    assert "100%" in shown.seen


@pytest.mark.parametrize("command", PASSING, ids=" ".join)
def test_what_nobody_can_tell_the_end_of_tells_the_time_that_passed(folder: Path, command: tuple[str, ...]) -> None:
    with terminal(folder, *command) as shown:
        code = shown.end()

    assert code == 0, shown.seen
    assert PASSING[command] in shown.seen
    assert "0:00:0" in shown.seen
    assert "ETA" not in shown.seen


@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_who_asks_for_quiet_or_a_document_sees_no_bar(folder: Path, option: str) -> None:
    with terminal(folder, "stress", option) as shown:
        shown.end()

    assert "judging" not in shown.seen
    assert "ETA" not in shown.seen


@pytest.mark.parametrize("command", [("stress",), ("lake", "join"), ("revalue",)], ids=" ".join)
def test_nothing_of_it_is_said_where_nobody_watches(folder: Path, command: tuple[str, ...]) -> None:
    done = crossmargin(folder, *command, "--json")

    assert done.stderr == ""
    assert isinstance(json.loads(done.stdout), dict)
