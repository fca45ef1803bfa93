"""What passes between a store and its mirror: what the mirror holds, and the rows that make it hold what the store does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import pyarrow as pa

from chains.model import Block
from indexer.lake.contents import small
from indexer.store.apply import Cursor
from indexer.store.changes import Place
from indexer.store.errors import StoreError
from indexer.store.journals import DERIVED
from indexer.store.raw import family
from indexer.store.session import Con
from indexer.store.statements import statement

SPANS = 512
"""In how many spans of blocks two stores are compared, at most: what differs is fetched from the first of them on."""

Mark = tuple[int, str]
"""How many rows a span has, and a sum over them."""


class MirrorWrong(StoreError):
    """What was given is not what a store can hold; nothing of it was taken."""


class Outcome(StrEnum):
    """What came of asking: nothing is otherwise, here are rows, or say first what you hold (`Marks`)."""

    SAME = "same"
    ROWS = "rows"
    COMPARE = "compare"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What a mirror holds: by table the mark of every span of so many `blocks` that has rows."""

    blocks: int
    of: Mapping[str, Mapping[int, Mark]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What was given last: where the store was then, its edition, and a digest of each table that is given whole."""

    place: Place
    edition: int
    digests: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """How far a mirror is, and what it was given last, `None` where it does not remember; then `marks` say what it holds."""

    block: Block | None
    finalized: int
    given: Given | None = None
    marks: Marks | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of a table, without the chain where they are `by_block`; else they are all that the table has of the chain."""

    rows: pa.Table
    by_block: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Rows that take the place of all above block `above` (of the table of blocks: `blocks_above`), up to `cursor`.

    `more`: the store goes further. Where the outcome is another than `ROWS`, there is nothing but `given`.
    """

    outcome: Outcome
    given: Given
    above: int = -1
    blocks_above: int = -1
    cursor: Cursor | None = None
    more: bool = False
    tables: Mapping[str, Table] = field(default_factory=dict)


def by_block(chain_id: str) -> dict[str, str]:
    """The tables of a chain that grow with its blocks, each with its column of blocks."""
    blocks = family(chain_id).blocks
    return {blocks.name: blocks.block} | {journal.name: "block_number" for journal in DERIVED}


def whole() -> dict[str, str]:
    """The other tables of a chain, each with the question for its rows up to a block."""
    return {table: question for table, question in small().items() if table != "cursor"}


def marks_of(con: Con, chain_id: str, held: Held, blocks: int) -> Marks:
    """What a store holds of a chain up to where a mirror is; of blocks only of those that were final there, since no others stay."""
    if held.block is None:
        return Marks(blocks=blocks, of={})
    name = family(chain_id).blocks.name
    found = {}
    for table, column in by_block(chain_id).items():
        last = held.finalized - 1 if table == name else held.block.number
        text = statement("mirror_marks", table=table, block=column)
        rows = con.execute(text, {"chain_id": chain_id, "last": last, "blocks": blocks}).fetchall()
        found[table] = {int(span): (int(count), str(mark)) for span, count, mark in rows}
    return Marks(blocks=blocks, of=found)
