"""Proof for one account that it is in a snapshot: its units' lines, and for each the way up to the root of the tree."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from aggregator.audit.tree_index import OWNED_BY, Owner, TreeIndex, Unit, beside, step
from aggregator.audit.verifier import (
    MANIFEST,
    Fault,
    Json,
    Node,
    check_proof,
    key_of,
    leaves_of,
    levels,
    lines_of,
    place_of,
    sha256,
)
from chains.identifiers import format_address, parse_account

ACCOUNT = ("account",)

KEPT = 4
"""Indexes that are kept open: some megabytes each, of a million units."""

UNREADABLE = (Fault, OSError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What comes of an index that is not there, or says something which cannot be."""


class NotThere(LookupError):
    """A snapshot has no such account."""


def prove(folder: Path, account: str) -> Json:
    """Return the proof of an account and each of its units, which was followed to the root that the manifest names.

    The index finds it; without one, or with one that leads elsewhere, the whole tree is built. Raises `NotThere`, `OSError`, and `Fault`
    for a snapshot whose tables do not lead to the root.
    """
    row = _account(folder, account)
    members = [parse_account(member) for member in json.loads(row["members"])]
    owners = {(member.chain_id, format_address(*member)) for member in members}
    raw = (folder / MANIFEST).read_bytes()
    tree: Json = json.loads(raw)["tree"]
    return {
        "snapshot": folder.name,
        "manifest_hash": sha256(raw),
        "tree": tree,
        "account": row,
        "units": _units(folder, raw, tree, owners),
    }


def _units(folder: Path, manifest: bytes, tree: Json, owners: set[Owner]) -> list[Json]:
    try:
        return _followed(_found(_index(folder, manifest), owners), tree)
    except UNREADABLE:
        return _followed(_built(folder, owners), tree)


@lru_cache(KEPT)
def _index(folder: Path, manifest: bytes) -> TreeIndex:
    """Open the index that a manifest names; what was read of it is kept for the next proof, and is no more believed than before."""
    return TreeIndex(folder, json.loads(manifest))


def _followed(units: Iterator[Unit], tree: Json) -> list[Json]:
    """Return the proofs of units; raises `Fault` for one that does not lead to the root."""
    proofs = [{"unit": unit.line, "positions": unit.positions, "path": unit.path} for unit in units]
    if faults := [fault for proof in proofs for fault in check_proof(proof, tree)]:
        raise Fault(faults[0])
    return proofs


def _found(index: TreeIndex, owners: set[Owner]) -> Iterator[Unit]:
    found = map(index.unit, index.units_of(owners))
    return (unit for unit in found if key_of(json.loads(unit.line), OWNED_BY) in owners)


def _built(folder: Path, owners: set[Owner]) -> Iterator[Unit]:
    """Find the units of some owners in the tree, built from the tables as they stand."""
    built = levels(list(leaves_of(folder)))
    wanted = {
        key_of(row): (number, raw)
        for number, raw in enumerate(lines_of(folder, "units"))
        if key_of(row := json.loads(raw), OWNED_BY) in owners
    }
    positions: dict[tuple[str, ...], list[str]] = {}
    for raw in lines_of(folder, "positions"):
        if (unit := key_of(json.loads(raw))) in wanted:
            positions.setdefault(unit, []).append(raw.decode())
    for unit, (number, raw) in wanted.items():
        yield Unit(raw.decode(), positions.get(unit, []), path_up(built, number))


def path_up(built: Sequence[Sequence[Node]], number: int) -> list[Json]:
    """Return the nodes beside the way from a leaf to the root, the lowest first; `side` is where each stands."""
    return [step(built[level][other], side) for level, other, side in beside([*map(len, built)], number)]


def _account(folder: Path, account: str) -> Json:
    path = folder / "accounts.ndjson"
    with path.open("rb") as file:
        file.seek(place_of(file, path.stat().st_size, (account,), ACCOUNT))
        line = file.readline()
    row: Json = json.loads(line) if line else {}
    if row.get("account") != account:
        raise NotThere(f"{folder.name} has no account {account}")
    return row
