"""Whose amounts the events of a span change: named beforehand, so that they are looked up at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from chains.evm.abi import Event, LoggedEvent
from chains.evm.logs import unhex
from chains.evm.morpho_blue import events as ev
from chains.evm.morpho_blue.oracle import NOWHERE
from chains.evm.morpho_blue.tips import Holding, Tips
from chains.model import WHOLE_VENUE, Side


def shares_in(market: bytes, owner: bytes, side: Side) -> Holding:
    """Return what somebody lent or owes in a market."""
    return Holding(market, owner, market, side)


def collateral_in(market: bytes, owner: bytes, token: bytes) -> Holding:
    """Return what somebody pledged in a market."""
    return Holding(market, owner, market + token, Side.SUPPLY)


def holdings_of(tips: Tips, rows: Iterable[LoggedEvent]) -> Iterator[Holding]:
    """Name the amounts that events change; of markets that begin among them nothing is known before."""
    rows = list(rows)
    roles = tips.state(WHOLE_VENUE, "roles")
    recipients = {unhex(roles["fee_recipient"])} if roles else {NOWHERE}
    recipients |= {row.args[0] for row in rows if row.event is ev.SET_FEE_RECIPIENT}
    for row in rows:
        market = row.args[0]
        if row.event in OWNER:
            owner = row.args[OWNER[row.event]]
            params = tips.state(market, "params")
            yield shares_in(market, owner, Side.SUPPLY)
            yield shares_in(market, owner, Side.BORROW)
            if params:
                yield collateral_in(market, owner, unhex(params["collateral_token"]))
        elif row.event is ev.ACCRUE_INTEREST and row.args[3]:
            yield from (shares_in(market, recipient, Side.SUPPLY) for recipient in recipients)


OWNER: Mapping[Event, int] = {
    ev.SUPPLY: 2,
    ev.WITHDRAW: 2,
    ev.BORROW: 2,
    ev.REPAY: 2,
    ev.SUPPLY_COLLATERAL: 2,
    ev.WITHDRAW_COLLATERAL: 2,
    ev.LIQUIDATE: 2,
}
"""Which argument of an event names whose position it changes."""
