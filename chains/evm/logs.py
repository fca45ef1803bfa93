"""Logs as columns: JSON-RPC answers become Arrow tables without a Python object per field."""

from __future__ import annotations

import binascii
from collections.abc import Sequence

import msgspec
import numpy as np
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
    if any(len(text) != 2 * size + 2 for text in texts):
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
