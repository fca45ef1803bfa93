"""Taking: a piece becomes what a store holds of a chain, all of it or nothing, and only if it is one that a store can hold."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from chains.identifiers import EVM, namespace_of
from chains.model import Block
from indexer.mirror.pieces import SPANS, Given, Held, MirrorWrong, Outcome, Piece, Table, by_block, marks_of, whole
from indexer.store import Store
from indexer.store.apply import NOTHING_FINAL, cursor, set_cursor
from indexer.store.changes import NONE_STAYS
from indexer.store.connection import first_line
from indexer.store.errors import StoreError
from indexer.store.journals import DERIVED, Journal, arranged
from indexer.store.raw import blocks, family
from indexer.store.session import Con, staged, table_of
from indexer.store.statements import statement
from indexer.store.tips import append_derived, delete_above, rewind_derived
from indexer.store.told import tell_liquidations


def held_of(store: Store, chain_id: str, given: Given | None, *, compared: bool = False) -> Held:
    """What a mirror says that it holds; `compared`: with the marks by which the other store finds what differs."""
    with store.copying() as con:
        now = cursor(con, chain_id)
        block, finalized = (now.block, now.finalized) if now else (None, NOTHING_FINAL)
        held = Held(block=block, finalized=finalized, given=given)
        if not compared or block is None:
            return held
        size = 1
        while block.number // size >= SPANS:
            size *= 2
        return Held(block=block, finalized=finalized, given=given, marks=marks_of(con, chain_id, held, size))


def take(store: Store, chain_id: str, held: Held, piece: Piece) -> None:
    """Let a store that holds `held` of a chain hold what a piece says; raises `MirrorWrong` and other `StoreError`."""
    if piece.outcome is not Outcome.ROWS:
        return
    try:
        _take(store, chain_id, held, piece)
    except StoreError as error:
        if isinstance(error.__cause__, duckdb.DataError | duckdb.IntegrityError):
            raise _wrong(chain_id, f"does not fit its tables ({first_line(error.__cause__)})") from error
        raise


def _take(store: Store, chain_id: str, held: Held, piece: Piece) -> None:
    with store.refilling(chain_id, piece.above) as con:
        now = cursor(con, chain_id)
        if (now.block if now else None) != held.block:
            raise MirrorWrong(f"{chain_id}: what was given is for another state than the one that is stored")
        piece = replace(piece, tables={name: _shaped(con, chain_id, name, each) for name, each in piece.tables.items()})
        check(chain_id, held, piece)
        _replace(con, chain_id, held, piece)
        set_cursor(con, chain_id, piece.cursor)
        _check_end(con, chain_id, piece)
        if store.telling is not None:
            tell_liquidations(con, chain_id, piece.above + 1, store.telling)


def _replace(con: Con, chain_id: str, held: Held, piece: Piece) -> None:
    if held.block is not None and piece.above < held.block.number:
        rewind_derived(con, chain_id, piece.above)
    raw = family(chain_id).blocks
    delete_above(con, chain_id, raw.name, raw.block, piece.blocks_above)
    for name, table in piece.tables.items():
        if not table.by_block:
            con.execute(statement("clear", table=name), {"chain_id": chain_id})
            with staged(con, table.rows):
                con.execute(statement("lake_take", table=name))
        elif name == raw.name:
            with staged(con, table.rows):
                con.execute(statement("append", table=name), {"chain_id": chain_id})
    given = [(journal, piece.tables[journal.name].rows) for journal in DERIVED if journal.name in piece.tables]
    append_derived(con, chain_id, [arranged(journal, _as_folded(journal, rows)) for journal, rows in given])


def _shaped(con: Con, chain_id: str, name: str, table: Table) -> Table:
    """Rows with the very columns that the table has here; raises `MirrorWrong`."""
    columns, questions = by_block(chain_id), whole()
    if name not in (columns if table.by_block else questions):
        raise _wrong(chain_id, f"names the table {name}")
    values: dict[str, object] = {"chain_id": chain_id, "last": NONE_STAYS}
    if table.by_block:
        text = statement("mirror_rows", table=name, block=columns[name])
        values["above"] = NONE_STAYS
    else:
        text = questions[name]
    ours = table_of(con, text, {key: value for key, value in values.items() if f"${key}" in text}).schema
    try:
        return replace(table, rows=table.rows.cast(ours))
    except (pa.ArrowException, ValueError) as error:
        raise _wrong(chain_id, f"has other columns in {name}") from error


def _as_folded(journal: Journal, rows: pa.Table) -> pa.Table:
    """Rows as they are stored under the names that folds give them."""
    return rows.select(journal.columns).rename_columns(["block", *journal.columns[1:]])


def _wrong(chain_id: str, what: str) -> MirrorWrong:
    return MirrorWrong(f"{chain_id}: what was given {what}; nothing of it is taken")


def check(chain_id: str, held: Held, piece: Piece) -> None:
    """Refuse a piece with rows of other tables, blocks or chains, or with blocks that do not follow each other; raises `MirrorWrong`."""
    last = piece.cursor.block.number if piece.cursor else NONE_STAYS
    reached = held.block.number if held.block else NONE_STAYS
    if not NONE_STAYS <= piece.blocks_above <= piece.above <= reached:
        raise _wrong(chain_id, f"begins above block {piece.above}, and blocks to {reached} are held")
    if last < piece.above or (held.finalized > NOTHING_FINAL and piece.blocks_above >= held.finalized):
        raise _wrong(chain_id, f"ends with block {last} and leaves blocks to {piece.blocks_above} as they are")
    columns = by_block(chain_id)
    for name, table in piece.tables.items():
        if table.by_block:
            first = piece.blocks_above if name == family(chain_id).blocks.name else piece.above
            numbers = pc.min_max(table.rows[columns[name]]).as_py()
            if table.rows.num_rows and not first < numbers["min"] <= numbers["max"] <= last:
                raise _wrong(
                    chain_id,
                    f"has rows of {name} from block {numbers['min']} to {numbers['max']}, and is of {first + 1} to {last}",
                )
        elif set(table.rows["chain_id"].to_pylist()) - {chain_id}:
            raise _wrong(chain_id, f"has rows of another chain in {name}")


def _check_end(con: Con, chain_id: str, piece: Piece) -> None:
    """The blocks that can still change must lead to the last one, each naming the one before."""
    if piece.cursor is None:
        return
    end, final = piece.cursor.block, piece.cursor.finalized
    found = blocks(con, chain_id, max(final, 0), end.number)
    if not found or found[-1] != end:
        raise MirrorWrong(f"{chain_id}: what was given ends with block {end.number}, and does not hold it")
    if namespace_of(chain_id) == EVM and not all(map(_linked, pairwise(found))):
        raise MirrorWrong(f"{chain_id}: the blocks that were given do not follow each other")


def _linked(pair: tuple[Block, Block]) -> bool:
    one, other = pair
    return other.number != one.number + 1 or other.parent_hash == one.hash
