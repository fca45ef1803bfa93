"""What the accounts of units hold at a slot or later, as a node says now: what can still be compared with a snapshot of an earlier slot."""

from __future__ import annotations

from collections.abc import Sequence

from chains.auditing import Later
from chains.columns import integers
from chains.errors import HistoryGone
from chains.model import AccountBytes, Rows, Side
from chains.solana.after import Nothing
from chains.solana.ports import AccountProtocol
from chains.solana.source import SolanaSource


async def later(source: SolanaSource, venue: AccountProtocol, slot: int, units: Sequence[bytes]) -> list[Later]:
    """Read the accounts of units and let the venue's own fold say what they hold; raises `ChainError`."""
    found = await source.accounts(units, slot)
    told = _amounts(venue.fold(Nothing(), sorted((unit, found[unit]) for unit in units)))
    return [
        Later(
            account=found[unit],
            amounts={(market, side): raw for (of, market, side), raw in told.items() if of == unit and raw},
            touched=await _touched(source, unit, slot, found[unit]),
        )
        for unit in units
    ]


def _amounts(rows: Rows) -> dict[tuple[bytes, bytes, Side], int]:
    """Return the raw amounts of rows by unit, market and side, whether they are rows or columns."""
    amounts = {(row.unit_id, row.market, row.side): row.amount_raw for row in rows.positions}
    for table in rows.columns.get("positions", ()):
        keys = zip(*(table[name].to_pylist() for name in ("unit_id", "market", "side")), strict=True)
        raw = integers(table["amount_raw"].combine_chunks())
        amounts |= {(unit, market, Side(side)): each for (unit, market, side), each in zip(keys, raw, strict=True)}
    return amounts


async def _touched(source: SolanaSource, unit: bytes, slot: int, account: AccountBytes) -> bool | None:
    """Tell whether a transaction after a slot, up to the answer's, names an account; `None` where the node does not keep them."""
    try:
        return bool((await source.listed(unit, slot + 1, account.slot, account.slot)).found)
    except HistoryGone:
        return None
