"""Shares of the vaults that a venue follows: what they are a claim on in the markets, with interest to the block's time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from chains.evm.logs import unhex
from chains.evm.morpho_blue.accruals import accrued_at
from chains.evm.morpho_blue.maths import to_assets_down
from chains.evm.morpho_blue.options import follows_vaults
from chains.evm.morpho_blue.vault import (
    Books,
    Place,
    Standing,
    backed_down,
    books_of,
    part_down,
    stand,
    withdrawable,
)
from chains.evm.morpho_blue.vault import (
    to_assets_down as converted_down,
)
from chains.evm.morpho_blue.vaults import BOOKS, FAULT, QUEUE, SHARES, VAULT
from chains.model import Basis, Claim, Component, Reason, VenueSnapshot, VenueSpec


class Vault(NamedTuple):
    """A vault at a block; `standing` is a reason where its numbers are not known."""

    address: bytes
    asset: bytes
    symbol: str
    decimals: int
    virtual_shares: int
    books: Books
    places: tuple[Place, ...]
    standing: Standing | Reason


def knows_shares(venue: VenueSpec) -> bool:
    """Tell whether a venue may know what shares are, by its options."""
    return follows_vaults(venue.options)


def open_shares(snapshot: VenueSnapshot) -> Mapping[bytes, Callable[[int], Claim]]:
    """Return what a venue knows of shares: those of its vaults."""
    return {vault.address: partial(_claim, vault, snapshot.venue.id) for vault in vaults_at(snapshot)}


def vaults_at(snapshot: VenueSnapshot) -> Iterator[Vault]:
    """Open each vault that is known at the block."""
    for address in sorted(market for market, aspect in snapshot.markets if aspect == VAULT):
        yield _open(snapshot, address)


def owners_at(snapshot: VenueSnapshot) -> frozenset[bytes]:
    """Return the vaults that are known at the block, whatever is known of them."""
    return frozenset(market for market, aspect in snapshot.markets if aspect == VAULT)


def _open(snapshot: VenueSnapshot, address: bytes) -> Vault:
    told = _state(snapshot, address, VAULT)
    asset = unhex(told["asset"] or "0x")
    token = _state(snapshot, asset, "token")
    books = books_of(snapshot.markets[address, BOOKS])
    problem = _problem(snapshot, address, told, token)
    places = [] if problem else list(_places(snapshot, address))
    unknown = problem or next((place for place in places if isinstance(place, Reason)), None)
    known = tuple(place for place in places if isinstance(place, Place))
    virtual = int(told["virtual_shares"] or "1")
    real = sum(place.assets for place in known)
    return Vault(
        address=address,
        asset=asset,
        symbol=token.get("symbol") or "",
        decimals=token.get("decimals") or 0,
        virtual_shares=virtual,
        books=books,
        places=known,
        standing=unknown or stand(books, real, virtual, keeps_lost=bool(told["keeps_lost"])),
    )


def _problem(snapshot: VenueSnapshot, address: bytes, told: dict[str, Any], token: dict[str, Any]) -> Reason | None:
    subject = "0x" + address.hex()
    if told["problem"]:
        return Reason("vault_not_followed", subject, f"the vault is not followed: {told['problem']}")
    if fault := _state(snapshot, address, FAULT):
        detail = f"since block {fault['since']} the vault says something else of itself than its arithmetic gives"
        return Reason("vault_in_doubt", subject, detail)
    if token.get("decimals") is None:
        return Reason("no_decimals", told["asset"], "the decimals of the vault's asset could not be read")
    return None


def _places(snapshot: VenueSnapshot, vault: bytes) -> Iterator[Place | Reason]:
    """Say what a vault has in each market of its queue; one in which it has nothing needs no interest."""
    for text in _state(snapshot, vault, QUEUE)["markets"]:
        market = unhex(text)
        shares = int(_state(snapshot, market + vault, SHARES).get("shares", "0"))
        if not shares:
            continue
        now = accrued_at(snapshot.markets, market, snapshot.at.time)
        if isinstance(now, Reason):
            yield now
            continue
        assets = to_assets_down(shares, now.totals.supply_assets, now.totals.supply_shares)
        yield Place(market, assets, min(assets, now.totals.supply_assets - now.totals.borrow_assets))


def _claim(vault: Vault, venue_id: str, shares: int) -> Claim:
    """Turn shares of a vault into what they are a claim on."""
    standing, virtual = vault.standing, vault.virtual_shares
    if isinstance(standing, Reason):
        return Claim(
            asset=vault.asset, symbol=vault.symbol, decimals=vault.decimals, assets_raw=None, lost_raw=None,
            redeemable_raw=None, reasons=(standing,),
        )  # fmt: skip
    assets = converted_down(shares, standing, virtual)

    def component(place: Place) -> Component:
        amount = part_down(shares, place.assets, standing, virtual)
        return Component(
            venue_id, place.market, vault.asset, vault.symbol, vault.decimals, amount, min(amount, place.payable), Basis.EXACT
        )  # fmt: skip

    return Claim(
        asset=vault.asset,
        symbol=vault.symbol,
        decimals=vault.decimals,
        assets_raw=assets,
        lost_raw=assets - backed_down(shares, standing, virtual),
        redeemable_raw=withdrawable(assets, vault.places),
        components=tuple(map(component, vault.places)),
    )


def _state(snapshot: VenueSnapshot, market: bytes, aspect: str) -> dict[str, Any]:
    text = snapshot.markets.get((market, aspect))
    return {} if text is None else dict(json.loads(text))
