"""What an escrow's contract counts and holds: shares that must add up, and tokens that must cover what depositors claim."""

from __future__ import annotations

import json
from collections.abc import Iterator

from chains.auditing import Told, Whole
from chains.escrow import HELD_ELSEWHERE, TOKEN, imports_liabilities
from chains.evm.escrow.backing import CLAIMS
from chains.evm.escrow.shares import TOTAL_SUPPLY
from chains.evm.escrow.terms import EVENTS, SHARES, holdings_of
from chains.evm.ports import STATE, Holding, Read, Total
from chains.model import Side


def totals(whole: Whole) -> Iterator[Total]:
    """Name a vault's shares, once there are any."""
    venue = whole.snapshot.venue
    if holdings_of(venue.options) == SHARES and (venue.address, TOKEN) in whole.snapshot.markets:
        read = Read(whole.snapshot.at.number, STATE, venue.address, TOTAL_SUPPLY.calldata())
        yield Total("totalSupply", venue.address, read, whole.sums.get((venue.address, Side.SUPPLY), 0))


def holdings(whole: Whole) -> Iterator[Holding]:
    """Name what a vault of deposits holds of each token, which must be what all depositors claim.

    Not where other systems' positions are settled in it, or where it says that tokens lie elsewhere: it may then rightly hold less.
    """
    venue = whole.snapshot.venue
    if holdings_of(venue.options) != EVENTS or imports_liabilities(venue) or venue.options.get(HELD_ELSEWHERE):
        return
    for market, aspect in sorted(whole.snapshot.markets):
        if aspect == TOKEN:
            yield Holding(venue.address, market, market, 0, whole.claims.get((market, Side.SUPPLY), 0))


def told(whole: Whole) -> Iterator[Told]:
    """Name the claims that were added up movement by movement, where they were, beside the positive amounts of all depositors."""
    vault = whole.snapshot.venue.address
    for (market, aspect), text in sorted(whole.snapshot.markets.items()):
        if aspect == CLAIMS:
            ours = whole.claims.get((market, Side.SUPPLY), 0)
            yield Told("claims of all movements", vault, market, ours, int(json.loads(text)["claims"]))
