"""The raw tables: what nodes said, as said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from chains.identifiers import PYTH, SOLANA, format_hash, namespace_of
from chains.model import Block
from chains.ports import Batch
from indexer.store.errors import StepRefused
from indexer.store.session import Con, Reading, insert, staged, table_of
from indexer.store.statements import statement


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTable:
    """A raw table: its columns after `chain_id`, the one that holds the block, and those that no two rows share.

    `repeats`: a row may be given several times and is stored once.
    """

    name: str
    columns: tuple[str, ...]
    block: str
    identity: tuple[str, ...]
    repeats: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The raw tables of one kind of network; `blocks` holds its blocks, `prune` are the statements that forget some."""

    blocks: RawTable
    others: tuple[RawTable, ...]
    prune: tuple[str, ...]

    @property
    def tables(self) -> tuple[RawTable, ...]:
        return (self.blocks, *self.others)


EVM_FAMILY = Family(
    blocks=RawTable(
        name="evm_block",
        columns=("number", "hash", "parent_hash", "time"),
        block="number",
        identity=("number",),
    ),
    others=(
        RawTable(
            name="evm_log",
            columns=(
                "block_number",
                "tx_index",
                "log_index",
                "block_hash",
                "tx_hash",
                "address",
                "topic0",
                "topic1",
                "topic2",
                "topic3",
                "data",
            ),
            block="block_number",
            identity=("block_number", "log_index"),
        ),
        RawTable(
            name="evm_read",
            columns=("block_number", "block_hash", "method", "address", "input", "outcome", "output"),
            block="block_number",
            identity=("block_number", "method", "address", "input"),
            repeats=True,
        ),
    ),
    prune=("prune_evm",),
)
SOLANA_FAMILY = Family(
    blocks=RawTable(
        name="solana_block",
        columns=("slot", "hash", "parent_hash", "parent_slot", "height", "time"),
        block="slot",
        identity=("slot",),
    ),
    others=(
        RawTable(
            name="solana_transaction",
            columns=("slot", "tx_index", "signature", "block_hash", "body"),
            block="slot",
            identity=("slot", "tx_index"),
        ),
        RawTable(
            name="solana_account",
            columns=("slot", "address", "owner", "lamports", "data", "closed"),
            block="slot",
            identity=("slot", "address"),
        ),
        RawTable(
            name="solana_read",
            columns=("slot", "method", "address", "input", "context_slot", "outcome", "output"),
            block="slot",
            identity=("slot", "method", "address", "input"),
            repeats=True,
        ),
    ),
    prune=("prune_looks", "prune_solana"),
)

PYTH_FAMILY = Family(
    blocks=RawTable(
        name="pyth_block",
        columns=("number", "hash", "parent_hash", "time"),
        block="number",
        identity=("number",),
    ),
    others=(
        RawTable(
            name="observation",
            columns=("fetched_at", "part", "source", "body"),
            block="fetched_at",
            identity=("fetched_at", "part"),
        ),
    ),
    prune=("prune_pyth",),
)

FAMILIES: Mapping[str, Family] = {SOLANA: SOLANA_FAMILY, PYTH: PYTH_FAMILY}
"""The families whose namespace is not that of the EVM's chains."""

RAW: Mapping[str, RawTable] = {table.name: table for each in (EVM_FAMILY, *FAMILIES.values()) for table in each.tables}


def family(chain_id: str) -> Family:
    """The tables that a chain's namespace says its raw rows are in."""
    return FAMILIES.get(namespace_of(chain_id), EVM_FAMILY)


def append_raw(con: Con, batch: Batch) -> None:
    """Store a batch's raw rows; raises `StepRefused` for a row outside its span, and for two different rows of one thing."""
    tables = {table.name: table for table in family(batch.chain_id).tables}
    for name, rows in batch.raw.items():
        table = known(tables, name)
        given = arranged(table, batch, rows)
        if given.num_rows:
            check_span(table, batch, given)
            append_rows(con, table, batch, once(given) if table.repeats else given)
    append_last_block(con, batch)


def append_rows(con: Con, table: RawTable, batch: Batch, rows: pa.Table) -> None:
    """Store raw rows of one table; raises `StepRefused` where one is stored twice."""
    with staged(con, rows):
        con.execute(statement("append", table=table.name), {"chain_id": batch.chain_id})
    check_twice(con, table, batch)


def once(rows: pa.Table) -> pa.Table:
    """The same rows, each one time: one question may have been asked twice."""
    return rows.group_by(rows.column_names, use_threads=False).aggregate([])


def append_last_block(con: Con, batch: Batch) -> None:
    """See to it that the block which the cursor will name is stored; where a block says more than `Block` the batch must hold it."""
    last = batch.last
    held = blocks(con, batch.chain_id, last.number, last.number)
    if held and held != [last]:
        raise StepRefused(
            f"{batch.chain_id}: the batch ends with {named(batch.chain_id, last)}, "
            f"but its headers say {format_hash(batch.chain_id, held[0].hash)}; fetch it again"
        )
    if not held and family(batch.chain_id) is SOLANA_FAMILY:
        raise StepRefused(
            f"{batch.chain_id}: the batch ends with {named(batch.chain_id, last)}, and solana_block does not hold it; add its row"
        )
    if not held:
        insert(
            con,
            family(batch.chain_id).blocks.name,
            [batch.chain_id, last.number, last.hash, last.parent_hash, last.time],
        )


def named(chain_id: str, block: Block | None) -> str:
    """A block as people name it."""
    return f"block {block.number} {format_hash(chain_id, block.hash)}" if block else "no block"


def known(tables: Mapping[str, RawTable], name: str) -> RawTable:
    """Return a raw table by its name; raises `StepRefused`."""
    if name not in tables:
        raise StepRefused(f"there is no raw table {name!r}; use one of {', '.join(tables)}")
    return tables[name]


def arranged(table: RawTable, batch: Batch, rows: pa.Table) -> pa.Table:
    """The given columns in the table's order, without `chain_id`, which is the batch's."""
    names = set(rows.column_names)
    if "chain_id" in names and pc.unique(rows["chain_id"]).to_pylist() not in ([], [batch.chain_id]):
        raise StepRefused(f"{batch.chain_id}: raw rows of {table.name} belong to another chain")
    if names - {"chain_id"} != set(table.columns):
        wrong = ", ".join(sorted((names - {"chain_id"}) ^ set(table.columns)))
        raise StepRefused(f"{batch.chain_id}: raw rows of {table.name} lack, or should not have, {wrong}")
    return rows.select(list(table.columns))


def check_span(table: RawTable, batch: Batch, rows: pa.Table) -> None:
    """Raise `StepRefused` where rows are of blocks outside their batch."""
    ends = pc.min_max(rows[table.block]).as_py()
    if ends["min"] < batch.first or ends["max"] > batch.last.number:
        raise StepRefused(
            f"{batch.chain_id}: raw rows of {table.name} reach from block {ends['min']} to {ends['max']}, "
            f"the batch from {batch.first} to {batch.last.number}"
        )


def check_twice(con: Con, table: RawTable, batch: Batch) -> None:
    """Raise `StepRefused` where two rows of a span have the same identity."""
    identity = ", ".join(table.identity)
    twice = con.execute(
        statement("raw_twice", table=table.name, block=table.block, identity=identity),
        {"chain_id": batch.chain_id, "first": batch.first, "last": batch.last.number},
    ).fetchall()
    if twice:
        parts = (format_hash(batch.chain_id, part) if isinstance(part, bytes) else str(part) for part in twice[0])
        values = ", ".join(parts)
        raise StepRefused(f"{batch.chain_id}: {table.name} has ({identity}) = ({values}) twice; fetch the span again")


def blocks(con: Con, chain_id: str, first: int, last: int) -> list[Block]:
    """Return the stored blocks of a span, both ends included, in order."""
    found = con.execute(statement("blocks"), {"chain_id": chain_id, "first": first, "last": last})
    return [block_of(row) for row in found.fetchall()]


def block_of(row: tuple[int, bytes, bytes, int]) -> Block:
    number, digest, parent, time = row
    return Block(number=number, hash=digest, parent_hash=parent, time=time)


class StoredRaw:
    """The `RawReader` of one chain."""

    def __init__(self, reading: Reading, chain_id: str) -> None:
        self._reading = reading
        self._chain_id = chain_id

    def blocks(self, first: int, last: int) -> list[Block]:
        with self._reading() as con:
            return blocks(con, self._chain_id, first, last)

    def table(self, name: str, first: int, last: int) -> pa.Table:
        table = known(RAW, name)
        text = statement("raw_span", table=table.name, block=table.block, order=", ".join(table.identity))
        with self._reading() as con:
            return table_of(con, text, {"chain_id": self._chain_id, "first": first, "last": last})
