"""Giving: what a mirror lacks of a chain, out of one consistent state of the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from indexer.mirror.pieces import Given, Held, Marks, Outcome, Piece, Table, by_block, marks_of, whole
from indexer.store import Store
from indexer.store.apply import NOTHING_FINAL, Cursor, cursor
from indexer.store.changes import NONE_STAYS, Place
from indexer.store.journals import DERIVED
from indexer.store.raw import blocks, family
from indexer.store.session import Con, table_of
from indexer.store.statements import statement

MOST_ROWS = 250_000
"""Rows of journals in one piece, unless a block alone has more."""

NOWHERE = Place("", 0)
UNFINISHED = -1
"""The edition of a piece after which there is more: no store is ever there."""


def give(store: Store, chain_id: str, held: Held, *, most_rows: int = MOST_ROWS) -> Piece:
    """Return what makes a mirror hold what the store does, or a part of the way there; raises `StoreError`."""
    place, edition = store.changes.here(), store.edition
    before = held.given
    if before is not None and before.place == place and before.edition == edition:
        return Piece(outcome=Outcome.SAME, given=before)
    with store.copying() as con:
        now = cursor(con, chain_id)
        above = _shared(store, con, chain_id, held, now)
        if above is None:
            given = Given(place=place, edition=edition, digests={})
            return Piece(outcome=Outcome.COMPARE, given=given)
        end = _end(con, chain_id, now, above, most_rows)
        piece = _piece(con, chain_id, held, above, end)
    more = end != now
    given = replace(piece.given, place=place, edition=UNFINISHED if more else edition)
    return replace(piece, given=given, more=more)


def _shared(store: Store, con: Con, chain_id: str, held: Held, now: Cursor | None) -> int | None:
    """The last block up to which the mirror holds what the store does, `None` where marks have to be compared for that."""
    if held.block is None or now is None:
        return NONE_STAYS
    block = min(held.block.number, now.block.number)
    if held.marks is not None:
        return min(block, _same(held.marks, marks_of(con, chain_id, held, held.marks.blocks)))
    floor = None if held.given is None else store.changes.floor(chain_id, held.given.place, block)
    if floor is None or floor < block:
        return floor
    ours = blocks(con, chain_id, held.block.number, held.block.number)
    return floor if not ours or ours[0].hash == held.block.hash else None


def _same(theirs: Marks, ours: Marks) -> int:
    """The last block before the first span that differs."""
    other = [
        span
        for table in {*theirs.of, *ours.of}
        for span in {*theirs.of.get(table, {}), *ours.of.get(table, {})}
        if theirs.of.get(table, {}).get(span) != ours.of.get(table, {}).get(span)
    ]
    return min(other) * theirs.blocks - 1 if other else 2**63 - 1


def _end(con: Con, chain_id: str, now: Cursor | None, above: int, most_rows: int) -> Cursor | None:
    """How far a piece goes: to where the store is, or to a final block that is not too far."""
    if now is None or now.finalized <= above:
        return now
    tables = " UNION ALL ".join(
        f"SELECT block_number FROM main.{each.name} WHERE chain_id = $chain_id AND block_number > $above"  # noqa: S608 - our own names
        for each in DERIVED
    )
    values = {"chain_id": chain_id, "above": above, "most": most_rows, "finalized": now.finalized}
    ((rows, last),) = con.execute(statement("mirror_end", tables=tables), values).fetchall()
    if rows is None or rows <= most_rows or last is None:
        return now
    (end,) = blocks(con, chain_id, last, last)
    return Cursor(block=end, finalized=last)


def _piece(con: Con, chain_id: str, held: Held, above: int, end: Cursor | None) -> Piece:
    """All rows above a block up to where the piece ends; `given` lacks where the store is."""
    last = end.block.number if end else NONE_STAYS
    blocks_above = min(above, held.finalized - 1) if held.finalized > NOTHING_FINAL else NONE_STAYS
    tables, digests = {}, {}
    for table, column in by_block(chain_id).items():
        text = statement("mirror_rows", table=table, block=column)
        first = blocks_above if table == family(chain_id).blocks.name else above
        rows = table_of(con, text, {"chain_id": chain_id, "above": first, "last": last})
        if rows.num_rows:
            tables[table] = Table(rows=rows, by_block=True)
    known = held.given.digests if held.given is not None else {}
    for table, question in whole().items():
        values = {"chain_id": chain_id} | ({"last": last} if "$last" in question else {})
        digests[table] = _digest(con, question, values)
        if digests[table] != known.get(table):
            tables[table] = Table(rows=table_of(con, question, values), by_block=False)
    return Piece(
        outcome=Outcome.ROWS,
        given=Given(place=NOWHERE, edition=UNFINISHED, digests=digests),
        above=above,
        blocks_above=blocks_above,
        cursor=end,
        tables=tables,
    )


def _digest(con: Con, question: str, values: Mapping[str, Any]) -> str:
    ((said,),) = con.execute(statement("mirror_digest", question=question), dict(values)).fetchall()
    return str(said)
