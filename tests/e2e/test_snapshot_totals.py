"""A snapshot holds the totals of its venues beside the sums of its rows; one that is no sum makes everybody unknown in it."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.devnet.evm.chain import build
from tests.support.product import chain_tables, crossmargin

NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a market in a store, whose node answers."""
    folder = tmp_path_factory.mktemp("indexed")
    with build(seed=6, actions=60, users=8, slots_in_an_epoch=4) as net:
        (folder / "crossmargin.toml").write_text(chain_tables(net).replace('"finalized"', '"latest"'))
        done = crossmargin(folder, "index")
        assert done.returncode == 0, done.stderr
        (folder / "node").write_text(net.url)
        yield folder


@pytest.fixture
def folder(indexed: Path, tmp_path: Path) -> Path:
    shutil.copytree(indexed, tmp_path / "own")
    return tmp_path / "own"


def test_every_total_of_a_venue_is_in_the_snapshot_and_is_the_sum_of_what_is_stored(folder: Path) -> None:
    made = snapshot(folder)

    totals = table(made, "totals")
    assert {(total["total"], total["told_by"]) for total in totals} == {("scaledTotalSupply", "contract")}
    assert Counter(total["outcome"] for total in totals) == {"equal": len(totals)}
    assert len(totals) > 4
    assert {total["residual"] for total in totals} == {"0"}
    odd = [held for held in table(made, "holdings") if held["outcome"] != "covered"]
    assert [held["reason"] for held in odd] == ["the token says a balance beyond its own supply of 0"]
    assert {held["outcome"] for held in odd} == {"unreadable"}, "the devnet's wrapped coin is minted without any coin"
    assert "total_differs" not in {code for account in table(made, "accounts") for code in codes(account)}


def test_a_row_that_was_tampered_with_is_a_residual_and_makes_everybody_unknown(folder: Path) -> None:
    tamper(folder, 1)

    made = snapshot(folder)

    (wrong,) = (total for total in table(made, "totals") if total["outcome"] == "different")
    assert (wrong["residual"], wrong["least_residual"], wrong["most_residual"]) == ("-1", "0", "0")
    accounts = table(made, "accounts")
    assert {account["status"] for account in accounts} == {"unknown"}
    assert all("total_differs" in codes(account) for account in accounts)
    manifest = json.loads((made / "manifest.json").read_text())
    assert {gap["code"] for gap in manifest["gaps"]} == {"total_differs", "proof_differs"}, "state proofs tell it too"
    health = json.loads(crossmargin(folder, "--json", "health", accounts[0]["account"]).stdout)
    assert "total_differs" in {reason["code"] for reason in health["reasons"]}, "the store believes it no more either"
    (status,) = json.loads(crossmargin(folder, "--json", "status").stdout)["chains"]
    assert [(each["last"], each["totals"]["different"]) for each in status["audited"]] == [(None, 1)]


def test_what_the_contracts_said_is_kept_so_that_the_snapshot_can_be_made_again_without_them(folder: Path) -> None:
    first = snapshot(folder)
    kept = first.rename(folder / "kept")
    change_node(folder, NOWHERE)

    again = snapshot(folder)

    assert (again / "manifest.json").read_bytes() == (kept / "manifest.json").read_bytes()
    assert {total["outcome"] for total in table(again, "totals")} == {"equal"}


def test_where_no_node_answers_a_residual_is_not_known_and_says_so(folder: Path) -> None:
    change_node(folder, NOWHERE)

    made = snapshot(folder)

    totals = table(made, "totals")
    assert {(total["outcome"], total["theirs"], total["residual"]) for total in totals} == {("unanswered", None, None)}
    assert {total["reason"] for total in totals} == {"no node answered for the state of this block"}
    assert {account["status"] for account in table(made, "accounts")} != {"unknown"}


def test_a_residual_beside_other_gaps_gives_the_same_snapshot_before_it_is_stored_and_after(folder: Path) -> None:
    tamper(folder, 1)
    sql(folder, "UPDATE derived_by SET version = 0")
    first = snapshot(folder)
    kept = first.rename(folder / "kept")

    again = snapshot(folder)

    manifest = (again / "manifest.json").read_bytes()
    assert manifest == (kept / "manifest.json").read_bytes()
    assert {gap["code"] for gap in json.loads(manifest)["gaps"]} == {"store_outdated", "total_differs", "proof_differs"}


def test_a_total_that_is_right_at_the_cut_stands_for_what_was_wrong_of_it_before(folder: Path) -> None:
    at = sql(folder, "SELECT max(number) FROM evm_block WHERE number < (SELECT max(number) FROM evm_block)")
    tamper(folder, 1)
    wrong = snapshot(folder)
    wrong.rename(folder / "wrong")
    sql(folder, "DELETE FROM snapshot")
    tamper(folder, -1)
    sql(folder, f"UPDATE venue_total SET block_number = {at[0][0]} WHERE outcome = 'different'")  # noqa: S608

    made = snapshot(folder)

    assert {total["outcome"] for total in table(made, "totals")} == {"equal"}
    assert json.loads((made / "manifest.json").read_text())["gaps"] == []
    assert {account["status"] for account in table(made, "accounts")} != {"unknown"}


def snapshot(folder: Path) -> Path:
    done = crossmargin(folder, "--json", "snapshot", "create")
    assert done.returncode == 0, done.stderr
    return Path(json.loads(done.stdout)["path"])


def table(made: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(made / f"{name}.parquet").to_pylist()
    return rows


def codes(account: dict[str, Any]) -> set[str]:
    return {reason["code"] for reason in json.loads(account["reasons"])}


def sql(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "data" / "crossmargin.duckdb")) as con:
        return con.execute(query).fetchall()


def tamper(folder: Path, by: int) -> None:
    """Let the store say that somebody owes more than he does."""
    with duckdb.connect(str(folder / "data" / "crossmargin.duckdb")) as con:
        key = con.execute(
            "SELECT unit_id, market FROM position_current WHERE side = 'borrow' AND amount_raw > 0 ORDER BY unit_id LIMIT 1"
        ).fetchall()[0]
        for name in ("position_change", "position_current"):
            con.execute(
                f"UPDATE {name} SET amount_raw = amount_raw + {by}"  # noqa: S608 - one of two names
                " WHERE unit_id = ? AND market = ? AND side = 'borrow'",
                list(key),
            )


def change_node(folder: Path, url: str) -> None:
    path = folder / "crossmargin.toml"
    path.write_text(path.read_text().replace((folder / "node").read_text(), url))
