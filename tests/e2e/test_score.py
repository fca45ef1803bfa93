"""`crossmargin score calibrate` over files: what it prints, and how it ends."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from aggregator.risk.bars import Bars
from tests.support.recorded import crossmargin
from tests.support.walks import FIRST, walks


def written(folder: Path, bars: Bars) -> str:
    rows = zip(bars.lows.tolist(), bars.highs.tolist(), bars.history.closes.tolist(), strict=True)
    lines = [f"{FIRST + timedelta(days=day)},{low!r},{high!r},{close!r}" for day, (low, high, close) in enumerate(rows)]
    name = f"{bars.history.asset}.csv"
    (folder / name).write_text("\n".join(["date,low,high,close", *lines]) + "\n", encoding="utf-8")
    return name


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return [written(tmp_path, bars) for bars in walks("ABC", 1500)]


def test_a_walk_with_known_chances_holds(tmp_path: Path, files: list[str]) -> None:
    done = crossmargin(tmp_path, "score", "calibrate", *files, "--json")

    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["assets"] == ["A", "B", "C"]
    assert document["holds"] is True
    assert float(document["brier"]) < float(document["climate_brier"])
    assert sum(each["cases"] for each in document["classes"]) == document["cases"] == 3 * 1000 * 8
    assert "mean squared error" in crossmargin(tmp_path, "score", "calibrate", *files).stdout


def test_the_chances_of_a_week_are_judged_by_the_same_table(tmp_path: Path, files: list[str]) -> None:
    done = crossmargin(tmp_path, "score", "calibrate", *files, "--days", "7", "--pool", "500", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cases"] == 3 * 142 * 8
    refused = crossmargin(tmp_path, "score", "calibrate", *files, "--pool", "500")
    assert refused.returncode == 2
    assert "--days" in refused.stderr


def test_days_that_go_wild_after_calm_ones_end_with_4(tmp_path: Path) -> None:
    (calm,) = walks("A", 1400, deviation=0.02)
    falls = [1.0 if day < 900 or day % 25 else 0.75 for day in range(1401)]
    wild = Bars(history=calm.history, lows=calm.lows * falls, highs=calm.highs)

    done = crossmargin(tmp_path, "score", "calibrate", written(tmp_path, wild), "--since", "2022-08-01")

    assert done.returncode == 4, done.stdout + done.stderr
    assert "NO" in done.stdout


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["A.csv", "--since", "soon"], "--since 'soon' is no day"),
        (["A.csv", "--until", "2020-02-01"], "no day to judge"),
        (["odd.csv"], "has no column 'low'"),
        (["wrong.csv"], "2020-01-02 has a low of 3.0"),
        (["absent.csv"], "cannot be read"),
    ],
)
def test_wrong_input_is_named(tmp_path: Path, files: list[str], arguments: list[str], complaint: str) -> None:
    (tmp_path / "odd.csv").write_text("date,close\n2020-01-01,1\n2020-01-02,2\n", encoding="utf-8")
    (tmp_path / "wrong.csv").write_text("date,low,high,close\n2020-01-01,1,1,1\n2020-01-02,3,3,2\n", encoding="utf-8")

    done = crossmargin(tmp_path, "score", "calibrate", *arguments)

    assert done.returncode == 2
    assert complaint in " ".join(done.stderr.split())
