"""A depositor of a vault as a unit; see `chains.escrow`, and what the folds say of amounts that cannot be told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chains import escrow
from chains.escrow import VAULT
from chains.evm.escrow.claims import Rated, rated
from chains.evm.escrow.custody import UNREAD
from chains.evm.escrow.holdings import WIDE
from chains.evm.escrow.shares import worth
from chains.evm.escrow.terms import SHARES, holdings_of
from chains.evm.escrow.upgrades import upgraded
from chains.identifiers import format_address
from chains.model import Reason, UnitPosition, UnitSnapshot, VenueSnapshot, VenueUnit

Book = Callable[[UnitSnapshot], VenueUnit]


def open_book(snapshot: VenueSnapshot) -> Book:
    """Return the function that turns each depositor into a unit; tokens whose amount is not known are named and left out."""
    plain, of_shares = escrow.open_book(snapshot), holdings_of(snapshot.venue.options) == SHARES
    priced = _of_underlying(snapshot) if of_shares else None
    said = upgraded(snapshot)

    def unit(depositor: UnitSnapshot) -> VenueUnit:
        known = _without_unknown(snapshot, plain, depositor)
        if unchecked := _unchecked(snapshot, depositor):
            known = replace(known, reasons=(*known.reasons, *unchecked))
        if priced is not None:
            known = priced(known)
        return known if said is None else _after_upgrade(known, *said)

    return unit


def _without_unknown(snapshot: VenueSnapshot, book: Book, depositor: UnitSnapshot) -> VenueUnit:
    odd = {
        market: _reason(snapshot, market, aspect, json.loads(state))
        for (market, aspect), state in sorted(depositor.settings.items())
        if aspect in {WIDE, UNREAD} and state != "null"
    }
    if not odd:
        return book(depositor)
    held = {key: amount for key, amount in depositor.positions.items() if key[0] not in odd}
    known = book(replace(depositor, positions=held))
    return replace(known, reasons=(*known.reasons, *odd.values()))


def _unchecked(snapshot: VenueSnapshot, unit: UnitSnapshot) -> list[Reason]:
    """Name the tokens of which it could not be read, when it was last asked, what the vault holds."""
    vaults = {market: text for (market, aspect), text in snapshot.markets.items() if aspect == VAULT}
    held = sorted({market for market, _ in unit.positions})
    detail = "what the vault holds could not be read, so that it is not compared with what is claimed"
    return [
        Reason("vault_unread", format_address(snapshot.venue.chain_id, market), detail)
        for market in held
        if market in vaults and json.loads(vaults[market])["balance"] is None
    ]


def _reason(snapshot: VenueSnapshot, market: bytes, aspect: str, said: Any) -> Reason:  # noqa: ANN401 - what the setting holds
    subject = format_address(snapshot.venue.chain_id, market)
    if aspect == WIDE or said["outcome"] == "returned":
        return Reason("amount_too_wide", subject, "the amount of this token has more than 38 digits and is not counted")
    detail = (
        f"the balance could not be read ({said['outcome']}) and is not counted; it is asked for again with each span"
    )
    return Reason("balance_unread", subject, detail)


def _after_upgrade(unit: VenueUnit, reason: Reason, counts: bool) -> VenueUnit:  # noqa: FBT001 - one of the two that `upgraded` returns
    positions = tuple(replace(each, counts=each.counts and counts) for each in unit.positions)
    return replace(unit, positions=positions, reasons=(*unit.reasons, reason))


def _of_underlying(snapshot: VenueSnapshot) -> Callable[[VenueUnit], VenueUnit]:
    """Return the function that turns shares into what they are shares of, at the rate that the vault gave last."""
    known = rated(snapshot)

    def priced(unit: VenueUnit) -> VenueUnit:
        if not unit.native:
            return unit
        if isinstance(known, Reason):
            others = tuple(each for each in unit.reasons if each.code != "token_unknown")
            return replace(unit, positions=(), reasons=(*others, known))
        positions = tuple(_valued(each, known) for each in unit.positions)
        return replace(
            unit, positions=positions, native={**unit.native, "rate": known.assets, "rate_block": known.block}
        )

    return priced


def _valued(shares: UnitPosition, known: Rated) -> UnitPosition:
    return replace(
        shares,
        asset=known.asset,
        symbol=known.symbol,
        decimals=known.decimals,
        amount_raw=worth(shares.amount_raw, known.assets),
    )
