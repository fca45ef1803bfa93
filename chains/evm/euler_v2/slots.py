"""Where a vault keeps an account's shares and debt (source: `Storage.sol` of the vault kit of March 2025, compiled)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from chains.evm.euler_v2.maths import Debt
from chains.evm.euler_v2.unit import Book
from chains.evm.proofs.layout import Field, Layouts, Stored
from chains.model import Side, UnitSnapshot, VenueSnapshot

LAYOUT = "euler-vault-kit"
FIELDS = {
    "shares": Field(13, ("unit",), bits=112),
    "owed": Field(13, ("unit",), shift=112, bits=143),
    "interestAccumulator": Field(13, ("unit",), offset=1),
}
LAYOUTS: Layouts = {LAYOUT: FIELDS}


def open_slots(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], Sequence[Stored]]:
    """Return the function that names what vaults store of an account: shares, debt, and the accumulator that the debt is as of.

    What the connector stores, which collaterals and controllers are enabled, is not among it.
    """
    vaults = Book(snapshot).vaults

    def slots(unit: UnitSnapshot) -> Sequence[Stored]:
        debts = {market: text for (market, aspect), text in unit.settings.items() if aspect == "debt"}
        held = {market for market, _ in unit.positions} | debts.keys()
        return [
            _stored(unit, vault, debts.get(vault, "{}"), doubted=vaults[vault].doubt is not None)
            for vault in sorted(held & vaults.keys())
        ]

    return slots


def _stored(unit: UnitSnapshot, vault: bytes, text: str, *, doubted: bool) -> Stored:
    debt = Debt.of(json.loads(text))
    numbers = {"shares": unit.positions.get((vault, Side.SUPPLY), 0), "owed": debt.owed}
    if debt.owed:
        numbers["interestAccumulator"] = debt.accumulator
    sides = {"shares": Side.SUPPLY, "owed": Side.BORROW}
    return Stored(
        vault,
        LAYOUT,
        tuple(
            FIELDS[name].quantity(
                name,
                unit.unit_id,
                vault,
                None if doubted else number,
                plus=(unit.unit_id, vault, sides[name]) if name in sides else None,
            )
            for name, number in numbers.items()
        ),
    )
