"""What was snapshotted can be asked again: by SQL, against another snapshot, and only as long as it is what was signed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from aggregator.audit.manifest import Link
from aggregator.audit.snapshot import write_snapshot
from aggregator.book import Book
from crossmargin.archive import Archive
from crossmargin.documents import Document
from crossmargin.errors import NoSuchThing, Unverified
from indexer.store import QueryRefused
from tests.unit.aggregator.builders import CHAIN
from tests.unit.aggregator.test_snapshot import SLOT, book, signer

HOUR = 3600


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Two snapshots an hour apart: of one WETH, then of two; nothing was said of the escrow any more."""
    room = tmp_path / "snapshots"
    _, first = write_snapshot(room, book(1.0), slot_time=SLOT, link=Link(), signer=signer())
    link = Link(sequence=2, previous=first.hash)
    write_snapshot(room, book(2.0, silent=True), slot_time=SLOT + HOUR, link=link, signer=signer())
    return Archive(room)


def rewritten(archive: Archive, what: Book, hours: int) -> None:
    write_snapshot(archive.folder, what, slot_time=SLOT + hours * HOUR, link=Link(sequence=3), signer=signer())


def test_sql_over_a_snapshot_names_its_hash(archive: Archive) -> None:
    first, last = archive.names()

    answer = archive.query(last, "SELECT symbol, amount_raw FROM positions WHERE venue_id = 'toy-1' ORDER BY symbol")

    assert answer["rows"] == [["JUNK", "9007199254740992"], ["WETH", "2000000000000000000"]]
    assert (answer["snapshot"], answer["manifest_hash"]) == (last, archive.opened(last).hash)
    assert archive.query(first, "SELECT count(*) FROM units")["rows"] == [[3]]


def test_sql_over_a_snapshot_reads_nothing_but_it(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a\n1\n")

    for query in (
        f"FROM read_csv('{tmp_path}/other.csv')",
        "CREATE TABLE a AS SELECT 1",
        f"FROM read_parquet('{tmp_path}/*')",
    ):
        with pytest.raises(QueryRefused):
            archive.query(archive.names()[0], query)


@pytest.mark.parametrize("name", ["positions.parquet", "manifest.json", "signature.json", "keys.json"])
def test_a_changed_byte_answers_nothing(archive: Archive, name: str) -> None:
    path = archive.folder / archive.names()[0] / name
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)

    with pytest.raises(Unverified, match="no intact snapshot"):
        archive.query(archive.names()[0], "SELECT 1")
    with pytest.raises(Unverified, match="no intact snapshot"):
        archive.difference(*archive.names())


def test_a_snapshot_that_is_not_there_is_named(archive: Archive) -> None:
    with pytest.raises(NoSuchThing, match="there is no snapshot 2020"):
        archive.manifest("2020")


def test_the_difference_names_every_row_and_sum(archive: Archive) -> None:
    found = archive.difference(*archive.names())

    tables = found["tables"]
    (account,) = tables["accounts"]["rows"]
    assert account["key"] == {"account": "acme"}
    assert account["columns"]["status"] == ["healthy", "unknown"]
    (position,) = tables["positions"]["rows"][:1]
    assert position["columns"]["amount_raw"] == ["1000000000000000000", "2000000000000000000"]
    assert (tables["positions"]["changed"], tables["liabilities"]["changed"], tables["marks"]["differing"]) == (2, 1, 0)
    weth = [line for line in found["sums"] if line["change"] == "1000000000000000000"]
    assert [(line["from"], line["to"], line["side"]) for line in weth] == [
        ("2000000000000000000", "3000000000000000000", "supply")
    ]
    assert next(line for line in found["sums"] if line["of"] == "unknown")["change"] == "1"
    assert found["to"]["sequence"] == 2
    assert not found["same"]


def test_rows_beyond_the_limit_are_counted(archive: Archive) -> None:
    found = archive.difference(*archive.names(), most=0)

    assert (found["tables"]["positions"]["rows"], found["tables"]["positions"]["left_out"]) == ([], 2)


def test_the_same_book_of_two_slots_is_the_same(archive: Archive) -> None:
    rewritten(archive, book(2.0, silent=True), 2)

    found = archive.difference(*archive.names()[1:])

    assert (found["same"], found["causes"], found["sums"]) == (True, [], [])


def test_causes_are_named_where_the_manifests_tell_them(archive: Archive) -> None:
    same = book(2.0)
    cut = same.cuts[CHAIN]
    other = replace(cut.block, hash=b"\xee" * 32)
    inputs = replace(same.inputs, cuts={**same.cuts, CHAIN: replace(cut, block=other)})
    rewritten(archive, replace(same, inputs=inputs), 2)
    first, _, last = archive.names()

    codes = [(each["code"], each["subject"]) for each in archive.difference(first, last)["causes"]]

    assert codes == [("reorg", CHAIN)]


def test_what_nothing_explains_is_said_to_be_unexplained(archive: Archive) -> None:
    (cause,) = archive.difference(*archive.names())["causes"]

    assert cause["code"] == "unexplained"


def test_a_restatement_up_to_the_cut_is_a_cause(archive: Archive) -> None:
    asked = []

    def sql(query: str) -> Document:
        asked.append(query)
        return {
            "rows": [
                [CHAIN, "venue:toy-1", "100", "nodes had lost a log", 1],
                [CHAIN, "venue:toy-1", "101", "later", 1],
            ]
        }

    found = Archive(archive.folder, sql).difference(*archive.names())

    assert [(each["code"], each["detail"]) for each in found["causes"]] == [
        ("restatement", "venue:toy-1 from block 100 on: nodes had lost a log")
    ]
    assert found["ledger_asked"]
    assert all(archive.opened(name).hash in asked[0] for name in archive.names())


def test_a_proof_is_followed_by_the_verifier(archive: Archive) -> None:
    proof = archive.proof(archive.names()[0], "acme")

    assert proof["manifest_hash"] == archive.opened(archive.names()[0]).hash
    assert {json.loads(unit["unit"])["venue_id"] for unit in proof["units"]} == {"toy-1", "toy-10", "vault"}
    with pytest.raises(NoSuchThing):
        archive.proof(archive.names()[0], "nobody")
