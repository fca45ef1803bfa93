"""A snapshot is written whole, is the same bytes every time, and betrays every change."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aggregator.audit.manifest import Link, Manifest
from aggregator.audit.signing import Signer, first_entry
from aggregator.audit.snapshot import SCRIPTS, SnapshotExists, manifest_hash, snapshot_id, verify, write_snapshot
from aggregator.audit.tree_index import FILES as INDEX_FILES
from aggregator.audit.verifier import MANIFEST, canonical, sha256
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
    "account_bytes.parquet",
    "accounts.parquet",
    "agreements.parquet",
    "as_of.parquet",
    "holdings.parquet",
    "inputs.parquet",
    "liabilities.parquet",
    "looks.parquet",
    "marks.parquet",
    "memberships.parquet",
    "messages.parquet",
    "positions.parquet",
    "price_proofs.parquet",
    "proofs.parquet",
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


def signer() -> Signer:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    return Signer(private, (first_entry(private, "2020-01-01T00:00:00Z"),))


def written_in(
    root: Path, what: Book | None = None, *, link: Link | None = None, recorded: Collection[str] = ()
) -> tuple[Path, Manifest]:
    return write_snapshot(root, what or book(), slot_time=SLOT, link=link or Link(), signer=signer(), recorded=recorded)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_book_is_the_same_bytes(tmp_path: Path) -> None:
    first, _ = written_in(tmp_path / "a")
    second, _ = written_in(tmp_path / "b")

    assert files(first) == files(second)
    lines = [name.replace(".parquet", ".ndjson") for name in FILES]
    assert sorted(files(first)) == sorted(
        [*FILES, *lines, MANIFEST, "report.html", "keys.json", "signature.json", *SCRIPTS, *INDEX_FILES]
    )
    assert first.name == snapshot_id(SLOT) == "20231114T221500Z"


def test_the_manifest_says_what_the_snapshot_is_of(tmp_path: Path) -> None:
    folder, written = written_in(tmp_path, link=Link(sequence=2, previous="sha256:before"))

    content = json.loads((folder / MANIFEST).read_text())
    assert content["slot_time"] == "2023-11-14T22:15:00Z"
    assert content["previous"] == "sha256:before"
    assert content["cut"][CHAIN]["block"] == 100
    assert content["sequence"] == 2
    assert content["tree"]["sums"] == {
        "units": "3",
        "unknown": "0",
        **{key: amount for key, amount in content["tree"]["sums"].items() if "|" in key},
    }
    assert {f"{name}.parquet": entry["rows"] for name, entry in content["tables"].items()} == {
        "account_bytes.parquet": 0,
        "accounts.parquet": 1,
        "agreements.parquet": 0,
        "as_of.parquet": 2,
        "holdings.parquet": 0,
        "inputs.parquet": 15,
        "liabilities.parquet": 1,
        "looks.parquet": 0,
        "marks.parquet": 3,
        "memberships.parquet": 0,
        "messages.parquet": 0,
        "positions.parquet": 5,
        "price_proofs.parquet": 0,
        "proofs.parquet": 0,
        "totals.parquet": 0,
        "units.parquet": 3,
    }
    assert manifest_hash(folder) == written.hash


def test_raw_amounts_keep_every_digit(tmp_path: Path) -> None:
    folder, _ = written_in(tmp_path)

    rows = pq.read_table(folder / "positions.parquet").to_pylist()
    assert {row["amount_raw"] for row in rows if row["symbol"] == "JUNK"} == {"9007199254740992"}
    (account,) = pq.read_table(folder / "accounts.parquet").to_pylist()
    assert (account["account"], account["health_factor"]) == ("acme", "2.400000")  # 3 · 2000 · 0.8 / (1000 + 800 + 200)
    units = pq.read_table(folder / "units.parquet").to_pylist()
    assert json.loads(units[1]["native"])["healthFactor"] == str(16 * 10**17)


def test_liabilities_are_in_a_snapshot_with_who_said_them(tmp_path: Path) -> None:
    folder, _ = written_in(tmp_path)

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
    folder, _ = written_in(tmp_path, book(silent=True))

    (unit,) = (row for row in pq.read_table(folder / "units.parquet").to_pylist() if row["venue_id"] == "vault")
    (said,) = pq.read_table(folder / "liabilities.parquet").to_pylist()
    (position,) = (row for row in pq.read_table(folder / "positions.parquet").to_pylist() if row["venue_id"] == "vault")
    assert (unit["status"], unit["has_debt"], unit["liquidatable"]) == ("unknown", True, None)
    assert (said["state"], said["as_of"], said["key"]) == ("unknown", None, None)
    assert (position["counts"], position["counted"]) == (True, False)


def test_a_snapshot_as_written_is_intact(tmp_path: Path) -> None:
    folder, written = written_in(tmp_path)

    found = verify(folder, expected=written.hash, key=signer().key)

    assert (found.faults, found.hash) == ([], written.hash)
    assert found.notes == ["nobody else signed it: until somebody does, its operator could write the past anew"]


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_is_found(tmp_path: Path, name: str) -> None:
    folder, _ = written_in(tmp_path)
    raw = bytearray((folder / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / name).write_bytes(raw)

    (fault,) = verify(folder).faults

    assert name in fault


def test_a_copy_with_other_rows_is_found_though_its_hash_is_right(tmp_path: Path) -> None:
    folder, _ = written_in(tmp_path)
    copy = folder / "accounts.parquet"
    rows = pq.read_table(copy)
    pq.write_table(rows.set_column(rows.column_names.index("score"), "score", [[99]]), copy)
    content = json.loads((folder / MANIFEST).read_text())
    content["files"][copy.name] = {"sha256": sha256(copy.read_bytes()), "bytes": copy.stat().st_size}
    (folder / MANIFEST).write_bytes(canonical(content))
    (folder / "signature.json").write_bytes(signer().signature_text(canonical(content)))

    assert verify(folder).faults == ["accounts.parquet has other rows than accounts.ndjson"]


def test_another_hash_than_the_ledger_has_is_found(tmp_path: Path) -> None:
    folder, written = written_in(tmp_path)

    (fault,) = verify(folder, expected="sha256:0").faults

    assert written.hash in fault


def test_writing_the_same_snapshot_again_changes_nothing(tmp_path: Path) -> None:
    first, _ = written_in(tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in first.iterdir()}

    again, _ = written_in(tmp_path)

    assert again == first
    assert {path.name: path.stat().st_mtime_ns for path in again.iterdir()} == before


def test_another_snapshot_in_the_same_slot_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    _, written = written_in(tmp_path)

    with pytest.raises(SnapshotExists, match="holds another snapshot"):
        written_in(tmp_path, book(tokens=2.0), recorded=[written.hash])

    assert [path.name for path in tmp_path.iterdir()] == [snapshot_id(SLOT)]


def test_a_snapshot_that_is_not_the_one_that_was_made_before_is_refused(tmp_path: Path) -> None:
    _, written = written_in(tmp_path / "before")
    terms: dict[str, Any] = {"slot_time": SLOT, "link": Link(), "signer": signer(), "expected": written.hash}

    with pytest.raises(SnapshotExists, match=f"{snapshot_id(SLOT)} was made before with the manifest {written.hash}"):
        write_snapshot(tmp_path / "after", book(tokens=2.0), **terms)
    assert [*(tmp_path / "after").iterdir()] == []

    assert write_snapshot(tmp_path / "after", book(), **terms)[1].hash == written.hash


def test_what_an_interruption_left_makes_room_and_is_kept_aside(tmp_path: Path) -> None:
    folder, left = written_in(tmp_path)

    again, written = written_in(tmp_path, link=Link(sequence=2, previous="sha256:1"), recorded=["sha256:1"])

    assert again == folder
    assert manifest_hash(again) == written.hash
    (aside,) = [path for path in tmp_path.iterdir() if path != again]
    assert aside.name == f".aside-{snapshot_id(SLOT)}-{left.hash[-16:]}"


def test_a_snapshot_that_fails_half_way_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("aggregator.audit.snapshot.manifest", fail)

    with pytest.raises(OSError, match="disk full"):
        written_in(tmp_path)

    assert list(tmp_path.iterdir()) == []
    assert NOW < SLOT
