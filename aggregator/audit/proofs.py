"""Proof for one account that it is in a snapshot: its units' lines, and for each the way up to the root of the tree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from aggregator.audit.verifier import MANIFEST, Json, Node, leaves_of, levels, lines_of, sha256
from chains.identifiers import format_address, parse_account


class NotThere(LookupError):
    """A snapshot has no such account."""


def prove(folder: Path, account: str) -> Json:
    """Return the proof of an account and each of its units; raises `NotThere`, `OSError`, and `Fault` for a snapshot that is none."""
    row = _account(folder, account)
    members = [parse_account(member) for member in json.loads(row["members"])]
    wanted = {(member.chain_id, format_address(*member)) for member in members}
    units = list(lines_of(folder, "units"))
    built = levels(list(leaves_of(folder)))
    positions: dict[tuple[str, str], list[str]] = {}
    for raw in lines_of(folder, "positions"):
        position = json.loads(raw)
        positions.setdefault((position["venue_id"], position["unit_id"]), []).append(raw.decode("utf-8"))
    proofs = []
    for number, raw in enumerate(units):
        unit = json.loads(raw)
        if (unit["chain_id"], unit["owner"]) in wanted:
            own = positions.get((unit["venue_id"], unit["unit_id"]), [])
            proofs.append({"unit": raw.decode("utf-8"), "positions": own, "path": path_up(built, number)})
    manifest = (folder / MANIFEST).read_bytes()
    return {
        "snapshot": folder.name,
        "manifest_hash": sha256(manifest),
        "tree": json.loads(manifest)["tree"],
        "account": row,
        "units": proofs,
    }


def path_up(built: Sequence[Sequence[Node]], number: int) -> list[Json]:
    """Return the nodes beside the way from a leaf to the root, the lowest first; `side` is where each stands."""
    path = []
    for level in built[:-1]:
        beside = number ^ 1
        if beside < len(level):
            node = level[beside]
            sums = {key: str(amount) for key, amount in sorted(node.sums.items())}
            path.append({"side": "left" if beside < number else "right", "hash": node.hash.hex(), "sums": sums})
        number //= 2
    return path


def _account(folder: Path, account: str) -> Json:
    for raw in lines_of(folder, "accounts"):
        row: Json = json.loads(raw)
        if row["account"] == account:
            return row
    raise NotThere(f"{folder.name} has no account {account}")
