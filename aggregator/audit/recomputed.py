"""A snapshot computed again from its own inputs: whether its numbers follow from what they are said to rest on.

Whether the inputs are what the chains said, only nodes can tell.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from aggregator.audit import states, tree_index
from aggregator.audit.columns import MANY, lines_of_table
from aggregator.audit.inputs import INPUTS, LEVEL, Packed, read
from aggregator.audit.lines import KEYS, Columns, Row
from aggregator.audit.manifest import decided, skews
from aggregator.audit.parts import written_down
from aggregator.audit.report import cover
from aggregator.audit.report.content import report
from aggregator.audit.sightings import AGREEMENTS, LOOKS, agreement_of, sighting_of
from aggregator.audit.tables import RECOMPUTED, SCHEMAS, repeated_in
from aggregator.audit.verifier import KEYS as HISTORY
from aggregator.audit.verifier import MANIFEST, SIGNATURE, Json, lines_of
from aggregator.book import Book, context_of
from aggregator.gather import NODES_DIFFER, PROOF_DIFFERS, TOTAL_DIFFERS
from chains.agreeing import Agreed
from chains.auditing import Controlled
from chains.identifiers import format_address
from chains.ports import Cover, Outcome
from chains.proving import Proved

MOST = 20
"""How many differences of one table are told one by one."""

FIXED = frozenset({"format", "slot_time", "files", "tables", "tree", "sequence", "previous"})
"""What a manifest says that does not follow from inputs."""

CHECKED = ("totals", "holdings", "proofs", AGREEMENTS, LOOKS)
"""Tables that follow from no inputs, and say what their own numbers come to."""

LONGEST = 200
"""How much of a value is told."""


def faults(folder: Path, *, apart: bool = False) -> Iterator[str]:
    """Say what of an intact snapshot does not follow from its inputs; raises as `aggregator.audit.inputs.read` does.

    `apart`: large ones in processes of their own, which need a folder for their files; raises `PartFailed` where these die of it.
    """
    manifest = json.loads((folder / MANIFEST).read_bytes())
    if wrong := list(_undescribed(manifest)):
        yield from wrong
        return
    packed = read(folder)
    found = {name: _rows(folder, name) for name in CHECKED}
    book = _book(packed, found)
    computed, _ = written_down(book, apart=apart)
    for name in RECOMPUTED:
        if not _is_written(folder, name, computed[name]):
            yield from _shortened(name, list(_differences(name, _rows(folder, name), [*computed[name]])))
    follows = decided(book) | {"skew_s": skews(due(manifest), book)}
    for name, value in follows.items():
        if manifest.get(name) != value:
            yield f"{MANIFEST}: {name} is {_told(manifest.get(name))}, its inputs come to {_told(value)}"
    yield from (
        f"{MANIFEST} says {name}, which follows from nothing" for name in sorted(set(manifest) - FIXED - set(follows))
    )
    yield from tree_index.differences(folder, manifest)
    yield from _wrong_totals(found["totals"])
    yield from _wrong_holdings(found["holdings"])
    yield from _unheeded(packed, found)


def page(folder: Path, manifest: Json, name: str) -> str:
    """Return the report that this version writes of a snapshot whose tables, copies and manifest are right."""
    found = {each: _copy(folder, each) for each in KEYS}
    inputs = found[INPUTS].table
    signed = json.loads((folder / SIGNATURE).read_bytes())["key"]
    history = json.loads((folder / HISTORY).read_bytes())["keys"]
    front = cover.Cover(
        name=name,
        slot_time=manifest["slot_time"],
        decided={name: value for name, value in manifest.items() if name not in FIXED | {"skew_s"}},
        levels={
            row["key"]: json.loads(row["document"])
            for row in inputs.filter(pc.equal(inputs["part"], LEVEL)).to_pylist()
        },
        skews=manifest["skew_s"],
        tree=manifest["tree"],
        sequence=manifest["sequence"],
        previous=manifest["previous"],
        signer=next(entry for entry in history if entry["key"] == signed),
    )
    return report(front, found)


def due(manifest: Json) -> int:
    """Return the moment of a snapshot, Unix seconds; raises `ValueError` for one that no calendar has."""
    return int(datetime.fromisoformat(manifest["slot_time"]).timestamp())


def _undescribed(manifest: Json) -> Iterator[str]:
    """Name tables that a manifest lacks, or whose columns and order are others than this version's."""
    for name in sorted(KEYS.keys() | manifest["tables"].keys()):
        if name not in manifest["tables"]:
            yield f"{MANIFEST} has no table {name}"
        elif name not in KEYS:
            yield f"{MANIFEST}: nothing follows for a table {name}"
        elif any(tuple(manifest["tables"][name][said]) != own for said, own in _terms(name)):
            yield f"{MANIFEST}: the table {name} has other columns, or another order"


def _terms(name: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return ("columns", tuple(SCHEMAS[name])), ("key", KEYS[name])


def _book(packed: Packed, found: Mapping[str, Sequence[Json]]) -> Book:
    """Return the book to be computed again; what was proven, seen and agreed upon is the word of proofs, looks and agreements."""
    proofs, agreements = _by_venue(found["proofs"]), _by_venue(found[AGREEMENTS])
    controls = {
        name: Controlled(
            proofs=tuple(map(states.outcome_of, proofs.get(name, ()))),
            agreements=tuple(map(agreement_of, agreements.get(name, ()))),
        )
        for name in proofs.keys() | agreements.keys()
    }
    looks = {row["venue_id"]: sighting_of(row) for row in found[LOOKS]}
    return Book(
        inputs=packed.inputs,
        context=context_of(packed.inputs),
        units=(),
        accounts=(),
        controls=controls,
        levels=packed.levels,
        looks=looks,
    )


def _rows(folder: Path, name: str) -> list[Json]:
    return [json.loads(line) for line in lines_of(folder, name)]


def _copy(folder: Path, name: str) -> Columns:
    return Columns.of(pq.read_table(folder / f"{name}.parquet", read_dictionary=repeated_in(name)))


def _is_written(folder: Path, name: str, rows: Columns) -> bool:
    """Whether a table has the lines of these rows, and no others."""
    with (folder / f"{name}.ndjson").open("rb") as file:
        lines = lines_of_table(rows.table, many=len(rows) >= MANY)
        return all(file.read(len(some)) == bytes(some) for some in lines) and not file.read(1)


def _by_venue(rows: Iterable[Json]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for row in rows:
        found.setdefault(row["venue_id"], []).append(row)
    return found


def _differences(name: str, said: Sequence[Row], computed: Sequence[Row]) -> Iterator[str]:
    """Compare the rows of a table by its key."""
    ours, theirs = _by_key(name, computed), _by_key(name, said)
    for key in sorted(ours.keys() | theirs.keys()):
        about = f"{name} {' '.join(key)}"
        here, there = ours.get(key, []), theirs.get(key, [])
        for row, other in zip(there, here, strict=False):
            yield from (
                f"{about}: {column} is {_told(row[column])}, its inputs come to {_told(other[column])}"
                for column in other
                if row.get(column) != other[column]
            )
        if len(there) != len(here):
            yield f"{about}: {len(there)} rows, its inputs come to {len(here)}"


def _by_key(name: str, rows: Iterable[Row]) -> dict[tuple[str, ...], list[Row]]:
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(str(row[column]) for column in KEYS[name]), []).append(row)
    return {key: sorted(same, key=_text) for key, same in found.items()}


def _text(row: Row) -> str:
    return json.dumps(row, sort_keys=True)


def _shortened(name: str, found: Sequence[str]) -> Iterator[str]:
    yield from found[:MOST]
    if len(found) > MOST:
        yield f"{name}: {len(found) - MOST} differences more"


def _told(value: object) -> str:
    """Write a value in short."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _wrong_totals(rows: Iterable[Json]) -> Iterator[str]:
    """Name totals whose residual and outcome are not what their own numbers say."""
    for row in rows:
        about = f"totals {row['venue_id']} {row['total']} {row['market']} {row['contract']}"
        if row["ours"] is None or row["theirs"] is None:
            if row["residual"] is not None or row["outcome"] in {Outcome.EQUAL, Outcome.WITHIN, Outcome.DIFFERENT}:
                yield f"{about}: {row['outcome']}, and a number of it is not known"
            continue
        residual = int(row["theirs"]) - int(row["ours"])
        least, most = int(row["least_residual"]), int(row["most_residual"])
        outcome = Outcome.WITHIN if least <= residual <= most else Outcome.DIFFERENT
        outcome = Outcome.EQUAL if residual == 0 else outcome
        allowed = {outcome} | ({Outcome.UNKNOWN} if residual and row["reason"] else set())
        if row["residual"] != str(residual) or row["outcome"] not in allowed:
            yield f"{about}: {row['residual']} is {row['outcome']}, its numbers come to {residual}, {outcome}"


def _wrong_holdings(rows: Iterable[Json]) -> Iterator[str]:
    """Name holdings whose shortfall and outcome are not what their own numbers say."""
    for row in rows:
        about = f"holdings {row['venue_id']} {row['asset']} {row['market']} {row['contract']}"
        if row["outcome"] not in {Cover.SHORT, Cover.COVERED}:
            continue
        short = max(0, int(row["claims"] or 0) - int(row["held"] or 0) - int(row["owed"] or 0))
        outcome = Cover.SHORT if short > int(row["allowed_shortfall"]) else Cover.COVERED
        if None in (row["claims"], row["held"], row["owed"]):
            yield f"{about}: {row['outcome']}, and a number of it is not known"
        elif row["shortfall"] != str(short) or row["outcome"] != outcome:
            yield f"{about}: {row['shortfall']} is {row['outcome']}, its numbers come to {short}, {outcome}"


def _unheeded(packed: Packed, found: Mapping[str, Sequence[Json]]) -> Iterator[str]:
    """Name findings at the cut that were not let count against the venue that they are of."""
    condition = packed.inputs.condition
    doubted = Counter((reason.code, reason.subject) for reason in (*condition.gaps, *condition.units.values()))
    wanted = [
        *((TOTAL_DIFFERS, row["venue_id"]) for row in found["totals"] if row["outcome"] == Outcome.DIFFERENT),
        *((PROOF_DIFFERS, row["venue_id"]) for row in found["proofs"] if row["outcome"] == Proved.DIFFERENT),
    ]
    for code, venue_id in dict.fromkeys(wanted):
        if not doubted[code, venue_id]:
            yield f"inputs: {venue_id} is believed in spite of {code}"
    yield from (
        f"inputs: {subject} is believed in spite of {NODES_DIFFER}"
        for row in found[AGREEMENTS]
        if row["outcome"] == Agreed.DIFFERENT
        and not doubted[NODES_DIFFER, subject := f"{row['venue_id']}/{row['unit_id']}"]
    )
    chains = {venue.id: venue.chain_id for venue in packed.inputs.catalogue.venues}
    known = {
        (each.venue_id, format_address(chains[each.venue_id], each.asset), each.there, each.claims)
        for each in condition.shortfalls
        if each.venue_id in chains
    }
    for row in found["holdings"]:
        there = int(row["held"] or 0) + int(row["owed"] or 0)
        if row["outcome"] == Cover.SHORT and (row["venue_id"], row["asset"], there, int(row["claims"])) not in known:
            yield f"inputs: {row['venue_id']} lacks {row['shortfall']} of {row['asset']}, and claims on it count in full"
