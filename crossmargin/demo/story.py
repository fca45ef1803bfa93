"""The story of the demonstration, told in documents: before a crash, through it, and after."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from aggregator.audit.snapshot import verify
from aggregator.book import BookRow, assess_book, row
from aggregator.gather import Condition
from aggregator.margin.inputs import Cut
from aggregator.margin.numbers import text
from chains.model import Finality
from crossmargin.demo.parity import compare
from crossmargin.demo.recording import Recording
from crossmargin.demo.stage import Stage
from crossmargin.documents import Document

WEAKEST = 10
STATIONS = (
    ("before the crash", "before_crash_block"),
    ("first fall", "crash_first_block"),
    ("the bottom", "crash_block"),
    ("after liquidations", "after_liquidations_block"),
    ("two days later", "last_block"),
)
STRIDE = 5
"""So many blocks come at once between two stations."""

Tell = Callable[[str, Document], None]
"""Is told each part of the story as it is known: its name and its document."""


async def tell_story(stage: Stage, tell: Tell) -> dict[str, Any]:
    """Move the chains over the crash and tell what it does; the result depends on nothing but the recordings."""
    leading = stage.settings.accounts[0].id
    result: dict[str, Any] = {"account": leading, "stations": []}
    reached = [node.head for node in stage.nodes]
    for name, event in STATIONS:
        goals = [int(recording.story[event]) for recording in stage.recordings]
        for heads in strides(reached, goals):
            await stage.advance(heads)
        reached = goals
        station = {"station": name} | await asyncio.to_thread(_station, stage, leading)
        result["stations"].append(station)
        tell("station", station)
    for name, find in (
        ("chains", _chains),
        ("weakest", _weakest),
        ("parity", _parity),
        ("snapshot", _snapshot),
    ):
        result[name] = await asyncio.to_thread(find, stage)
        tell(name, {name: result[name]})
    return result


def strides(start: Sequence[int], goals: Sequence[int]) -> list[list[int]]:
    """Name the heads on the way from one station to the next, all chains side by side; the last are the goals."""
    steps = max(1, *(-(-(goal - first) // STRIDE) for first, goal in zip(start, goals, strict=True)))
    return [
        [first + (goal - first) * step // steps for first, goal in zip(start, goals, strict=True)]
        for step in range(1, steps + 1)
    ]


def _station(stage: Stage, leading: str) -> dict[str, Any]:
    rows = _book(stage)
    health = stage.desk.health(leading, None)
    return {
        "as_of": health["as_of"],
        "prices": {price["identity"]: price["mid"] for price in stage.desk.prices(None)["prices"]},
        "accounts": len(rows),
        "statuses": dict(sorted(Counter(entry.status.value for entry in rows).items())),
        "liquidations": _liquidations(stage),
        "health": health,
    }


def _book(stage: Stage) -> list[BookRow]:
    with stage.store.reading() as reader:
        cuts: dict[str, Cut] = {}
        for chain in stage.settings.chains:
            cursor = reader.cursor(chain.spec.id)
            if cursor is not None:
                cuts[chain.spec.id] = Cut(block=cursor.block, finality=Finality.LATEST)
        return [row(entry) for entry in assess_book(reader, cuts, stage.desk.catalogue, Condition()).accounts]


def _liquidations(stage: Stage) -> int:
    found = stage.desk.sql("SELECT count(*) FROM lending_event WHERE kind = 'liquidation'")
    return int(found["rows"][0][0])


def _chains(stage: Stage) -> list[dict[str, Any]]:
    with stage.store.reading() as reader:
        return [
            {"chain": recording.chain_id, "name": recording.label, "blocks": recording.last + 1}
            | {"rows": reader.counts(recording.chain_id)}
            for recording in stage.recordings
        ]


def _weakest(stage: Stage) -> list[dict[str, Any]]:
    indebted = [entry for entry in _book(stage) if entry.debt_usd]
    indebted.sort(key=lambda entry: (_lowest(entry), entry.account))
    return [
        {
            "account": entry.account,
            "status": entry.status.value,
            "health_factor": _text(entry.health_factor),
            "min_unit_health_factor": _text(entry.min_unit_health_factor),
            "score": entry.score,
            "collateral_usd": _text(entry.collateral_usd),
            "debt_usd": _text(entry.debt_usd),
        }
        for entry in indebted[:WEAKEST]
    ]


def _lowest(entry: BookRow) -> Decimal:
    known = [value for value in (entry.health_factor, entry.min_unit_health_factor) if value is not None]
    return min(known, default=Decimal(0))


def _text(value: Decimal | None) -> str | None:
    return None if value is None else text(value)


def _parity(stage: Stage) -> dict[str, Any]:
    """Count the recorded answers of the contracts that we give too, to the last unit."""
    by_chain: Mapping[str, Recording] = {recording.chain_id: recording for recording in stage.recordings}
    with stage.store.reading() as reader:
        found = [
            (venue, comparison)
            for venue in stage.settings.venues
            for comparison in compare(reader, venue, by_chain[venue.chain_id])
        ]
    different = [
        {"chain": venue.chain_id, "block": item.block, "owner": f"0x{item.owner.hex()}"}
        for venue, item in found
        if item.ours != item.theirs
    ]
    return {"compared": len(found), "equal": len(found) - len(different), "different": different[:WEAKEST]}


def _snapshot(stage: Stage) -> dict[str, Any]:
    line = stage.desk.create_snapshot(None)
    faults = verify(Path(line["path"]))
    kept = ("snapshot", "slot_time", "cut", "manifest_hash")
    return {key: line[key] for key in kept} | {"verified": not faults, "faults": faults}
