"""What the pool and its tokens answer about an account: `getUserAccountData`, `getUserEMode`, `scaledBalanceOf`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from chains.evm.aave_v3.market import SIDES
from chains.evm.aave_v3.tips import Tips
from chains.evm.abi import Function
from chains.evm.logs import unhex
from chains.evm.ports import STATE, Read, View
from chains.model import WHOLE_VENUE, UnitSnapshot, VenueSnapshot, VenueUnit

ACCOUNT_DATA = Function("getUserAccountData(address)", *("uint256",) * 6)
EMODE = Function("getUserEMode(address)", "uint256")
SCALED_BALANCE = Function("scaledBalanceOf(address)", "uint256")


def open_views(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot, VenueUnit], Iterator[View]]:
    """Return the function that names the views of an account of this market: the pool's, and those of every token it holds or owes."""
    known = Tips(snapshot.venue.id, snapshot.markets)
    engine = known.state(WHOLE_VENUE, "engine") or {}
    reserves = dict(known.each("reserve"))

    def views(unit: UnitSnapshot, valued: VenueUnit) -> Iterator[View]:
        def ask(contract: bytes, view: Function) -> Read:
            return Read(snapshot.at.number, STATE, contract, view.calldata(unit.unit_id))

        pool = snapshot.venue.address
        yield View("getUserAccountData", b"", ask(pool, ACCOUNT_DATA), valued.native)
        category = int(unit.settings.get((WHOLE_VENUE, "emode"), "0"))
        yield View("getUserEMode", b"", ask(pool, EMODE), {"emode": category})
        for asset in sorted({market for market, _ in unit.positions} & reserves.keys()):
            for token, side in SIDES.items():
                exact = engine.get("exact") and known.rounding(asset, token) is not None
                numbers = {"scaledBalanceOf": unit.positions.get((asset, side), 0)} if exact else None
                yield View("scaledBalanceOf", asset, ask(unhex(reserves[asset][token]), SCALED_BALANCE), numbers)

    return views
