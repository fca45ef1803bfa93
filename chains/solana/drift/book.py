"""A venue at a block: markets as stored and with interest, their prices, and what of them is not known."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, cached_property

from chains.identifiers import base58
from chains.model import WHOLE_VENUE, Reason, VenueSnapshot
from chains.solana.drift.accounts import User
from chains.solana.drift.integers import Refused
from chains.solana.drift.interest import with_interest
from chains.solana.drift.margin import World
from chains.solana.drift.options import engine_of, program_of
from chains.solana.drift.oracles import OraclePrice, Oracles
from chains.solana.drift.states import (
    PERP_TERMS,
    PERP_TOTALS,
    STATE_ASPECT,
    TERMS,
    TOTALS,
    PerpMarket,
    Rails,
    SpotMarket,
    perp_address,
    perp_of,
    rails_of,
    spot_address,
    spot_of,
)


class Book:
    """What all accounts of a venue share."""

    def __init__(self, snapshot: VenueSnapshot) -> None:
        self.snapshot = snapshot
        self.program = program_of(snapshot.venue.options)
        self.engine = engine_of(snapshot.venue.options)
        self._oracles = Oracles(snapshot)
        self.spot = cache(self._spot)
        self.perp = cache(self._perp)
        self.accrued = cache(self._accrued)

    @cached_property
    def rails(self) -> Rails | Reason:
        """Return what the state says, or why it is not known."""
        name, text = base58(self.snapshot.venue.address), self.snapshot.markets.get((WHOLE_VENUE, STATE_ASPECT))
        if text is None:
            return Reason("state_unknown", name, "the state has not been read")
        found = rails_of(text)
        return Reason("state_unreadable", name, found) if isinstance(found, str) else found

    def _spot(self, number: int) -> SpotMarket | Reason:
        address = spot_address(self.program, number)
        terms, totals = (self.snapshot.markets.get((address, aspect)) for aspect in (TERMS, TOTALS))
        if terms is None:
            return Reason("market_unknown", base58(address), f"spot market {number} has not been read")
        found = spot_of(address, terms, totals)
        return Reason("market_unreadable", base58(address), found) if isinstance(found, str) else found

    def _perp(self, number: int) -> PerpMarket | Reason:
        address = perp_address(self.program, number)
        terms, totals = (self.snapshot.markets.get((address, aspect)) for aspect in (PERP_TERMS, PERP_TOTALS))
        if terms is None:
            return Reason("market_unknown", base58(address), f"perp market {number} has not been read")
        found = perp_of(address, terms, totals)
        return Reason("market_unreadable", base58(address), found) if isinstance(found, str) else found

    def _accrued(self, number: int) -> SpotMarket | Reason:
        """Return a spot market with interest up to the block's time."""
        market = self.spot(number)
        if isinstance(market, Reason):
            return market
        try:
            return with_interest(market, self.snapshot.at.time)
        except Refused as error:
            return Reason("interest_unknown", base58(market.address), str(error))

    def price(self, market: SpotMarket | PerpMarket) -> OraclePrice | Reason:
        """Return the price that the program reads for a market, or why there is none."""
        return self._oracles.price(market)

    def missing_spot(self, number: int) -> Iterator[Reason]:
        """Say what of a spot market is not known."""
        market = self.spot(number)
        if isinstance(market, Reason):
            yield market
            return
        yield from (found for found in (self.price(market), self.accrued(number)) if isinstance(found, Reason))

    def missing_perp(self, number: int) -> Iterator[Reason]:
        """Say what of a perp market, or of the spot market it settles in, is not known."""
        market = self.perp(number)
        if isinstance(market, Reason):
            yield market
            return
        price = self.price(market)
        if isinstance(price, Reason):
            yield price
        yield from self.missing_spot(market.quote_spot_market_index)

    def world(self, user: User, *, accrued: bool) -> World | Reason:
        """Return all that an account's margin depends on, or the first that is not known."""
        if isinstance(self.rails, Reason):
            return self.rails
        perp: dict[int, PerpMarket] = {}
        for position in user.perp:
            market = self.perp(position.market_index)
            if isinstance(market, Reason):
                return market
            perp[position.market_index] = market
        spot: dict[int, SpotMarket] = {}
        read = self.accrued if accrued else self.spot
        for number in {each.market_index for each in user.spot} | {
            each.quote_spot_market_index for each in perp.values()
        }:
            found = read(number)
            if isinstance(found, Reason):
                return found
            spot[number] = found
        prices: dict[tuple[bytes, int], OraclePrice] = {}
        markets: list[SpotMarket | PerpMarket] = [*spot.values(), *perp.values()]
        for each in markets:
            price = self.price(each)
            if isinstance(price, Reason):
                return price
            prices[each.oracle, each.oracle_source] = price
        return World(spot=spot, perp=perp, prices=prices, rails=self.rails)
