"""What may be done with a reserve: its switches and limits, what counts towards its debt ceiling, and its bad debt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from chains.errors import NodeWrong
from chains.evm.aave_v3 import events as ev
from chains.evm.abi import Event, LoggedEvent

if TYPE_CHECKING:
    from chains.evm.aave_v3.market import Pass
    from chains.evm.aave_v3.tips import State

UNLIMITED: State = {
    "active": True,
    "frozen": False,
    "paused": False,
    "borrowing": False,
    "borrow_cap": 0,
    "debt_ceiling": 0,
    "borrowable_in_isolation": False,
    "siloed": False,
    "protocol_fee": 0,
    "grace_until": 0,
}
"""The aspect `limits` of a reserve that was just listed (`ConfiguratorLogic.executeInitReserve`)."""


def limited(work: Pass, row: LoggedEvent) -> None:
    """Note what the configurator says of one switch or limit."""
    name, value = ev.LIMITS[row.event]
    _limit(work, row, **{name: row.args[value]})


def grace_period_disabled(work: Pass, row: LoggedEvent) -> None:
    """Note that the time in which nobody is liquidated is over."""
    _limit(work, row, grace_until=0)


def _limit(work: Pass, row: LoggedEvent, **change: object) -> None:
    asset = row.args[0]
    if work.is_from(row, "configurator") and _is_known(work, asset):
        work.tips.amend(row, asset, "limits", **change)


def isolated_debt_updated(work: Pass, row: LoggedEvent) -> None:
    """Note what is owed against an isolated collateral."""
    asset, total = row.args
    if row.address == work.venue.address and _is_known(work, asset):
        work.tips.market(row, asset, "isolation", total_debt=str(total))


def deficit_created(work: Pass, row: LoggedEvent) -> None:
    """Note debt that nobody pays."""
    _, asset, amount = row.args
    _deficit(work, row, asset, amount)


def deficit_covered(work: Pass, row: LoggedEvent) -> None:
    """Note that somebody paid it."""
    asset, _, amount = row.args
    _deficit(work, row, asset, -amount)


def _deficit(work: Pass, row: LoggedEvent, asset: bytes, change: int) -> None:
    """Note what a reserve lacks; raises `NodeWrong` where more was covered than lacked."""
    if row.address != work.venue.address or not _is_known(work, asset):
        return
    lacking = int((work.tips.state(asset, "deficit") or {"amount": "0"})["amount"]) + change
    if lacking < 0:
        message = (
            f"venue {work.venue.id}: the deficit of 0x{asset.hex()} falls below zero at block {row.block};"
            f" the node left out earlier logs of the pool 0x{row.address.hex()}"
        )
        raise NodeWrong(message)
    work.tips.market(row, asset, "deficit", amount=str(lacking))


def _is_known(work: Pass, asset: bytes) -> bool:
    """Tell whether a reserve's limits were followed from its listing on; those that were not stay unknown."""
    return (asset, "limits") in work.tips.markets


HANDLERS: Mapping[Event, Callable[[Pass, LoggedEvent], None]] = {
    **dict.fromkeys(ev.LIMITS, limited),
    ev.GRACE_PERIOD_DISABLED: grace_period_disabled,
    ev.ISOLATED_DEBT_UPDATED: isolated_debt_updated,
    ev.DEFICIT_CREATED: deficit_created,
    ev.DEFICIT_COVERED: deficit_covered,
}
