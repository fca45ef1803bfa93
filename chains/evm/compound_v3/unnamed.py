"""Which accounts a Comet's events name, and where they leave somebody unnamed (source: `transferBase`, `supplyBase`, `withdrawBase`)."""

from __future__ import annotations

from collections.abc import Sequence

from chains.evm.abi import Event, LoggedEvent
from chains.evm.compound_v3 import events as ev

NOBODY = bytes(20)
ROUNDED = 2
"""Token units by which both ends of one transfer may differ, for principals are whole."""

_NAMES: dict[Event, tuple[int, ...]] = {
    ev.SUPPLY: (1,),
    ev.WITHDRAW: (0,),
    ev.TRANSFER: (0, 1),
    ev.ABSORB_DEBT: (1,),
    ev.SUPPLY_COLLATERAL: (1,),
    ev.WITHDRAW_COLLATERAL: (0,),
    ev.TRANSFER_COLLATERAL: (0, 1),
    ev.ABSORB_COLLATERAL: (1,),
}
"""Which arguments of an event are accounts that it concerns."""


def named(rows: Sequence[LoggedEvent]) -> frozenset[bytes]:
    """Return the accounts that events concern."""
    return frozenset(row.args[i] for row in rows for i in _NAMES.get(row.event, ())) - {NOBODY}


def leaves_somebody_unnamed(rows: Sequence[LoggedEvent]) -> bool:
    """Tell whether some base transfer of a block names one end alone: the other end borrowed, or paid back."""
    alone = False
    before: LoggedEvent | None = None
    for row in rows:
        explained = before is not None and _explains(before, row)
        if before is not None and before.event is ev.TRANSFER and not explained:
            alone = True
        before = None if explained else row
    return alone or (before is not None and before.event is ev.TRANSFER)


def _explains(before: LoggedEvent, row: LoggedEvent) -> bool:
    """Tell whether a transfer is told by the log right before it, or is the other end of one."""
    if row.event is not ev.TRANSFER or row.tx_index != before.tx_index or row.ordinal != before.ordinal + 1:
        return False
    sender, receiver, amount = row.args
    if before.event is ev.WITHDRAW:
        return bool(sender == before.args[0])
    if before.event in {ev.SUPPLY, ev.ABSORB_DEBT}:
        return bool(receiver == before.args[1])
    if before.event is ev.TRANSFER:
        return bool(before.args[1] == sender == NOBODY and abs(amount - before.args[2]) <= ROUNDED)
    return False
