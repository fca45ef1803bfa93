"""What the contract counts of each market, and what it holds of each token for all markets."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping

from chains.auditing import Told, Whole
from chains.evm.logs import unhex
from chains.evm.morpho_blue.events import MARKET
from chains.evm.morpho_blue.maths import Totals
from chains.evm.morpho_blue.tips import totals_of
from chains.evm.ports import STATE, Holding, Read, Total
from chains.model import Side


def totals(whole: Whole) -> Iterator[Total]:
    """Name the four totals of each market: shares are the sums of their owners', assets what the events add up to."""
    at, morpho = whole.snapshot.at.number, whole.snapshot.venue.address
    for market, stored in sorted(_stored(whole).items()):
        numbers = {
            "totalSupplyAssets": stored.supply_assets,
            "totalSupplyShares": whole.sums.get((market, Side.SUPPLY), 0),
            "totalBorrowAssets": stored.borrow_assets,
            "totalBorrowShares": whole.sums.get((market, Side.BORROW), 0),
        }
        for word, (name, ours) in enumerate(numbers.items()):
            yield Total(name, market, Read(at, STATE, morpho, MARKET.calldata(market)), ours, word)


def told(whole: Whole) -> Iterator[Told]:
    """Name the shares of each market that its events add up to, beside those of their owners."""
    morpho = whole.snapshot.venue.address
    for market, stored in sorted(_stored(whole).items()):
        for name, side, theirs in (
            ("totalSupplyShares of all events", Side.SUPPLY, stored.supply_shares),
            ("totalBorrowShares of all events", Side.BORROW, stored.borrow_shares),
        ):
            yield Told(name, morpho, market, whole.sums.get((market, side), 0), theirs)


def holdings(whole: Whole) -> Iterator[Holding]:
    """Name what the contract holds of each token: with what is borrowed of it, all that is supplied and all collateral in it."""
    claims, owed = Counter[bytes](), Counter[bytes]()
    for market, stored in _stored(whole).items():
        params = json.loads(whole.snapshot.markets[market, "params"])
        loan, collateral = unhex(params["loan_token"]), unhex(params["collateral_token"])
        claims[loan] += stored.supply_assets
        owed[loan] += stored.borrow_assets
        claims[collateral] += whole.sums.get((market + collateral, Side.SUPPLY), 0)
    for token in sorted(claims):
        yield Holding(whole.snapshot.venue.address, token, b"", owed[token], claims[token])


def _stored(whole: Whole) -> Mapping[bytes, Totals]:
    return {market: totals_of(text) for (market, aspect), text in whole.snapshot.markets.items() if aspect == "totals"}
