"""Shares of a followed ERC-4626 vault, wherever they are held: what they are a claim on, at the rate that the vault gave last."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from chains.evm.escrow.shares import RATE, UNDERLYING, underlying_of, worth
from chains.evm.escrow.terms import SHARES, holdings_of, rate_every
from chains.evm.escrow.upgrades import upgraded
from chains.identifiers import format_address
from chains.model import Claim, Reason, VenueSnapshot, VenueSpec


class Rated(NamedTuple):
    """What a vault's shares are shares of, what `PROBE` of them are worth in raw units of it, and the block up to which it was asked."""

    asset: bytes
    symbol: str
    decimals: int
    assets: int
    block: int


def knows_shares(venue: VenueSpec) -> bool:
    """Tell whether a venue is a vault whose shares are followed."""
    return holdings_of(venue.options) == SHARES


def open_shares(snapshot: VenueSnapshot) -> Mapping[bytes, Callable[[int], Claim]]:
    """Return what the vault says of its shares, once there are any."""
    vault = snapshot.venue.address
    return {vault: partial(_claim, snapshot)} if (vault, UNDERLYING) in snapshot.markets else {}


def rated(snapshot: VenueSnapshot) -> Rated | Reason:
    """Return what a vault said of its shares at or before a block, or why their worth is not known."""
    vault, chain_id = snapshot.venue.address, snapshot.venue.chain_id
    rate, text = json.loads(snapshot.markets.get((vault, RATE), "{}")), snapshot.markets.get((vault, UNDERLYING))
    underlying = json.loads(text) if text else {}
    asset, subject = underlying_of(text) if text else None, format_address(chain_id, vault)
    if asset is None or underlying["asset_decimals"] is None:
        return Reason("token_unknown", subject, "the vault, or its asset, does not say what its shares are shares of")
    if rate.get("assets") is None:
        outcome = rate.get("outcome", "not asked")
        detail = f"convertToAssets gave no answer ({outcome}), so the shares have no known worth"
        return Reason("rate_unknown", subject, detail)
    asked = snapshot.at.number - snapshot.at.number % rate_every(snapshot.venue.options)
    symbol, decimals = underlying["asset_symbol"] or "", underlying["asset_decimals"]
    return Rated(asset, symbol, decimals, int(rate["assets"]), max(asked, rate["block"]))


def _claim(snapshot: VenueSnapshot, shares: int) -> Claim:
    """Turn shares of a vault into what they are a claim on; after an upgrade to code that is not named, into nothing known."""
    known, said = rated(snapshot), upgraded(snapshot)
    reasons = () if said is None else (said[0],)
    if isinstance(known, Reason):
        return _unknown(_asset_of(snapshot), (known, *reasons))
    if said is not None and not said[1]:
        return _unknown(known.asset, reasons)
    return Claim(
        asset=known.asset,
        symbol=known.symbol,
        decimals=known.decimals,
        assets_raw=worth(shares, known.assets),
        lost_raw=None,
        redeemable_raw=None,
        reasons=reasons,
        told_at=known.block,
    )


def _unknown(asset: bytes, reasons: tuple[Reason, ...]) -> Claim:
    return Claim(
        asset=asset, symbol="", decimals=0, assets_raw=None, lost_raw=None, redeemable_raw=None, reasons=reasons
    )


def _asset_of(snapshot: VenueSnapshot) -> bytes:
    return underlying_of(snapshot.markets[snapshot.venue.address, UNDERLYING]) or b""
