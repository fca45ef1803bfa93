"""What is asked about a depositor: what he holds of shares and tokens, and, where it is declared, what the vault says that he has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from chains.evm.escrow.asking import balance_view
from chains.evm.escrow.backing import BALANCE_OF
from chains.evm.escrow.custody import UNREAD
from chains.evm.escrow.events import terms_of
from chains.evm.escrow.holdings import WIDE
from chains.evm.escrow.terms import CUSTODY, SHARES, custody_of, holdings_of
from chains.evm.ports import BALANCE, STATE, Read, View
from chains.model import Side, UnitSnapshot, VenueSnapshot, VenueUnit

Views = Callable[[UnitSnapshot, VenueUnit], Iterator[View]]


def open_views(snapshot: VenueSnapshot) -> Views:
    """Return the function that names the views of a depositor."""
    kind = holdings_of(snapshot.venue.options)
    return {SHARES: _of_shares, CUSTODY: _of_custody}.get(kind, _of_events)(snapshot)


def _of_shares(snapshot: VenueSnapshot) -> Views:
    """Ask the vault for the holder's shares."""
    vault, at = snapshot.venue.address, snapshot.at.number

    def views(unit: UnitSnapshot, valued: VenueUnit) -> Iterator[View]:
        del valued
        read = Read(at, STATE, vault, BALANCE_OF.calldata(unit.unit_id))
        yield View("balanceOf", vault, read, _numbers(unit, vault, "balanceOf"))

    return views


def _of_custody(snapshot: VenueSnapshot) -> Views:
    """Ask each token, and the node about the chain's coin; those that could not be read are not asked."""
    terms, at = custody_of(snapshot.venue.address, snapshot.venue.options), snapshot.at.number

    def views(unit: UnitSnapshot, valued: VenueUnit) -> Iterator[View]:
        del valued
        for token in terms.tokens:
            read = Read(at, STATE, token, BALANCE_OF.calldata(unit.unit_id))
            yield View("balanceOf", token, read, _numbers(unit, token, "balanceOf"))
        if terms.coin is not None:
            read = Read(at, BALANCE, unit.unit_id, b"")
            yield View("eth_getBalance", terms.coin.asset, read, _numbers(unit, terms.coin.asset, "eth_getBalance"))

    return views


def _of_events(snapshot: VenueSnapshot) -> Views:
    """Ask the vault by the view that its operator declares; without one there is nothing to ask."""
    asked, terms, at = balance_view(snapshot.venue.options), terms_of(snapshot.venue.options), snapshot.at.number
    vault, coin = snapshot.venue.address, terms.coin

    def views(unit: UnitSnapshot, valued: VenueUnit) -> Iterator[View]:
        del valued
        if asked is None:
            return
        name = asked.function.signature.partition("(")[0]
        for market in sorted({market for market, side in unit.positions if side is Side.SUPPLY}):
            token = coin.address if coin is not None and market == coin.asset else market
            read = Read(at, STATE, vault, asked.calldata(unit.unit_id, token))
            numbers = _numbers(unit, market, name)
            yield View(name, market, read, numbers, signed=asked.signed)

    return views


def _numbers(unit: UnitSnapshot, market: bytes, name: str) -> Mapping[str, int] | None:
    """Return our amount, `None` where it could not be read or has more digits than a column."""
    odd = [unit.settings.get((market, aspect), "null") for aspect in (UNREAD, WIDE)]
    if any(json.loads(text) is not None for text in odd):
        return None
    return {name: unit.positions.get((market, Side.SUPPLY), 0)}
