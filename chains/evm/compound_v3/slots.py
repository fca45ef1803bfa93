"""Where a Comet keeps an account (source: `CometStorage.sol`, compiled; alike in all implementations that are known here)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from chains.evm.compound_v3.tips import PRINCIPAL, TERMS, UNREAD, WIDE
from chains.evm.logs import unhex
from chains.evm.proofs.layout import Field, Layouts, NoLayout, Stored
from chains.model import WHOLE_VENUE, Side, UnitSnapshot, VenueSnapshot
from chains.proving import Quantity

LAYOUT = "comet"
FIELDS = {
    "principal": Field(5, ("unit",), bits=104, signed=True),
    "collateral": Field(6, ("unit", "market"), bits=128),
}
LAYOUTS: Layouts = {LAYOUT: FIELDS}


def open_slots(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], Sequence[Stored]]:
    """Return the function that names what is stored of an account: its principal, and every collateral that the Comet lists.

    Raises `NoLayout` for an implementation of no known version.
    """
    terms = json.loads(snapshot.markets.get((WHOLE_VENUE, TERMS), "{}"))
    if "base" not in terms or terms.get("problem"):
        raise NoLayout("the Comet's implementation is of no known version")
    base, assets = unhex(terms["base"]), [unhex(each["asset"]) for each in terms["assets"]]

    def slots(unit: UnitSnapshot) -> Sequence[Stored]:
        pledged = {market for market, _ in unit.positions} - {base}
        collateral = [_collateral(unit, asset) for asset in sorted({*assets, *pledged})]
        return [Stored(snapshot.venue.address, LAYOUT, (_principal(unit, base), *collateral))]

    return slots


def _principal(unit: UnitSnapshot, base: bytes) -> Quantity:
    supplied, owed = (unit.positions.get((base, side), 0) for side in (Side.SUPPLY, Side.BORROW))
    unread = unit.settings.get((WHOLE_VENUE, PRINCIPAL)) == UNREAD
    return FIELDS["principal"].quantity(
        "principal",
        unit.unit_id,
        base,
        None if unread else supplied - owed,
        plus=(unit.unit_id, base, Side.SUPPLY),
        minus=(unit.unit_id, base, Side.BORROW),
    )


def _collateral(unit: UnitSnapshot, asset: bytes) -> Quantity:
    exact = json.loads(unit.settings.get((asset, WIDE), "null"))
    held = unit.positions.get((asset, Side.SUPPLY), 0) if exact is None else int(exact)
    return FIELDS["collateral"].quantity(
        "collateral", unit.unit_id, asset, held, plus=(unit.unit_id, asset, Side.SUPPLY)
    )
