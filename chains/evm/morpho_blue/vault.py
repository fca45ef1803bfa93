"""A MetaMorpho vault's own integer arithmetic: what its shares are worth, and what could be withdrawn.

Sources: metamorpho 1.0, `_accruedFeeShares`, `_convertToAssetsWithTotals`, `_simulateWithdrawMorpho`; 1.1, `_accruedFeeAndAssets`.
A vault of 1.1 (`keeps_lost`) never lets its total assets fall: what its markets lost stays in them, as lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from chains.evm.morpho_blue.maths import WAD, mul_div_down

_VIRTUAL_ASSETS = 1


class Books(NamedTuple):
    """What a vault stores: shares, total and lost assets as of its last accrual or action, and the fee as a wad of interest."""

    supply: int
    last_total: int
    lost: int
    fee: int


NO_BOOKS = Books(0, 0, 0, 0)


class Standing(NamedTuple):
    """A vault as of now: shares with those of the fee, total assets, what of these is lost, the fee's shares, what markets hold."""

    supply: int
    total: int
    lost: int
    fee_shares: int
    real: int


class Place(NamedTuple):
    """What a vault has in a market of its withdraw queue, with interest, and what of it the market could pay out."""

    market: bytes
    assets: int
    payable: int


def books_of(text: str) -> Books:
    """Read the aspect `vault_books`."""
    stored = json.loads(text)
    return Books(*(int(stored[name]) for name in Books._fields))


def stand(books: Books, real: int, virtual_shares: int, *, keeps_lost: bool) -> Standing:
    """Return a vault as its next action would find it; `real`: what its markets owe it now."""
    lost = books.lost if keeps_lost else 0
    if keeps_lost and real < books.last_total - books.lost:
        lost = books.last_total - real
    total = real + lost
    interest = max(total - books.last_total, 0)
    fee_assets = mul_div_down(interest, books.fee, WAD)
    room = total - fee_assets + _VIRTUAL_ASSETS
    fee_shares = mul_div_down(fee_assets, books.supply + virtual_shares, room) if interest and books.fee else 0
    return Standing(books.supply + fee_shares, total, lost, fee_shares, real)


def to_assets_down(shares: int, standing: Standing, virtual_shares: int) -> int:
    """Return `convertToAssets` of shares."""
    return mul_div_down(shares, standing.total + _VIRTUAL_ASSETS, standing.supply + virtual_shares)


def backed_down(shares: int, standing: Standing, virtual_shares: int) -> int:
    """Return what shares are worth without what is lost: never above `convertToAssets`."""
    return mul_div_down(shares, standing.real + _VIRTUAL_ASSETS, standing.supply + virtual_shares)


def part_down(shares: int, assets: int, standing: Standing, virtual_shares: int) -> int:
    """Return the part of some assets of a vault that belongs to shares."""
    return mul_div_down(shares, assets, standing.supply + virtual_shares)


def withdrawable(assets: int, places: Iterable[Place]) -> int:
    """Return how much of an amount the markets of the queue could pay out now (`maxWithdraw`)."""
    return min(assets, sum(place.payable for place in places))
