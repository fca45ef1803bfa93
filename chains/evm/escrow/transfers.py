"""Transfers of tokens from and to some holders, as history and as the blocks in which a balance may change (source: ERC-20)."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import pyarrow as pa

from chains.evm.abi import Event, LoggedEvent
from chains.evm.logs import of_addresses
from chains.model import LendingEvent

TRANSFER = Event("Transfer(address indexed from, address indexed to, uint256 value)")


class Moved(NamedTuple):
    """What a transfer says that a holder got or gave; the balance need not have changed by as much."""

    block: int
    ordinal: int
    tx_index: int
    tx_hash: bytes
    token: bytes
    holder: bytes
    other: bytes
    amount: int
    incoming: bool


def transfers_in(logs: pa.Table, holdings: Collection[tuple[bytes, bytes]]) -> list[Moved]:
    """Return what transfers say of some (token, holder), in chain order; logs of another shape say nothing of anybody."""
    mine = of_addresses(logs, sorted({token for token, _ in holdings}))
    rows, _ = TRANSFER.rows(mine)
    return [moved for row in rows for moved in _sides(row) if (moved.token, moved.holder) in holdings]


def history_row(venue_id: str, owner: bytes | None, moved: Moved) -> LendingEvent:
    """Return a transfer as a line of history."""
    kind = "supply" if moved.incoming else "withdraw"
    return LendingEvent(
        moved.block, moved.tx_index, moved.ordinal, moved.tx_hash, venue_id, kind, moved.token, owner or moved.holder,
        moved.other, moved.token, moved.amount, "{}",
    )  # fmt: skip


def _sides(row: LoggedEvent) -> list[Moved]:
    sender, receiver, amount = row.args
    place = row.block, row.ordinal, row.tx_index, row.tx_hash, row.address
    return [
        Moved(*place, sender, receiver, amount, False),  # noqa: FBT003 - its last field
        Moved(*place, receiver, sender, amount, True),  # noqa: FBT003 - ditto
    ]
