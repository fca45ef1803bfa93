"""Shares held at one venue, of which another one knows what they are a claim on: shown with it, and valued once, as shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from aggregator.margin.valuation import OpenUnit
from chains.identifiers import format_address
from chains.model import Claim, Reason, Side, UnitPosition, VenueSnapshot
from chains.registry import knows_shares, open_shares

Shares = Mapping[tuple[str, bytes], Callable[[int], Claim]]
"""(chain, token) → the function that turns an amount of it, in raw units, into what it is a claim on."""

RING = "these shares are a claim on shares that they are in themselves, and are not looked through again"


def shares_of(snapshots: Iterable[VenueSnapshot]) -> Shares:
    """Open what venues know of shares."""
    return {
        (snapshot.venue.chain_id, share): claim
        for snapshot in snapshots
        if knows_shares(snapshot.venue)
        for share, claim in open_shares(snapshot).items()
    }


def looked_through(units: Iterable[OpenUnit], shares: Shares) -> list[OpenUnit]:
    """Say of each supply that is such shares what these are a claim on, where its own venue does not; and what stands behind that."""
    return [_looked_through(held_in, shares) if shares else held_in for held_in in units]


def _looked_through(held_in: OpenUnit, shares: Shares) -> OpenUnit:
    positions = tuple(_with_claim(each, held_in.venue.chain_id, shares) for each in held_in.unit.positions)
    return replace(held_in, unit=replace(held_in.unit, positions=positions))


def _with_claim(position: UnitPosition, chain_id: str, shares: Shares) -> UnitPosition:
    if position.side is not Side.SUPPLY:
        return position
    own = position.claim
    claim = (
        _claim(position.asset, position.amount_raw, chain_id, shares)
        if own is None
        else _with_inner(own, chain_id, shares, above=(position.asset,))
    )
    return position if claim is None else replace(position, claim=claim)


def _claim(token: bytes, amount_raw: int, chain_id: str, shares: Shares, above: tuple[bytes, ...] = ()) -> Claim | None:
    """Return what an amount of a token is a claim on, through as many vaults as there are; `None` for a token that is no shares."""
    known = shares.get((chain_id, token))
    return None if known is None else _with_inner(known(amount_raw), chain_id, shares, above=(*above, token))


def _with_inner(claim: Claim, chain_id: str, shares: Shares, *, above: tuple[bytes, ...]) -> Claim:
    """Say of a claim on shares what stands behind it there; `above`: the shares that were looked through before, which no vault is in."""
    if claim.assets_raw is None:
        return claim
    if claim.asset in above:
        subject = format_address(chain_id, claim.asset)
        return replace(claim, reasons=(*claim.reasons, Reason("shares_in_a_ring", subject, RING)))
    behind = claim.assets_raw - (claim.lost_raw or 0)
    inner = _claim(claim.asset, behind, chain_id, shares, above)
    return claim if inner is None else replace(claim, within=inner)
