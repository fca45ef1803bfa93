"""What vaults and connector answer about an account: shares, debt, both checks of its controller, and what it enabled."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from chains.evm.abi import Function
from chains.evm.euler_v2.maths import Debt
from chains.evm.euler_v2.unit import Book
from chains.evm.ports import STATE, Read, View
from chains.model import Side, UnitSnapshot, VenueSnapshot, VenueUnit

BALANCE = Function("balanceOf(address)", "uint256")
DEBT = Function("debtOfExact(address)", "uint256")
LIQUIDITY = Function("accountLiquidity(address,bool)", "uint256", "uint256")
CHECKS = {"Borrow": False, "Liquidation": True}
"""Which of the two checks `accountLiquidity` is asked for, by how `native` calls it."""

ENABLED = {
    "collateral": Function("isCollateralEnabled(address,address)", "bool"),
    "controller": Function("isControllerEnabled(address,address)", "bool"),
}


def open_views(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot, VenueUnit], Iterator[View]]:
    """Return the function that names the views of an account; a vault in doubt is not asked."""
    vaults = Book(snapshot).vaults

    def views(unit: UnitSnapshot, valued: VenueUnit) -> Iterator[View]:
        def ask(contract: bytes, view: Function, *more: object) -> Read:
            return Read(snapshot.at.number, STATE, contract, view.calldata(unit.unit_id, *more))

        debts = {market: text for (market, aspect), text in unit.settings.items() if aspect == "debt"}
        held = {market for market, side in unit.positions if side is Side.SUPPLY}
        for market in sorted((held | debts.keys()) & vaults.keys()):
            vault = vaults[market]
            shares = {"balanceOf": unit.positions.get((market, Side.SUPPLY), 0)}
            owed = {"debtOfExact": Debt.of(json.loads(debts.get(market, "{}"))).at(vault.status.accumulator)}
            yield View("balanceOf", market, ask(market, BALANCE), None if vault.doubt else shares)
            yield View("debtOfExact", market, ask(market, DEBT), None if vault.doubt else owed)
        for (market, role), text in sorted(unit.settings.items()):
            if role in ENABLED:
                view, on = ENABLED[role], {"enabled": int(text == "true")}
                name = view.signature.partition("(")[0]
                yield View(name, market, ask(snapshot.venue.address, view, market), on)
                if role == "controller" and on["enabled"]:
                    yield from _checks(valued.native, market, ask)

    return views


def _checks(native: Mapping[str, int] | None, controller: bytes, ask: Callable[..., Read]) -> Iterator[View]:
    for kind, liquidation in CHECKS.items():
        names = ("collateralValue" + kind, "liabilityValue" + kind)
        numbers = {name: native[name] for name in names} if native else None
        yield View(f"accountLiquidity/{kind.lower()}", controller, ask(controller, LIQUIDITY, liquidation), numbers)
