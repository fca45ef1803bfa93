"""What came of comparing units and venues with their own contracts, and where the rotation over all units goes on.

Of each check the newest of each outcome stays; amounts are integers as text, since some have more digits than a column.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa

from chains.auditing import Reply
from chains.model import Block, VenueSpec
from chains.ports import Checked, Cover, Held, Outcome, Summed
from indexer.store.session import Con, insert, staged
from indexer.store.statements import statement


class ParityRow(NamedTuple):
    """One check of a unit's view as it is kept; `checked_at` in Unix seconds, `ours` and `theirs` JSON objects of integers as text."""

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


class TotalRow(NamedTuple):
    """A total as it is kept; see `chains.ports.Summed`."""

    chain_id: str
    checked_at: int
    block_number: int
    block_hash: bytes
    venue_id: str
    total: str
    contract: bytes
    market: bytes
    ours: str | None
    theirs: str | None
    residual: str | None
    least: str
    most: str
    why: str
    outcome: str


class HoldingRow(NamedTuple):
    """A holding as it is kept; see `chains.ports.Held`."""

    chain_id: str
    checked_at: int
    block_number: int
    block_hash: bytes
    venue_id: str
    contract: bytes
    asset: bytes
    market: bytes
    held: str | None
    owed: str | None
    claims: str | None
    shortfall: str | None
    slack: str
    why: str
    outcome: str


Row = TypeVar("Row", bound=ParityRow | TotalRow | HoldingRow)


class Kind(NamedTuple):
    """A table of checks: what is compared, by which columns, and which outcomes are right and which is wrong."""

    table: str
    row: type[ParityRow | TotalRow | HoldingRow]
    keys: tuple[str, ...]
    right: tuple[str, ...]
    wrong: str


PARITY = Kind(
    "parity_check",
    ParityRow,
    ("unit_id", "view", "contract", "market"),
    (Outcome.EQUAL.value,),
    Outcome.DIFFERENT.value,
)
TOTALS = Kind(
    "venue_total",
    TotalRow,
    ("total", "contract", "market"),
    (Outcome.EQUAL.value, Outcome.WITHIN.value),
    Outcome.DIFFERENT.value,
)
HOLDINGS = Kind("venue_holding", HoldingRow, ("contract", "asset", "market"), (Cover.COVERED.value,), Cover.SHORT.value)
KINDS: dict[type[Any], Kind] = {kind.row: kind for kind in (PARITY, TOTALS, HOLDINGS)}
WEIGHED = (TOTALS, HOLDINGS)
"""What is weighed with each snapshot too."""

PRICES = "(prices)"
"""Under which name, that no venue has, it is kept what nodes said to prove prices."""

TABLES = (*(kind.table for kind in KINDS.values()), "parity_run", "control_reply", "control_look")

BYTES = frozenset({"block_hash", "unit_id", "contract", "market", "asset", "input", "output"})
INTEGERS = frozenset({"checked_at", "asked_at", "block_number"})
"""Columns that hold no text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A venue that was weighed at a block; `checked_at` in Unix seconds."""

    chain_id: str
    checked_at: int
    block_number: int
    block_hash: bytes
    venue_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityRun:
    """One run over a venue: how many views came out how, and the unit behind which the next one goes on (`None`: from the first on).

    `round`: how often every unit was visited before; `standing`: by table and outcome, how many checks of the venue stood so after the run.
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
    standing: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that a run compared."""

    checks: Sequence[Checked] = ()
    totals: Sequence[Summed] = ()
    holdings: Sequence[Held] = ()


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


def add_run(con: Con, run: ParityRun, found: Findings) -> None:
    """Enter a run with all that it compared; earlier checks on which nothing rests any more make room."""
    _put(con, PARITY, [check_row(run, check) for check in found.checks])
    _put(con, TOTALS, [total_row(run, total) for total in found.totals])
    _put(con, HOLDINGS, [holding_row(run, held) for held in found.holdings])
    standing = {kind.table: standing_of(con, kind, run.chain_id, run.venue_id) for kind in KINDS.values()}
    insert(con, "parity_run", [*astuple(run)[:-1], json.dumps(standing)])


def add_look(con: Con, look: Look, found: Findings, replies: Sequence[Reply]) -> None:
    """Enter what came of weighing a venue, with what its contracts said."""
    _put(con, TOTALS, [total_row(look, total) for total in found.totals])
    _put(con, HOLDINGS, [holding_row(look, held) for held in found.holdings])
    insert(con, "control_look", _place(look))
    if replies:
        columns = dict(zip(Reply._fields, zip(*replies, strict=True), strict=True))
        place = zip(("asked_at", "block_number", "block_hash", "venue_id"), _place(look)[1:], strict=True)
        table = {name: [value] * len(replies) for name, value in place} | columns
        with staged(con, pa.table({name: pa.array(values, _arrow(name)) for name, values in table.items()})):
            con.execute(statement("append", table="control_reply"), {"chain_id": look.chain_id})


def replies_of(con: Con, look: Look) -> list[Reply] | None:
    """What the contracts of a venue said after a block, `None` where they were not asked."""
    values = {
        "chain_id": look.chain_id,
        "number": look.block_number,
        "hash": look.block_hash,
        "venue_id": look.venue_id,
    }
    if not con.execute(statement("control_looked"), values).fetchall():
        return None
    return [Reply(*row) for row in con.execute(statement("control_replies"), values).fetchall()]


def _put(con: Con, kind: Kind, rows: Sequence[Row]) -> None:
    if not rows:
        return
    columns = dict(zip(kind.row._fields, zip(*rows, strict=True), strict=True))
    del columns["chain_id"]
    table = pa.table({name: pa.array(values, _arrow(name)) for name, values in columns.items()})
    with staged(con, table):
        con.execute(statement("append", table=kind.table), {"chain_id": rows[0].chain_id})
    values = {"chain_id": rows[0].chain_id, "venue_id": rows[0].venue_id}
    con.execute(statement("control_replaced", table=kind.table, keys=", ".join(kind.keys)), values)


def _arrow(name: str) -> pa.DataType:
    return pa.int64() if name in INTEGERS else pa.binary() if name in BYTES else pa.string()


def _place(run: ParityRun | Look) -> tuple[str, int, int, bytes, str]:
    return run.chain_id, run.checked_at, run.block_number, run.block_hash, run.venue_id


def check_row(run: ParityRun, check: Checked) -> ParityRow:
    """Return a check of a run as it is kept."""
    numbers = text_of(check.ours), text_of(check.theirs)
    about = check.unit_id, check.view, check.contract, check.market
    return ParityRow(*_place(run), *about, *numbers, check.outcome.value)


def total_row(run: ParityRun | Look, total: Summed) -> TotalRow:
    """Return a total of a run as it is kept."""
    residual = None if total.ours is None or total.theirs is None else total.theirs - total.ours
    return TotalRow(
        *_place(run),
        total=total.name,
        contract=total.contract,
        market=total.market,
        ours=_text(total.ours),
        theirs=_text(total.theirs),
        residual=_text(residual),
        least=str(total.least),
        most=str(total.most),
        why=total.why,
        outcome=total.outcome.value,
    )


def holding_row(run: ParityRun | Look, held: Held) -> HoldingRow:
    """Return a holding of a run as it is kept."""
    return HoldingRow(
        *_place(run),
        contract=held.contract,
        asset=held.asset,
        market=held.market,
        held=_text(held.held),
        owed=_text(held.owed),
        claims=_text(held.claims),
        shortfall=_text(held.shortfall),
        slack=str(held.slack),
        why=held.why,
        outcome=held.outcome.value,
    )


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def text_of(numbers: Mapping[str, int] | None) -> str | None:
    """Write numbers by name as JSON; integers are text there, since no reader of JSON keeps all their digits."""
    if numbers is None:
        return None
    return json.dumps({name: str(value) for name, value in numbers.items()}, separators=(",", ":"))


def newest_runs(con: Con) -> list[ParityRun]:
    """The last run over each venue."""
    names = ParityRun.__slots__
    found = con.execute(statement("parity_newest")).fetchall()
    return [ParityRun(**dict(zip(names, [*row[:-1], json.loads(row[-1])], strict=True))) for row in found]


def standing_of(con: Con, kind: Kind, chain_id: str, venue_id: str) -> dict[str, int]:
    """How many checks of a venue stand at each outcome, by the newest of each."""
    text = statement("control_standing", table=kind.table, keys=", ".join(kind.keys))
    return dict(con.execute(text, {"chain_id": chain_id, "venue_id": venue_id}).fetchall())


def doubts(con: Con, row: type[Row], chain_id: str, number: int) -> list[Row]:
    """What is wrong at a block: from the last check that was right before, to the next that was right again."""
    table, _, keys, right, wrong = KINDS[row]
    same = " AND ".join(f"e.{key} = d.{key}" for key in ("chain_id", "venue_id", *keys))
    text = statement("control_doubts", table=table, same=same, keys=", ".join(keys))
    values: dict[str, Any] = {"chain_id": chain_id, "wrong": wrong}
    if not con.execute(statement("control_wrong", table=table), values).fetchall()[0][0]:
        return []
    values |= {"number": number, "right": list(right)}
    return _rows(row, con.execute(text, values).fetchall())


def _rows(made: type[Row], found: Iterable[tuple[Any, ...]]) -> list[Row]:
    return [made(*each) for each in found]
