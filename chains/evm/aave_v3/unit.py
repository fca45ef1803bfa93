"""The pool's own account arithmetic: `Pool.getUserAccountData` (`GenericLogic.calculateUserAccountData`), by the engine of its revision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from chains.evm.aave_v3.book import Book, Reserve
from chains.evm.aave_v3.liquidating import Liquidable
from chains.evm.aave_v3.maths import WAD
from chains.evm.aave_v3.permits import limits_unknown, permits_of
from chains.evm.aave_v3.stable import debt_of
from chains.model import (
    WHOLE_VENUE,
    Permits,
    Reason,
    Side,
    UnitPosition,
    UnitSnapshot,
    VenuePrice,
    VenueSnapshot,
    VenueUnit,
)

MAX_UINT256 = 2**256 - 1
USD = 10**8
"""One dollar in the base currency of an oracle that counts in dollars."""


def open_book(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], VenueUnit]:
    """Return the function that turns a unit of this market into the pool's own six numbers and its positions in tokens."""
    book = Book(snapshot)
    return lambda unit: Account(book, unit).venue_unit()


@dataclass(frozen=True, slots=True)
class Leg:
    """What one reserve contributes to one account, in token units as the pool reckons.

    `scaled`, `scaled_debt`: supply and variable debt as stored.
    """

    reserve: Reserve
    scaled: int
    scaled_debt: int
    supplied: int
    owed: int
    collateral: bool
    in_emode: bool
    price: VenuePrice | Reason


class Sums(NamedTuple):
    """An account in base currency: what it has and owes, and what it has times loan to value, and times threshold, in basis points."""

    collateral: int
    debt: int
    weighted_ltv: int
    weighted_threshold: int

    @property
    def ltv(self) -> int:
        """The average loan to value, down."""
        return self.weighted_ltv // self.collateral if self.collateral else 0


class Account:
    """One account of a market at a block."""

    def __init__(
        self,
        book: Book,
        unit: UnitSnapshot,
        legs: Sequence[Leg] | None = None,
        category_price: VenuePrice | None = None,
    ) -> None:
        """`legs`, `category_price`: instead of what is stored, for an account that something happened to."""
        self.book = book
        self.unit = unit
        self._legs = legs
        self.category_price = category_price
        self.category = int(unit.settings.get((WHOLE_VENUE, "emode"), "0"))
        self.emode = book.emodes.get(self.category)
        self.engine = book.engine

    def venue_unit(self) -> VenueUnit:
        """Return the pool's own numbers of this account, or why there are none."""
        reasons = self.reasons
        native = None if reasons else self._native()
        has_debt = any(leg.owed for leg in self.legs) or self._unread_debt() or self._may_owe()
        return VenueUnit(
            venue_id=self.book.snapshot.venue.id,
            unit_id=self.unit.unit_id,
            owner=self.unit.owner,
            native=native,
            health_factor_wad=native["healthFactor"] if native and has_debt else None,
            liquidatable=None if native is None else native["healthFactor"] < WAD,
            has_debt=has_debt,
            collateral_base=native["totalCollateralBase"] if native else None,
            debt_base=native["totalDebtBase"] if native else None,
            base_unit=self.book.base_unit,
            positions=tuple(position for leg in self.legs for position in self._positions(leg)),
            reasons=reasons,
            engine_version=self.book.engine_version,
            roles=self.book.roles(self.unit.owner),
            permits=self.permits,
            liquidating=self.liquidating,
        )

    @cached_property
    def legs(self) -> list[Leg]:
        """The reserves that this account holds, owes, or has flagged as collateral."""
        if self._legs is not None:
            return list(self._legs)
        held = {market for market, _ in self.unit.positions} | self._stable.keys()
        flagged = {
            market for (market, aspect), on in self.unit.settings.items() if aspect == "collateral" and on == "true"
        }
        return [self.leg(self.book.reserves[asset]) for asset in sorted(held | flagged) if asset in self.book.reserves]

    def leg(self, reserve: Reserve) -> Leg:
        """Return what a reserve contributes, nothing included."""
        scaled_supply = self.unit.positions.get((reserve.asset, Side.SUPPLY), 0)
        scaled_debt = self.unit.positions.get((reserve.asset, Side.BORROW), 0)
        in_emode = self._in_emode(reserve)
        price = reserve.price
        if in_emode and self.emode and self.emode.price_source and not isinstance(self.emode_price, Reason):
            price = self.emode_price
        return Leg(
            reserve=reserve,
            scaled=scaled_supply,
            scaled_debt=scaled_debt,
            supplied=self.engine.supplied(scaled_supply, reserve.income),
            owed=self.engine.owed(scaled_debt, reserve.debt) + self._stable.get(reserve.asset, 0),
            collateral=self.unit.settings.get((reserve.asset, "collateral")) == "true",
            in_emode=in_emode,
            price=price,
        )

    def _in_emode(self, reserve: Reserve) -> bool:
        if self.engine.liquid:
            return self.emode is not None and reserve.id in self.emode.collateral
        return self.category != 0 and self.category == reserve.emode

    @cached_property
    def emode_price(self) -> VenuePrice | Reason:
        """The price that a category gives its assets (3.0 and 3.1), or why there is none."""
        if self.category_price is not None:
            return self.category_price
        source = self.emode.price_source if self.emode else None
        return (
            self.book.price(source) if source else Reason("no_price_source", "", "the category has no price of its own")
        )

    @cached_property
    def reasons(self) -> tuple[Reason, ...]:
        """Why the pool's view has no answer, or this program none for it: the same prices that the view asks for."""
        found = list(self.book.problems)
        asked = [leg for leg in self.legs if leg.collateral or leg.owed]
        if asked and self.emode and self.emode.price_source and isinstance(self.emode_price, Reason):
            found.append(self.emode_price)
        found += [leg.price for leg in asked if isinstance(leg.price, Reason)]
        unread = [leg.reserve for leg in self.legs if leg.reserve.decimals is None]
        found += [Reason("no_decimals", "0x" + r.asset.hex(), "the token's decimals could not be read") for r in unread]
        if self.category and self.engine.liquid:
            nameless = [leg.reserve for leg in self.legs if leg.reserve.id is None]
            found += [
                Reason("no_reserve_id", "0x" + r.asset.hex(), "the reserve's id could not be read") for r in nameless
            ]
        found += [
            Reason("discounted_debt", "0x" + leg.reserve.asset.hex(), "what a discount took off this debt is not known")
            for leg in self.legs
            if leg.owed and (leg.reserve.asset, "discount") in self.unit.settings
        ]
        if self._unread_debt():
            found.append(
                Reason("stable_debt", self.book.snapshot.venue.id, "what is owed at a stable rate was not taken in")
            )
        return tuple(found)

    @cached_property
    def _stable(self) -> Mapping[bytes, int]:
        """What is owed at stable rates by now, by asset, in token units."""
        if not self.engine.stable:
            return {}
        time = self.book.snapshot.at.time
        noted = {
            market: debt_of(text) for (market, aspect), text in self.unit.settings.items() if aspect == "stable_debt"
        }
        return {
            market: debt.balance(self.engine.compounded, time)
            for market, debt in noted.items()
            if debt is not None and debt.principal
        }

    def _may_owe(self) -> bool:
        """Whether debts are not followed: of code that is not known, whoever has anything may owe anything."""
        return bool(self.book.problems) and any(leg.scaled or leg.owed or leg.collateral for leg in self.legs)

    def _unread_debt(self) -> bool:
        return self.engine.stable and any(
            aspect == "stable_debt" and debt_of(text) is None for (_, aspect), text in self.unit.settings.items()
        )

    def sums(self, legs: Sequence[Leg]) -> Sums:
        """Add up what an account with such legs has and owes (`GenericLogic.calculateUserAccountData`)."""
        collateral = debt = weighted_ltv = weighted_threshold = 0
        for leg in legs:
            if not isinstance(leg.price, VenuePrice) or leg.reserve.decimals is None:
                continue
            unit = 10**leg.reserve.decimals
            if leg.collateral and (self.engine.decoupled or leg.reserve.liquidation_threshold != 0):
                value = leg.supplied * leg.price.answer_raw // unit
                collateral += value
                weighted_ltv += value * self.ltv_of(leg)
                weighted_threshold += value * self.threshold_of(leg)
            debt += self.engine.debt_base(leg.owed * leg.price.answer_raw, unit)
        return Sums(collateral, debt, weighted_ltv, weighted_threshold)

    def health_factor(self, sums: Sums) -> int:
        """Return the health factor as a wad, and the largest number where nothing is owed."""
        if not sums.debt:
            return MAX_UINT256
        return self.engine.health_factor(sums.collateral, sums.weighted_threshold, sums.debt)

    def _native(self) -> dict[str, int]:
        sums = self.sums(self.legs)
        return {
            "totalCollateralBase": sums.collateral,
            "totalDebtBase": sums.debt,
            "availableBorrowsBase": max(self.engine.borrowable(sums.collateral, sums.ltv) - sums.debt, 0),
            "currentLiquidationThreshold": sums.weighted_threshold // sums.collateral if sums.collateral else 0,
            "ltv": sums.ltv,
            "healthFactor": self.health_factor(sums),
        }

    def permits(self) -> Permits:
        """Return what may be done to this account and with it."""
        reasons = self.reasons
        return Permits(reasons=reasons) if reasons else permits_of(self)

    def liquidating(self) -> Liquidable | tuple[Reason, ...]:
        """Return the account as it would be liquidated."""
        unfollowed = [leg.reserve for leg in self.legs if leg.reserve.limits is None]
        if self.book.base_unit != USD:
            detail = "its prices are not in USD"
            return (*self.reasons, Reason("venue_not_in_usd", self.book.snapshot.venue.id, detail))
        return self.reasons or limits_unknown(unfollowed) or Liquidable.of(self)

    def ltv_of(self, leg: Leg) -> int:
        """Return what is lent against a supply, in basis points."""
        if not self.engine.decoupled and leg.reserve.ltv == 0:
            return 0
        if leg.in_emode and self.emode:
            return 0 if leg.reserve.id in self.emode.ltvzero else self.emode.ltv
        return 0 if self.emode and self.emode.isolated else leg.reserve.ltv

    def threshold_of(self, leg: Leg) -> int:
        """Return the liquidation threshold of a supply, in basis points."""
        return self.emode.liquidation_threshold if leg.in_emode and self.emode else leg.reserve.liquidation_threshold

    def backs(self, leg: Leg) -> bool:
        """Tell whether a supply counts for what may be owed."""
        threshold = self.threshold_of(leg) if self.engine.decoupled else leg.reserve.liquidation_threshold
        return leg.collateral and threshold != 0

    def _positions(self, leg: Leg) -> list[UnitPosition]:
        reserve = leg.reserve
        if reserve.decimals is None:
            return []
        supplied = reserve.shown_supply(leg.scaled, reserve.income)
        owed = reserve.shown_debt(leg.scaled_debt, reserve.debt) + self._stable.get(reserve.asset, 0)
        sides = (
            (Side.SUPPLY, supplied, self.backs(leg), self.threshold_of(leg)),
            (Side.BORROW, owed, True, None),
        )
        return [
            UnitPosition(
                market=reserve.asset,
                asset=reserve.asset,
                side=side,
                symbol=reserve.symbol,
                decimals=reserve.decimals,
                amount_raw=amount,
                protocol_raw=self.unit.positions.get((reserve.asset, side), 0),
                counts=counts,
                price=leg.price if isinstance(leg.price, VenuePrice) else None,
                liquidation_threshold=threshold,
            )
            for side, amount, counts, threshold in sides
            if self.unit.positions.get((reserve.asset, side)) or (side is Side.BORROW and amount)
        ]
