"""What is found sound by Parquet copies is what the stand-alone verifier finds sound; of all else they say nothing."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from itertools import starmap
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aggregator.audit import copies, snapshot, tree_index, verifier
from aggregator.audit.lines import KEYS
from aggregator.audit.manifest import Link
from aggregator.audit.signing import Signer
from aggregator.audit.snapshot import write_snapshot, write_tables
from aggregator.audit.tables import SCHEMAS, held_schema, schema
from aggregator.audit.verifier import Fault, Json, described
from tests.support.lines import line
from tests.unit.aggregator.audit.test_columns import TERMS, book, tabled
from tests.unit.aggregator.audit.test_verifier import FIRST_SLOT, OPERATOR, STRANGER, history, key_of, sealed, weighed

Rows = list[dict[str, Any]]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    signer = Signer(OPERATOR, history())
    return write_snapshot(tmp_path, weighed(), slot_time=FIRST_SLOT, link=Link(), signer=signer)[0]


def sound(folder: Path) -> bool:
    """Ask the copies; what they find sound, the stand-alone verifier finds sound too."""
    manifest: Json = json.loads((folder / "manifest.json").read_bytes())
    found = copies.is_sound(folder, manifest, starmap)
    assert not found or verifier.is_sound(folder, manifest, starmap)
    return found


def test_a_snapshot_as_it_was_made_is_sound_by_its_copies(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sound(made)
    monkeypatch.setattr(verifier, "is_sound", None)
    monkeypatch.setattr(snapshot, "rows_hash", None)

    assert snapshot.verify(made).faults == []
    assert snapshot.verify_chain([made])[made.name].faults == []


def test_copies_of_a_stranger_are_not_opened(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor those that are not the manifest's: whoever made them may have made them to harm."""
    opened: list[Path] = []
    monkeypatch.setattr(copies, "is_sound", lambda folder, *_: opened.append(folder))
    monkeypatch.setattr(snapshot, "rows_hash", lambda _: pytest.fail("a copy was read"))

    assert snapshot.verify(made, key=key_of(STRANGER)).faults
    (made / "marks.parquet").write_bytes(b"PAR1")
    assert snapshot.verify(made, key=key_of(OPERATOR)).faults
    sealed(made, STRANGER)
    assert snapshot.verify(made, key=key_of(OPERATOR)).faults
    (made / "signature.json").unlink()
    assert snapshot.verify(made).faults
    assert opened == []


def test_without_a_copy_lines_are_read(made: Path) -> None:
    (made / "marks.parquet").unlink()

    assert not sound(made)
    assert "marks.parquet is missing" in snapshot.verify(made).faults


def pack(folder: Path, units: Rows, positions: Rows, *, unordered: bool = False) -> Path:
    """Write two tables with the tree over them and what a manifest says of them."""
    folder.mkdir()
    tables = {name: tabled(name, rows) for name, rows in (("units", units), ("positions", positions))}
    if unordered:
        tables = {name: table.take(list(range(len(table)))[::-1]) for name, table in tables.items()}
    held = {name: table.cast(held_schema(name)) for name, table in tables.items()}
    root = write_tables(folder, held)
    said = {
        name: {"rows": len(table), "columns": list(SCHEMAS[name]), "key": list(KEYS[name])}
        for name, table in tables.items()
    }
    (folder / "manifest.json").write_text(json.dumps({"tables": said, "tree": described(root)}))
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of seven rows, so that a few rows are several groups."""
    monkeypatch.setattr(copies, "ROWS_PER_GROUP", 7)
    monkeypatch.setattr(snapshot, "ROWS_PER_GROUP", 7)
    monkeypatch.setattr(copies, "BLOCK", 1_000)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 14, 15, 60])
def test_tables_of_several_groups_of_rows_are_sound(count: int, tmp_path: Path) -> None:
    assert sound(pack(tmp_path / "pack", *book(random.Random(count), count)))


def rewritten(folder: Path, name: str, edit: Callable[[Rows], object]) -> None:
    """Change rows of a table and of its copy alike."""
    rows = pq.read_table(folder / f"{name}.parquet").to_pylist()
    edit(rows)
    (folder / f"{name}.ndjson").write_bytes(b"".join(map(line, rows)))
    snapshot._write_parquet(pa.Table.from_pylist(rows, schema=schema(name)), folder / f"{name}.parquet")


def swapped(rows: Rows) -> None:
    rows[6], rows[7] = rows[7], rows[6]


EDITS: dict[str, tuple[str, Callable[[Rows], object]]] = {
    "two rows change places between groups": ("units", swapped),
    "two rows change places within a group": ("positions", lambda rows: rows.insert(1, rows.pop(0))),
    "a unit stands twice": ("units", lambda rows: rows.insert(3, rows[3])),
    "a row is removed": ("positions", lambda rows: rows.pop(5)),
    "an amount changes": ("positions", lambda rows: rows[5].update(amount_raw="77")),
    "an amount is none": ("positions", lambda rows: rows[5].update(amount_raw="077")),
    "an amount has too many digits": ("positions", lambda rows: rows[5].update(amount_raw="1" * 1_001)),
    "a status changes": ("units", lambda rows: rows[5].update(status="liquidated")),
    "a name is missing": ("units", lambda rows: rows[-1].update(unit_id=None)),
    "an asset is missing": ("positions", lambda rows: rows[5].update(asset=None)),
    "a name is two lines": ("units", lambda rows: rows[0].update(unit_id="0x\n0")),
    "an integer is beyond JSON": ("units", lambda rows: rows[5].update(observed_slot=2**53)),
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("edit", EDITS)
def test_what_is_changed_in_a_table_and_its_copy_is_not_sound(edit: str, tmp_path: Path) -> None:
    name, change = EDITS[edit]
    folder = pack(tmp_path / "pack", *book(random.Random(1), 30))
    assert sound(folder)

    rewritten(folder, name, change)

    assert not sound(folder)


@pytest.mark.usefixtures("small")
def test_other_bytes_than_those_of_the_copy_are_not_sound(tmp_path: Path) -> None:
    folder = pack(tmp_path / "pack", *book(random.Random(1), 30))
    chance = random.Random(2)
    for name in ("units", "positions"):
        path = folder / f"{name}.ndjson"
        raw = path.read_bytes()
        for _ in range(40):
            flipped = bytearray(raw)
            flipped[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
            path.write_bytes(flipped)
            assert not sound(folder)
        for changed in (raw[:-1], raw + raw[-20:], raw + b"\n", raw[raw.index(b"\n") + 1 :], b""):
            path.write_bytes(changed)
            assert not sound(folder)
        path.write_bytes(raw)
    assert sound(folder)


@pytest.mark.usefixtures("small")
def test_a_copy_of_other_columns_or_groups_is_not_sound(tmp_path: Path) -> None:
    folder = pack(tmp_path / "pack", *book(random.Random(1), 30))
    path = folder / "units.parquet"
    table = pq.read_table(path)
    assert sound(folder)

    for other in (table.drop_columns(["engine"]), table.append_column("more", table["engine"])):
        pq.write_table(other, path, row_group_size=7)
        assert not sound(folder)
    for groups in (6, 8, 100):
        pq.write_table(table, path, row_group_size=groups)
        assert not sound(folder)
    pq.write_table(table, path, row_group_size=7)
    assert sound(folder)


def test_text_that_is_none_is_not_sound(tmp_path: Path) -> None:
    folder = pack(tmp_path / "pack", *book(random.Random(1), 30))
    table = pq.read_table(folder / "units.parquet")
    wrong = pa.array([b"\xff"] * len(table), pa.binary()).cast(pa.string(), safe=False)
    place = table.schema.get_field_index("engine")
    pq.write_table(table.set_column(place, "engine", wrong), folder / "units.parquet", row_group_size=1 << 16)
    lines = (folder / "units.ndjson").read_bytes()
    (folder / "units.ndjson").write_bytes(lines.replace(b'"engine":null', b'"engine":"\xff"'))
    of_units, held = (pq.read_table(folder / f"{name}.parquet") for name in ("units", "positions"))
    root = tree_index.root_of(folder, of_units, held, TERMS, starmap)
    manifest = json.loads((folder / "manifest.json").read_bytes()) | {"tree": described(root)}
    (folder / "manifest.json").write_text(json.dumps(manifest))

    assert not sound(folder)


def test_rows_that_are_ordered_by_numbers_stand_in_the_order_of_their_texts(made: Path) -> None:
    """As the stand-alone verifier has it: 10 before 9."""
    path = made / "as_of.ndjson"
    manifest = json.loads((made / "manifest.json").read_bytes())
    manifest["tables"]["as_of"]["key"] = ["block"]
    row = json.loads(path.read_bytes().splitlines()[0])
    for blocks, right in (([10, 9], True), ([9, 10], False), ([9, 9], False)):
        rows = [row | {"block": block} for block in blocks]
        path.write_bytes(b"".join(map(line, rows)))
        snapshot._write_parquet(pa.Table.from_pylist(rows, schema=schema("as_of")), path.with_suffix(".parquet"))
        manifest["tables"]["as_of"]["rows"] = 2
        assert copies.is_sound(made, manifest, starmap) == right
        with nullcontext() if right else pytest.raises(Fault):
            assert verifier._ordered(made, "as_of", list(SCHEMAS["as_of"]), ["block"]) == 2


def test_other_processes_look_alike(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier, "ALONE", 0)
    assert snapshot.verify(made).faults == []

    forged = Path(shutil.copytree(made, tmp_path / "forged"))
    rewritten(forged, "positions", lambda rows: rows[0].update(amount_raw="7"))
    faults = snapshot.verify(forged).faults

    assert any(fault.startswith("positions.ndjson has") for fault in faults)
