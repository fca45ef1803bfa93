"""What was stored of a chain, mended: what was read again takes its place, or a history that the chain left goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields

import pyarrow as pa

from chains.model import FEEDS, FeedSpec
from chains.ports import Covered
from indexer.spans import before, both, names_of, since
from indexer.steps import Forget, Interest, Place, Reread, Restate, Tables
from indexer.store.controls import TABLES as CONTROLS
from indexer.store.coverage import LAST_BLOCK, coverage, merged, settle
from indexer.store.errors import StepRefused
from indexer.store.journals import DERIVED, PRICES, Journal
from indexer.store.makers import note_emptied, note_reread
from indexer.store.raw import RAW, RawTable, family
from indexer.store.session import Con, Reading, insert, staged
from indexer.store.statements import statement
from indexer.store.tips import delete_above, rewind_derived

ROWS_AT_ONCE = 65_536
WHOLE_CHAIN = "chain"
"""The interest of a restatement that concerns everything of a chain."""

LOGS = RAW["evm_log"]

GIVEN = "given"
"""The temporary table of rows that several statements look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restatement:
    """A line of the ledger: from `from_block` to `to_block` an interest may say something else since `at` (Unix seconds).

    `logs_added` and `logs_removed` are of all interests of that moment together; rows are derived rows from `from_block` on, and
    `changed` tells whether any of them is another one than before.
    """

    chain_id: str
    interest: str
    from_block: int
    to_block: int
    cause: str
    at: int
    logs_added: int
    logs_removed: int
    rows_before: int
    rows_after: int
    changed: bool


class StoredTables:
    """The `Tables` of one chain of a store."""

    def __init__(self, reading: Reading, chain_id: str) -> None:
        self._reading = reading
        self._chain_id = chain_id

    @contextmanager
    def rows(self, table: str, *, key: str = "", among: Sequence[str | bytes] = ()) -> Iterator[pa.RecordBatchReader]:
        values: dict[str, object] = {"chain_id": self._chain_id}
        text = statement("rows_all", table=table)
        if key:
            text, values["among"] = statement("rows_among", table=table, key=key), list(among)
        with self._reading() as con:
            yield con.sql(text, params=values).to_arrow_reader(ROWS_AT_ONCE)

    def marks(self, table: str, key: str) -> dict[str | bytes, tuple[int, int]]:
        with self._reading() as con:
            return marks(con, self._chain_id, table, key)


def restatements(con: Con, chain_id: str) -> list[Restatement]:
    """Every line of a chain, in order."""
    names = [column.name for column in fields(Restatement)]
    found = con.execute(statement("restatements"), {"chain_id": chain_id}).fetchall()
    return [Restatement(**dict(zip(names, row, strict=True))) for row in found]


def restated_snapshots(con: Con) -> set[str]:
    """The ids of snapshots that speak of something that was restated after they were made."""
    return {snapshot_id for (snapshot_id,) in con.execute(statement("restated_snapshots")).fetchall()}


def forget(con: Con, step: Restate, change: Forget) -> None:
    """Delete every row above a stored block, final or not, within the caller's transaction."""
    number = change.to.number if change.to else -1
    interest = Interest(WHOLE_CHAIN, "", number + 1)
    gone = counted(con, step.chain_id, interest)
    for raw in family(step.chain_id).tables:
        delete_above(con, step.chain_id, raw.name, raw.block, number)
    rewind_derived(con, step.chain_id, number)
    for table in ("finding", *CONTROLS):
        delete_above(con, step.chain_id, table, "block_number", number)
    set_coverage(con, step.chain_id, before(coverage(con, step.chain_id), number + 1))
    if change.to is None:
        note_emptied(con, step.chain_id)
    add_line(con, step, interest, logs=(0, 0), rows=(gone, 0), changed=True)


def reread(con: Con, step: Restate, change: Reread) -> None:
    """Let what was read again, and what follows from it, take the place of what is stored; raises `StepRefused`."""
    chain_id = step.chain_id
    check_history(con, chain_id, change.read)
    spoken_of = list(change.interests)
    if all(interest.venue_id != FEEDS for interest in spoken_of):
        spoken_of.append(Interest(FEEDS, FEEDS, change.first))
    held = {interest: counted(con, chain_id, interest) for interest in spoken_of}
    logs = take_raw(con, chain_id, change)
    replaced = {value for journal in DERIVED for value in take_derived(con, chain_id, journal, change)}
    if any(isinstance(value, bytes) for value in replaced):
        replaced.add(FEEDS)
    take_coverage(con, chain_id, change)
    note_reread(con, chain_id, change.interests)
    complete(con, change.feeds)
    for interest in spoken_of:
        changed = interest.venue_id in replaced
        if changed or interest in change.interests:
            rows = held[interest], counted(con, chain_id, interest)
            add_line(con, step, interest, logs=logs, rows=rows, changed=changed)


def complete(con: Con, feeds: Sequence[FeedSpec]) -> None:
    """Note that nothing is missing of feeds."""
    known = set(con.execute(statement("table", table="indexed_feed")).fetchall())
    for row in dict.fromkeys((feed.kind, feed.chain_id, feed.address, feed.feed_id) for feed in feeds):
        if row not in known:
            insert(con, "indexed_feed", row)


def check_history(con: Con, chain_id: str, read: Tables) -> None:
    """Both stores must hold the same chain; raises `StepRefused`."""
    table = family(chain_id).blocks
    with read.rows(table.name) as rows, staged(con, rows):
        text = statement("history_differs", table=table.name, number=table.block)
        found = con.execute(text, {"chain_id": chain_id}).fetchall()
    if found:
        raise StepRefused(
            f"{chain_id}: block {found[0][0]} was another one when it was read again, and it is stored as final;"
            f" see which history the nodes serve: `crossmargin restate --chain {chain_id} --from {found[0][0]}` takes theirs"
        )


def take_raw(con: Con, chain_id: str, change: Reread) -> tuple[int, int]:
    """Add blocks and logs that were not there, drop logs that are gone, and hold just the answers that something rests on.

    Returns how many logs were added and removed.
    """
    kinds = family(chain_id)
    add_missing(con, chain_id, kinds.blocks, change.read)
    added, removed = 0, 0
    for table in kinds.others:
        if table.repeats:
            take_answers(con, chain_id, table, change.derived)
        else:
            removed += drop(con, chain_id, table, change)
            added += add_missing(con, chain_id, table, change.read)
    return added, removed


def add_missing(con: Con, chain_id: str, table: RawTable, read: Tables) -> int:
    """Add raw rows that were read again and are not stored; returns how many."""
    text = statement("add_missing", table=table.name, given="staged", match=same(table.identity))
    with read.rows(table.name) as rows, staged(con, rows):
        return counted_by(con, text, {"chain_id": chain_id})


def drop(con: Con, chain_id: str, table: RawTable, change: Reread) -> int:
    """Delete the raw rows that reading again did not find; returns how many."""
    if not change.gone:
        return 0
    columns = zip(*sorted(change.gone), strict=True)
    places = pa.table([pa.array(column, pa.int64()) for column in columns], names=list(table.identity))
    with staged(con, places):
        return counted_by(
            con, statement("drop_rows", table=table.name, match=same(table.identity)), {"chain_id": chain_id}
        )


def take_answers(con: Con, chain_id: str, table: RawTable, derived: Tables) -> None:
    """Keep an answer of before unless it is contradicted, or asked of an earlier block now; add those that are new."""
    others = [name for name in table.columns if name not in table.identity]
    question = [name for name in table.identity if name != table.block]
    names = {"table": table.name, "given": GIVEN, "match": same(table.identity)}
    with derived.rows(table.name) as rows, staged(con, rows):
        con.execute(f"CREATE TEMP TABLE {GIVEN} AS FROM staged")
    for text in (
        statement("drop_contradicted", same=same(others), **names),
        statement("drop_superseded", question=same(question), block=table.block, **names),
        statement("add_missing", **names),
    ):
        con.execute(text, {"chain_id": chain_id})
    con.execute(f"DROP TABLE {GIVEN}")


def take_derived(con: Con, chain_id: str, journal: Journal, change: Reread) -> set[str | bytes]:
    """Replace the rows of venues, or of price sources, that are otherwise now; those of venues that are not configured stay."""
    key = "source" if journal is PRICES else "venue_id"
    ours, theirs = marks(con, chain_id, journal.name, key), change.derived.marks(journal.name, key)
    other = {value for value in ours.keys() | theirs.keys() if ours.get(value) != theirs.get(value)}
    if journal is not PRICES:
        other &= theirs.keys() | change.venues | {FEEDS}
    for table in filter(None, (journal.name, journal.tip)) if other else ():
        values = {"chain_id": chain_id, "among": sorted(other)}
        con.execute(statement("forget_among", table=table, key=key), values)
        with change.derived.rows(table, key=key, among=sorted(other)) as rows, staged(con, rows):
            con.execute(statement("append", table=table), {"chain_id": chain_id})
    return other


def take_coverage(con: Con, chain_id: str, change: Reread) -> None:
    """What was read again is covered as it was read; feeds that were there and feeds that came have the weaker evidence of both."""
    with change.read.rows("coverage") as rows:
        read = [Covered(**row) for row in rows.read_all().to_pylist()]
    kept = coverage(con, chain_id)
    for interest in change.interests:
        names = (FEEDS,) if interest.venue_id == FEEDS else names_of(interest.venue_id)
        mine = [span for span in kept if span.interest in names]
        kept = [span for span in kept if span.interest not in names]
        kept += before(mine, interest.first) + since([s for s in read if s.interest in names], interest.first)
        take_findings(con, chain_id, names, interest.first, change.read)
    if all(interest.venue_id != FEEDS for interest in change.interests):
        feeds = [span for span in kept if span.interest == FEEDS]
        kept = [span for span in kept if span.interest != FEEDS]
        kept += both(feeds, since([span for span in read if span.interest == FEEDS], change.first))
    set_coverage(con, chain_id, merged(kept))


def take_findings(con: Con, chain_id: str, names: Sequence[str], first: int, read: Tables) -> None:
    """What was found wrong is mended, and what is found wrong in the blocks as they were read again is known."""
    with read.rows("finding", key="interest", among=names) as rows:
        found = rows.read_all().to_pylist()
    for name in names:
        settle(con, chain_id, name, first, LAST_BLOCK)
    for row in found:
        if row["block_number"] >= first:
            insert(con, "finding", [chain_id, *row.values()])


def set_coverage(con: Con, chain_id: str, spans: Sequence[Covered]) -> None:
    """Let a chain's coverage be these spans."""
    con.execute(statement("clear", table="coverage"), {"chain_id": chain_id})
    for span in spans:
        insert(con, "coverage", [chain_id, span.interest, span.first, span.last, span.level, span.evidence])


def logs_gone(con: Con, chain_id: str, interest: Interest, read: Tables) -> list[Place]:
    """Stored logs on which rows of an interest rest and that its contracts did not emit when they were read again."""
    text = " UNION ALL ".join(
        statement("places_of", table=journal.name, which=belonging(journal, interest)) for journal in DERIVED
    )
    values: dict[str, str | int] = {"chain_id": chain_id, "first": interest.first, "venue_id": interest.venue_id}
    alike = " AND ".join(f"l.{name} IS NOT DISTINCT FROM s.{name}" for name in LOGS.columns)
    with read.rows(LOGS.name) as rows, staged(con, rows):
        found = con.execute(statement("logs_gone", places=text, match=alike), values).fetchall()
    return [Place(*place) for place in found]


def uncover(con: Con, chain_id: str, venue_id: str, first: int) -> None:
    """Call a venue incomplete from a block on, so that it is read again."""
    names = names_of(venue_id)
    spans = coverage(con, chain_id)
    cut = before([span for span in spans if span.interest in names], first)
    set_coverage(con, chain_id, [*(span for span in spans if span.interest not in names), *cut])


def add_line(
    con: Con, step: Restate, interest: Interest, *, logs: tuple[int, int], rows: tuple[int, int], changed: bool
) -> None:
    """Note a restatement of one interest; `logs`: added and removed, `rows`: derived rows before and after."""
    line = Restatement(
        chain_id=step.chain_id,
        interest=interest.name,
        from_block=interest.first,
        to_block=step.cursor.number,
        cause=step.cause,
        at=step.at,
        logs_added=logs[0],
        logs_removed=logs[1],
        rows_before=rows[0],
        rows_after=rows[1],
        changed=changed,
    )
    insert(con, "restatement", astuple(line))


def counted(con: Con, chain_id: str, interest: Interest) -> int:
    """How many derived rows an interest has from its first block on."""
    total = 0
    for journal in DERIVED:
        text = statement("count_from", table=journal.name, which=belonging(journal, interest))
        values: dict[str, str | int] = {"chain_id": chain_id, "first": interest.first}
        if "$venue_id" in text:
            values["venue_id"] = interest.venue_id
        total += counted_by(con, text, values)
    return total


def belonging(journal: Journal, interest: Interest) -> str:
    """Which rows of a journal are an interest's: prices belong to the feeds, all others to a venue or, likewise, to the feeds."""
    if interest.name == WHOLE_CHAIN:
        return "true"
    if journal is PRICES:
        return "true" if interest.venue_id == FEEDS else "false"
    return "venue_id = $venue_id"


def marks(con: Con, chain_id: str, table: str, key: str) -> dict[str | bytes, tuple[int, int]]:
    """How many rows each value of a column has, with a mark of them."""
    found = con.execute(statement("marks", table=table, key=key), {"chain_id": chain_id}).fetchall()
    return {value: (int(rows), int(mark)) for value, rows, mark in found}


def same(columns: Sequence[str]) -> str:
    return " AND ".join(f"t.{name} = s.{name}" for name in columns)


def counted_by(con: Con, text: str, values: Mapping[str, str | int]) -> int:
    """The one number that a statement answers: of rows that it counted, or changed."""
    return int(con.execute(text, dict(values)).fetchall()[0][0])
