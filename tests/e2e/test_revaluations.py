"""What `revalue` writes into a lake is what commands say of the same book, and what readers of the very set then answer with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.e2e.conftest import Indexed
from tests.e2e.test_lake import plain
from tests.support.services import ask, done, running

ROUTES = {"stress": "/v1/stress", "at-risk": "/v1/at-risk"}
EVERYTHING = ("--with", "stress,at-risk")


def with_lake(indexed: Indexed) -> Path:
    """A folder of an indexed store, configured with a lake whose sets of long ago are believed."""
    settings = indexed.folder / "crossmargin.toml"
    settings.write_text(f'{settings.read_text()}\n[lake]\nurl = "lake"\nperiod = "240h"\nstale_after = "36500d"\n')
    return indexed.folder


def kept(folder: Path, revaluation: str, table: str) -> Any:
    """The document that a revaluation holds."""
    place = folder / "lake" / "revaluations" / revaluation / f"{table.replace('-', '_')}_document"
    return json.loads(pq.read_table(place / "part-00000.parquet")["said"][0].as_py())["document"]


@pytest.mark.parametrize("engine", ["duckdb", "datafusion"])
def test_a_snapshots_book_is_revalued_to_what_commands_say_of_it(indexed: Indexed, engine: str) -> None:
    folder = with_lake(indexed)
    done(folder, "snapshot", "create")

    made = done(folder, "revalue", "--engine", engine, *EVERYTHING)

    book = json.loads((folder / "lake" / "books" / made["book"] / "book.json").read_text())
    at = ("--at", f"@{book['slot_time']}")
    stressed, curves = done(folder, "stress", *at), done(folder, "at-risk", *at)
    assert kept(folder, made["id"], "stress") == stressed
    assert kept(folder, made["id"], "at-risk") == curves
    assert made["rows"] == stressed["accounts"] > 0
    place = folder / "lake" / "revaluations" / made["id"]
    rows = pq.read_table(place / "stress").to_pylist()
    assert {row["scenario"] for row in rows} == {each["id"] for each in stressed["scenarios"]}
    assert pq.read_table(place / "at-risk").num_rows == sum(
        len(each) for each in (curves["jointly"], *(curve["points"] for curve in curves["alone"]))
    )


@pytest.mark.timeout(600)
def test_a_reader_answers_with_what_engines_made_of_its_very_set(indexed: Indexed) -> None:
    folder = with_lake(indexed)
    done(folder, "lake", "publish")
    joined = done(folder, "lake", "join")

    with running(folder, "serve", "--lake", str(folder / "lake")) as (url, _):
        own = {name: ask(url, route) for name, route in ROUTES.items()}
        made = done(folder, "revalue", "--set", *EVERYTHING)
        served = {name: ask(url, route) for name, route in ROUTES.items()}
        other = ask(url, "/v1/stress?severity=close")
        place = folder / "lake" / "revaluations" / made["id"]
        said = (place / "revaluation.json").read_text()
        (place / "revaluation.json").write_text(said.replace(joined["set"], joined["set"][:-4] + "0000"))
        of_another = {name: ask(url, route) for name, route in ROUTES.items()}
        (place / "revaluation.json").write_text(said)
        for part in place.glob("*_document/*.parquet"):
            part.write_bytes(part.read_bytes()[:-9] + b"X" * 9)
        torn = {name: ask(url, route) for name, route in ROUTES.items()}

    for name in ROUTES:
        assert plain(served[name]) == plain(own[name])
        by = served[name]["served_from"]
        assert (by["lake_set"], by["revaluation"], by["engine"]) == (joined["set"], made["id"], "duckdb")
        assert by["digest"] in said
        assert own[name] == of_another[name] == torn[name]
        assert "revaluation" not in own[name]["served_from"]
    assert other["severity"] == "close"
    assert "revaluation" not in other["served_from"]
    assert (made["lake_set"], made["rows"]) == (joined["set"], served["stress"]["accounts"])
