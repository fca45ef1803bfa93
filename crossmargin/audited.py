"""What came of a self-audit, in words for documents."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aggregator.margin.floor import Gravity
from chains.identifiers import format_address, format_hash
from chains.ports import Cover, Outcome
from crossmargin.documents import Document, moment
from indexer.store import Reader
from indexer.store.controls import (
    HOLDINGS,
    PARITY,
    TOTALS,
    Findings,
    HoldingRow,
    Kind,
    ParityRow,
    ParityRun,
    TotalRow,
    check_row,
    holding_row,
    total_row,
)

COUNTED: Mapping[Kind, Sequence[str]] = {
    PARITY: tuple(outcome.value for outcome in Outcome if outcome is not Outcome.WITHIN),
    TOTALS: tuple(outcome.value for outcome in Outcome),
    HOLDINGS: tuple(cover.value for cover in Cover),
}
COMPARED = (Outcome.EQUAL.value, Outcome.WITHIN.value, Outcome.DIFFERENT.value)


def audit_document(done: Sequence[tuple[ParityRun, Findings]], skipped: Mapping[str, str]) -> Document:
    """Return what runs came to: a line a venue, and all that is not as it must be.

    `compared`: how many views and totals had a number on both sides.
    """
    checks = [check_row(run, check) for run, found in done for check in found.checks]
    totals = [total_row(run, total) for run, found in done for total in found.totals]
    holdings = [holding_row(run, held) for run, found in done for held in found.holdings]
    return {
        "venues": [_line(run, found) for run, found in done],
        "compared": sum(
            outcome in COMPARED for outcome in [row.outcome for row in checks] + [row.outcome for row in totals]
        ),
        "differences": [difference_document(row) for row in checks if row.outcome == Outcome.DIFFERENT],
        "residuals": [total_document(row) for row in totals if row.residual not in {"0", None}],
        "shortfalls": [holding_document(row) for row in holdings if row.outcome == Cover.SHORT],
        "skipped": [{"venue": venue, "reason": why} for venue, why in skipped.items()],
    }


def _line(run: ParityRun, found: Findings) -> dict[str, Any]:
    totals, holdings = (Counter(item.outcome.value for item in items) for items in (found.totals, found.holdings))
    return run_document(run) | {"totals": _counts(TOTALS, totals), "holdings": _counts(HOLDINGS, holdings)}


def _counts(kind: Kind, found: Mapping[str, int]) -> dict[str, int]:
    return {outcome: found.get(outcome, 0) for outcome in COUNTED[kind]}


def run_document(run: ParityRun) -> dict[str, Any]:
    """Return what a run came to; `parity` is the share of compared views that are equal, `None` where none was compared."""
    return {
        "venue": run.venue_id,
        "chain": run.chain_id,
        "checked_at": moment(run.checked_at),
        "block": run.block_number,
        "hash": format_hash(run.chain_id, run.block_hash),
        "units": run.units,
        "equal": run.equal,
        "different": run.different,
        "unanswered": run.unanswered,
        "unknown": run.unknown,
        "parity": share(run.equal, run.different),
        "round": run.round,
    }


def standing_documents(reader: Reader) -> dict[str, list[dict[str, Any]]]:
    """Return by chain the last run over each venue, how its checks stand by the newest of each, and what is wrong now.

    `last` is `None` for a venue that was weighed with a snapshot and never audited.
    """
    runs = {(run.chain_id, run.venue_id): run for run in reader.parity_runs()}
    found: dict[str, list[dict[str, Any]]] = {}
    for chain_id, venue_id in sorted({*runs, *reader.weighed_venues()}):
        line = _standing(reader, chain_id, venue_id, runs.get((chain_id, venue_id)))
        found.setdefault(chain_id, []).append(line)
    return found


def _standing(reader: Reader, chain_id: str, venue_id: str, run: ParityRun | None) -> dict[str, Any]:
    held = reader.cursor(chain_id)
    number = held.block.number if held is not None else run.block_number if run is not None else 0
    views = _counts(PARITY, run.standing[PARITY.table] if run is not None else {})
    standing = reader.control_standing(chain_id, venue_id)
    totals = reader.control_doubts(TotalRow, chain_id, number)
    holdings = reader.control_doubts(HoldingRow, chain_id, number)
    return {
        "venue": venue_id,
        "last": None if run is None else run_document(run),
        "views": views,
        "parity": share(views["equal"], views["different"]),
        "totals": _counts(TOTALS, standing[TOTALS.table]),
        "residuals": [total_document(row) for row in totals if row.venue_id == venue_id],
        "holdings": _counts(HOLDINGS, standing[HOLDINGS.table]),
        "shortfalls": [holding_document(row) for row in holdings if row.venue_id == venue_id],
    }


def share(equal: int, different: int) -> str | None:
    """Return which part of what was compared is equal, with six places, down: 1.000000 means all of it."""
    compared = equal + different
    if not compared:
        return None
    millionths = equal * 1_000_000 // compared
    return f"{millionths // 1_000_000}.{millionths % 1_000_000:06d}"


def difference_document(row: ParityRow) -> dict[str, Any]:
    """Return a view that answers something else; `theirs` is `None` where it refuses to answer."""
    return {
        "venue": row.venue_id,
        "chain": row.chain_id,
        "block": row.block_number,
        "unit": format_address(row.chain_id, row.unit_id),
        "view": row.view,
        "contract": format_address(row.chain_id, row.contract),
        "market": _market(row.chain_id, row.market),
        "ours": None if row.ours is None else json.loads(row.ours),
        "theirs": None if row.theirs is None else json.loads(row.theirs),
    }


def total_document(row: TotalRow) -> dict[str, Any]:
    """Return a total beside the sum of what is stored, with the residuals that the protocol's rounding allows."""
    return {
        "venue": row.venue_id,
        "chain": row.chain_id,
        "block": row.block_number,
        "total": row.total,
        "contract": format_address(row.chain_id, row.contract),
        "market": _market(row.chain_id, row.market),
        "ours": row.ours,
        "theirs": row.theirs,
        "residual": row.residual,
        "allowed": [row.least, row.most],
        "allowed_because": row.why or None,
        "outcome": row.outcome,
    }


def holding_document(row: HoldingRow) -> dict[str, Any]:
    """Return what a contract holds and is owed of a token beside what is claimed."""
    return {
        "venue": row.venue_id,
        "chain": row.chain_id,
        "block": row.block_number,
        "asset": format_address(row.chain_id, row.asset),
        "contract": format_address(row.chain_id, row.contract),
        "market": _market(row.chain_id, row.market),
        "held": row.held,
        "owed": row.owed,
        "claims": row.claims,
        "shortfall": row.shortfall,
        "allowed": row.slack,
        "allowed_because": row.why or None,
        "outcome": row.outcome,
    }


def _market(chain_id: str, market: bytes) -> str | None:
    return format_address(chain_id, market) if market else None


def said_of_unit(difference: Mapping[str, Any]) -> str:
    """Return one line about a difference's document."""
    market = f" of {difference['market']}" if difference["market"] else ""
    theirs = f"answers {_listed(difference['theirs'])}" if difference["theirs"] else "refuses to answer"
    return (
        f"{difference['venue']}/{difference['unit']}: {difference['view']}{market} of {difference['contract']} {theirs} "
        f"at block {difference['block']}, we have {_listed(difference['ours'])}"
    )


def said_of_total(total: Mapping[str, Any]) -> str:
    """Return one line about a residual's document."""
    least, most = total["allowed"]
    why = f" ({total['allowed_because']})" if total["allowed_because"] else ""
    return (
        f"{total['venue']}: {total['total']} of {total['contract']} is {total['theirs']} at block {total['block']}, what is stored "
        f"adds up to {total['ours']}: {total['residual']} is {total['outcome']}, {least} to {most} is allowed{why}"
    )


def said_of_holding(holding: Mapping[str, Any]) -> str:
    """Return one line about a shortfall's document."""
    return (
        f"{holding['venue']}: {holding['contract']} holds {holding['held']} of {holding['asset']} at block {holding['block']} and is owed "
        f"{holding['owed']}, {holding['claims']} is claimed: {holding['shortfall']} is missing ({_worth(holding)})"
    )


def _worth(holding: Mapping[str, Any]) -> str:
    usd = holding["missing_usd"]
    worth = "no price" if usd is None else f"{usd} USD"
    return f"{worth}, {holding['gravity']}"


def lines(audited: Mapping[str, Iterable[Mapping[str, Any]]]) -> list[tuple[str, bool]]:
    """Return a line about each thing that is not as it must be, and about residuals within bounds; and whether it is grave."""
    return [
        *((said_of_unit(each), True) for each in audited["differences"]),
        *((said_of_total(each), each["outcome"] == Outcome.DIFFERENT) for each in audited["residuals"]),
        *((said_of_holding(each), each["gravity"] == Gravity.GRAVE) for each in audited["shortfalls"]),
    ]


def _listed(numbers: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in numbers.items())
