"""Logs as columns: JSON-RPC answers become Arrow tables without a Python object per field."""

from __future__ import annotations

import binascii
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chains.errors import NodeWrong

LOG_SCHEMA = pa.schema(
    [
        ("block_number", pa.int64()),
        ("tx_index", pa.int32()),
        ("log_index", pa.int32()),
        ("block_hash", pa.binary()),
        ("tx_hash", pa.binary()),
        ("address", pa.binary()),
        ("topic0", pa.binary()),
        ("topic1", pa.binary()),
        ("topic2", pa.binary()),
        ("topic3", pa.binary()),
        ("data", pa.binary()),
    ]
)
TOPIC_COLUMNS = ("topic0", "topic1", "topic2", "topic3")


class RpcLog(msgspec.Struct, rename="camel"):
    """One log as a node says it; `removed` logs belong to a block that is no longer part of the chain."""

    address: str
    topics: list[str]
    data: str
    block_number: str
    block_hash: str
    transaction_hash: str
    transaction_index: str
    log_index: str
    removed: bool = False


class _Spans(msgspec.Struct, rename="camel"):
    """One log with its fields as they stand in the answer."""

    address: msgspec.Raw
    topics: msgspec.Raw
    data: msgspec.Raw
    block_number: str
    block_hash: msgspec.Raw
    transaction_hash: msgspec.Raw
    transaction_index: str
    log_index: str
    removed: bool = False


_SPANS = msgspec.json.Decoder(list[_Spans])
_LOGS = msgspec.json.Decoder(list[RpcLog])
_QUOTE = ord('"')
_HASH, _ADDRESS = 32, 20


class _Odd(Exception):
    """An answer written in another way than the usual; read it value by value."""


def logs_of(answer: bytes | msgspec.Raw) -> pa.Table:
    """Turn the JSON of an `eth_getLogs` answer into columns, in chain order; raises `NodeWrong` for a malformed or removed log.

    Fields of one length are cut out of the answer together and decoded at once; an answer that is spaced or spelled in another way is read
    value by value, to the same table.
    """
    try:
        spans = _SPANS.decode(answer)
        if not spans:
            return empty_logs()
        return in_order(pa.table(_cut(spans), schema=LOG_SCHEMA))
    except (_Odd, ValueError, pa.ArrowInvalid):
        return log_table(_decoded(answer))
    except msgspec.DecodeError as error:
        raise _shapeless(error) from error


def _decoded(answer: bytes | msgspec.Raw) -> list[RpcLog]:
    try:
        return _LOGS.decode(answer)
    except msgspec.DecodeError as error:
        raise _shapeless(error) from error


def _shapeless(error: msgspec.DecodeError) -> NodeWrong:
    return NodeWrong(f"eth_getLogs gave an answer of the wrong shape ({error}); check the node")


def _cut(spans: Sequence[_Spans]) -> list[pa.Array]:
    if any(span.removed for span in spans):
        raise _Odd
    return [
        pa.array([int(span.block_number, 16) for span in spans], pa.int64()),
        pa.array([int(span.transaction_index, 16) for span in spans], pa.int32()),
        pa.array([int(span.log_index, 16) for span in spans], pa.int32()),
        _binary(_words([span.block_hash for span in spans], _HASH), _HASH),
        _binary(_words([span.transaction_hash for span in spans], _HASH), _HASH),
        _binary(_words([span.address for span in spans], _ADDRESS), _ADDRESS),
        *_topics([span.topics for span in spans]),
        _data([span.data for span in spans]),
    ]


def _words(tokens: Sequence[msgspec.Raw], size: int) -> bytes:
    """Return the bytes of `"0x…"` tokens of one size, one behind the other."""
    width = 2 * size + 4
    joined = np.frombuffer(b"".join(tokens), np.uint8)
    if any(len(token) != width for token in tokens):
        raise _Odd
    return _unhexed(joined.reshape(len(tokens), width))


def _unhexed(tokens: npt.NDArray[np.uint8]) -> bytes:
    marks = (
        (tokens[:, 0] == _QUOTE) & (tokens[:, 1] == ord("0")) & (tokens[:, 2] == ord("x")) & (tokens[:, -1] == _QUOTE)
    )
    if not marks.all():
        raise _Odd
    return binascii.unhexlify(tokens[:, 3:-1].tobytes())


def _topics(tokens: Sequence[msgspec.Raw]) -> list[pa.Array]:
    """Cut arrays of topics, whose length tells how many they hold."""
    token = 2 * _HASH + 4
    lengths = np.array([len(each) for each in tokens], np.int64)
    counts = np.where(lengths == len("[]"), 0, (lengths - 1) // (token + 1))
    usual = np.where(counts == 0, len("[]"), counts * (token + 1) + 1)
    if (lengths != usual).any() or counts.max() > len(TOPIC_COLUMNS):
        raise _Odd
    columns = [np.zeros((len(tokens), _HASH), np.uint8) for _ in TOPIC_COLUMNS]
    for count in np.unique(counts[counts > 0]).tolist():
        rows = np.flatnonzero(counts == count)
        some = np.frombuffer(b"".join([tokens[row] for row in rows.tolist()]), np.uint8).reshape(len(rows), -1)
        for i in range(count):
            start = 1 + i * (token + 1)
            words = _unhexed(some[:, start : start + token])
            columns[i][rows] = np.frombuffer(words, np.uint8).reshape(len(rows), _HASH)
    return [_present(column, counts > i) for i, column in enumerate(columns)]


def _present(column: npt.NDArray[np.uint8], there: npt.NDArray[np.bool_]) -> pa.Array:
    """Make a column of words, with nothing where there is none."""
    if there.all():
        return _binary(column.tobytes(), _HASH)
    offsets = np.concatenate([[0], np.cumsum(there * _HASH)]).astype(np.int32)
    valid = pa.py_buffer(np.packbits(there, bitorder="little"))
    buffers = [valid, pa.py_buffer(offsets), pa.py_buffer(column[there].tobytes())]
    return pa.BinaryArray.from_buffers(pa.binary(), len(there), buffers)


def _data(tokens: Sequence[msgspec.Raw]) -> pa.Array:
    """Cut data of any lengths: together where all are alike, else each length for itself."""
    lengths = np.array([len(token) for token in tokens], np.int64)
    sizes = (lengths - 4) // 2
    if (lengths != 2 * sizes + 4).any():
        raise _Odd
    if sizes[0] and (sizes == sizes[0]).all():
        return _binary(_words(tokens, int(sizes[0])), int(sizes[0]))
    parts: list[bytes] = [b""] * len(tokens)
    for size in np.unique(sizes).tolist():
        rows = np.flatnonzero(sizes == size).tolist()
        words = _words([tokens[row] for row in rows], size)
        for place, row in enumerate(rows):
            parts[row] = words[place * size : (place + 1) * size]
    return pa.array(parts, pa.binary())


def _binary(joined: bytes, size: int) -> pa.Array:
    offsets = np.arange(0, len(joined) + 1, size, dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(joined)]
    return pa.BinaryArray.from_buffers(pa.binary(), len(joined) // size, buffers)


def empty_logs() -> pa.Table:
    """Return a log table without rows."""
    return LOG_SCHEMA.empty_table()


def log_table(logs: Sequence[RpcLog]) -> pa.Table:
    """Turn a node's logs into columns, in chain order; raises `NodeWrong` for a malformed or removed log."""
    if not logs:
        return empty_logs()
    try:
        table = pa.table(_columns(logs), schema=LOG_SCHEMA)
    except (ValueError, binascii.Error, pa.ArrowInvalid) as error:
        message = f"eth_getLogs: an answer holds a malformed log ({error})"
        raise NodeWrong(message) from error
    return in_order(table)


def in_order(table: pa.Table) -> pa.Table:
    """Sort by block and position in the block; raises `NodeWrong` when one position is there twice."""
    table = table.sort_by([("block_number", "ascending"), ("log_index", "ascending")]).combine_chunks()
    position = table["block_number"].to_numpy() * (1 << 32) + table["log_index"].to_numpy()
    if len(position) > 1 and not bool(np.all(np.diff(position) > 0)):
        message = "eth_getLogs: an answer holds the same log twice; the node is not consistent"
        raise NodeWrong(message)
    return table


def _columns(logs: Sequence[RpcLog]) -> list[pa.Array]:
    if any(log.removed for log in logs):
        message = "a removed log"
        raise ValueError(message)
    if any(len(log.topics) > len(TOPIC_COLUMNS) for log in logs):
        raise ValueError("more than four topics")
    topics = [[log.topics[i] if i < len(log.topics) else None for log in logs] for i in range(4)]
    return [
        pa.array([int(log.block_number, 16) for log in logs], pa.int64()),
        pa.array([int(log.transaction_index, 16) for log in logs], pa.int32()),
        pa.array([int(log.log_index, 16) for log in logs], pa.int32()),
        _fixed([log.block_hash for log in logs], 32),
        _fixed([log.transaction_hash for log in logs], 32),
        _fixed([log.address for log in logs], 20),
        *(_optional(column, 32) for column in topics),
        pa.array([unhex(log.data) for log in logs], pa.binary()),
    ]


def unhex(text: str) -> bytes:
    """Return the bytes of `0x…` text; raises `ValueError` for anything else."""
    if not text.startswith("0x"):
        message = f"expected 0x…, got {text[:12]!r}"
        raise ValueError(message)
    return binascii.unhexlify(text[2:])


def _fixed(texts: list[str], size: int) -> pa.Array:
    if any(len(text) != 2 * size + 2 or not text.startswith("0x") for text in texts):
        message = f"a field that is not {size} bytes long"
        raise ValueError(message)
    joined = binascii.unhexlify("".join([text[2:] for text in texts]))
    offsets = np.arange(0, len(joined) + 1, size, dtype=np.int32)
    return pa.BinaryArray.from_buffers(pa.binary(), len(texts), [None, pa.py_buffer(offsets), pa.py_buffer(joined)])


def _optional(texts: list[str | None], size: int) -> pa.Array:
    if None not in texts:
        return _fixed(texts, size)  # type: ignore[arg-type]  # the line above leaves only text
    return pa.array([None if text is None else _exactly(unhex(text), size) for text in texts], pa.binary())


def _exactly(value: bytes, size: int) -> bytes:
    if len(value) != size:
        message = f"a field that is not {size} bytes long"
        raise ValueError(message)
    return value


def of_addresses(table: pa.Table, addresses: Sequence[bytes]) -> pa.Table:
    """Return the rows that one of `addresses` emitted."""
    return table.filter(pc.is_in(table["address"], pa.array(list(addresses), pa.binary())))
