"""What a Comet answers about an account: its principal, balances, both verdicts, and its collateral."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from chains.evm.abi import Function
from chains.evm.compound_v3.events import USER_BASIC
from chains.evm.compound_v3.tips import TERMS, WIDE
from chains.evm.logs import unhex
from chains.evm.ports import STATE, Read, View
from chains.model import WHOLE_VENUE, Side, UnitSnapshot, VenueSnapshot, VenueUnit

VIEWS = {
    "balanceOf": Function("balanceOf(address)", "uint256"),
    "borrowBalanceOf": Function("borrowBalanceOf(address)", "uint256"),
    "isBorrowCollateralized": Function("isBorrowCollateralized(address)", "bool"),
    "liquidatable_view": Function("isLiquidatable(address)", "bool"),
}
"""By their names in `native`."""

COLLATERAL = Function("userCollateral(address,address)", "uint128", "uint128")


def open_views(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot, VenueUnit], Iterator[View]]:
    """Return the function that names the views of an account of this Comet, with one for every collateral that it lists."""
    terms = json.loads(snapshot.markets.get((WHOLE_VENUE, TERMS), "{}"))
    assets = [unhex(each["asset"]) for each in terms.get("assets", ())]

    def views(unit: UnitSnapshot, valued: VenueUnit) -> Iterator[View]:
        def ask(view: Function, *more: bytes) -> Read:
            return Read(snapshot.at.number, STATE, snapshot.venue.address, view.calldata(unit.unit_id, *more))

        native = valued.native or {}
        principal = {"principal": native["principal"]} if "principal" in native else None
        yield View("userBasic", b"", ask(USER_BASIC), principal, signed=True)
        for name, view in VIEWS.items():
            if name in native or valued.native is None:
                numbers = {name: native[name]} if name in native else None
                yield View(view.signature.partition("(")[0], b"", ask(view), numbers)
        for asset in assets:
            yield View("userCollateral", asset, ask(COLLATERAL, asset), {"balance": _held(unit, asset)})

    return views


def _held(unit: UnitSnapshot, asset: bytes) -> int:
    exact = json.loads(unit.settings.get((asset, WIDE), "null"))
    return unit.positions.get((asset, Side.SUPPLY), 0) if exact is None else int(exact)
