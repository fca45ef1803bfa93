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
from chains.evm.records import ADDRESS, HASH, MOST_TOPICS, Group, Odd, RpcLog, groups

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


_LOGS = msgspec.json.Decoder(list[RpcLog])


def logs_of(answer: bytes | msgspec.Raw) -> pa.Table:
    """Turn the JSON of an `eth_getLogs` answer into columns, in chain order; raises `NodeWrong` for a malformed or removed log.

    Logs that are written alike are cut out of the answer together and decoded at once; an answer that is spaced or spelled in another way
    is read value by value, to the same table.
    """
    try:
        count, found = groups(memoryview(answer))
        return in_order(pa.table(_columns_of(count, found), schema=LOG_SCHEMA)) if count else empty_logs()
    except (Odd, pa.ArrowInvalid):
        return log_table(_decoded(answer))


def _decoded(answer: bytes | msgspec.Raw) -> list[RpcLog]:
    try:
        return _LOGS.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NodeWrong(f"eth_getLogs gave an answer of the wrong shape ({error}); check the node") from error


def _columns_of(count: int, found: Sequence[Group]) -> list[pa.Array]:
    quantities = zip(*(group.quantities for group in found), strict=True)
    words = zip(*(group.words for group in found), strict=True)
    rows = [group.rows for group in found]
    numbers = [_placed(count, rows, values) for values in quantities]
    fields = zip((HASH, HASH, ADDRESS), words, strict=True)
    return [
        pa.array(numbers[0]),
        pa.array(numbers[1], pa.int32()),
        pa.array(numbers[2], pa.int32()),
        *(_fixed_size(count, size, rows, values) for size, values in fields),
        *(_topic(count, found, i) for i in range(MOST_TOPICS)),
        _data(count, found),
    ]


def _placed(
    count: int, rows: Sequence[npt.NDArray[np.int64]], values: Sequence[npt.NDArray[np.int64]]
) -> npt.NDArray[np.int64]:
    """Put values of several groups where their logs stand."""
    placed = np.empty(count, np.int64)
    for where, what in zip(rows, values, strict=True):
        placed[where] = what
    return placed


def _fixed_size(count: int, size: int, rows: Sequence[npt.NDArray[np.int64]], values: Sequence[bytes]) -> pa.Array:
    if len(values) == 1:
        return binaries(values[0], size)
    placed = np.empty((count, size), np.uint8)
    for where, what in zip(rows, values, strict=True):
        placed[where] = np.frombuffer(what, np.uint8).reshape(-1, size)
    return binaries(placed.tobytes(), size)


def _topic(count: int, found: Sequence[Group], i: int) -> pa.Array:
    having = [group for group in found if len(group.topics) > i]
    if not having:
        return pa.nulls(count, pa.binary())
    if sum(len(group.rows) for group in having) == count:
        return _fixed_size(count, HASH, [group.rows for group in having], [group.topics[i] for group in having])
    there = np.zeros(count, np.bool_)
    placed = np.empty((count, HASH), np.uint8)
    for group in having:
        there[group.rows] = True
        placed[group.rows] = np.frombuffer(group.topics[i], np.uint8).reshape(-1, HASH)
    offsets = np.concatenate([[0], np.cumsum(there * HASH)]).astype(np.int32)
    buffers = [pa.py_buffer(np.packbits(there, bitorder="little")), pa.py_buffer(offsets)]
    return pa.BinaryArray.from_buffers(pa.binary(), count, [*buffers, pa.py_buffer(placed[there].tobytes())])


def _data(count: int, found: Sequence[Group]) -> pa.Array:
    if {group.data_size for group in found} == {found[0].data_size} and found[0].data_size:
        return _fixed_size(count, found[0].data_size, [group.rows for group in found], [group.data for group in found])
    sizes = np.zeros(count, np.int64)
    for group in found:
        sizes[group.rows] = group.data_size
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    body = np.empty(int(offsets[-1]), np.uint8)
    for group in found:
        where = offsets[group.rows][:, None] + np.arange(group.data_size)
        body[where] = np.frombuffer(group.data, np.uint8).reshape(-1, group.data_size) if group.data_size else 0
    return pa.BinaryArray.from_buffers(
        pa.binary(), count, [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(body)]
    )


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
    mine = pc.is_in(table["address"], pa.array(list(addresses), pa.binary()))
    return table if pc.all(mine, skip_nulls=False).as_py() else table.filter(mine)
