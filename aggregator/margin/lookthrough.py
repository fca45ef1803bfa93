"""Shares held at one venue, of which another one knows what they are a claim on: shown with it, and valued once, as shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from aggregator.margin.valuation import OpenUnit
from chains.model import Claim, Side, UnitPosition, VenueSnapshot
from chains.registry import knows_shares, open_shares

Shares = Mapping[tuple[str, bytes], Callable[[int], Claim]]
"""(chain, token) → the function that turns an amount of it, in raw units, into what it is a claim on."""


def shares_of(snapshots: Iterable[VenueSnapshot]) -> Shares:
    """Open what venues know of shares."""
    return {
        (snapshot.venue.chain_id, share): claim
        for snapshot in snapshots
        if knows_shares(snapshot.venue)
        for share, claim in open_shares(snapshot).items()
    }


def looked_through(units: Iterable[OpenUnit], shares: Shares) -> list[OpenUnit]:
    """Say of each supply that is such shares, and of which its own venue does not say it, what these are a claim on."""
    return [_looked_through(held_in, shares) if shares else held_in for held_in in units]


def _looked_through(held_in: OpenUnit, shares: Shares) -> OpenUnit:
    positions = tuple(_with_claim(each, held_in.venue.chain_id, shares) for each in held_in.unit.positions)
    return replace(held_in, unit=replace(held_in.unit, positions=positions))


def _with_claim(position: UnitPosition, chain_id: str, shares: Shares) -> UnitPosition:
    claim = shares.get((chain_id, position.asset))
    if claim is None or position.claim is not None or position.side is not Side.SUPPLY:
        return position
    return replace(position, claim=claim(position.amount_raw))
