"""A small account-based chain that tests make up: slots, of which some hold no block, and all that can be stored of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pyarrow as pa

from chains.model import AccountBytes, Block, Rows
from chains.ports import Batch, Covered
from tests.unit.store.builders import VENUE, digest

CLUSTER = "solana:devnet"
ALICE = b"\x01" * 32
BOB = b"\x02" * 32
TOKEN_PROGRAM = b"\x06" * 32


def signature(slot: int, index: int) -> bytes:
    return digest(slot, f"signature{index}") * 2


def parent_of(slot: int, skipped: Collection[int] = ()) -> int:
    """The newest block below; the first block of all is its own parent."""
    return next((number for number in range(slot - 1, -1, -1) if number not in skipped), 0)


def slot_block(slot: int, *, skipped: Collection[int] = (), fork: str = "", forked_at: int = 0) -> Block:
    """The block of a slot, of the main chain or of a fork that begins at `forked_at`."""
    parent = parent_of(slot, skipped)
    own, above = (fork if number >= forked_at else "" for number in (slot, parent))
    return Block(number=slot, hash=digest(slot, own), parent_hash=digest(parent, above), time=1_000 + slot // 2)


def slot_blocks_table(blocks: Sequence[Block], skipped: Collection[int] = ()) -> pa.Table:
    rows = [
        {
            "slot": block.number,
            "hash": block.hash,
            "parent_hash": block.parent_hash,
            "parent_slot": parent_of(block.number, skipped),
            "height": block.number - sum(1 for slot in skipped if slot < block.number),
            "time": block.time,
        }
        for block in blocks
    ]
    return pa.Table.from_pylist(rows, schema=SLOT_SCHEMA)


SLOT_SCHEMA = pa.schema(
    {
        "slot": pa.int64(),
        "hash": pa.binary(),
        "parent_hash": pa.binary(),
        "parent_slot": pa.int64(),
        "height": pa.int64(),
        "time": pa.int64(),
    }
)


def transactions_table(places: Sequence[tuple[int, int]], *, fork: str = "", forked_at: int = 0) -> pa.Table:
    """One transaction at each (slot, index)."""
    rows = [
        {
            "slot": slot,
            "tx_index": index,
            "signature": signature(slot, index),
            "block_hash": digest(slot, own),
            "body": f'{{"meta":{{"fee":{slot}}},"from":"{own}"}}',
        }
        for slot, index, own in ((slot, index, fork if slot >= forked_at else "") for slot, index in places)
    ]
    return pa.Table.from_pylist(rows, schema=TRANSACTION_SCHEMA)


TRANSACTION_SCHEMA = pa.schema(
    {
        "slot": pa.int64(),
        "tx_index": pa.int32(),
        "signature": pa.binary(),
        "block_hash": pa.binary(),
        "body": pa.string(),
    }
)


def account(slot: int, data: bytes, *, lamports: int = 5, owner: bytes = TOKEN_PROGRAM) -> AccountBytes:
    return AccountBytes(slot=slot, owner=owner, lamports=lamports, data=data, closed=False)


def closed(slot: int) -> AccountBytes:
    return AccountBytes(slot=slot, owner=b"", lamports=0, data=b"", closed=True)


def accounts_table(seen: Sequence[tuple[bytes, AccountBytes]]) -> pa.Table:
    rows = [{"address": address, **state._asdict()} for address, state in seen]
    return pa.Table.from_pylist(rows, schema=ACCOUNT_SCHEMA)


ACCOUNT_SCHEMA = pa.schema(
    {
        "slot": pa.int64(),
        "address": pa.binary(),
        "owner": pa.binary(),
        "lamports": pa.uint64(),
        "data": pa.binary(),
        "closed": pa.bool_(),
    }
)


def slot_reads_table(slots: Sequence[int], *, output: bytes = b"\x09", lag: int = 1) -> pa.Table:
    """One account read for each slot, answered as of `lag` slots later."""
    rows = [
        {
            "slot": slot,
            "method": "account",
            "address": BOB,
            "input": b"",
            "context_slot": slot + lag,
            "outcome": "returned",
            "output": output,
        }
        for slot in slots
    ]
    return pa.Table.from_pylist(rows, schema=SLOT_READ_SCHEMA)


SLOT_READ_SCHEMA = pa.schema(
    {
        "slot": pa.int64(),
        "method": pa.string(),
        "address": pa.binary(),
        "input": pa.binary(),
        "context_slot": pa.int64(),
        "outcome": pa.string(),
        "output": pa.binary(),
    }
)


def slot_batch(
    first: int,
    last: int,
    rows: Rows | None = None,
    *,
    skipped: Collection[int] = (),
    transactions: Sequence[tuple[int, int]] = (),
    accounts: Sequence[tuple[bytes, AccountBytes]] = (),
    reads: Sequence[int] = (),
    fork: str = "",
    forked_at: int = 0,
    chain_id: str = CLUSTER,
) -> Batch:
    """Slots `first`..`last` with every block that is not `skipped`, and the given rows of the other tables."""
    held = [slot for slot in range(first, last + 1) if slot not in skipped]
    blocks = [slot_block(slot, skipped=skipped, fork=fork, forked_at=forked_at) for slot in held]
    span = Covered(interest=f"{VENUE}:transactions", first=first, last=last, level="links", evidence="every parent")
    return Batch(
        chain_id=chain_id,
        first=first,
        last=blocks[-1],
        raw={
            "solana_block": slot_blocks_table(blocks, skipped),
            "solana_transaction": transactions_table(transactions, fork=fork, forked_at=forked_at),
            "solana_account": accounts_table(accounts),
            "solana_read": slot_reads_table(reads),
        },
        rows=rows or Rows(),
        covered=(span,),
        parent_hash=blocks[0].parent_hash,
    )
