"""`crossmargin haircuts` over files: what it prints, how it ends, and what it says of files that are none."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.support.recorded import crossmargin


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    returns = np.random.default_rng(11).normal(0, 0.03, 900)
    days = [date(2021, 1, 1) + timedelta(days=number) for number in range(901)]
    closes = 100 * np.exp(np.concatenate([[0.0], np.cumsum(returns)]))
    lines = [f"{day},{close!r}" for day, close in zip(days, closes.tolist(), strict=True)]
    (tmp_path / "calm.csv").write_text("\n".join(["date,close", *lines]) + "\n", encoding="utf-8")
    falls = closes.copy()
    falls[880:] *= np.cumprod(np.full(21, 0.8))
    parquet.write_table(pa.table({"date": days, "close": falls}), tmp_path / "crash.parquet")
    return tmp_path


def test_models_are_walked_forward_over_csv_and_parquet(folder: Path) -> None:
    done = crossmargin(folder, "haircuts", "backtest", "calm.csv", "crash.parquet", "--model", "fhs", "--json")

    assert done.returncode == 0, done.stderr
    calm, crash = json.loads(done.stdout)["results"]
    assert (calm["asset"], crash["asset"]) == ("calm", "crash")
    assert calm["days"] == crash["days"] == 400
    assert (calm["first"], calm["last"]) == ("2022-05-17", "2023-06-20")
    assert calm["holds"] is True
    assert crash["breaches"] > calm["breaches"]
    assert calm["traffic_light"] in {"green", "yellow"}


def test_a_required_model_that_does_not_hold_ends_with_4(folder: Path) -> None:
    calm = crossmargin(folder, "haircuts", "backtest", "calm.csv", "--require", "fhs")
    crash = crossmargin(
        folder, "haircuts", "backtest", "crash.parquet", "--require", "ewma-normal", "--since", "2023-05-01"
    )

    assert (calm.returncode, crash.returncode) == (0, 4), calm.stderr + crash.stderr
    assert "NO" in crash.stdout


def test_layers_are_estimated_for_a_horizon(folder: Path) -> None:
    done = crossmargin(folder, "haircuts", "estimate", "calm.csv", "--horizon", "12h", "--json")

    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (found,) = document["haircuts"]
    assert document["horizon_s"] == found["maintenance"]["horizon_s"] == 43_200
    assert found["initial"]["horizon_s"] == 86_400
    assert 0.03 < float(found["maintenance"]["haircut"]) < float(found["initial"]["haircut"]) < 0.15
    assert "12h" in crossmargin(folder, "haircuts", "estimate", "calm.csv", "--horizon", "12h").stdout


@pytest.mark.parametrize(
    "text, said",
    [
        ("date,close\n2024-01-01,1\n2024-01-03,1\n", "2024-01-03 follows 2024-01-01"),
        ("date,close\n2024-01-01,1\n2024-01-02,-1\n", "the price of 2024-01-02 is -1.0"),
        ("date,close\n2024-01-01,1\n2024-01-02,\n", "no price history"),
        ("date,price\n2024-01-01,1\n2024-01-02,1\n", "has no column 'close'; it has 'date', 'price'"),
        ("date,close\nyesterday,1\ntoday,1\n", "no price history"),
        ("date,close,close\n2024-01-01,1,1\n2024-01-02,1,1\n", "has several columns 'close'"),
        ("date,close\n9999-12-31,1\n9999-12-31,1\n", "9999-12-31 follows 9999-12-31"),
        ("date,close\n2024-01-01,1\n2024-01-02,1\n", "the first that can be judged is 2025-05-16"),
        ("", "cannot be read as CSV"),
    ],
)
def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "odd.csv").write_text(text, encoding="utf-8")
    done = crossmargin(tmp_path, "haircuts", "backtest", "odd.csv")

    assert done.returncode == 2
    assert done.stdout == ""
    assert said in " ".join(done.stderr.split())
    assert "odd" in done.stderr


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("backtest", "calm.csv", "--model", "fsh"), 'there is no model "fsh"; did you mean "fhs"?'),
        (("backtest", "calm.csv", "--since", "lately"), "is no day; write it as 2024-01-31"),
        (("backtest", "calm.csv", "--since", "2030-01-01"), "the prices end on 2023-06-20"),
        (("estimate", "calm.csv", "--horizon", "4"), "must be a duration"),
        (("estimate", "calm.csv", "--horizon", "16d"), "must be at most 15d"),
        (("estimate", "absent.csv"), "absent.csv"),
        (("estimate",), "or --stored IDENTITY"),
    ],
)
def test_a_question_that_cannot_be_asked_ends_with_2(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    done = crossmargin(folder, "haircuts", *arguments)

    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
