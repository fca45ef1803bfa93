"""The story of the demonstration, told in documents: before a crash, through it, and after."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from aggregator.audit.snapshot import verify
from aggregator.book import BookRow, assess_book, row
from aggregator.gather import Condition
from aggregator.margin.inputs import Cut
from aggregator.margin.numbers import text
from chains.identifiers import EVM, format_address, namespace_of, parse_account
from chains.model import Finality
from crossmargin.demo.parity import Kind, compare
from crossmargin.demo.recorded import Recorded
from crossmargin.demo.solana_recording import SolanaRecording
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
STRIDE = 10
"""So many blocks come at once between two stations."""

MARGIN_CALL = """
SELECT
    venue_id AS venue, block_number AS block, token_address AS token, amount_raw,
    CAST(amount AS DECIMAL(38, 6)) AS amount, tx_hash AS transaction
FROM public.lending_event
WHERE blockchain = '{chain_id}' AND owner_address = '{owner}' AND block_number = {slot} AND transaction_type = 'supply'
"""

Tell = Callable[[str, Document], None]
"""Is told each part of the story as it is known: its name and its document."""


async def tell_story(stage: Stage, tell: Tell) -> dict[str, Any]:
    """Move the chains over the crash and tell what it does; the result depends on nothing but the recordings."""
    leading = stage.settings.accounts[0].id
    result: dict[str, Any] = {"account": leading, "stations": []}
    rows: Sequence[BookRow] = ()
    for name, event in STATIONS:
        for heads in strides([way(node.recording, node.head, node.recording.story[event]) for node in stage.nodes]):
            await stage.advance(heads)
        rows = await asyncio.to_thread(_book, stage)
        station = {"station": name} | await asyncio.to_thread(_station, stage, leading, rows)
        result["stations"].append(station)
        tell("station", station)
    for name, find in (
        ("margin_call", partial(_margin_call, account=leading)),
        ("chains", _chains),
        ("weakest", lambda _stage: _weakest(rows)),
        ("parity", _parity),
        ("snapshot", _snapshot),
    ):
        result[name] = await asyncio.to_thread(find, stage)
        tell(name, {name: result[name]})
    return result


def way(recorded: Recorded, start: int, goal: int) -> list[int]:
    """List the blocks of a chain from one station to the next, both included."""
    return [number for number in recorded.numbers if start <= number <= goal]


def strides(ways: Sequence[Sequence[int]]) -> list[list[int]]:
    """Name the heads on the way from one station to the next, all chains side by side; the last are the goals."""
    lengths = [len(blocks) - 1 for blocks in ways]
    steps = max(1, *(-(-length // STRIDE) for length in lengths))
    return [
        [blocks[length * step // steps] for blocks, length in zip(ways, lengths, strict=True)]
        for step in range(1, steps + 1)
    ]


def _station(stage: Stage, leading: str, rows: Sequence[BookRow]) -> dict[str, Any]:
    health = stage.desk.health(leading, None)
    return {
        "as_of": health["as_of"],
        "prices": {price["identity"]: price["mid"] for price in stage.desk.prices(None)["prices"]},
        "accounts": len(rows),
        "statuses": dict(sorted(Counter(entry.status.value for entry in rows).items())),
        "liquidations": _liquidations(stage),
        "health": health,
        "without_solana": _on_evm_alone(stage, health),
    }


def _on_evm_alone(stage: Stage, health: Document) -> dict[str, Any]:
    """Say what the house would make of the account's EVM members, which share one key, without the others."""
    members = map(parse_account, health["members"])
    key = next(format_address(EVM, member.address) for member in members if namespace_of(member.chain_id) == EVM)
    alone = stage.desk.health(key, None)
    return {name: alone[name] for name in ("status", "health_factor", "min_unit_health_factor")} | {
        "collateral_usd": alone["collateral"]["raw"]
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
    found = stage.desk.sql("SELECT count(*) FROM main.lending_event WHERE kind = 'liquidation'")
    return int(found["rows"][0][0])


def _margin_call(stage: Stage, account: str) -> dict[str, Any]:
    """Find the deposit with which the account answered the fall, as anybody would ask the store for it."""
    (recording,) = (recording for recording in stage.recordings if isinstance(recording, SolanaRecording))
    owner, slot = recording.story[account], recording.story["margin_call_block"]
    found = stage.desk.sql(MARGIN_CALL.format(chain_id=recording.chain_id, owner=owner, slot=slot))
    (row_,) = found["rows"]
    deposit = dict(zip((column["name"] for column in found["columns"]), row_, strict=True))
    asset = f"{recording.chain_id}/token:{deposit['token']}"
    symbol = next(known.symbol for known in stage.settings.assets if known.id == asset)
    return {"account": account, "member": f"{recording.chain_id}:{owner}", "symbol": symbol} | deposit


def _chains(stage: Stage) -> list[dict[str, Any]]:
    with stage.store.reading() as reader:
        return [
            {
                "chain": recording.chain_id,
                "name": recording.label,
                "blocks": len(recording.numbers),
                "last": recording.last,
                "rows": reader.counts(recording.chain_id),
            }
            for recording in stage.recordings
        ]


def _weakest(rows: Sequence[BookRow]) -> list[dict[str, Any]]:
    indebted = [entry for entry in rows if entry.debt_usd]
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
    """Count what was recorded and what of it we say too, to the last unit."""
    by_chain = {recording.chain_id: recording for recording in stage.recordings}
    with stage.store.reading() as reader:
        found = [item for venue in stage.settings.venues for item in compare(reader, venue, by_chain[venue.chain_id])]
    different = [item for item in found if item.ours != item.theirs]
    compared, unlike = (Counter(item.kind for item in items) for items in (found, different))
    return {
        "compared": len(found),
        "equal": len(found) - len(different),
        "kinds": {kind.value: {"compared": compared[kind], "equal": compared[kind] - unlike[kind]} for kind in Kind},
        "different": [
            {"kind": item.kind.value, "chain": item.chain_id, "block": item.block, "subject": item.subject}
            for item in different[:WEAKEST]
        ],
    }


def _snapshot(stage: Stage) -> dict[str, Any]:
    line = stage.desk.create_snapshot(None)
    faults = verify(Path(line["path"])).faults
    kept = ("snapshot", "slot_time", "cut", "manifest_hash")
    return {key: line[key] for key in kept} | {"verified": not faults, "faults": faults}
