"""What passes between an aggregator and an indexer: a question in JSON, and an answer of a head in JSON and rows as Arrow streams.

    answer = magic, length of the head (4 bytes, big endian), head, one Arrow stream for each table of the head, in its order

The head names the digest of all streams, and the length and rows of each, so that half an answer is none.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any, Literal

import pyarrow as pa
from pyarrow import ipc
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chains.model import Block
from indexer.mirror import Given, Held, Marks, MirrorWrong, Outcome, Piece, Table
from indexer.store import Cursor
from indexer.store.changes import Place

MEDIA_TYPE = "application/vnd.crossmargin.rows"
MAGIC = b"XMROWS\x00\x01"
LENGTH = 4
LARGEST = 256 * 1024 * 1024
"""Bytes of an answer: pieces end far below."""

LARGEST_QUESTION = 4 * 1024 * 1024
HEX = r"^([0-9a-f]{2})*$"
OPTIONS = ipc.IpcWriteOptions(compression="zstd")


class Said(BaseModel):
    """What the other side says: exactly these keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class BlockSaid(Said):
    """A block of a chain; hashes in hex, as they are stored."""

    number: int = Field(ge=0)
    hash: str = Field(pattern=HEX)
    parent_hash: str = Field(pattern=HEX)
    time: int


class GivenSaid(Said):
    """What was given last, as the answer said it."""

    opening: str = Field(max_length=64)
    number: int
    edition: int
    digests: dict[str, str]


class SpansSaid(Said):
    """Spans of a table that have rows: their numbers, how many rows each has, and a sum over them; three lists of one length."""

    spans: list[int]
    rows: list[int]
    sums: list[str]


class MarksSaid(Said):
    """What is held, by table, in spans of so many blocks."""

    blocks: int = Field(ge=1)
    of: dict[str, SpansSaid]


class HeldSaid(Said):
    """How far the asker is, and what it was given last."""

    block: BlockSaid | None
    finalized: int
    given: GivenSaid | None
    marks: MarksSaid | None


class HeadSaid(Said):
    """The newest block that the chain's nodes know."""

    latest: BlockSaid
    settled: int
    finality: str


class SightSaid(Said):
    """What the indexer sees of the chain; `age_s`: how long ago a node answered last, `null` where none did yet."""

    head: HeadSaid | None
    age_s: float | None = Field(ge=0)
    fault: str | None
    stopped: bool
    broken: bool
    doubt: tuple[str, str, str] | None


class CursorSaid(Said):
    """Where rows end, and the newest of those blocks that is final."""

    block: BlockSaid
    finalized: int


class TableSaid(Said):
    """One of the streams that follow."""

    name: str
    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)
    by_block: bool


class PieceSaid(Said):
    """The head of an answer."""

    made_by: dict[str, Any]
    chain: str
    sight: SightSaid
    waited_s: float = Field(ge=0)
    """For how long the answer was held back, since there was nothing new."""
    outcome: Literal["same", "rows", "compare"]
    given: GivenSaid
    above: int
    blocks_above: int
    cursor: CursorSaid | None
    more: bool
    tables: list[TableSaid]
    sha256: str


def block_said(block: Block) -> BlockSaid:
    return BlockSaid(number=block.number, hash=block.hash.hex(), parent_hash=block.parent_hash.hex(), time=block.time)


def block_of(said: BlockSaid) -> Block:
    return Block(
        number=said.number, hash=bytes.fromhex(said.hash), parent_hash=bytes.fromhex(said.parent_hash), time=said.time
    )


def question(held: Held) -> HeldSaid:
    """What an aggregator asks."""
    marks = held.marks
    return HeldSaid(
        block=None if held.block is None else block_said(held.block),
        finalized=held.finalized,
        given=None if held.given is None else _given_said(held.given),
        marks=None
        if marks is None
        else MarksSaid(
            blocks=marks.blocks,
            of={
                table: SpansSaid(
                    spans=list(of), rows=[rows for rows, _ in of.values()], sums=[mark for _, mark in of.values()]
                )
                for table, of in marks.of.items()
            },
        ),
    )


def held_of(said: HeldSaid) -> Held:
    """What an indexer was asked."""
    marks = said.marks
    return Held(
        block=None if said.block is None else block_of(said.block),
        finalized=said.finalized,
        given=None if said.given is None else _given_of(said.given),
        marks=None
        if marks is None
        else Marks(
            blocks=marks.blocks,
            of={
                table: dict(zip(of.spans, zip(of.rows, of.sums, strict=False), strict=False))
                for table, of in marks.of.items()
            },
        ),
    )


def written(chain_id: str, piece: Piece, sight: SightSaid, *, waited_s: float, made_by: Mapping[str, Any]) -> bytes:
    """A piece as bytes."""
    streams = {name: _stream(table.rows) for name, table in piece.tables.items()}
    rest = b"".join(streams.values())
    cursor = piece.cursor
    head = PieceSaid(
        made_by=dict(made_by),
        chain=chain_id,
        sight=sight,
        waited_s=waited_s,
        outcome=piece.outcome.value,
        given=_given_said(piece.given),
        above=piece.above,
        blocks_above=piece.blocks_above,
        cursor=None if cursor is None else CursorSaid(block=block_said(cursor.block), finalized=cursor.finalized),
        more=piece.more,
        tables=[
            TableSaid(name=name, rows=table.rows.num_rows, bytes=len(streams[name]), by_block=table.by_block)
            for name, table in piece.tables.items()
        ],
        sha256=hashlib.sha256(rest).hexdigest(),
    )
    said = head.model_dump_json().encode()
    return b"".join((MAGIC, len(said).to_bytes(LENGTH, "big"), said, rest))


def head_of(body: bytes) -> tuple[dict[str, Any], bytes]:
    """The head of an answer as it was sent, and what follows; raises `MirrorWrong`."""
    start = len(MAGIC) + LENGTH
    if not body.startswith(MAGIC) or len(body) < start:
        raise MirrorWrong("this is no answer of an indexer")
    end = start + int.from_bytes(body[len(MAGIC) : start], "big")
    try:
        head = json.loads(body[start:end])
    except ValueError as error:
        raise MirrorWrong("the head of the answer cannot be read") from error
    if not isinstance(head, dict) or len(body) < end:
        raise MirrorWrong("the head of the answer cannot be read")
    return head, body[end:]


def read(chain_id: str, head: Mapping[str, Any], rest: bytes) -> tuple[PieceSaid, Piece]:
    """What an answer says, whole and of this chain; raises `MirrorWrong`."""
    try:
        said = PieceSaid.model_validate(head)
    except ValidationError as error:
        first = error.errors()[0]
        raise MirrorWrong(f"the head of the answer is not one: {'.'.join(map(str, first['loc']))}") from error
    if said.chain != chain_id:
        raise MirrorWrong(f"the answer is about another chain than {chain_id}")
    if len(rest) != sum(table.bytes for table in said.tables) or hashlib.sha256(rest).hexdigest() != said.sha256:
        raise MirrorWrong("the answer is not whole: its rows are others than its head names")
    tables, at = {}, 0
    for table in said.tables:
        tables[table.name] = Table(rows=_rows(rest[at : at + table.bytes], table), by_block=table.by_block)
        at += table.bytes
    cursor = said.cursor
    piece = Piece(
        outcome=Outcome(said.outcome),
        given=_given_of(said.given),
        above=said.above,
        blocks_above=said.blocks_above,
        cursor=None if cursor is None else Cursor(block=block_of(cursor.block), finalized=cursor.finalized),
        more=said.more,
        tables=tables,
    )
    return said, piece


def _stream(rows: pa.Table) -> bytes:
    out = io.BytesIO()
    with ipc.new_stream(out, rows.schema, options=OPTIONS) as writer:
        writer.write_table(rows)
    return out.getvalue()


def _rows(stream: bytes, table: TableSaid) -> pa.Table:
    try:
        rows = ipc.open_stream(stream).read_all()
        rows.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise MirrorWrong(f"the rows of {table.name} cannot be read") from error
    if rows.num_rows != table.rows:
        raise MirrorWrong(f"{table.name} has {rows.num_rows} rows, and {table.rows} were named")
    return rows


def _given_said(given: Given) -> GivenSaid:
    return GivenSaid(
        opening=given.place.opening, number=given.place.number, edition=given.edition, digests=dict(given.digests)
    )


def _given_of(said: GivenSaid) -> Given:
    return Given(place=Place(said.opening, said.number), edition=said.edition, digests=said.digests)
