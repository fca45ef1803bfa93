"""What a process that reads a chain and the one that stores it say to each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import msgspec
import pyarrow as pa

from chains import errors
from chains.columns import joined
from chains.errors import ChainError
from chains.model import Block, ChainSpec, FeedSpec, Rows, Skipped, VenueSpec
from chains.ports import Batch, Exchange
from indexer.remote.frames import Buffer, Frame
from indexer.store.journals import JOURNALS, too_wide, unique, words

T = TypeVar("T")


class Begin(msgspec.Struct, tag=True):
    """To a new process: the chain that it reads. Node addresses travel here and nowhere else."""

    spec: ChainSpec
    venues: list[VenueSpec]
    feeds: list[FeedSpec]


class Call(msgspec.Struct, tag=True):
    """To the reading process: one method of the chain's port, with what it is given beside readers of the store.

    `upon`: the number of a call whose batch is not stored yet, and belongs to the state that this one builds on.
    """

    id: int
    name: str
    given: list[Any]
    upon: int | None = None


class Cancel(msgspec.Struct, tag=True):
    """To the reading process: nobody waits for this call any more."""

    id: int


class Fault(msgspec.Struct):
    """An error: the type of `chains.errors` that it is (none for a fault of the program), its message, its facts, its trace."""

    kind: str
    message: str
    facts: dict[str, Any]
    trace: str = ""


class Done(msgspec.Struct, tag=True):
    """To the storing process: what a call returned."""

    id: int
    value: msgspec.Raw


class Part(msgspec.Struct, tag=True):
    """To the storing process: one of several things that a call returns, before it is done."""

    id: int
    value: msgspec.Raw


class Failed(msgspec.Struct, tag=True):
    """To the storing process: what a call raised."""

    id: int
    fault: Fault


class Passed(msgspec.Struct, tag=True):
    """To the storing process: what passed between the chain and its nodes since the last of these."""

    exchanges: list[Exchange]


class Met(msgspec.Struct, tag=True):
    """To the storing process: an error at a node, also one that a retry mended."""

    node: str
    fault: Fault


class Turned(msgspec.Struct, tag=True):
    """To the storing process: what a node is from now on."""

    node: str
    state: str


class Ask(msgspec.Struct):
    """On the channel of the state: one question to the readers that belong to a call."""

    call: int
    name: str
    about: list[Any]
    keys: pa.Table | None = None


class Answer(msgspec.Struct, tag=True):
    """On the channel of the state: what the reader said."""

    value: msgspec.Raw


class Unanswered(msgspec.Struct, tag=True):
    """On the channel of the state: the reader failed."""


class Height(msgspec.Struct):
    """What is known of a height."""

    block: Block | None = None
    skipped: Skipped | None = None


ToReading = Begin | Call | Cancel
ToStoring = Part | Done | Failed | Passed | Met | Turned
FromState = Answer | Unanswered

_DECODERS: dict[str, msgspec.msgpack.Decoder[Any]] = {
    "reading": msgspec.msgpack.Decoder(Begin | Call | Cancel),
    "storing": msgspec.msgpack.Decoder(Part | Done | Failed | Passed | Met | Turned),
    "state": msgspec.msgpack.Decoder(Answer | Unanswered),
}


def to_reading(message: bytes) -> ToReading:
    """Read what is said to the reading process."""
    said: ToReading = _DECODERS["reading"].decode(message)
    return said


def to_storing(message: bytes) -> ToStoring:
    """Read what is said to the storing process."""
    said: ToStoring = _DECODERS["storing"].decode(message)
    return said


def from_state(message: bytes) -> FromState:
    """Read an answer on the channel of the state."""
    said: FromState = _DECODERS["state"].decode(message)
    return said


def packed(value: object) -> tuple[bytes, list[Buffer]]:
    """Write a value; its tables go beside it as Arrow streams."""
    buffers: list[Buffer] = []

    def place(table: object) -> int:
        if not isinstance(table, pa.Table):
            raise NotImplementedError(f"{type(table).__name__} cannot be sent")
        buffers.append(_stream(table))
        return len(buffers) - 1

    return msgspec.msgpack.encode(value, enc_hook=place), buffers


def unpacked(frame: Frame, kind: type[T]) -> T:
    """Read a value and the tables beside it, which stay in the frame's own memory."""
    message, buffers = frame

    def placed(_: type[pa.Table], number: int) -> pa.Table:
        return pa.ipc.open_stream(pa.py_buffer(buffers[number])).read_all()

    return msgspec.msgpack.decode(message, type=kind, dec_hook=placed)


def _stream(table: pa.Table) -> memoryview:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def fault_of(error: BaseException, trace: str = "") -> Fault:
    """Write an error by its nearest type in `chains.errors`."""
    known = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == errors.__name__]
    if not known:
        return Fault(type(error).__name__, str(error), {}, trace)
    facts = {name: value for name, value in vars(error).items() if isinstance(value, bool | int | float | str | None)}
    return Fault(known[0], str(error), facts)


def error_of(fault: Fault) -> ChainError | None:
    """Make the error again, `None` for one of the program."""
    kind = getattr(errors, fault.kind, None)
    if not (isinstance(kind, type) and issubclass(kind, ChainError)):
        return None
    error = kind.__new__(kind, fault.message)
    vars(error).update(fault.facts)
    return error


def columnar(batch: Batch) -> Batch:
    """Turn the derived rows of a batch into columns, so that whoever stores them touches none singly.

    Rows with an amount that fits no column go to quarantine, as the store would do with them.
    """
    rows = batch.rows
    kept = Rows(quarantined=list(rows.quarantined), columns=dict(rows.columns))
    for journal in JOURNALS:
        given = unique(journal, getattr(rows, journal.field))
        if too_wide(journal, given):
            kept.quarantined += [word for row in given for word in words(journal, row)]
            given = [row for row in given if not words(journal, row)]
        if given:
            kept.columns[journal.field] = [*kept.columns.get(journal.field, ()), joined(journal.field, given, ())]
    return replace(batch, rows=kept)
