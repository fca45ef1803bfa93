"""Whose accounts are, where a vault counts by ids: as an event told last."""

from __future__ import annotations

import json

import pyarrow as pa

from chains.escrow import ENGINE
from chains.evm.escrow.movements import Movements, Ownership
from chains.evm.logs import unhex
from chains.model import WHOLE_VENUE, AccountChange, Basis
from chains.ports import StateReader

OWNER = "owner"
NOBODY = bytes(20)
"""Owns the accounts of which no event told an owner yet."""


def owners_of(venue_id: str, state: StateReader, moved: Movements) -> tuple[pa.Array, list[AccountChange]]:
    """Return who owned the account of each movement then, and what the span tells of owners."""
    ids = moved.accounts.to_pylist()
    owners = _known(venue_id, state, {*ids, *(each.account for each in moved.owned)})
    places = zip(moved.place["block_number"].to_pylist(), moved.place["log_index"].to_pylist(), strict=True)
    told, found, rows = iter(moved.owned), [], []
    upcoming = next(told, None)
    for place, account in zip(places, ids, strict=True):
        while upcoming is not None and upcoming[:2] < place:
            owners[upcoming.account] = upcoming.owner
            rows.append(_row(venue_id, upcoming))
            upcoming = next(told, None)
        found.append(owners.get(account, NOBODY))
    if upcoming is not None:
        rows += [_row(venue_id, each) for each in (upcoming, *told)]
    return pa.array(found, pa.binary()), rows


def _known(venue_id: str, state: StateReader, ids: set[bytes]) -> dict[bytes, bytes]:
    said = state.accounts(venue_id, [(account, WHOLE_VENUE, OWNER) for account in sorted(ids)])
    return {account: unhex(json.loads(text)) for (account, _, _), text in said.items()}


def _row(venue_id: str, each: Ownership) -> AccountChange:
    place = each.block, each.tx_index, each.ordinal
    text = json.dumps("0x" + each.owner.hex())
    return AccountChange(*place, venue_id, each.account, each.owner, WHOLE_VENUE, OWNER, text, ENGINE, Basis.EXACT)
