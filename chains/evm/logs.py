"""Logs as columns: JSON-RPC answers become Arrow tables without a Python object per field."""

from __future__ import annotations

import binascii
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chains.columns import binaries
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


class _Spans(msgspec.Struct, rename="camel", gc=False):
    """One log with its fields as they stand in the answer."""

    address: msgspec.Raw
    topics: msgspec.Raw
    data: msgspec.Raw
    block_number: msgspec.Raw
    block_hash: msgspec.Raw
    transaction_hash: msgspec.Raw
    transaction_index: msgspec.Raw
    log_index: msgspec.Raw
    removed: msgspec.Raw = msgspec.Raw(b"false")


Bytes = npt.NDArray[np.uint8]

_SPANS = msgspec.json.Decoder(list[_Spans])
_LOGS = msgspec.json.Decoder(list[RpcLog])
_QUOTE, _ZERO, _X, _OPEN, _CLOSE, _COMMA = (ord(c) for c in '"0x[],')
_HASH, _ADDRESS = 32, 20
_MOST_DIGITS = 15
_NO_DIGIT = 0xFF
_DIGITS = np.full(256, _NO_DIGIT, np.uint8)
for _digits in (b"0123456789abcdef", b"0123456789ABCDEF"):
    _DIGITS[np.frombuffer(_digits, np.uint8)] = np.arange(16)


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
    if b"".join([span.removed for span in spans]) != b"false" * len(spans):
        raise _Odd
    return [
        pa.array(_quantities([span.block_number for span in spans])),
        pa.array(_quantities([span.transaction_index for span in spans]), pa.int32()),
        pa.array(_quantities([span.log_index for span in spans]), pa.int32()),
        binaries(_words([span.block_hash for span in spans], _HASH), _HASH),
        binaries(_words([span.transaction_hash for span in spans], _HASH), _HASH),
        binaries(_words([span.address for span in spans], _ADDRESS), _ADDRESS),
        *_topics([span.topics for span in spans]),
        _data([span.data for span in spans]),
    ]


def _joined(tokens: Sequence[msgspec.Raw], width: int) -> Bytes:
    """Return tokens of one width as rows; whether each row is one token is for the caller to see."""
    joined = np.frombuffer(b"".join(tokens), np.uint8)
    if len(joined) != width * len(tokens):
        raise _Odd
    return joined.reshape(len(tokens), width)


def _quantities(tokens: Sequence[msgspec.Raw]) -> npt.NDArray[np.int64]:
    """Return the values of `"0x…"` tokens of any width."""
    joined = np.frombuffer(b"".join(tokens), np.uint8)
    quotes = np.flatnonzero(joined == _QUOTE)
    if len(quotes) != 2 * len(tokens) or quotes[-1] != len(joined) - 1:
        raise _Odd
    starts, ends = quotes[0::2], quotes[1::2]
    digits = ends - starts - 3
    if starts[0] or (starts[1:] != ends[:-1] + 1).any() or digits.min() < 1 or digits.max() > _MOST_DIGITS:
        raise _Odd
    if (joined[starts + 1] != _ZERO).any() or (joined[starts + 2] != _X).any():
        raise _Odd
    return _values(_DIGITS[joined], starts + 3, digits)


def _values(digits: Bytes, starts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    values = np.zeros(len(starts), np.int64)
    for i in range(int(counts.max())):
        rows = slice(None) if i < counts.min() else np.flatnonzero(counts > i)
        found = digits[starts[rows] + i]
        if (found == _NO_DIGIT).any():
            raise _Odd
        values[rows] = (values[rows] << 4) + found
    return values


def _words(tokens: Sequence[msgspec.Raw], size: int) -> bytes:
    """Return the bytes of `"0x…"` tokens of one size, one behind the other."""
    return _unhexed(_joined(tokens, 2 * size + 4))


def _unhexed(tokens: Bytes) -> bytes:
    """Decode rows; as only hexadecimal digits stand between its quotes, each row is one token."""
    marks = (tokens[:, 0] == _QUOTE) & (tokens[:, 1] == _ZERO) & (tokens[:, 2] == _X) & (tokens[:, -1] == _QUOTE)
    if not marks.all():
        raise _Odd
    return binascii.unhexlify(tokens[:, 3:-1].tobytes())


def _topics(tokens: Sequence[msgspec.Raw]) -> list[pa.Array]:
    """Cut arrays of topics, whose length tells how many they hold."""
    lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
    if lengths[0] > len("[]") and (lengths == lengths[0]).all():
        words = _topic_words(tokens, int(lengths[0]))
        none = pa.nulls(len(tokens), pa.binary())
        return [binaries(word, _HASH) for word in words] + [none] * (len(TOPIC_COLUMNS) - len(words))
    columns = [np.zeros((len(tokens), _HASH), np.uint8) for _ in TOPIC_COLUMNS]
    counts = np.zeros(len(tokens), np.int64)
    for length in np.unique(lengths[lengths > len("[]")]).tolist():
        rows = np.flatnonzero(lengths == length)
        words = _topic_words([tokens[row] for row in rows.tolist()], length)
        counts[rows] = len(words)
        for column, word in zip(columns, words, strict=False):
            column[rows] = np.frombuffer(word, np.uint8).reshape(len(rows), _HASH)
    return [_present(column, counts > i) for i, column in enumerate(columns)]


def _topic_words(tokens: Sequence[msgspec.Raw], width: int) -> list[bytes]:
    """Return each topic's bytes of arrays of one width."""
    token = 2 * _HASH + 4
    count = (width - 1) // (token + 1)
    if width != count * (token + 1) + 1 or count > len(TOPIC_COLUMNS):
        raise _Odd
    rows = _joined(tokens, width)
    separators = rows[:, token + 1 : -1 : token + 1]
    if (rows[:, 0] != _OPEN).any() or (rows[:, -1] != _CLOSE).any() or (separators != _COMMA).any():
        raise _Odd
    starts = [1 + i * (token + 1) for i in range(count)]
    return [_unhexed(rows[:, start : start + token]) for start in starts]


def _present(column: Bytes, there: npt.NDArray[np.bool_]) -> pa.Array:
    """Make a column of words, with nothing where there is none."""
    if there.all():
        return binaries(column.tobytes(), _HASH)
    offsets = np.concatenate([[0], np.cumsum(there * _HASH)]).astype(np.int32)
    valid = pa.py_buffer(np.packbits(there, bitorder="little"))
    buffers = [valid, pa.py_buffer(offsets), pa.py_buffer(column[there].tobytes())]
    return pa.BinaryArray.from_buffers(pa.binary(), len(there), buffers)


def _data(tokens: Sequence[msgspec.Raw]) -> pa.Array:
    """Cut data of any lengths: together where all are alike, else each length for itself."""
    lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
    sizes = (lengths - 4) // 2
    if (lengths != 2 * sizes + 4).any():
        raise _Odd
    if sizes[0] and (sizes == sizes[0]).all():
        return binaries(_words(tokens, int(sizes[0])), int(sizes[0]))
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    body = np.zeros(int(offsets[-1]), np.uint8)
    for size in np.unique(sizes).tolist():
        rows = np.flatnonzero(sizes == size)
        words = np.frombuffer(_words([tokens[row] for row in rows.tolist()], size), np.uint8)
        body[offsets[rows][:, None] + np.arange(size)] = words.reshape(len(rows), size)
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(body)]
    return pa.BinaryArray.from_buffers(pa.binary(), len(tokens), buffers)


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
    if _ascends(table):
        return table.combine_chunks()
    table = table.sort_by([("block_number", "ascending"), ("log_index", "ascending")]).combine_chunks()
    if not _ascends(table):
        message = "eth_getLogs: an answer holds the same log twice; the node is not consistent"
        raise NodeWrong(message)
    return table


def _ascends(table: pa.Table) -> bool:
    """Tell whether each log stands behind the one before it."""
    positions = table["block_number"].to_numpy() * (1 << 32) + table["log_index"].to_numpy()
    return len(positions) < 2 or bool(np.all(np.diff(positions) > 0))  # noqa: PLR2004 - one log is in order


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
    return binaries(binascii.unhexlify("".join([text[2:] for text in texts])), size)


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
