"""Where the contract keeps a position and its market (source: `Morpho.sol`, compiled; the contract cannot be replaced)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from chains.evm.logs import unhex
from chains.evm.morpho_blue.oracle import NOWHERE
from chains.evm.morpho_blue.tips import WIDE, totals_of
from chains.evm.proofs.layout import Field, Layouts, Stored
from chains.model import Side, UnitSnapshot, VenueSnapshot
from chains.proving import Quantity

LAYOUT = "morpho-blue"
_POSITION, _MARKET = ("id", "owner"), ("id",)
FIELDS = {
    "supplyShares": Field(2, _POSITION),
    "borrowShares": Field(2, _POSITION, offset=1, bits=128),
    "collateral": Field(2, _POSITION, offset=1, shift=128, bits=128),
    "totalSupplyAssets": Field(3, _MARKET, bits=128),
    "totalSupplyShares": Field(3, _MARKET, shift=128, bits=128),
    "totalBorrowAssets": Field(3, _MARKET, offset=1, bits=128),
    "totalBorrowShares": Field(3, _MARKET, offset=1, shift=128, bits=128),
    "lastUpdate": Field(3, _MARKET, offset=2, bits=128),
    "fee": Field(3, _MARKET, offset=2, shift=128, bits=128),
}
LAYOUTS: Layouts = {LAYOUT: FIELDS}

_ID = 32


def open_slots(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], Sequence[Stored]]:
    """Return the function that names what is stored of a position; of a market that earns no interest `lastUpdate` is left out.

    The contract brings that up to date with every action there, in logs that say nothing of it.
    """

    def slots(unit: UnitSnapshot) -> Sequence[Stored]:
        market = unit.unit_id[:_ID]
        params = json.loads(snapshot.markets[market, "params"])
        held = _held(unit, market, market + unhex(params["collateral_token"]))
        stored = _totals(unit, snapshot, market, silent=unhex(params["irm"]) == NOWHERE)
        return [Stored(snapshot.venue.address, LAYOUT, (*held, *stored))]

    return slots


def _held(unit: UnitSnapshot, market: bytes, pledged_in: bytes) -> list[Quantity]:
    wide = any(aspect.startswith(WIDE) and text != "null" for (_, aspect), text in unit.settings.items())
    places = {
        "supplyShares": (market, Side.SUPPLY),
        "borrowShares": (market, Side.BORROW),
        "collateral": (pledged_in, Side.SUPPLY),
    }
    return [
        FIELDS[name].quantity(
            name, unit.unit_id, market, None if wide else unit.positions.get(place, 0), plus=(unit.unit_id, *place)
        )
        for name, place in places.items()
    ]


def _totals(unit: UnitSnapshot, snapshot: VenueSnapshot, market: bytes, *, silent: bool) -> list[Quantity]:
    totals = totals_of(snapshot.markets[market, "totals"])
    numbers = {
        "totalSupplyAssets": totals.supply_assets,
        "totalSupplyShares": totals.supply_shares,
        "totalBorrowAssets": totals.borrow_assets,
        "totalBorrowShares": totals.borrow_shares,
    }
    if not silent:
        numbers |= {"lastUpdate": totals.last_update, "fee": totals.fee}
    return [FIELDS[name].quantity(name, unit.unit_id, market, number) for name, number in numbers.items()]
