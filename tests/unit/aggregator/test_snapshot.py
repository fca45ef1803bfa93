"""A snapshot is written whole, is the same bytes every time, and betrays every change."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from aggregator.audit.manifest import MANIFEST
from aggregator.audit.snapshot import SnapshotExists, manifest_hash, snapshot_id, verify, write_snapshot
from aggregator.book import Book, assess_book
from aggregator.gather import Catalogue
from aggregator.margin.inputs import Cut, MarginAccount
from chains.identifiers import Account
from chains.model import Finality
from indexer.store.liabilities import LiabilityRow
from tests.unit.aggregator.builders import (
    CHAIN,
    JUNK,
    NOW,
    OTHER_CHAIN,
    OWNER,
    USDC,
    WETH,
    Holding,
    Price,
    assets,
    block,
    escrow,
    liabilities,
    policy,
    venue,
)
from tests.unit.aggregator.journals import ToyJournals

PRICES = {WETH: Price(usd=2000), USDC: Price(usd=1, threshold_bp=9_000)}
SLOT = 1_700_000_100
FILES = [
    "accounts.parquet",
    "as_of.parquet",
    "holdings.parquet",
    "liabilities.parquet",
    "marks.parquet",
    "positions.parquet",
    "totals.parquet",
    "units.parquet",
]


def reported() -> LiabilityRow:
    """A claim of 800 against OWNER's deposit of one WETH."""
    said = liabilities("800", "-200")
    amounts = (said.initial_requirement_usd, said.maintenance_requirement_usd, said.pnl_usd)
    return LiabilityRow(CHAIN, "vault", OWNER, NOW - 60, *amounts, said.key, said.document)


def book(tokens: float = 1.0, *, silent: bool = False) -> Book:
    toy = ToyJournals(
        venues=[
            venue(PRICES, Holding(supplied={WETH: tokens, JUNK: 2**53}, flagged=(WETH,)), name="toy-1"),
            venue(PRICES, Holding(supplied={WETH: 1}, owed={USDC: 1000}), name="toy-10", chain=OTHER_CHAIN),
            escrow({WETH: 1}),
        ],
        reported=() if silent else (reported(),),
    )
    catalogue = Catalogue(
        venues=tuple(item.snapshot.venue for item in toy.venues),
        feeds=(),
        assets=assets(),
        policy=policy(),
        accounts=(MarginAccount(id="acme", members=(str(Account(CHAIN, OWNER)), str(Account(OTHER_CHAIN, OWNER)))),),
    )
    cuts = {chain: Cut(block=block(), finality=Finality.FINALIZED) for chain in (CHAIN, OTHER_CHAIN)}
    return assess_book(toy, cuts, catalogue)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_book_is_the_same_bytes(tmp_path: Path) -> None:
    first, _ = write_snapshot(tmp_path / "a", book(), slot_time=SLOT, previous="sha256:0")
    second, _ = write_snapshot(tmp_path / "b", book(), slot_time=SLOT, previous="sha256:0")

    assert files(first) == files(second)
    assert sorted(files(first)) == sorted([*FILES, MANIFEST])
    assert first.name == snapshot_id(SLOT) == "20231114T221500Z"


def test_the_manifest_says_what_the_snapshot_is_of(tmp_path: Path) -> None:
    folder, written = write_snapshot(tmp_path, book(), slot_time=SLOT, previous="sha256:before")

    content = json.loads((folder / MANIFEST).read_text())
    assert content["slot_time"] == "2023-11-14T22:15:00Z"
    assert content["previous"] == "sha256:before"
    assert content["cut"][CHAIN]["block"] == 100
    assert {name: entry["rows"] for name, entry in content["files"].items()} == {
        "accounts.parquet": 1,
        "as_of.parquet": 2,
        "holdings.parquet": 0,
        "liabilities.parquet": 1,
        "marks.parquet": 3,
        "positions.parquet": 5,
        "totals.parquet": 0,
        "units.parquet": 3,
    }
    assert manifest_hash(folder) == written.hash


def test_raw_amounts_keep_every_digit(tmp_path: Path) -> None:
    folder, _ = write_snapshot(tmp_path, book(), slot_time=SLOT, previous=None)

    rows = pq.read_table(folder / "positions.parquet").to_pylist()
    assert {row["amount_raw"] for row in rows if row["symbol"] == "JUNK"} == {"9007199254740992"}
    (account,) = pq.read_table(folder / "accounts.parquet").to_pylist()
    assert (account["account"], account["health_factor"]) == ("acme", "2.400000")  # 3 · 2000 · 0.8 / (1000 + 800 + 200)
    units = pq.read_table(folder / "units.parquet").to_pylist()
    assert json.loads(units[1]["native"])["healthFactor"] == str(16 * 10**17)


def test_liabilities_are_in_a_snapshot_with_who_said_them(tmp_path: Path) -> None:
    folder, _ = write_snapshot(tmp_path, book(), slot_time=SLOT, previous=None)

    (said,) = pq.read_table(folder / "liabilities.parquet").to_pylist()
    assert said == {
        "venue_id": "vault",
        "unit_id": str(Account(CHAIN, OWNER)).rpartition(":")[2],
        "owner": str(Account(CHAIN, OWNER)).rpartition(":")[2],
        "state": "known",
        "as_of": NOW - 60,
        "max_age_s": 600,
        "initial_requirement_usd": "800.00000000",
        "maintenance_requirement_usd": "800.00000000",
        "pnl_usd": "-200.00000000",
        "key": "5a" * 32,
        "document": "sha256:" + "d0" * 32,
    }
    (unit,) = (row for row in pq.read_table(folder / "units.parquet").to_pylist() if row["venue_id"] == "vault")
    assert (unit["status"], unit["health_factor"]) == ("healthy", "2.000000")  # 2000 / (800 + 200)


def test_a_unit_of_which_nothing_was_said_is_unknown_in_a_snapshot_too(tmp_path: Path) -> None:
    folder, _ = write_snapshot(tmp_path, book(silent=True), slot_time=SLOT, previous=None)

    (unit,) = (row for row in pq.read_table(folder / "units.parquet").to_pylist() if row["venue_id"] == "vault")
    (said,) = pq.read_table(folder / "liabilities.parquet").to_pylist()
    (position,) = (row for row in pq.read_table(folder / "positions.parquet").to_pylist() if row["venue_id"] == "vault")
    assert (unit["status"], unit["has_debt"], unit["liquidatable"]) == ("unknown", True, None)
    assert (said["state"], said["as_of"], said["key"]) == ("unknown", None, None)
    assert (position["counts"], position["counted"]) == (True, False)


def test_a_snapshot_as_written_is_intact(tmp_path: Path) -> None:
    folder, written = write_snapshot(tmp_path, book(), slot_time=SLOT, previous=None)

    assert verify(folder) == []
    assert verify(folder, expected=written.hash) == []


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_is_found(tmp_path: Path, name: str) -> None:
    folder, _ = write_snapshot(tmp_path, book(), slot_time=SLOT, previous=None)
    raw = bytearray((folder / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / name).write_bytes(raw)

    (fault,) = verify(folder)

    assert name in fault


def test_a_missing_and_a_strange_file_are_found(tmp_path: Path) -> None:
    folder, _ = write_snapshot(tmp_path, book(), slot_time=SLOT, previous=None)
    (folder / "marks.parquet").rename(folder / "notes.txt")

    assert verify(folder) == ["marks.parquet is missing", "notes.txt is not in the manifest"]


def test_a_forged_manifest_is_found_by_its_expected_hash(tmp_path: Path) -> None:
    folder, written = write_snapshot(tmp_path, book(), slot_time=SLOT, previous=None)
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace(f'"slot_time":"{2023}', '"slot_time":"2024'))

    assert verify(folder) == []
    (fault,) = verify(folder, expected=written.hash)
    assert written.hash in fault


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format":"crossmargin-snapshot-1"}', '{"format":"other"}'])
def test_a_manifest_that_is_none_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)

    (fault,) = verify(tmp_path)

    assert fault.startswith("manifest.json cannot be read")


def test_a_manifest_that_names_files_elsewhere_is_refused(tmp_path: Path) -> None:
    entry = '{"sha256":"sha256:0","bytes":1,"rows":1}'
    (tmp_path / MANIFEST).write_text('{"format":"crossmargin-snapshot-1","files":{"../x":' + entry + "}}")

    assert verify(tmp_path) == ["manifest.json cannot be read: it names files outside its folder"]


def test_writing_the_same_snapshot_again_changes_nothing(tmp_path: Path) -> None:
    first, _ = write_snapshot(tmp_path, book(), slot_time=SLOT, previous=None)
    before = {path.name: path.stat().st_mtime_ns for path in first.iterdir()}

    again, _ = write_snapshot(tmp_path, book(), slot_time=SLOT, previous=None)

    assert again == first
    assert {path.name: path.stat().st_mtime_ns for path in again.iterdir()} == before


def test_another_snapshot_in_the_same_slot_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    write_snapshot(tmp_path, book(), slot_time=SLOT, previous=None)

    with pytest.raises(SnapshotExists, match="holds another snapshot"):
        write_snapshot(tmp_path, book(tokens=2.0), slot_time=SLOT, previous=None)

    assert [path.name for path in tmp_path.iterdir()] == [snapshot_id(SLOT)]


def test_a_snapshot_that_fails_half_way_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("aggregator.audit.snapshot.manifest", fail)

    with pytest.raises(OSError, match="disk full"):
        write_snapshot(tmp_path, book(), slot_time=SLOT, previous=None)

    assert list(tmp_path.iterdir()) == []
    assert NOW < SLOT
