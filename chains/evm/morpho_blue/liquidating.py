"""A position as `Morpho.liquidate` takes it: any part of the debt, for so much more of the collateral as the LLTV says.

Shares are repaid, as the contract counts; where all of the collateral goes, what is still owed is written off in the same call.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Self

from chains.evm.morpho_blue.maths import (
    PRICE_SCALE,
    WAD,
    TooLarge,
    Totals,
    liquidation_incentive_factor,
    max_borrow_down,
    mul_div_down,
    mul_div_up,
    to_assets_down,
    to_assets_up,
    to_shares_down,
    to_shares_up,
)
from chains.liquidating import UNMOVED, Lot, Portion, Taken, Times


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidable:
    """One borrower: `totals` with interest to the block, `price` as the oracle answers at the block (1e36)."""

    pledged: Lot
    loan: Lot
    shares: int
    totals: Totals
    lltv: int
    price: int
    times: Times | None = None

    rule = "morpho"
    owed_limit = None

    @property
    def base_asset(self) -> bytes | None:
        return self.loan.asset

    @property
    def collaterals(self) -> tuple[Lot, ...]:
        return (self.pledged,) if self.pledged.amount_raw else ()

    @property
    def debts(self) -> tuple[Lot, ...]:
        return (self.loan._replace(amount_raw=self.owed),) if self.shares else ()

    @property
    def owed(self) -> int:
        """Return what is owed, up."""
        return to_assets_up(self.shares, self.totals.borrow_assets, self.totals.borrow_shares)

    @property
    def quote(self) -> int:
        """Return the oracle's price after the moves of both tokens."""
        times = self.times or {}
        moved = times.get(self.pledged.asset, UNMOVED) / times.get(self.loan.asset, UNMOVED)
        return max(round(self.price * Fraction(moved)), 1)

    @property
    def health_factor_wad(self) -> int | None:
        if not self.shares:
            return WAD * WAD
        try:
            return mul_div_down(max_borrow_down(self.pledged.amount_raw, self.quote, self.lltv), WAD, self.owed)
        except TooLarge:
            return None

    def moved(self, times: Times) -> Self:
        return replace(self, times=times)

    def incentive(self, collateral: bytes) -> float:
        del collateral
        return liquidation_incentive_factor(self.lltv) / WAD

    def most(self, collateral: bytes, debt: bytes, cap: int | None = None) -> int:
        del collateral, debt
        health_factor = self.health_factor_wad
        if health_factor is None or health_factor >= WAD or not self.pledged.amount_raw:
            return 0
        most = self.owed if self._seized(self.shares) <= self.pledged.amount_raw else self._assets(self._all())
        return most if cap is None or cap >= most else cap

    def taken(self, collateral: bytes, debt: bytes, cover: int) -> tuple[Self, Taken]:
        totals = self.totals
        shares = (
            self.shares if cover >= self.owed else to_shares_down(cover, totals.borrow_assets, totals.borrow_shares)
        )
        seized = self._seized(shares)
        if seized >= self.pledged.amount_raw or cover >= self._assets(min(self._all(), self.shares)):
            whole = self._seized(self.shares) > self.pledged.amount_raw
            shares, seized = (min(self._all(), self.shares), self.pledged.amount_raw) if whole else (shares, seized)
        paid = self._assets(shares)
        left = replace(
            self,
            shares=self.shares - shares,
            totals=totals._replace(
                borrow_assets=max(totals.borrow_assets - paid, 0), borrow_shares=totals.borrow_shares - shares
            ),
            pledged=self.pledged._replace(amount_raw=self.pledged.amount_raw - seized),
        )
        gone = left.shares if not left.pledged.amount_raw else 0
        lost = min(left.totals.borrow_assets, left.owed) if gone else 0
        done = Taken(
            paid=Portion(debt, paid),
            seized=(Portion(collateral, seized),),
            relieved=(Portion(debt, self.owed - (0 if gone else left.owed) - lost),),
            forgiven=(Portion(debt, lost),) if lost else (),
        )
        return (replace(left, shares=0) if gone else left), done

    def _assets(self, shares: int) -> int:
        return to_assets_up(shares, self.totals.borrow_assets, self.totals.borrow_shares)

    def _seized(self, shares: int) -> int:
        """Return the collateral that goes for repaid shares."""
        assets = to_assets_down(shares, self.totals.borrow_assets, self.totals.borrow_shares)
        raised = mul_div_down(assets, liquidation_incentive_factor(self.lltv), WAD)
        return mul_div_down(raised, PRICE_SCALE, self.quote)

    def _all(self) -> int:
        """Return the shares that are repaid for all of the collateral."""
        quoted = mul_div_up(self.pledged.amount_raw, self.quote, PRICE_SCALE)
        assets = mul_div_up(quoted, WAD, liquidation_incentive_factor(self.lltv))
        return to_shares_up(assets, self.totals.borrow_assets, self.totals.borrow_shares)
