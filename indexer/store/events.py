"""What people did, newest first, in pages that neither skip nor repeat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from indexer.store.session import Con
from indexer.store.statements import statement


class EventPlace(NamedTuple):
    """Where an event stands in the order of all chains: the time of its block, then its place."""

    time: int
    chain_id: str
    block_number: int
    tx_index: int
    ordinal: int


class AccountEvent(NamedTuple):
    """A lending event of an owner, with what its market says of the token; `time` is `None` where the block is not kept."""

    time: int | None
    chain_id: str
    block_number: int
    tx_index: int
    ordinal: int
    tx_hash: bytes
    venue_id: str
    kind: str
    owner: bytes
    counterparty: bytes | None
    asset: bytes
    amount_raw: int
    extra: str
    basis: str
    symbol: str | None
    decimals: int | None

    @property
    def place(self) -> EventPlace:
        return EventPlace(self.time or 0, self.chain_id, self.block_number, self.tx_index, self.ordinal)


def account_events(
    con: Con, owners: Sequence[tuple[str, bytes]], kinds: Sequence[str], before: EventPlace | None, count: int
) -> list[AccountEvent]:
    """Return at most so many events of owners (chain and address), of some kinds or of all, before a place."""
    place = before or EventPlace(0, "", 0, 0, 0)
    values = {
        "chains": [chain_id for chain_id, _ in owners],
        "owners": [owner for _, owner in owners],
        "kinds": list(kinds),
        "continued": before is not None,
        "count": count,
        **place._asdict(),
    }
    rows = con.execute(statement("account_events"), values).fetchall()
    return [AccountEvent(*row)._replace(amount_raw=int(row[11])) for row in rows]
