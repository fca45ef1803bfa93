"""What the contract stores of a position and of its market, and what the market's oracle answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from chains.evm.abi import Function
from chains.evm.logs import unhex
from chains.evm.morpho_blue.events import MARKET
from chains.evm.morpho_blue.oracle import NOWHERE
from chains.evm.morpho_blue.tips import WIDE, totals_of
from chains.evm.ports import STATE, Read, View
from chains.model import Side, UnitSnapshot, VenueSnapshot, VenueUnit

POSITION = Function("position(bytes32,address)", "uint256", "uint128", "uint128")
PRICE = Function("price()", "uint256")

_ID = 32


def open_views(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot, VenueUnit], Iterator[View]]:
    """Return the function that names the views of a position; of a market that earns no interest `lastUpdate` is left out.

    The contract brings that up to date with every action there, in logs that say nothing of it.
    """

    def views(unit: UnitSnapshot, valued: VenueUnit) -> Iterator[View]:
        def ask(contract: bytes, calldata: bytes) -> Read:
            return Read(snapshot.at.number, STATE, contract, calldata)

        market, morpho = unit.unit_id[:_ID], snapshot.venue.address
        params = json.loads(snapshot.markets[market, "params"])
        held = _held(unit, market, unhex(params["collateral_token"]))
        yield View("position", market, ask(morpho, POSITION.calldata(market, unit.unit_id[_ID:])), held)
        stored = _stored(snapshot, market, silent=unhex(params["irm"]) == NOWHERE)
        yield View("market", market, ask(morpho, MARKET.calldata(market)), stored)
        if valued.has_debt and valued.native and "collateralPrice" in valued.native:
            price = {"collateralPrice": valued.native["collateralPrice"]}
            yield View("price", market, ask(unhex(params["oracle"]), PRICE.calldata()), price)

    return views


def _held(unit: UnitSnapshot, market: bytes, collateral: bytes) -> dict[str, int] | None:
    if any(aspect.startswith(WIDE) and text != "null" for (_, aspect), text in unit.settings.items()):
        return None
    return {
        "supplyShares": unit.positions.get((market, Side.SUPPLY), 0),
        "borrowShares": unit.positions.get((market, Side.BORROW), 0),
        "collateral": unit.positions.get((market + collateral, Side.SUPPLY), 0),
    }


def _stored(snapshot: VenueSnapshot, market: bytes, *, silent: bool) -> dict[str, int]:
    totals = totals_of(snapshot.markets[market, "totals"])
    words = {
        "totalSupplyAssets": totals.supply_assets,
        "totalSupplyShares": totals.supply_shares,
        "totalBorrowAssets": totals.borrow_assets,
        "totalBorrowShares": totals.borrow_shares,
    }
    return words if silent else words | {"lastUpdate": totals.last_update, "fee": totals.fee}
