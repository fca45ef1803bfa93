"""The contract's own arithmetic of a position: shares with interest to the block's time, and `Morpho._isHealthy`.

`native`: `collateral`, `supplyShares`, `borrowShares` as stored, `supplyAssets` (rounded down; of the fee recipient with its part of
the interest), `borrowAssets` (rounded up), `lltv` and `liquidationIncentiveFactor` (wads); `collateralPrice` (1e36) and `maxBorrow`
(rounded down) where the price is known: without a debt none is asked for. The venue's currency is the market's loan token.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from chains.evm.logs import unhex
from chains.evm.morpho_blue.accruals import accrued_at
from chains.evm.morpho_blue.liquidating import Liquidable
from chains.evm.morpho_blue.maths import PRICE_SCALE as SCALE
from chains.evm.morpho_blue.maths import (
    WAD,
    Accrued,
    TooLarge,
    Totals,
    liquidation_incentive_factor,
    max_borrow_down,
    mul_div_down,
    to_assets_down,
    to_assets_up,
)
from chains.evm.morpho_blue.oracle import CollateralPrice, price_at
from chains.evm.morpho_blue.shares import open_shares, owners_at
from chains.evm.morpho_blue.tips import ENGINE, WIDE, totals_of
from chains.liquidating import Lot
from chains.model import (
    WHOLE_VENUE,
    Claim,
    Reason,
    Side,
    UnitPosition,
    UnitSnapshot,
    VenuePrice,
    VenueSnapshot,
    VenueUnit,
)

_ID = 32
_BASIS_POINTS = 10_000
_PRICE_DIGITS = 36


def open_book(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], VenueUnit]:
    """Return the function that turns a unit into the contract's own numbers and its positions in tokens."""
    markets: dict[bytes, _Market] = {}
    vaults, shares = owners_at(snapshot), open_shares(snapshot)

    def unit(held: UnitSnapshot) -> VenueUnit:
        market_id = held.unit_id[:_ID]
        if market_id not in markets:
            markets[market_id] = _Market(snapshot, market_id)
        valued = _Position(markets[market_id], held).venue_unit()
        valued = replace(valued, roles=("vault",)) if held.owner in vaults else valued
        return _looked_through(valued, shares) if shares else valued

    return unit


def _looked_through(unit: VenueUnit, shares: Mapping[bytes, Callable[[int], Claim]]) -> VenueUnit:
    """Say of each supply that is shares of a vault what these are a claim on."""
    positions = tuple(
        replace(each, claim=shares[each.asset](each.amount_raw))
        if each.side is Side.SUPPLY and each.asset in shares
        else each
        for each in unit.positions
    )
    return replace(unit, positions=positions)


@dataclass(frozen=True, slots=True)
class _Token:
    """A token as it speaks of itself; `decimals` is `None` where it does not tell them."""

    address: bytes
    symbol: str
    decimals: int | None


class _Market:
    """A market at a block: what it stores with interest to the block's time, and the price of its collateral."""

    def __init__(self, snapshot: VenueSnapshot, market_id: bytes) -> None:
        self.snapshot = snapshot
        self.id = market_id
        params = self._state(market_id, "params")
        self.irm, self.oracle = unhex(params["irm"]), unhex(params["oracle"])
        self.lltv = int(params["lltv"])
        self.loan = self._token(unhex(params["loan_token"]))
        self.collateral = self._token(unhex(params["collateral_token"]))
        self.stored = totals_of(snapshot.markets[market_id, "totals"])
        roles = self._state(WHOLE_VENUE, "roles")
        self.fee_recipient = unhex(roles.get("fee_recipient", "0x"))

    @cached_property
    def accrued(self) -> Accrued | Reason:
        """The market as the contract would store it now, or why that is not known."""
        return accrued_at(self.snapshot.markets, self.id, self.snapshot.at.time)

    @cached_property
    def price(self) -> CollateralPrice | Reason:
        """What the market's oracle answers, or why nothing is known of it."""
        return price_at(self.snapshot, self.oracle)

    @property
    def subject(self) -> str:
        """The market's id for a reason."""
        return "0x" + self.id.hex()

    @property
    def base_unit(self) -> int | None:
        """One loan token in its raw units."""
        return None if self.loan.decimals is None else 10**self.loan.decimals

    @property
    def loan_price(self) -> VenuePrice:
        """The loan token in itself."""
        return VenuePrice(1, 1, self.snapshot.venue.address, self.snapshot.at.time, self.snapshot.at.number)

    @property
    def collateral_price(self) -> VenuePrice | None:
        """A whole collateral token in whole loan tokens."""
        if isinstance(self.price, Reason) or self.loan.decimals is None or self.collateral.decimals is None:
            return None
        digits = _PRICE_DIGITS + self.loan.decimals - self.collateral.decimals
        value, whole = self.price.value * 10 ** max(-digits, 0), 10 ** max(digits, 0)
        return VenuePrice(value, whole, self.price.source, self.price.updated_at, self.price.block, self.price.basis)

    def _token(self, address: bytes) -> _Token:
        state = self._state(address, "token")
        return _Token(address, state.get("symbol") or "", state.get("decimals"))

    def _state(self, market: bytes, aspect: str) -> dict[str, Any]:
        text = self.snapshot.markets.get((market, aspect))
        return {} if text is None else dict(json.loads(text))


class _Position:
    """One owner's position in a market at a block."""

    def __init__(self, market: _Market, unit: UnitSnapshot) -> None:
        self.market = market
        self.unit = unit
        self.pledged_in = market.id + market.collateral.address
        self.supply_shares = unit.positions.get((market.id, Side.SUPPLY), 0)
        self.borrow_shares = unit.positions.get((market.id, Side.BORROW), 0)
        self.collateral = unit.positions.get((self.pledged_in, Side.SUPPLY), 0)
        self.wide = {key for key, text in unit.settings.items() if key[1].startswith(WIDE) and text != "null"}

    def venue_unit(self) -> VenueUnit:
        unknown, noted = list(self._unknown()), list(self._noted())
        native = None if unknown else self._native()
        priced = native is not None and "maxBorrow" in native
        return VenueUnit(
            venue_id=self.market.snapshot.venue.id,
            unit_id=self.unit.unit_id,
            owner=self.unit.owner,
            native=native,
            health_factor_wad=_health(native) if native and self.has_debt else None,
            liquidatable=None if native is None else self.has_debt and native["maxBorrow"] < native["borrowAssets"],
            has_debt=self.has_debt,
            collateral_base=mul_div_down(self.collateral, native["collateralPrice"], SCALE)
            if native and priced
            else None,
            debt_base=native["borrowAssets"] if native else None,
            base_unit=self.market.base_unit,
            in_token=True,
            positions=tuple(self._positions()),
            reasons=(*unknown, *noted),
            engine_version=ENGINE,
            liquidating=self.liquidating,
        )

    def liquidating(self) -> Liquidable | tuple[Reason, ...]:
        """Return the position as it would be liquidated."""
        market, totals, price = self.market, self._totals, self.market.price
        unknown = tuple(self._unknown())
        quoted = market.collateral_price
        if unknown or totals is None or isinstance(price, Reason) or quoted is None or market.loan.decimals is None:
            return unknown or (Reason("venue_unknown", market.subject, "nothing is known of the market's price"),)
        pledged, loan = market.collateral, market.loan
        terms = mul_div_down(market.lltv, _BASIS_POINTS, WAD)
        owed = self._owed() or 0
        return Liquidable(
            pledged=Lot(self.pledged_in, pledged.address, pledged.decimals or 0, self.collateral, *quoted[:2], terms),
            loan=Lot(market.id, loan.address, market.loan.decimals, owed, 1, 1),
            shares=self.borrow_shares,
            totals=totals,
            lltv=market.lltv,
            price=price.value,
        )

    @property
    def has_debt(self) -> bool:
        """Whether anything is owed; also where nobody can say how much."""
        return self.borrow_shares > 0 or (self.market.id, WIDE + Side.BORROW) in self.wide

    @property
    def takes_fee(self) -> bool:
        """Whether a part of the interest since the last update is the owner's."""
        return self.market.stored.fee > 0 and self.unit.owner == self.market.fee_recipient

    @property
    def _totals(self) -> Totals | None:
        accrued_now = self.market.accrued
        return None if isinstance(accrued_now, Reason) else accrued_now.totals

    def _unknown(self) -> Iterator[Reason]:
        """Say why the contract's numbers of this position are not known."""
        for market, _ in sorted(self.wide):
            yield Reason("amount_too_wide", "0x" + market.hex(), "an amount has more than 38 digits and is not counted")
        if (self.supply_shares or self.borrow_shares or self.takes_fee) and isinstance(self.market.accrued, Reason):
            yield self.market.accrued
        if self.has_debt and (problem := self._price_problem()):
            yield problem
        for token in self._held_tokens():
            if token.decimals is None:
                yield Reason("no_decimals", "0x" + token.address.hex(), "the token's decimals could not be read")

    def _noted(self) -> Iterator[Reason]:
        """Say why collateral has no price where nothing depends on it."""
        if self.collateral and not self.has_debt and (problem := self._price_problem()):
            yield problem

    def _price_problem(self) -> Reason | None:
        price = self.market.price
        if isinstance(price, Reason):
            return price
        try:
            max_borrow_down(self.collateral, price.value, self.market.lltv)
        except TooLarge:
            return Reason(
                "price_too_large", self.market.subject, "the value of the collateral has no room in the contract"
            )
        return None

    def _held_tokens(self) -> list[_Token]:
        lent = [self.market.loan] if self.supply_shares or self.borrow_shares else []
        return [*lent, self.market.collateral] if self.collateral else lent

    def _native(self) -> dict[str, int]:
        market = self.market
        native = {
            "collateral": self.collateral,
            "supplyShares": self.supply_shares,
            "borrowShares": self.borrow_shares,
            "supplyAssets": self._supplied() or 0,
            "borrowAssets": self._owed() or 0,
            "lltv": market.lltv,
            "liquidationIncentiveFactor": liquidation_incentive_factor(market.lltv),
        }
        if isinstance(market.price, Reason) or self._price_problem():
            return native
        price = market.price.value
        return native | {
            "collateralPrice": price,
            "maxBorrow": max_borrow_down(self.collateral, price, market.lltv),
        }

    def _supplied(self) -> int | None:
        """Return what the owner would find if interest were added now; of the fee recipient with the fee of it."""
        now = self.market.accrued
        if isinstance(now, Reason):
            return None
        shares = self.supply_shares + (now.fee_shares if self.takes_fee else 0)
        return to_assets_down(shares, now.totals.supply_assets, now.totals.supply_shares) if shares else None

    def _owed(self) -> int | None:
        totals = self._totals
        if totals is None or not self.borrow_shares:
            return None
        return to_assets_up(self.borrow_shares, totals.borrow_assets, totals.borrow_shares)

    def _positions(self) -> Iterator[UnitPosition]:
        market, threshold = self.market, mul_div_down(self.market.lltv, _BASIS_POINTS, WAD)
        supplied, owed = self._supplied(), self._owed()
        if supplied is not None:
            lent = _Part(market.id, market.loan, Side.SUPPLY, market.loan_price, 0)
            yield from lent.position(supplied, self.supply_shares)
        if self.collateral:
            pledged = _Part(self.pledged_in, market.collateral, Side.SUPPLY, market.collateral_price, threshold)
            yield from pledged.position(self.collateral, self.collateral)
        if owed is not None:
            debt = _Part(market.id, market.loan, Side.BORROW, market.loan_price, None)
            yield from debt.position(owed, self.borrow_shares)


class _Part(NamedTuple):
    """One of the three things that a position is made of; `threshold` in basis points, `None` for debt."""

    market: bytes
    token: _Token
    side: Side
    price: VenuePrice | None
    threshold: int | None

    def position(self, amount: int, stored: int) -> Iterator[UnitPosition]:
        if self.token.decimals is not None:
            yield UnitPosition(
                market=self.market,
                asset=self.token.address,
                side=self.side,
                symbol=self.token.symbol,
                decimals=self.token.decimals,
                amount_raw=amount,
                protocol_raw=stored,
                counts=self.threshold is None or self.threshold > 0,
                price=self.price,
                liquidation_threshold=self.threshold,
            )


def _health(native: dict[str, int]) -> int:
    """Return the most that may be owed over what is, a wad rounded down: below one just where the contract calls it unhealthy."""
    return mul_div_down(native["maxBorrow"], WAD, native["borrowAssets"])
