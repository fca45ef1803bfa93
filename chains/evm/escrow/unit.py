"""A depositor of a vault as a unit; see `chains.escrow`, and what the fold says of amounts that fit no column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from chains import escrow
from chains.evm.escrow.fold import WIDE
from chains.identifiers import format_address
from chains.model import Reason, UnitSnapshot, VenueSnapshot, VenueUnit


def open_book(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], VenueUnit]:
    """Return the function that turns each depositor into a unit; tokens whose amount fits no column are named and left out."""
    book = escrow.open_book(snapshot)

    def unit(depositor: UnitSnapshot) -> VenueUnit:
        wide = {market for (market, aspect), state in depositor.settings.items() if aspect == WIDE and state != "null"}
        if not wide:
            return book(depositor)
        held = {key: amount for key, amount in depositor.positions.items() if key[0] not in wide}
        known = book(replace(depositor, positions=held))
        return replace(known, reasons=(*known.reasons, *_reasons(snapshot, wide)))

    return unit


def _reasons(snapshot: VenueSnapshot, wide: set[bytes]) -> list[Reason]:
    return [
        Reason(
            "amount_too_wide",
            format_address(snapshot.venue.chain_id, market),
            "the amount of this token has more than 38 digits and is not counted",
        )
        for market in sorted(wide)
    ]
