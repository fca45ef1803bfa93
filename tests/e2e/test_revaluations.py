"""What `revalue` writes into a lake is what commands say of the same book, and what readers of the very set then answer with."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossmargin.risk_runs import curve_rows, scenario_rows
from tests.e2e.conftest import Indexed
from tests.e2e.test_lake import plain, posted, refusal_of_sql
from tests.support.recorded import crossmargin
from tests.support.services import ask, done, running, until

ROUTES = {"stress": "/v1/stress", "at-risk": "/v1/at-risk"}
EVERYTHING = ("--with", "stress,at-risk")
VIEWS = ("fct_margin_account", "fct_risk_run", "fct_stress", "fct_at_risk")
OF_ACCOUNTS = {"list": "/v1/accounts", "account": "/v1/accounts/hedged", "health": "/v1/accounts/hedged/health"}


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


def test_an_engine_makes_a_scenario_of_ones_own_after_interest_as_stress_does(indexed: Indexed) -> None:
    folder = with_lake(indexed)
    done(folder, "snapshot", "create")
    asked = ("--shock", "ETH=-0.3", "--scenario", "covid-2020", "--accrue", "90")

    made = done(folder, "revalue", "--with", "stress", *asked)

    book = json.loads((folder / "lake" / "books" / made["book"] / "book.json").read_text())
    stressed = done(folder, "stress", *asked, "--at", f"@{book['slot_time']}")
    assert kept(folder, made["id"], "stress") == stressed
    assert stressed["accrued_days"] == 90
    assert len(stressed["scenarios"]) == 2


@pytest.mark.parametrize(
    "asked, why",
    [
        (("--with", "stress", "--fund", "1000"), "ask `crossmargin stress --fund`"),
        (("--shock", "ETH=-0.3"), "add --with stress"),
        (("--with", "stress,at-risk", "--accrue", "9"), "ask for it without --accrue"),
    ],
)
def test_what_engines_do_not_compute_is_refused_and_nothing_is_written(
    indexed: Indexed, asked: tuple[str, ...], why: str
) -> None:
    folder = with_lake(indexed)

    ended = crossmargin(folder, "revalue", *asked)

    assert ended.returncode == 2
    assert why in " ".join(ended.stderr.split())
    assert not (folder / "lake").exists()


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
        assert plain(own[name]) == plain(of_another[name]) == plain(torn[name])
        assert "revaluation" not in {*of_another[name]["served_from"], *torn[name]["served_from"]}
        assert "revaluation" not in own[name]["served_from"]
    assert other["severity"] == "close"
    assert "revaluation" not in other["served_from"]
    assert (made["lake_set"], made["rows"]) == (joined["set"], served["stress"]["accounts"])


@pytest.mark.timeout(600)
def test_a_reader_has_the_margin_accounts_that_an_engine_made_of_its_very_set(indexed: Indexed) -> None:
    """By HTTP and SQL as one process says them of the same cut, and none before."""
    folder, joined = joined_by(indexed)

    with running(folder, "serve", "--lake", str(folder / "lake")) as (url, _):
        before = [refusal_of_sql(url, all_of(view))["detail"] for view in VIEWS]
        nobody = ask(url, "/v1/accounts")["served_from"]["margin_accounts"]
        made = done(folder, "revalue", "--engine", "datafusion", "--set", *EVERYTHING)
        until(lambda: made_by(url)["revaluation"] == made["id"])
        until(lambda: table(url, "SELECT revaluation_id FROM lake_revaluation") == [{"revaluation_id": made["id"]}])
        rows = {view: table(url, all_of(view)) for view in (*VIEWS, "lake_revaluation")}
        said = {name: ask(url, route) for name, route in OF_ACCOUNTS.items()}
        described = {view["name"]: view["comment"] for view in ask(url, "/v1/schema")["views"]}

    assert [view in detail and "nobody revalued" in detail for view, detail in zip(VIEWS, before, strict=True)] == [
        True
    ] * 4
    assert (nobody["revaluation"], nobody["engine"]) == (None, None)
    at = ("--at", joined["cut_at"])
    done(folder, "snapshot", "create", *at)
    alone = named_rows(done(folder, "sql", "SELECT * FROM fct_margin_account"))
    the_same_accounts(rows["fct_margin_account"], alone, joined["set"])
    stressed, risked = done(folder, "stress", *at), done(folder, "at-risk", *at)
    assert in_order(rows["fct_stress"]) == in_order(scenario_rows(stressed), scenario="scenario_id")
    assert in_order(rows["fct_at_risk"]) == in_order(curve_rows(risked), identity="identity_id")
    (run,) = rows["fct_risk_run"]
    assert (run["accounts"], run["units"], run["library_version"]) == tuple(
        stressed[name] for name in ("accounts", "units", "library")
    )
    assert [run[name] for name in ("made_at", "paths", "seed")] == [None] * 3
    for name, document in said.items():
        by = document["served_from"]["margin_accounts"]
        assert (by["revaluation"], by["engine"], by["book"], by["reason"]) == (
            made["id"],
            "datafusion",
            made["book"],
            None,
        )
        assert document["served_from"]["lake_set"] == joined["set"]
        if name == "health":
            assert plain(document) == done(folder, "health", "hedged", *at)
            assert by["methodology"] == document["methodology_version"]
    assert rows["lake_revaluation"][0]["set_id"] == joined["set"]
    assert all(described[view] for view in VIEWS)


@pytest.mark.timeout(600)
def test_a_reader_mixes_no_revaluation_of_something_else_with_its_set(indexed: Indexed) -> None:
    """One of another policy, one that was torn, two that contradict each other, and a set that is newer than all of them."""
    folder, _ = joined_by(indexed)
    made = [done(folder, "revalue", "--engine", engine, "--set")["id"] for engine in ("duckdb", "datafusion")]
    places = [folder / "lake" / "revaluations" / name for name in made]

    one_of_another_policy = reason_with(folder, lambda: changed(places, policy="another"))
    torn = reason_with(folder, lambda: cut_short(places))
    differing = reason_with(folder, lambda: doubled(places[0]))
    alike = reason_with(folder, lambda: None)

    assert "is of policy another" in one_of_another_policy
    assert "is not as it was written" in torn
    assert f"{' and '.join(sorted(made))} say different things" in differing
    assert alike == ""


def joined_by(indexed: Indexed) -> tuple[Path, dict[str, Any]]:
    """A store whose lake has one set, and what joining said of it."""
    folder = with_lake(indexed)
    settings = folder / "crossmargin.toml"
    settings.write_text(f"{settings.read_text()}\n[sql]\nanonymous = true\n")
    done(folder, "lake", "publish")
    return folder, done(folder, "lake", "join")


def made_by(url: str) -> dict[str, Any]:
    """What a reader says of the revaluation that it has."""
    return dict(ask(url, "/v1/accounts")["served_from"]["margin_accounts"])


def all_of(view: str) -> str:
    return f"SELECT * FROM {view}"  # noqa: S608 - our own names


def table(url: str, query: str) -> list[dict[str, Any]]:
    return named_rows(posted(url, query))


def named_rows(answer: dict[str, Any]) -> list[dict[str, Any]]:
    names = [column["name"] for column in answer["columns"]]
    return [dict(zip(names, row, strict=True)) for row in answer["rows"]]


def the_same_accounts(found: list[dict[str, Any]], wanted: list[dict[str, Any]], of: str) -> None:
    """But for the name of the cut and its time: of the set, the cut-off; of a snapshot, its last block."""
    assert {row["snapshot_id"] for row in found} == {of}
    ours, theirs = (sorted(rows, key=lambda row: str(row["account_id"])) for rows in (found, wanted))
    assert len(ours) == len(theirs) > 10
    for mine, other in zip(ours, theirs, strict=True):
        size = (other["collateral_usd"] or 0.0) + (other["debt_usd"] or 0.0)
        assert set(mine) == set(other)
        for name in set(other) - {"snapshot_id", "slot_time"}:
            value = other[name]
            assert mine[name] == (
                pytest.approx(value, rel=1e-12, abs=1e-12 * size) if isinstance(value, float) else value
            )


def in_order(rows: Iterable[dict[str, Any]], **named: str) -> list[str]:
    """Rows without the number of their run, in an order of their own; `named`: what columns are called in the view."""
    plainly = ({named.get(name, name): value for name, value in row.items() if name != "run_id"} for row in rows)
    return sorted(repr(sorted(row.items())) for row in plainly)


def reason_with(folder: Path, change: Callable[[], object]) -> str:
    """Why a reader has no margin accounts of its set, empty where it has; the lake is then as it was before."""
    lake, before = folder / "lake", folder / "before"
    shutil.copytree(lake, before)
    change()
    try:
        with running(folder, "serve", "--lake", str(lake)) as (url, _):
            by = made_by(url)
            if by["reason"] is None:
                assert len(table(url, "SELECT * FROM fct_margin_account")) > 10
            else:
                assert by["reason"] in refusal_of_sql(url, "SELECT * FROM fct_margin_account")["detail"]
        return by["reason"] or ""
    finally:
        shutil.rmtree(lake)
        before.rename(lake)


def changed(places: Iterable[Path], **said: str) -> None:
    """Let revaluations say something else of themselves."""
    for place in places:
        path = place / "revaluation.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | said))


def cut_short(places: Iterable[Path]) -> None:
    for place in places:
        (part,) = place.glob("*.parquet")
        part.write_bytes(part.read_bytes()[:-9])


def doubled(place: Path) -> None:
    """Let a revaluation say of one account what is not so, as whoever wrote it wrongly would have."""
    (part,) = place.glob("*.parquet")
    rows = pq.read_table(part)
    debts = [value and 2 * value for value in rows["debt_usd"].to_pylist()]
    pq.write_table(
        rows.set_column(rows.schema.get_field_index("debt_usd"), "debt_usd", pa.array(debts, pa.float64())), part
    )
    said = json.loads((place / "revaluation.json").read_text())
    for file in said["files"]:
        digest = hashlib.sha256(part.read_bytes()).hexdigest()
        file.update({"bytes": part.stat().st_size, "sha256": digest} if file["path"] == part.name else {})
    (place / "revaluation.json").write_text(json.dumps(said))
