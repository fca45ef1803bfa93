"""An account as `liquidationCall` takes it, step by step (`LiquidationLogic.executeLiquidationCall`, `_burnBadDebt`), by revision.

Variable debt is paid before stable debt. From 3.3 on, an account that has no collateral left owes nothing: the reserves have a deficit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from chains.evm.aave_v3.liquidation import Settlement
from chains.evm.aave_v3.maths import PERCENT, ray_div, ray_div_down, ray_div_up
from chains.evm.aave_v3.permits import Rights
from chains.evm.aave_v3.rounding import FIRST_DIRECTED_POOL
from chains.liquidating import Lot, Portion, Taken, Times, price_at
from chains.model import VenuePrice

if TYPE_CHECKING:
    from chains.evm.aave_v3.unit import Account, Leg


@dataclass(frozen=True, slots=True)
class Liquidable:
    """One account of a pool: `account` at the prices of the moment, `first` those at the block, by asset, `category` its category's."""

    account: Account
    first: dict[bytes, VenuePrice]
    category: VenuePrice | None

    rule = "aave-v3"
    owed_limit = None
    base_asset: bytes | None = None

    @classmethod
    def of(cls, account: Account) -> Self:
        """Take an account at the block; all its prices are known."""
        first = {leg.reserve.asset: leg.price for leg in account.legs if isinstance(leg.price, VenuePrice)}
        priced = account.emode is not None and account.emode.price_source is not None
        category = account.emode_price if priced else None
        return cls(account, first, category if isinstance(category, VenuePrice) else None)

    @property
    def collaterals(self) -> tuple[Lot, ...]:
        return tuple(
            self._lot(leg, leg.supplied, self.account.threshold_of(leg))
            for leg in self.account.legs
            if self.account.backs(leg) and leg.supplied
        )

    @property
    def debts(self) -> tuple[Lot, ...]:
        return tuple(self._lot(leg, leg.owed, PERCENT) for leg in self.account.legs if leg.owed)

    @property
    def health_factor_wad(self) -> int:
        return self.account.health_factor(self.account.sums(self.account.legs))

    def moved(self, times: Times) -> Self:
        """Move every price by its asset; a category's own (3.0, 3.1) moves as the first thing that it prices."""
        legs = [self._moved(leg, times) for leg in self.account.legs]
        inside = [leg.reserve.asset for leg in self.account.legs if leg.in_emode]
        category = None if self.category is None else _times(self.category, inside[0] if inside else b"", times)
        return replace(self, account=self._with(legs, category))

    def incentive(self, collateral: bytes) -> float:
        return Rights(self.account).bonus(self._leg(collateral)) / PERCENT

    def most(self, collateral: bytes, debt: bytes, cap: int | None = None) -> int:
        rights, pledged, owed = Rights(self.account), self._leg(collateral), self._leg(debt)
        if self.health_factor_wad >= 10**18 or any(rights.shielded(pledged.reserve, owed.reserve)):
            return 0
        pair = rights.pair(pledged, owed)
        most = pair.most(cap)
        return most if most and self._burns(owed, pair.settled(most).covered) else 0

    def taken(self, collateral: bytes, debt: bytes, cover: int) -> tuple[Self, Taken]:
        rights = Rights(self.account)
        pair = rights.pair(self._leg(collateral), self._leg(debt))
        settled = pair.settled(cover)
        left = [self._settled(leg, collateral, debt, settled) for leg in self.account.legs]
        worth = (settled.seized + settled.fee) * pair.collateral.price // pair.collateral.unit
        forgiven: tuple[Portion, ...] = ()
        if pair.rules.of_all and rights.sums.collateral == worth:
            forgiven = tuple(Portion(leg.reserve.asset, leg.owed) for leg in left if leg.owed)
            left = [replace(leg, scaled_debt=0, owed=0) for leg in left]
        done = Taken(
            paid=Portion(debt, settled.covered),
            seized=(Portion(collateral, settled.seized),),
            relieved=(Portion(debt, settled.covered),),
            fee=(Portion(collateral, settled.fee),) if settled.fee else (),
            forgiven=forgiven,
        )
        return replace(self, account=self._with(left, self.account.category_price)), done

    def _settled(self, leg: Leg, collateral: bytes, debt: bytes, settled: Settlement) -> Leg:
        if leg.reserve.asset == collateral:
            leg = self._seized(leg, settled.seized, settled.fee)
        return self._repaid(leg, settled.covered) if leg.reserve.asset == debt else leg

    def _seized(self, leg: Leg, *amounts: int) -> Leg:
        divided = ray_div_up if self._directed else ray_div
        scaled = leg.scaled
        for amount in amounts:
            scaled = max(scaled - divided(amount, leg.reserve.income), 0)
        supplied = self.account.engine.supplied(scaled, leg.reserve.income)
        return replace(
            leg, scaled=scaled, supplied=supplied, collateral=leg.collateral and sum(amounts) != leg.supplied
        )

    def _repaid(self, leg: Leg, cover: int) -> Leg:
        divided, owed = ray_div_down if self._directed else ray_div, self.account.engine.owed
        variable = owed(leg.scaled_debt, leg.reserve.debt)
        stable = leg.owed - variable
        if cover >= variable:
            return replace(leg, scaled_debt=0, owed=stable - (cover - variable))
        scaled = leg.scaled_debt - divided(cover, leg.reserve.debt)
        return replace(leg, scaled_debt=scaled, owed=owed(scaled, leg.reserve.debt) + stable)

    def _burns(self, leg: Leg, cover: int) -> bool:
        """Tell whether a debt token can burn so much: it refuses what is nothing, scaled."""
        divided = ray_div_down if self._directed else ray_div
        variable = self.account.engine.owed(leg.scaled_debt, leg.reserve.debt)
        return cover > variable or divided(cover, leg.reserve.debt) > 0

    @property
    def _directed(self) -> bool:
        return (self.account.book.revision or 0) >= FIRST_DIRECTED_POOL

    def _with(self, legs: Sequence[Leg], category: VenuePrice | None) -> Account:
        return type(self.account)(self.account.book, self.account.unit, legs, category)

    def _moved(self, leg: Leg, times: Times) -> Leg:
        first = self.first.get(leg.reserve.asset)
        return leg if first is None else replace(leg, price=_times(first, leg.reserve.asset, times))

    def _leg(self, asset: bytes) -> Leg:
        return next(self._legs(asset))

    def _legs(self, asset: bytes) -> Iterator[Leg]:
        return (leg for leg in self.account.legs if leg.reserve.asset == asset)

    def _lot(self, leg: Leg, amount: int, threshold: int) -> Lot:
        reserve, price = leg.reserve, self.first[leg.reserve.asset]
        unit = self.account.book.base_unit or price.unit_raw
        return Lot(reserve.asset, reserve.asset, reserve.decimals or 0, amount, price.answer_raw, unit, threshold)


def _times(price: VenuePrice, asset: bytes, times: Times) -> VenuePrice:
    return price._replace(answer_raw=price_at(price.answer_raw, asset, times))
