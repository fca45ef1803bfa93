"""The demonstration: two recorded chains, a crash, every number the contracts' own, the same on every run."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.recorded import crossmargin, recorded


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, float]:
    began = time.monotonic()
    done = crossmargin(tmp_path_factory.mktemp("demo"), "demo", "--no-serve", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stdout, time.monotonic() - began


def test_it_takes_less_than_a_minute(result: tuple[dict[str, Any], str, float]) -> None:
    assert result[2] < 60


def test_every_recorded_answer_of_the_contracts_is_ours_too(result: tuple[dict[str, Any], str, float]) -> None:
    recorded_answers = sum(len(item["accounts"]) for recording in recorded() for item in recording.expected)

    assert result[0]["parity"] == {"compared": recorded_answers, "equal": recorded_answers, "different": []}
    assert recorded_answers > 4_000


def test_the_crash_weakens_the_account_with_debt_on_both_chains(result: tuple[dict[str, Any], str, float]) -> None:
    stations = {station["station"]: station for station in result[0]["stations"]}
    before, bottom = stations["before the crash"], stations["the bottom"]

    assert float(bottom["health"]["health_factor"]) < float(before["health"]["health_factor"])
    assert {venue["chain"] for venue in before["health"]["venues"]} == {recording.chain_id for recording in recorded()}
    assert all(float(unit["debt"]) > 0 for venue in before["health"]["venues"] for unit in venue["units"])
    assert bottom["statuses"]["liquidatable"] > before["statuses"]["liquidatable"]
    assert stations["after liquidations"]["liquidations"] > bottom["liquidations"] > before["liquidations"] == 0


def test_the_weakest_accounts_come_weakest_first(result: tuple[dict[str, Any], str, float]) -> None:
    lowest = [
        min(float(value) for value in (entry["health_factor"], entry["min_unit_health_factor"]) if value is not None)
        for entry in result[0]["weakest"]
    ]

    assert len(lowest) == 10
    assert lowest == sorted(lowest)


def test_its_snapshot_is_verified(result: tuple[dict[str, Any], str, float]) -> None:
    assert result[0]["snapshot"]["verified"] is True


def test_the_result_is_the_same_on_every_run_and_for_people(
    result: tuple[dict[str, Any], str, float], tmp_path: Path
) -> None:
    again = crossmargin(tmp_path, "demo", "--no-serve", "--json", "--quiet")
    shown = crossmargin(tmp_path, "demo", "--no-serve", "--keep", "kept")

    assert again.stdout == result[1]
    assert again.stderr == ""
    assert "The ten weakest accounts" in shown.stdout
    assert result[0]["snapshot"]["manifest_hash"] in shown.stdout
    assert "block 141 of 141" in shown.stderr
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {
        "crossmargin.duckdb",
        "crossmargin.toml",
        "snapshots",
    }


def test_it_keeps_nothing_of_anybodys_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()

    done = crossmargin(tmp_path, "demo", "--no-serve", "--keep", "mine")

    assert done.returncode == 2
    assert "is not empty" in done.stderr
