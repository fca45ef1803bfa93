"""Verifies what a snapshot says of accounts that were read: how old it was, and which nodes agree. Needs Python 3.11; trusts nobody.

    python verify_accounts.py SNAPSHOT [--json]

Nodes of some chains prove nothing of an account, and know it only as it is now. So a snapshot says in `looks` since when what it has of a
venue's accounts is known, and in `agreements` what several nodes said of some of them when it was made. It is seen that ages are what slots
come to, that no grade is better than they allow, that agreement and contradiction follow from the answers, that answers have the hash
of the bytes that are kept, and that the hash of the cut chose whom nodes were asked about. That nodes said so is the snapshot's word. It is
for a snapshot whose files `verify.py` found to be what the manifest says.

Exit codes: 0 nothing was found, 4 something is wrong, 2 usage.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

LOOKS, AGREEMENTS, BYTES, UNITS = "looks", "agreements", "account_bytes", "units"
AGREED, CHANGED, APART, DIFFERENT, UNANSWERED = "agreed", "changed", "apart", "different", "unanswered"
BY_TWO, BY_WORD = "C", "D"
"""The grade of what a second node said too, and of one node's word."""

SEVERAL = 2

Json = dict[str, Any]
Unit = tuple[str, str]
Said = tuple[str | None, str, bool]
"""Owner, hash of the bytes, whether it is not there."""

MALFORMED = (KeyError, TypeError, ValueError, AttributeError)


@dataclass(slots=True)
class Checked:
    """What came of it: what is wrong, and what has to be known beside it."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def checked(folder: Path) -> Checked:
    """Check a snapshot; one of before there were looks has nothing to check. Raises `OSError`, `ValueError` and `KeyError`."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    if LOOKS not in manifest["tables"]:
        return Checked()
    cut = manifest["cut"]
    looks = {row["venue_id"]: row for row in _rows(folder, LOOKS)}
    agreements = {(row["venue_id"], row["unit_id"]): row for row in _rows(folder, AGREEMENTS)}
    kept = {(row["venue_id"], row["unit_id"]): row for row in _rows(folder, BYTES)}
    found = Checked()
    for venue_id, row in looks.items():
        found.faults += _told(f"{LOOKS} {venue_id}", _look_faults(row, cut))
    for unit, row in agreements.items():
        about = f"{AGREEMENTS} {unit[0]} {unit[1]}"
        found.faults += _told(about, _agreement_faults(row, cut[row["chain_id"]]["block"], kept.get(unit)))
    asked = {venue_id for venue_id, _ in agreements}
    order: dict[str, list[tuple[bytes, str]]] = {venue_id: [] for venue_id in asked}
    for row in _rows(folder, UNITS):
        unit = row["venue_id"], row["unit_id"]
        outcome = agreements.get(unit, {}).get("outcome")
        found.faults += _told(f"{UNITS} {unit[0]} {unit[1]}", _unit_faults(row, looks.get(unit[0]), outcome))
        if unit[0] in asked:
            rank = hashlib.sha256(f"{cut[row['chain_id']]['hash']}|{unit[0]}|{unit[1]}".encode()).digest()
            order[unit[0]].append((rank, unit[1]))
    found.faults += _sample_faults(order, agreements, kept)
    found.notes += _notes(looks, agreements)
    return found


def _told(about: str, faults: Iterator[str]) -> list[str]:
    try:
        return [f"{about}: {fault}" for fault in faults]
    except MALFORMED as error:
        return [f"{about}: malformed: {type(error).__name__} {error}"]


def _look_faults(row: Json, cut: Mapping[str, Json]) -> Iterator[str]:
    """Name ages that are not what slots come to."""
    slot, look, observed = row["slot"], row["look_slot"], row["observed_slot"]
    if slot != cut[row["chain_id"]]["block"]:
        yield f"slot {slot} is not the cut's"
    if look is None:
        if (observed, row["skew_slots"], row["skew_s"]) != (None, None, None):
            yield "no look is known, and an age is said"
        return
    if not 0 <= observed <= look <= slot:
        yield f"what was seen as of {observed} in a look at {look} is not of before {slot}"
    if row["skew_slots"] != slot - observed:
        yield f"{observed} is {slot - observed} slots before {slot}, not {row['skew_slots']}"
    if row["skew_s"] is not None and row["skew_s"] < 0:
        yield f"an age of {row['skew_s']} s"
    if row["skew_s"] == 0 and observed < slot and row["skew_slots"] > SEVERAL:
        yield f"{row['skew_slots']} slots take time"


def _unit_faults(row: Json, look: Json | None, outcome: str | None) -> Iterator[str]:
    """Name units that say another age than their venue, or have a better grade than it allows."""
    wanted = (None, None) if look is None else (look["observed_slot"], look["skew_slots"])
    if (row["observed_slot"], row["skew_slots"]) != wanted:
        yield f"it was seen as of {row['observed_slot']}, its venue as of {wanted[0]}"
    if look is None:
        return
    if row["evidence"] not in {BY_TWO, BY_WORD}:
        yield f"graded {row['evidence']}, and nothing proves an account that was read"
    if outcome == AGREED and row["evidence"] != BY_TWO:
        yield f"graded {row['evidence']}, and nodes agree"
    if outcome == DIFFERENT and row["evidence"] != BY_WORD:
        yield f"graded {row['evidence']}, and nodes contradict each other"
    if row["evidence"] == BY_TWO and outcome != AGREED and row["skew_slots"] != 0:
        yield f"graded {BY_TWO}, and was not seen in the slot of the cut"


def _agreement_faults(row: Json, cut: int, kept: Json | None) -> Iterator[str]:
    """Name what does not follow from the answers of nodes, or from the bytes that are kept."""
    answers = json.loads(row["answers"])
    if kept is None:
        yield f"{BYTES} has nothing of it"
        return
    nodes = [each["node"] for each in answers]
    if nodes != sorted(set(nodes)):
        yield "a node answers twice, or out of order"
    if any(each["slot"] < cut for each in answers):
        yield f"an answer is of before the cut, {cut}"
    outcome = outcome_of(answers, _said(kept))
    if row["outcome"] != outcome:
        yield f"it says {row['outcome']}, its answers come to {outcome}"
    slots = {each["slot"] for each in answers}
    if row["slot"] != (slots.pop() if len(slots) == 1 else None):
        yield f"its answers are not of slot {row['slot']}"
    hashes = {_said(each) for each in answers}
    if (row["data"] is None) == (len(hashes) == 1):
        yield "its bytes are kept where nodes do not say the same, or are not where they do"
    if row["data"] is not None:
        there = hashlib.sha256(base64.b64decode(row["data"], validate=True)).hexdigest()
        if {there} != {digest for _, digest, _ in hashes}:
            yield f"its bytes have the hash {there}, which nodes did not say"


def outcome_of(answers: Sequence[Json], stored: Said) -> str:
    """Say what answers are worth beside what was stored: agreement and contradiction are of one slot."""
    if len(answers) < SEVERAL:
        return UNANSWERED
    if any(one["slot"] == other["slot"] and _said(one) != _said(other) for one, other in combinations(answers, 2)):
        return DIFFERENT
    if len({each["slot"] for each in answers}) > 1:
        return APART
    return AGREED if _said(answers[0]) == stored else CHANGED


def _said(row: Json) -> Said:
    return row["owner"], row["sha256"], row["closed"]


def _sample_faults(
    order: Mapping[str, list[tuple[bytes, str]]], agreements: Mapping[Unit, Json], kept: Mapping[Unit, Json]
) -> Iterator[str]:
    """Name venues of which nodes were asked about others than the hash of the cut chooses, or not about all of those."""
    for venue_id, ranked in sorted(order.items()):
        chosen = {unit_id for venue, unit_id in agreements if venue == venue_id}
        if chosen != {unit_id for _, unit_id in sorted(ranked)[: len(chosen)]}:
            yield f"{venue_id}: nodes were asked about other units than the hash of the block chooses"
        if chosen != {unit_id for venue, unit_id in kept if venue == venue_id}:
            yield f"{venue_id}: nodes were asked about other units than those whose hashes are kept"


def _notes(looks: Mapping[str, Json], agreements: Mapping[Unit, Json]) -> Iterator[str]:
    for venue_id, row in sorted(looks.items()):
        if row["look_slot"] is None:
            yield f"{venue_id}: since when what is said of its accounts is known was not kept"
        elif row["skew_slots"]:
            age = "" if row["skew_s"] is None else f", at most {row['skew_s']} s"
            seen = row["observed_slot"]
            yield f"{venue_id}: its accounts are as of slot {seen}, {row['skew_slots']} slots{age} before the cut"
    for chain_id in sorted({row["chain_id"] for row in looks.values()}):
        yield f"{chain_id}: which slot an account with a price was read at, and whether nodes agree on it, is not in the snapshot"
    counts = Counter(row["outcome"] for row in agreements.values())
    if counts:
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        yield f"accounts as several nodes say them, by the snapshot's word: {told}"


def _rows(folder: Path, table: str) -> Iterator[Json]:
    path = folder / f"{table}.ndjson"
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is no regular file")
    with path.open("rb") as file:
        yield from map(json.loads, file)


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify the accounts in the snapshot that the command line names; returns the exit code."""
    reader = argparse.ArgumentParser(prog="verify_accounts.py", description="Verify ages and agreement of accounts.")
    reader.add_argument("snapshot", type=Path, help="the folder of a snapshot that verify.py found intact")
    reader.add_argument("--json", action="store_true", help="print JSON")
    asked = reader.parse_args(arguments)
    try:
        found = checked(asked.snapshot)
    except (OSError, *MALFORMED) as error:
        found = Checked(faults=[f"this is no snapshot: {type(error).__name__} {error}"])
    if asked.json:
        sys.stdout.write(json.dumps({"faults": found.faults, "notes": found.notes}, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"WRONG: {fault}\n" for fault in found.faults)
        sys.stdout.writelines(f"note: {note}\n" for note in found.notes)
    return 4 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
