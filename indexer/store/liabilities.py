"""What other systems said of the collateral that escrows hold for them: documents as they came, and a row an account.

Whether a document may be believed is decided before it comes here; nothing is ever changed or deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa

from chains.model import VenueSpec
from indexer.store.session import Con, insert, staged
from indexer.store.statements import statement

END_OF_TIME = 2**63 - 1
"""Later than any moment that a document can speak of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiabilityDocument:
    """A signed document: `digest` of what it says, `as_of` and `received_at` in Unix seconds, `envelope` the text as it came."""

    digest: str
    venue_id: str
    as_of: int
    key: bytes
    received_at: int
    envelope: str


class LiabilityRow(NamedTuple):
    """What one document said of one account, in USD; `key` signed it, `digest` names it."""

    chain_id: str
    venue_id: str
    owner: bytes
    as_of: int
    initial_requirement_usd: Decimal
    maintenance_requirement_usd: Decimal
    pnl_usd: Decimal
    key: bytes
    digest: str


class LiabilityLedger:
    """The ledger within a transaction: what is asked and what is added are of one state."""

    def __init__(self, con: Con) -> None:
        self._con = con

    def has(self, digest: str, key: bytes) -> bool:
        """Whether a document is there, signed by this key."""
        found = self._con.execute(statement("liability_document_held"), {"digest": digest, "key": key})
        return bool(found.fetchall())

    def newest(self, venue: VenueSpec, keys: Sequence[bytes]) -> list[LiabilityRow]:
        """Return the newest row of each account of a venue, of those that one of `keys` signed."""
        return newest(self._con, venue, keys)

    def at(self, venue: VenueSpec, keys: Sequence[bytes], as_of: int) -> list[LiabilityRow]:
        """Return what is said of the accounts of a venue at one moment, by any of `keys`."""
        found = self._con.execute(statement("liability_at"), _values(venue, keys, as_of))
        return [LiabilityRow(*row) for row in found.fetchall()]

    def add(self, document: LiabilityDocument, rows: Sequence[LiabilityRow]) -> None:
        """Enter a document and what it says of accounts, all of one chain."""
        insert(self._con, "liability_document", astuple(document))
        for chain_id in {row.chain_id for row in rows}:
            columns = zip(*(row[1:] for row in rows if row.chain_id == chain_id), strict=True)
            table = pa.table([pa.array(values, kind) for values, kind in zip(columns, KINDS, strict=True)], NAMES)
            with staged(self._con, table):
                self._con.execute(statement("append", table="liability"), {"chain_id": chain_id})


NAMES = LiabilityRow._fields[1:]
USD = pa.decimal128(23, 8)
KINDS = (pa.string(), pa.binary(), pa.int64(), USD, USD, USD, pa.binary(), pa.string())


def newest(
    con: Con,
    venue: VenueSpec,
    keys: Sequence[bytes],
    *,
    until: int = END_OF_TIME,
    owners: Sequence[bytes] | None = None,
) -> list[LiabilityRow]:
    """Return the newest row of each account of a venue, or of some, up to a moment, of those that one of `keys` signed."""
    values = _values(venue, keys, until)
    if owners is None:
        found = con.execute(statement("liability_asof", which="TRUE"), values)
    else:
        which = "owner IN (SELECT unnest($owners))"
        found = con.execute(statement("liability_asof", which=which), values | {"owners": list(owners)})
    return [LiabilityRow(*row) for row in found.fetchall()]


def _values(venue: VenueSpec, keys: Sequence[bytes], time: int) -> dict[str, Any]:
    return {"chain_id": venue.chain_id, "venue_id": venue.id, "time": time, "keys": list(keys)}
