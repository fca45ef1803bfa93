"""Snapshots are computed again from their own inputs, and what does not follow is named, also where it was signed again."""

from __future__ import annotations

import json
import random
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aggregator.audit import parts, recomputed
from aggregator.audit.inputs import read
from aggregator.audit.lines import KEYS, ordered
from aggregator.audit.manifest import Link
from aggregator.audit.parts import written_down
from aggregator.audit.signing import Signer
from aggregator.audit.snapshot import manifest_hash, verify, write_snapshot
from aggregator.audit.tables import RECOMPUTED, schema
from aggregator.audit.tree_index import FILES as INDEX_FILES
from aggregator.audit.verifier import MANIFEST, Fault, canonical
from aggregator.book import judged
from aggregator.margin.inputs import OtherMethodology
from aggregator.margin.risk import STRESS, PegRisk, RiskInputs
from aggregator.pooled import PartFailed
from tests.support.lines import rewrite, tables
from tests.unit.aggregator.audit.test_parts import many
from tests.unit.aggregator.audit.test_verifier import (
    FIRST_SLOT,
    OPERATOR,
    account_bytes_changed,
    history,
    rows_of,
    sealed,
    weighed,
)
from tests.unit.aggregator.audit.test_verifier import input_changed as some_input_changed

Row = dict[str, Any]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("snapshots")


@pytest.fixture
def made(room: Path) -> Path:
    """One snapshot, made once."""
    found = [each for each in room.iterdir() if each.is_dir()]
    if found:
        return found[0]
    folder, _ = write_snapshot(room, weighed(), slot_time=FIRST_SLOT, link=Link(), signer=Signer(OPERATOR, history()))
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / made.name))


def test_a_snapshot_has_all_that_its_numbers_rest_on(made: Path) -> None:
    packed = read(made)

    assert packed.inputs == replace(weighed().inputs, venues=packed.inputs.venues, catalogue=packed.inputs.catalogue)
    assert {venue.snapshot.venue.id: venue for venue in packed.inputs.venues} == {
        venue.snapshot.venue.id: venue for venue in weighed().inputs.venues
    }
    assert packed.levels == {"toy-1": "proven", "toy-10": None}
    book, seen = judged(packed.inputs), weighed()
    again = replace(book, controls=seen.controls, levels=packed.levels, account_bytes=seen.account_bytes)
    assert tables(again) == tables(seen)
    assert verify(made, recompute=True).faults == []
    assert verify(made, recompute=True).notes[-1].startswith("computed again from its inputs: 1 accounts")


def test_estimates_of_a_moment_beyond_the_last_blocks_are_among_the_inputs(tmp_path: Path) -> None:
    seen = weighed()
    cuts = {chain: replace(cut, until=cut.block.time + 7_200) for chain, cut in seen.cuts.items()}
    peg = PegRisk(identity="USDC", fall=0.02, basis="closes", last_day="2026-01-30", fresh=True)
    risk = RiskInputs(pegs=(peg,), regime=STRESS, regime_reasons=("marks_not_ok",), digest=f"sha256:{'0' * 64}")
    book = judged(replace(seen.inputs, cuts=cuts, risk=risk))
    whole = replace(book, controls=seen.controls, levels=seen.levels, account_bytes=seen.account_bytes)
    folder, _ = write_snapshot(tmp_path, whole, slot_time=FIRST_SLOT, link=Link(), signer=Signer(OPERATOR, history()))

    packed = read(folder)

    assert (packed.inputs.cuts, packed.inputs.risk) == (cuts, risk)
    assert verify(folder, recompute=True).faults == []


def test_tables_are_in_their_order_whatever_that_of_the_book_is() -> None:
    seen = weighed()
    turned = replace(seen, units=tuple(reversed(seen.units)), accounts=tuple(reversed(seen.accounts)))
    rows = tables(seen)

    assert len(rows["units"]) > 1
    assert len(rows["positions"]) > len(rows["units"])
    assert rows == {name: ordered(name, each) for name, each in rows.items()}
    assert tables(turned) == rows


def sealed_with_copies(folder: Path) -> None:
    """Sign a changed snapshot again, its Parquet copies too."""
    for name in KEYS:
        table = pa.Table.from_pylist(rows_of(folder, name), schema=schema(name))
        pq.write_table(table, folder / f"{name}.parquet")
    sealed(folder)


def changed(table: str, which: Callable[[Row], bool], **columns: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        rows = rows_of(folder, table)
        next(row for row in rows if which(row)).update(columns)
        rewrite(folder, table, rows)

    return change


def input_changed(part: str, edit: Callable[[Any], None]) -> Callable[[Path], None]:
    """Change the JSON text of the first part of a kind."""

    def change(folder: Path) -> None:
        rows = rows_of(folder, "inputs")
        row = next(row for row in rows if row["part"] == part)
        document = json.loads(row["document"])
        edit(document)
        row["document"] = json.dumps(document, sort_keys=True, separators=(",", ":"))
        rewrite(folder, "inputs", rows)

    return change


def manifest_changed(folder: Path) -> None:
    content = json.loads((folder / "manifest.json").read_text())
    content["policy"]["version"] = "another"
    (folder / "manifest.json").write_bytes(canonical(content))


def first(_: Row) -> bool:
    return True


def _policy(document: Any) -> None:
    document["classes"]["major"]["haircut"] = 0.01


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a price": (changed("marks", first, mid_usd="3000.000000"), "marks .*: mid_usd is 3000.000000, its inputs come to"),
    "a haircut": (input_changed("policy", _policy), "accounts acme: headroom_usd is 2455"),
    "the digest of a policy": (input_changed("policy", _policy), r"manifest.json: policy is .*, its inputs come to"),
    "a member": (
        changed("accounts", first, members='["eip155:1:0x0000000000000000000000000000000000000001"]'),
        "accounts acme: members is",
    ),
    "a member among the inputs": (
        input_changed("account", lambda account: account["members"].pop()),
        "manifest.json: config_digest",
    ),
    "a health factor": (changed("accounts", first, health_factor="9.000000"), "accounts acme: health_factor is 9.0"),
    "an amount": (
        changed("positions", lambda row: bool(row["symbol"] == "WETH"), amount_raw="7"),
        "positions .*: amount_raw is 7, its",
    ),
    "an amount among the inputs": (
        input_changed("unit", lambda unit: unit["unit"]["positions"][0].update(amount_raw="7")),
        "positions .* 7: 0 rows, its inputs come to 1",
    ),
    "a grade": (changed("units", first, evidence="A"), "units .*: evidence is A, its inputs come to B"),
    "the grade of a position": (changed("positions", first, evidence="A"), "positions .*: evidence is A"),
    "the least grade": (changed("accounts", first, evidence="A"), "accounts acme: evidence is A, its inputs come to D"),
    "a class": (changed("positions", first, asset_class="stable"), "positions .*: asset_class is stable"),
    "what was said of liabilities": (changed("liabilities", first, pnl_usd="0.000000"), "liabilities .*: pnl_usd is 0"),
    "when": (changed("as_of", first, block=99), "as_of .*: block is 99, its inputs come to 100"),
    "the policy's name": (manifest_changed, "manifest.json: policy is"),
    "a residual": (changed("totals", first, residual="0"), "totals .*: 0 is within, its numbers come to 1, within"),
    "a total": (changed("totals", first, theirs="150"), "totals .*: 1 is within, its numbers come to 50, different"),
    "a total that differs": (
        changed("totals", first, theirs="150", residual="50", outcome="different"),
        "inputs: toy-1 is believed in spite of total_differs",
    ),
    "what is held": (changed("holdings", first, held="80"), "holdings .*: 0 is covered, its numbers come to 10, short"),
    "what is missing": (
        changed("holdings", first, held="80", shortfall="10", outcome="short"),
        "inputs: toy-1 lacks 10 of .*, and claims on it count in full",
    ),
    "a proof that differs": (
        changed("proofs", first, outcome="different"),
        "inputs: toy-1 is believed in spite of proof_differs",
    ),
    "a feed's venue": (
        input_changed("venue", lambda venue: venue["venue"].update(start_block=9)),
        "manifest.json: config_digest",
    ),
}


ALSO_WITHOUT = {"a grade", "the grade of a position", "a proof that differs"}
"""Changes that contradict the proofs in the snapshot: what checks those tells too."""


@pytest.mark.parametrize("change", CHANGES)
def test_what_does_not_follow_is_named_though_it_was_signed_again(change: str, folder: Path) -> None:
    edit, expected = CHANGES[change]
    edit(folder)
    sealed_with_copies(folder)

    plain, faults = verify(folder).faults, list(recomputed.faults(folder))

    assert bool(plain) == (change in ALSO_WITHOUT), plain
    assert any(re.search(expected, fault) for fault in faults), faults
    assert plain or verify(folder, recompute=True).faults == faults


def test_of_a_book_that_is_computed_by_parts_what_does_not_follow_is_named_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "FEW", 0)
    monkeypatch.setattr(recomputed, "written_down", partial(written_down, accounts=3))
    signer = Signer(OPERATOR, history())
    folder, _ = write_snapshot(tmp_path, many(), slot_time=FIRST_SLOT, link=Link(), signer=signer)
    assert list(recomputed.faults(folder)) == []
    rows = rows_of(folder, "accounts")
    assert len(rows) > 20
    last = rows[-1]["account"]
    rows[-1]["collateral_usd"] += "1"
    rewrite(folder, "accounts", rows)
    sealed_with_copies(folder)

    (fault,) = recomputed.faults(folder)

    assert fault.startswith(f"accounts {last}: collateral_usd is {rows[-1]['collateral_usd']}, its inputs come to ")


def test_a_full_disk_here_is_no_fault_of_the_snapshot(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "FEW", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))

    with pytest.raises(PartFailed, match=r"nowhere.*; nothing was written; make room"):
        verify(made, recompute=True, apart=True)


def test_a_snapshot_without_inputs_cannot_be_computed_again(folder: Path) -> None:
    rewrite(folder, "inputs", [])
    sealed_with_copies(folder)

    assert verify(folder).faults == []
    (fault,) = verify(folder, recompute=True).faults
    assert fault.startswith("it cannot be computed again: NoInputs inputs.ndjson is nothing to compute from")


def test_a_snapshot_of_before_ages_were_kept_is_verified_as_ever_and_computed_again_by_its_own_version(
    folder: Path,
) -> None:
    older = json.loads((folder / MANIFEST).read_bytes())
    columns = [name for name in older["tables"]["units"]["columns"] if name not in {"observed_slot", "skew_slots"}]
    older["tables"]["units"]["columns"] = columns
    late = [f"{table}.{form}" for table in ("looks", "agreements") for form in ("ndjson", "parquet")]
    for table in ("looks", "agreements"):
        del older["tables"][table]
    for name in (*late, "verify_accounts.py", *INDEX_FILES):
        del older["files"][name]
        (folder / name).unlink()
    rows = [{name: row[name] for name in columns} for row in rows_of(folder, "units")]
    rewrite(folder, "units", rows)
    fields = [schema("units").field(name) for name in columns]
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(fields)), folder / "units.parquet")
    (folder / MANIFEST).write_bytes(canonical(older))
    sealed(folder)

    found, again = verify(folder), verify(folder, recompute=True)

    assert found.faults == []
    assert not any("accounts are as of slot" in note for note in found.notes)
    assert again.faults == [
        "manifest.json has no table agreements",
        "manifest.json has no table looks",
        "manifest.json: the table units has other columns, or another order",
    ]


def test_another_methodology_is_not_computed_again(folder: Path) -> None:
    input_changed("book", lambda document: document.update(methodology_version="4"))(folder)

    with pytest.raises(OtherMethodology, match="methodology 4"):
        list(recomputed.faults(folder))


def value_changed(chance: random.Random, rows: list[Row], name: str) -> None:
    row = chance.choice(rows)
    column = chance.choice(sorted(set(row) - set(KEYS[name])))
    row[column] = {bool: not row[column], int: 7, str: f"{row[column]}0"}.get(type(row[column]), "0")


def values_swapped(chance: random.Random, rows: list[Row], name: str) -> None:
    first, second = chance.choice(rows), chance.choice(rows)
    differ = [column for column in sorted(set(first) - set(KEYS[name])) if first[column] != second[column]]
    if not differ:
        value_changed(chance, rows, name)
        return
    column = chance.choice(differ)
    first[column], second[column] = second[column], first[column]


def row_removed(chance: random.Random, rows: list[Row], name: str) -> None:
    assert rows, name
    del rows[chance.randrange(len(rows))]


def row_added(chance: random.Random, rows: list[Row], name: str) -> None:
    column = KEYS[name][0]
    rows.append({**chance.choice(rows), column: f"zz{chance.random()}"})


@pytest.mark.parametrize("seed", range(20))
def test_nothing_that_follows_can_be_changed_with_the_key(made: Path, tmp_path: Path, seed: int) -> None:
    """Ten changes each of a table that follows from the inputs, in the last snapshot, consistent and signed again."""
    chance = random.Random(seed)
    for number in range(10):
        root = Path(shutil.copytree(made, tmp_path / str(number)))
        name, change = (
            chance.choice(RECOMPUTED),
            chance.choice([value_changed, values_swapped, row_removed, row_added]),
        )
        rows = rows_of(root, name)
        change(chance, rows, name)
        rewrite(root, name, [dict(row) for row in ordered(name, rows)])
        try:
            sealed(root)
        except (Fault, KeyError):
            continue  # a change that even its forger cannot make consistent

        assert list(recomputed.faults(root)), (name, change.__name__)


@pytest.mark.parametrize("seed", range(20))
def test_changed_inputs_are_told_by_what_they_come_to_or_by_who_knows_the_hash(
    made: Path, tmp_path: Path, seed: int
) -> None:
    """Five changes each of inputs and of bytes of accounts, consistent and signed again; what nothing follows from, only the hash tells."""
    chance = random.Random(seed)
    for number in range(5):
        root = Path(shutil.copytree(made, tmp_path / str(number)))
        change = account_bytes_changed if number == 0 else some_input_changed
        change(chance, root)
        sealed_with_copies(root)

        known = verify(root, expected=manifest_hash(made))
        again = verify(root, recompute=True)

        assert [fault.split(" has the hash ")[0] for fault in known.faults] == ["manifest.json"]
        assert again.faults or again.notes[-1].startswith("computed again from its inputs")
        assert not (again.faults and change is account_bytes_changed)


def test_most_changes_of_inputs_are_told_by_what_they_come_to(made: Path, tmp_path: Path) -> None:
    chance, told = random.Random(1), 0
    for number in range(20):
        root = Path(shutil.copytree(made, tmp_path / str(number)))
        some_input_changed(chance, root)
        sealed_with_copies(root)
        told += bool(verify(root, recompute=True).faults)

    assert told > 10
