"""What came of comparing units with their venues' own contracts, and where the rotation over all units goes on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from chains.model import Block, VenueSpec
from chains.ports import Checked, Outcome
from indexer.store.asof import AsOf
from indexer.store.journals import ACCOUNTS, POSITIONS
from indexer.store.session import Con, insert, staged
from indexer.store.statements import statement


class ParityRow(NamedTuple):
    """One check as it is kept; `checked_at` in Unix seconds, `ours` and `theirs` JSON objects of integers as text."""

    chain_id: str
    checked_at: int
    block_number: int
    block_hash: bytes
    venue_id: str
    unit_id: bytes
    view: str
    contract: bytes
    market: bytes
    ours: str | None
    theirs: str | None
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityRun:
    """One run over a venue: how many views came out how, and the unit behind which the next one goes on (`None`: from the first on).

    `round`: how often every unit was visited before.
    """

    chain_id: str
    checked_at: int
    block_number: int
    block_hash: bytes
    venue_id: str
    units: int
    equal: int
    different: int
    unanswered: int
    unknown: int
    round: int
    last_unit: bytes | None


COLUMNS = pa.schema(
    [
        ("checked_at", pa.int64()),
        ("block_number", pa.int64()),
        ("block_hash", pa.binary()),
        ("venue_id", pa.string()),
        ("unit_id", pa.binary()),
        ("view", pa.string()),
        ("contract", pa.binary()),
        ("market", pa.binary()),
        ("ours", pa.string()),
        ("theirs", pa.string()),
        ("outcome", pa.string()),
    ]
)


def run_of(
    venue: VenueSpec, at: Block, checks: Sequence[Checked], *, now: int, units: int, round_: int, last: bytes | None
) -> ParityRun:
    """Count what a run over a venue came to."""
    found = Counter(check.outcome for check in checks)
    return ParityRun(
        chain_id=venue.chain_id,
        checked_at=now,
        block_number=at.number,
        block_hash=at.hash,
        venue_id=venue.id,
        units=units,
        equal=found[Outcome.EQUAL],
        different=found[Outcome.DIFFERENT],
        unanswered=found[Outcome.UNANSWERED],
        unknown=found[Outcome.UNKNOWN],
        round=round_,
        last_unit=last,
    )


def add_run(con: Con, run: ParityRun, checks: Sequence[Checked]) -> None:
    """Enter a run with its checks; earlier checks on which nothing rests any more make room."""
    if checks:
        rows = [_row(run, check)[1:] for check in checks]
        table = pa.Table.from_pylist([dict(zip(COLUMNS.names, row, strict=True)) for row in rows], COLUMNS)
        with staged(con, table):
            con.execute(statement("append", table="parity_check"), {"chain_id": run.chain_id})
        con.execute(statement("parity_replaced"), {"chain_id": run.chain_id, "venue_id": run.venue_id})
    insert(con, "parity_run", astuple(run))


def _row(run: ParityRun, check: Checked) -> ParityRow:
    return ParityRow(
        chain_id=run.chain_id,
        checked_at=run.checked_at,
        block_number=run.block_number,
        block_hash=run.block_hash,
        venue_id=run.venue_id,
        unit_id=check.unit_id,
        view=check.view,
        contract=check.contract,
        market=check.market,
        ours=text_of(check.ours),
        theirs=text_of(check.theirs),
        outcome=check.outcome.value,
    )


def text_of(numbers: Mapping[str, int] | None) -> str | None:
    """Write numbers by name as JSON; integers are text there, since no reader of JSON keeps all their digits."""
    if numbers is None:
        return None
    return json.dumps({name: str(value) for name, value in numbers.items()}, separators=(",", ":"))


def newest_runs(con: Con) -> list[ParityRun]:
    """The last run over each venue."""
    names = ParityRun.__slots__
    found = con.execute(statement("parity_newest")).fetchall()
    return [ParityRun(**dict(zip(names, row, strict=True))) for row in found]


def standing_checks(con: Con) -> dict[tuple[str, str], dict[str, int]]:
    """How many views of each venue (chain, id) stand at each outcome, by their newest check."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for chain_id, venue_id, outcome, views in con.execute(statement("parity_standing")).fetchall():
        found.setdefault((chain_id, venue_id), {})[outcome] = views
    return found


def doubts(con: Con, chain_id: str, number: int) -> list[ParityRow]:
    """The differences that hold at a block: from the last check that was equal before, to the next that was equal again."""
    found = con.execute(statement("parity_doubts"), {"chain_id": chain_id, "number": number}).fetchall()
    return [ParityRow(*row) for row in found]


def units_behind(at: AsOf, venue_id: str, after: bytes | None, count: int) -> list[bytes]:
    """The next so many units of a venue behind one, by id; `None`: from the first on."""
    text = statement("parity_units", positions=at.source(POSITIONS), accounts=at.source(ACCOUNTS))
    values: dict[str, Any] = at.values(venue_id=venue_id) | {"after": after, "count": count}
    return [unit for (unit,) in at.con.execute(text, values).fetchall()]
