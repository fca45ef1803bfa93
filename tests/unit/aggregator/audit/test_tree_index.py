"""Accounts are proven by the index of the tree as by the tree itself, and a wrong index proves nothing wrong."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aggregator.audit import snapshot, tree_index, verifier
from aggregator.audit.manifest import Link
from aggregator.audit.proofs import path_up, prove
from aggregator.audit.signing import Signer
from aggregator.audit.snapshot import write_snapshot
from aggregator.audit.tree_index import FILES, INDEX, OWNERS, TreeIndex
from aggregator.audit.verifier import Fault, Json, check_proof, described, leaves_of, levels, lines_of, sha256
from tests.unit.aggregator.audit.test_columns import TERMS, book, root_of, tabled, write
from tests.unit.aggregator.audit.test_verifier import FIRST_SLOT, OPERATOR, history, sealed, weighed

CHAIN = "eip155:1"
OWNED = 7
"""How many owners a book has."""


def indexed(folder: Path, units: list[dict[str, Any]], positions: list[dict[str, Any]]) -> Json:
    """Write units and positions with their index; returns what a manifest says of them."""
    write(folder, units, positions)
    root = root_of(folder, units, positions)
    return {
        "files": {name: {"sha256": sha256((folder / name).read_bytes())} for name in FILES},
        "tables": {name: {"columns": columns, "key": key} for name, (columns, key) in TERMS.items()},
        "tree": described(root),
    }


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 31, 33, 100])
@pytest.mark.parametrize("group", [2, 4, 8])
def test_each_unit_has_the_way_up_that_the_tree_has(
    count: int, group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_index, "PART", 8)
    monkeypatch.setattr(tree_index, "GROUP", group)
    monkeypatch.setattr(tree_index, "ENTRIES", 3)
    manifest = indexed(tmp_path, *book(random.Random(count), count))
    built = levels(list(leaves_of(tmp_path)))
    lines = [raw.decode() for raw in lines_of(tmp_path, "units")]

    index = TreeIndex(tmp_path, manifest)

    for number, line in enumerate(lines):
        unit = index.unit(number)
        assert (unit.line, unit.path) == (line, path_up(built, number))
        proof = {"unit": unit.line, "positions": unit.positions, "path": unit.path}
        assert check_proof(proof, manifest["tree"]) == []
    for owner in (f"0x{number}" for number in range(OWNED + 1)):
        theirs = [number for number, line in enumerate(lines) if json.loads(line)["owner"] == owner]
        assert index.units_of([(CHAIN, owner)]) == theirs


@pytest.fixture
def made(tmp_path: Path) -> Path:
    signer = Signer(OPERATOR, history())
    return write_snapshot(tmp_path, weighed(), slot_time=FIRST_SLOT, link=Link(), signer=signer)[0]


def test_who_waits_for_a_snapshot_is_told_until_it_is_written(tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []

    _, manifest = write_snapshot(
        tmp_path,
        weighed(),
        slot_time=FIRST_SLOT,
        link=Link(),
        signer=Signer(OPERATOR, history()),
        told=lambda *said: heard.append(said),
    )

    count = len(json.loads(manifest.text)["files"])
    assert list(dict.fromkeys(what for what, _, _ in heard)) == ["writing lines", "building the tree", "hashing files"]
    assert {what: (done, total) for what, done, total in heard} == {
        "writing lines": (2, 2),
        "building the tree": (1, 1),
        "hashing files": (count, count),
    }


def flipped(chance: random.Random, path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    path.write_bytes(raw)


def cut(chance: random.Random, path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[: chance.randrange(len(raw))])


def removed(_: random.Random, path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [flipped, cut, removed])
def test_a_wrong_index_proves_the_same(made: Path, change: Callable[[random.Random, Path], None]) -> None:
    right = prove(made, "acme")
    whole = {name: (made / name).read_bytes() for name in FILES}
    assert len(right["units"]) == 3

    for seed in range(60):
        chance = random.Random(seed)
        change(chance, made / chance.choice(FILES))
        assert prove(made, "acme") == right
        for name, raw in whole.items():
            (made / name).write_bytes(raw)


def test_tables_that_do_not_lead_to_the_root_prove_nothing(made: Path) -> None:
    flipped(random.Random(1), made / INDEX)
    lines = (made / "units.ndjson").read_bytes()
    (made / "units.ndjson").write_bytes(lines.replace(b'"status":"', b'"status":"un', 1))

    with pytest.raises(Fault, match="the proof leads to"):
        prove(made, "acme")


def test_an_index_that_leaves_out_a_unit_is_found_though_it_is_signed(made: Path) -> None:
    units = [json.loads(raw) for raw in lines_of(made, "units")]
    owners = tree_index.owners_of(pa.Table.from_pylist([unit | {"owner": "0xnobody"} for unit in units]))
    said = json.loads((made / INDEX).read_bytes())
    said["owners"] = [list(each) for each in tree_index.hashes(owners)]
    (made / OWNERS).write_bytes(owners)
    (made / INDEX).write_bytes(verifier.canonical(said))
    sealed(made)
    assert prove(made, "acme")["units"] == []

    assert snapshot.verify(made).faults == [f"{OWNERS} does not have the owners of units"]


@pytest.mark.parametrize("group", [1, 2, 64])
def test_an_index_of_other_groups_is_that_of_its_tables(
    group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version keeps as many nodes as it wants."""
    units, positions = book(random.Random(8), 40)
    with monkeypatch.context() as other:
        other.setattr(tree_index, "GROUP", group)
        manifest = indexed(tmp_path, units, positions)
    copied(tmp_path, units, positions)
    assert json.loads((tmp_path / INDEX).read_bytes())["group"] == group != tree_index.GROUP
    line = next(lines_of(tmp_path, "units")).decode()

    assert tree_index.differences(tmp_path, manifest) == []
    assert TreeIndex(tmp_path, manifest).unit(0).line == line


@pytest.mark.parametrize("group", [0, -8, 3, 1 << 15, True, 8.0, "8", None])
def test_groups_that_no_version_keeps_are_named(group: Any, tmp_path: Path) -> None:
    units, positions = book(random.Random(8), 3)
    manifest = indexed(tmp_path, units, positions)
    copied(tmp_path, units, positions)
    said = json.loads((tmp_path / INDEX).read_bytes())
    raw = json.dumps(said | {"group": group}, separators=(",", ":"), sort_keys=True).encode()
    (tmp_path / INDEX).write_bytes(raw)
    manifest["files"][INDEX]["sha256"] = sha256(raw)

    (fault,) = tree_index.differences(tmp_path, manifest)

    assert fault.startswith("no index can be made of these tables: ")


def copied(folder: Path, units: list[dict[str, Any]], positions: list[dict[str, Any]]) -> None:
    """Write Parquet copies of units and positions."""
    for name, rows in (("units", units), ("positions", positions)):
        pq.write_table(tabled(name, rows), folder / f"{name}.parquet")


def test_a_snapshot_without_an_index_is_proven_all_the_same(made: Path) -> None:
    right = prove(made, "acme")
    manifest = json.loads((made / "manifest.json").read_bytes())
    for name in FILES:
        (made / name).unlink()
        del manifest["files"][name]
    (made / "manifest.json").write_bytes(verifier.canonical(manifest))
    sealed(made)

    assert prove(made, "acme")["units"] == right["units"]
    assert snapshot.verify(made).faults == []


def test_a_unit_beside_lines_that_are_not_plain_is_left_to_the_tree(tmp_path: Path) -> None:
    """A null and an empty text are read alike: where there are both, a row at a time tells which is which."""
    units, positions = book(random.Random(1), 9)
    positions[0] |= {"asset": 'say "x"', "market": None}
    assert TreeIndex(tmp_path, indexed(tmp_path, units, positions)).unit(0).line
    positions[1]["market"] = ""

    index = TreeIndex(tmp_path, indexed(tmp_path, units, positions))

    with pytest.raises(Fault, match="not all lines are plain"):
        index.unit(0)
