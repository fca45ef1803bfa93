"""The things that can happen to the store, each within the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow.compute as pc

from chains.model import Block, Rows
from chains.ports import Batch
from indexer.steps import Append, Attest, Finalize, Forget, Reread, Restate, Rewind, Step
from indexer.store.controls import TABLES as CONTROLS
from indexer.store.coverage import add_coverage, raise_coverage
from indexer.store.errors import StepRefused
from indexer.store.journals import DERIVED, Derivation
from indexer.store.makers import note_emptied
from indexer.store.raw import append_raw, blocks, family, named
from indexer.store.restate import forget, reread
from indexer.store.session import Con
from indexer.store.statements import statement
from indexer.store.tips import append_derived, delete_above, rewind_derived

NOTHING_FINAL = -1
"""The finalised number of a chain without a final block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a chain is stored: its last block, and the number of the newest stored block that cannot change any more."""

    block: Block
    finalized: int


def apply_step(con: Con, step: Step) -> None:
    """Fold one step into the store; raises `StepRefused`, and then the caller's transaction must not be committed."""
    match step:
        case Append():
            append(con, step)
        case Rewind():
            rewind(con, step)
        case Finalize():
            finalize(con, step)
        case Attest():
            raise_coverage(con, step.chain_id, step.covered, step.findings)
        case Restate():
            mend(con, step)


def append(con: Con, step: Append) -> None:
    """Store a batch that follows what is stored: raw rows, derived rows, coverage and cursor; raises `StepRefused`."""
    batch = step.batch
    held = cursor(con, batch.chain_id)
    check_place(step, held)
    check_rows(batch)
    append_raw(con, batch)
    append_derived(con, batch.chain_id, (step.derived or Derivation(batch.rows)).tables())
    add_coverage(con, batch)
    set_cursor(con, batch.chain_id, Cursor(block=batch.last, finalized=held.finalized if held else NOTHING_FINAL))


def check_place(step: Append, held: Cursor | None) -> None:
    """A batch is folded upon the tips after its parent: upon any other block it would be wrong."""
    batch, stored = step.batch, held.block if held else None
    if stored != step.parent:
        built_on, stands_at = (named(batch.chain_id, block) for block in (step.parent, stored))
        raise StepRefused(
            f"{batch.chain_id}: the batch was built on {built_on}, the store stands at {stands_at}; "
            "read the cursor and fetch again"
        )
    if stored and batch.first != stored.number + 1:
        raise StepRefused(f"{batch.chain_id}: the batch begins with block {batch.first}, not with {stored.number + 1}")
    if batch.first > batch.last.number:
        raise StepRefused(f"{batch.chain_id}: the batch ends with block {batch.last.number}, before {batch.first}")


def check_rows(batch: Batch) -> None:
    """Every derived row belongs to a block of the batch: else a rewind would leave it, or a restart repeat it."""
    for journal in DERIVED:
        for first, last in ends(batch.rows, journal.field):
            if first < batch.first or last > batch.last.number:
                raise StepRefused(
                    f"{batch.chain_id}: rows of {journal.name} reach from block {first} to {last}, "
                    f"the batch from {batch.first} to {batch.last.number}"
                )


def ends(rows: Rows, field: str) -> Iterator[tuple[int, int]]:
    """The first and the last block of the rows of one kind, as far as there are some."""
    if numbers := [row.block for row in getattr(rows, field)]:
        yield min(numbers), max(numbers)
    for table in rows.columns.get(field, ()):
        if table.num_rows:
            found = pc.min_max(table["block"]).as_py()
            yield found["min"], found["max"]


def rewind(con: Con, step: Rewind) -> None:
    """Delete what is above a block and restore the tips; raises `StepRefused` for a block that is final or not stored."""
    held = cursor(con, step.chain_id)
    if held is None and step.to is None:
        return
    check_fork(con, step, held)
    number = step.to.number if step.to else -1
    for table in family(step.chain_id).tables:
        delete_above(con, step.chain_id, table.name, table.block, number)
    rewind_derived(con, step.chain_id, number)
    for control in CONTROLS:
        delete_above(con, step.chain_id, control, "block_number", number)
    delete_above(con, step.chain_id, "coverage", "first", number)
    con.execute(statement("coverage_cut"), {"chain_id": step.chain_id, "number": number})
    set_cursor(con, step.chain_id, Cursor(block=step.to, finalized=held.finalized) if step.to and held else None)
    if step.to is None:
        note_emptied(con, step.chain_id)


def check_fork(con: Con, step: Rewind, held: Cursor | None) -> None:
    """A rewind leads to a block that is stored, and never below the final one."""
    number = step.to.number if step.to else -1
    if held is not None and number < held.finalized:
        raise StepRefused(
            f"{step.chain_id}: block {held.finalized} is final here, and a rewind to {named(step.chain_id, step.to)} would undo it"
        )
    check_stored(con, step.chain_id, step.to)


def check_stored(con: Con, chain_id: str, to: Block | None) -> None:
    """Raise `StepRefused` where a block is not the stored one at its height."""
    if to is not None and blocks(con, chain_id, to.number, to.number) != [to]:
        raise StepRefused(f"{chain_id}: {named(chain_id, to)} is not stored, so nothing can be rewound to it")


def finalize(con: Con, step: Finalize) -> None:
    """Let blocks up to a height be final, with what evidence was found of them; heights that are final already change nothing."""
    held = cursor(con, step.chain_id)
    if held is None:
        return
    con.execute(statement("finalize"), {"chain_id": step.chain_id, "number": step.number})
    now = cursor(con, step.chain_id)
    if now and now.finalized > held.finalized:
        raise_coverage(con, step.chain_id, step.covered, step.findings)
        prune(con, step.chain_id, held.finalized, now.finalized)


def mend(con: Con, step: Restate) -> None:
    """Restate a chain that stands where the step was made for; raises `StepRefused`."""
    held = cursor(con, step.chain_id)
    if held is None or held.block != step.cursor:
        made_for, stands_at = (named(step.chain_id, block) for block in (step.cursor, held.block if held else None))
        raise StepRefused(
            f"{step.chain_id}: what was read again goes to {made_for}, the store stands at {stands_at}; read on"
        )
    match step.change:
        case Reread():
            reread(con, step, step.change)
            prune(con, step.chain_id, 0, held.finalized)
        case Forget(to=to):
            check_stored(con, step.chain_id, to)
            forget(con, step, step.change)
            final = min(held.finalized, to.number) if to else NOTHING_FINAL
            set_cursor(con, step.chain_id, Cursor(block=to, finalized=final) if to else None)


def prune(con: Con, chain_id: str, first: int, last: int) -> None:
    """Forget the blocks from `first` to below `last` on which nothing rests."""
    for name in family(chain_id).prune:
        con.execute(statement(name), {"chain_id": chain_id, "first": first, "last": last})


def cursor(con: Con, chain_id: str) -> Cursor | None:
    """How far a chain is stored, `None` for a chain without a block."""
    found = con.execute(statement("cursor"), {"chain_id": chain_id}).fetchall()
    for number, digest, parent, time, finalized in found:
        return Cursor(block=Block(number=number, hash=digest, parent_hash=parent, time=time), finalized=finalized)
    return None


def set_cursor(con: Con, chain_id: str, to: Cursor | None) -> None:
    """Let a chain be at a block, or at none."""
    con.execute("DELETE FROM cursor WHERE chain_id = $chain_id", {"chain_id": chain_id})
    if to is None:
        return
    values = {
        "chain_id": chain_id,
        "number": to.block.number,
        "hash": to.block.hash,
        "parent_hash": to.block.parent_hash,
        "time": to.block.time,
        "finalized": to.finalized,
    }
    con.execute(statement("cursor_set"), values)
