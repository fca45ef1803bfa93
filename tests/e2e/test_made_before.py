"""A store that an earlier version of the program made: it says so wherever anything is said, and what mends it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.e2e.conftest import Indexed
from tests.support.older import set_back
from tests.support.recorded import crossmargin


@pytest.fixture
def before(indexed: Indexed) -> Indexed:
    """A store as a program of schema 9 left it."""
    set_back(store_of(indexed))
    return indexed


def store_of(indexed: Indexed) -> Path:
    (found,) = indexed.folder.glob("**/*.duckdb")
    return found


def test_a_store_of_this_program_lacks_nothing(indexed: Indexed) -> None:
    assert outdated(indexed) == []
    with duckdb.connect(str(store_of(indexed)), read_only=True) as con:
        versions = con.execute("SELECT DISTINCT version FROM derived_by").fetchall()
    assert versions == [(1,)]


def test_until_it_is_brought_up_to_date_it_can_only_say_what_to_do(before: Indexed) -> None:
    asked = crossmargin(before.folder, "status")

    assert asked.returncode != 0
    assert "its schema is 9" in asked.stderr
    assert "run `crossmargin index` once" in asked.stderr


def test_everybody_in_it_is_unknown_and_told_which_command_mends_it(before: Indexed) -> None:
    account = health(before)

    reason = next(reason for reason in account["reasons"] if reason["code"] == "store_outdated")
    assert account["status"] == "unknown"
    assert "stored by derivation 0, this program has 1" in reason["detail"]
    assert "`crossmargin restate --chain eip155:" in reason["detail"]
    said = {(each["version"], each["current"]) for each in outdated(before)}
    assert said == {(0, 1)}
    shown = crossmargin(before.folder, "status")
    assert "is of derivation 0, not 1" in shown.stdout
    started = crossmargin(before.folder, "index")
    assert started.returncode == 0, started.stderr
    assert "stored by derivation 0, this program has 1" in started.stderr


def test_deriving_again_is_not_enough_and_reading_again_is(before: Indexed) -> None:
    rebuilt = crossmargin(before.folder, "rebuild")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert outdated(before) != []

    for chain in {each["mend"].split()[3].strip("`") for each in outdated(before)}:
        done = crossmargin(before.folder, "restate", "--chain", chain)
        assert done.returncode == 0, done.stderr

    assert outdated(before) == []
    assert "store_outdated" not in {reason["code"] for reason in health(before)["reasons"]}


def outdated(indexed: Indexed) -> list[dict[str, Any]]:
    document = json.loads(crossmargin(indexed.folder, "--json", "status").stdout)
    return [each for chain in document["chains"] for each in chain["outdated"]]


def health(indexed: Indexed) -> dict[str, Any]:
    """Any borrower's document; a question that is kept brings the store's schema up to date."""
    with duckdb.connect(str(store_of(indexed)), read_only=True) as con:
        chain_id, owner = con.execute(
            "SELECT chain_id, owner FROM position_current WHERE side = 'borrow' AND amount_raw > 0 ORDER BY ALL LIMIT 1"
        ).fetchall()[0]
    done = crossmargin(indexed.folder, "--json", "health", f"{chain_id}:0x{owner.hex()}")
    assert done.stdout, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said
