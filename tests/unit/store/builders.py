"""A small chain that tests make up: blocks, logs, and rows derived from them, in batches of any size."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pyarrow as pa

from chains.model import (
    AccountChange,
    Basis,
    Block,
    LendingEvent,
    MarketChange,
    PositionChange,
    PriceObservation,
    Rows,
    Side,
)
from chains.ports import Batch, Covered
from indexer.steps import Append, Finalize, Rewind
from indexer.store import Store

CHAIN = "eip155:31337"
VENUE = "aave-devnet"
ASSET = b"\x0a" * 20
MARKET = b"\x0b" * 20
OWNER = b"\x0c" * 20


def digest(number: int, fork: str = "") -> bytes:
    return sha256(f"{number}{fork}".encode()).digest()


def block(number: int, *, fork: str = "", forked_at: int = 0) -> Block:
    """The block at a height, of the main chain or of a fork that begins at `forked_at`."""
    own, parent = (fork if n >= forked_at else "" for n in (number, number - 1))
    return Block(
        number=number, hash=digest(number, own), parent_hash=digest(number - 1, parent), time=1_000 + 12 * number
    )


def blocks_table(blocks: Sequence[Block]) -> pa.Table:
    return pa.table(
        {
            "number": pa.array([b.number for b in blocks], pa.int64()),
            "hash": pa.array([b.hash for b in blocks], pa.binary()),
            "parent_hash": pa.array([b.parent_hash for b in blocks], pa.binary()),
            "time": pa.array([b.time for b in blocks], pa.int64()),
        }
    )


def logs_table(places: Sequence[tuple[int, int]], *, fork: str = "", forked_at: int = 0) -> pa.Table:
    """One log at each (block, log_index)."""
    rows = [
        {
            "block_number": number,
            "tx_index": 0,
            "log_index": index,
            "block_hash": block(number, fork=fork, forked_at=forked_at).hash,
            "tx_hash": digest(number, f"tx{index}"),
            "address": VENUE.encode(),
            "topic0": b"\x01" * 32,
            "topic1": None,
            "topic2": None,
            "topic3": None,
            "data": f"{fork if number >= forked_at else ''}{number}/{index}".encode(),
        }
        for number, index in places
    ]
    return pa.Table.from_pylist(rows, schema=LOG_SCHEMA)


LOG_SCHEMA = pa.schema(
    {
        "block_number": pa.int64(),
        "tx_index": pa.int32(),
        "log_index": pa.int32(),
        "block_hash": pa.binary(32),
        "tx_hash": pa.binary(32),
        "address": pa.binary(),
        "topic0": pa.binary(),
        "topic1": pa.binary(),
        "topic2": pa.binary(),
        "topic3": pa.binary(),
        "data": pa.binary(),
    }
)

READ_SCHEMA = pa.schema(
    {
        "block_number": pa.int64(),
        "block_hash": pa.binary(),
        "method": pa.string(),
        "address": pa.binary(),
        "input": pa.binary(),
        "outcome": pa.string(),
        "output": pa.binary(),
    }
)


def reads_table(numbers: Sequence[int], *, output: bytes = b"\x01") -> pa.Table:
    """One call answered at each block."""
    rows = [
        {
            "block_number": number,
            "block_hash": block(number).hash,
            "method": "eth_call",
            "address": MARKET,
            "input": b"\x02",
            "outcome": "returned",
            "output": output,
        }
        for number in numbers
    ]
    return pa.Table.from_pylist(rows, schema=READ_SCHEMA)


def position(
    number: int,
    amount_raw: int,
    *,
    ordinal: int = 0,
    owner: bytes = OWNER,
    market: bytes = MARKET,
    side: Side = Side.SUPPLY,
    venue_id: str = VENUE,
) -> PositionChange:
    return PositionChange(
        block=number,
        tx_index=0,
        ordinal=ordinal,
        venue_id=venue_id,
        unit_id=owner,
        owner=owner,
        market=market,
        side=side,
        asset=ASSET,
        amount_raw=amount_raw,
        engine_version="aave-v3/1",
        basis=Basis.EXACT,
    )


def market(number: int, state: str, *, ordinal: int = 0, aspect: str = "reserve", **given: Any) -> MarketChange:
    row = MarketChange(number, 0, ordinal, VENUE, MARKET, aspect, state, "aave-v3/1", Basis.EXACT)
    return row._replace(**given)


def setting(
    number: int, state: str, *, ordinal: int = 0, owner: bytes = OWNER, aspect: str = "collateral", **given: Any
) -> AccountChange:
    row = AccountChange(number, 0, ordinal, VENUE, owner, owner, MARKET, aspect, state, "aave-v3/1", Basis.EXACT)
    return row._replace(**given)


def price(
    number: int, answer_raw: int, *, ordinal: int = 0, source: bytes = b"\x0f" * 20, confidence_raw: int | None = None
) -> PriceObservation:
    time = 1_000 + 12 * number
    return PriceObservation(number, 0, ordinal, source, answer_raw, number, time, Basis.EXACT, confidence_raw)


def event(number: int, amount_raw: int, *, ordinal: int = 0, kind: str = "supply", **given: Any) -> LendingEvent:
    row = LendingEvent(
        number, 0, ordinal, digest(number, f"tx{ordinal}"), VENUE, kind, MARKET, OWNER, None, ASSET, amount_raw, "{}"
    )
    return row._replace(**given)


def batch(
    first: int,
    last: int,
    rows: Rows | None = None,
    *,
    logs: Sequence[tuple[int, int]] = (),
    reads: Sequence[int] = (),
    fork: str = "",
    forked_at: int = 0,
    covered: Sequence[Covered] | None = None,
    chain_id: str = CHAIN,
) -> Batch:
    """Blocks `first`..`last` with every header, the given logs and reads, and the given derived rows."""
    headers = [block(n, fork=fork, forked_at=forked_at) for n in range(first, last + 1)]
    span = Covered(interest=f"{VENUE}:logs", first=first, last=last, level="bloom", evidence="every block's bloom")
    return Batch(
        chain_id=chain_id,
        first=first,
        last=headers[-1],
        raw={
            "evm_block": blocks_table(headers),
            "evm_log": logs_table(logs, fork=fork, forked_at=forked_at),
            "evm_read": reads_table(reads),
        },
        rows=rows or Rows(),
        covered=(span,) if covered is None else tuple(covered),
    )


def append(store: Store, given: Batch) -> None:
    """Append behind whatever the cursor is."""
    held = store.cursor(given.chain_id)
    store.apply(Append(parent=held.block if held else None, batch=given))


def rewind(store: Store, number: int | None, chain_id: str = CHAIN) -> None:
    """Rewind to the stored block of that number."""
    store.apply(Rewind(chain_id=chain_id, to=None if number is None else store.block(chain_id, number)))


def finalize(store: Store, number: int, chain_id: str = CHAIN) -> None:
    store.apply(Finalize(chain_id=chain_id, number=number))


TABLES = (
    "evm_block",
    "evm_log",
    "evm_read",
    "solana_block",
    "solana_transaction",
    "solana_account",
    "solana_read",
    "pyth_block",
    "observation",
    "coverage",
    "finding",
    "cursor",
    "quarantine",
    "position_change",
    "market_change",
    "account_change",
    "price_observation",
    "lending_event",
    "position_current",
    "market_current",
    "account_current",
    "price_current",
)


Content = dict[str, list[tuple[Any, ...]]]


def content(store: Store) -> Content:
    """Every row of every table that steps change, in one order."""
    with store.reading() as reader:
        return {name: sorted(reader._con.table(name).fetchall(), key=repr) for name in TABLES}


def content_of(store: Store, chain_id: str) -> Content:
    """Every row of one chain without its name: two chains with the same content are equal."""
    with store.reading() as reader:
        found = {name: reader._con.table(name).filter(f"chain_id = '{chain_id}'").fetchall() for name in TABLES}
    return {name: sorted((row[1:] for row in rows), key=repr) for name, rows in found.items()}
