"""A unit as its venue would liquidate it: what may be taken for what, at prices that may be moved.

Amounts are raw token units. Prices are the venue's own, in its currency, and times are relative to those at the block, so that a price
that moves there and back is the old one to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple, Protocol, Self

WAD = 10**18
BASIS_POINTS = 10_000

Times = Mapping[bytes, Fraction]
"""Asset → price relative to that at the block; what is not named stays."""

UNMOVED = Fraction(1)


class Lot(NamedTuple):
    """What a unit has or owes of one asset: `price` / `unit` is what a whole token is worth at the block, in the venue's currency.

    `threshold`: basis points of it that count against liquidation; of a debt, what it weighs.
    """

    market: bytes
    asset: bytes
    decimals: int
    amount_raw: int
    price: int
    unit: int
    threshold: int = BASIS_POINTS

    @property
    def each(self) -> float:
        """Return what one raw unit is worth in whole units of the venue's currency, at the block."""
        whole: int = self.unit * 10**self.decimals
        return self.price / whole

    def at(self, times: Times) -> int:
        """Return the price after a move, to the nearest, and never nothing."""
        return price_at(self.price, self.asset, times)


def amount_of(lots: Iterable[Lot], market: bytes) -> int:
    """Return how many raw units there are of a market, 0 where there is no lot of it."""
    return next((lot.amount_raw for lot in lots if lot.market == market), 0)


class Portion(NamedTuple):
    """So much of one market of a unit."""

    market: bytes
    amount_raw: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What one liquidation did.

    `paid`: by the liquidator, who gets `seized`; `fee`: collateral that the venue keeps; `relieved`: debts that the unit owes no more
    for what was taken from it; `returned`: of the debt's asset, what the venue gives it back; `forgiven`: debts that the venue writes off,
    since nothing is left to take.
    """

    paid: Portion
    seized: tuple[Portion, ...]
    relieved: tuple[Portion, ...]
    fee: tuple[Portion, ...] = ()
    returned: tuple[Portion, ...] = ()
    forgiven: tuple[Portion, ...] = ()


class Exposed(Protocol):
    """A unit under its venue's rules of liquidation; a value, every step gives another one."""

    @property
    def rule(self) -> str:
        """Name the venue's rule, for people."""
        ...

    @property
    def base_asset(self) -> bytes | None:
        """Return the token whose units the venue's prices are in, `None` for USD."""
        ...

    @property
    def owed_limit(self) -> float | None:
        """Return what its debts may weigh at most, however much it has, in whole units of the venue's currency; `None`: no limit."""
        ...

    @property
    def collaterals(self) -> tuple[Lot, ...]:
        """Return what may be taken."""
        ...

    @property
    def debts(self) -> tuple[Lot, ...]:
        """Return what is owed."""
        ...

    @property
    def health_factor_wad(self) -> int | None:
        """Return the venue's health factor: below 1e18 it may be liquidated; without a debt it is very large.

        `None`: at these prices the venue's check says nothing, so that nobody is let to liquidate.
        """
        ...

    def moved(self, times: Times) -> Self:
        """Return the unit at other prices, relative to those at the block."""
        ...

    def incentive(self, collateral: bytes) -> float:
        """Return what is taken of a collateral market for each unit of value that is paid, fees included."""
        ...

    def most(self, collateral: bytes, debt: bytes, cap: int | None = None) -> int:
        """Return how much of a debt may be covered at once, `cap` at most; 0 where the venue lets nobody."""
        ...

    def taken(self, collateral: bytes, debt: bytes, cover: int) -> tuple[Self, Taken]:
        """Cover so much, which `most` allows, and return what is left and what was done."""
        ...


def price_at(price: int, asset: bytes, times: Times) -> int:
    """Return a price after a move, to the nearest, and never nothing."""
    return max(round(price * times.get(asset, UNMOVED)), 1)


def largest(allowed: Callable[[int], bool], most: int, near: int | None = None) -> int:
    """Return the largest amount up to `most` that is allowed, where with one every smaller is; 0 where none is.

    `near`: where it may be, so that few amounts have to be looked at.
    """
    if most <= 0 or allowed(most):
        return max(most, 0)
    low, high = 0, most
    step = 1
    guess = min(max(near, 1), most - 1) if near is not None and most > 1 else None
    while guess is not None and low < guess < high:
        low, high, guess = (guess, high, guess + step) if allowed(guess) else (low, guess, guess - step)
        step *= 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if allowed(middle) else (low, middle)
    return low


class Discount(NamedTuple):
    """What a liquidator gets beyond what he pays: `least` to `most`, wads, the more the further the health factor is below 1.

    `fee`: the venue's share of the bonus, basis points; `close`: the share of a debt that may be covered at once, basis points.
    """

    least: int
    most: int
    fee: int = 0
    close: int = BASIS_POINTS

    def factor(self, health_factor_wad: int) -> int:
        """Return what is taken for each unit that is paid, a wad, down: 1 / the health factor, within the bounds."""
        reached = WAD * WAD // max(health_factor_wad, 1)
        return min(max(reached, self.least), self.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighted:
    """A unit judged by Σ value · threshold / Σ debt, of which any collateral may be taken for any debt at a discount.

    `forgives`: the venue writes off what is owed once nothing is left.
    """

    rule: str
    lots: tuple[Lot, ...]
    owed: tuple[Lot, ...]
    discount: Discount
    forgives: bool
    base_asset: bytes | None = None
    times: Times | None = None

    owed_limit = None

    @property
    def collaterals(self) -> tuple[Lot, ...]:
        return self.lots

    @property
    def debts(self) -> tuple[Lot, ...]:
        return self.owed

    @property
    def health_factor_wad(self) -> int:
        counted = sum((self._worth(lot, lot.amount_raw) * lot.threshold for lot in self.lots), Fraction(0))
        owed = sum((self._worth(lot, lot.amount_raw) for lot in self.owed), Fraction(0))
        return int(counted * WAD / (owed * BASIS_POINTS)) if owed else WAD * WAD

    def moved(self, times: Times) -> Self:
        return replace(self, times=times)

    def incentive(self, collateral: bytes) -> float:
        del collateral
        return self.discount.factor(self.health_factor_wad) / WAD

    def most(self, collateral: bytes, debt: bytes, cap: int | None = None) -> int:
        if self.health_factor_wad >= WAD:
            return 0
        pledged, owed = self._lot(self.lots, collateral), self._lot(self.owed, debt)
        reach = self._worth(pledged, pledged.amount_raw) * WAD / self.discount.factor(self.health_factor_wad)
        needed = -int(-(reach / self._worth(owed, 1)) // 1)
        closed = max(owed.amount_raw * self.discount.close // BASIS_POINTS, min(owed.amount_raw, 1))
        return min(closed, needed, closed if cap is None else cap)

    def taken(self, collateral: bytes, debt: bytes, cover: int) -> tuple[Self, Taken]:
        pledged, owed = self._lot(self.lots, collateral), self._lot(self.owed, debt)
        factor = self.discount.factor(self.health_factor_wad)
        bare = self._worth(owed, cover) / self._worth(pledged, 1)
        seized = min(int(bare * factor / WAD), pledged.amount_raw)
        if self._worth(pledged, pledged.amount_raw - seized) < self._worth(owed, 1):
            seized = pledged.amount_raw
        fee = int(max(seized - bare, Fraction(0)) * self.discount.fee / BASIS_POINTS)
        lots = _less(self.lots, Portion(collateral, seized))
        left = _less(self.owed, Portion(debt, cover))
        gone = self.forgives and not any(lot.amount_raw for lot in lots)
        done = Taken(
            paid=Portion(debt, cover),
            seized=(Portion(collateral, seized - fee),),
            relieved=(Portion(debt, cover),),
            fee=(Portion(collateral, fee),) if fee else (),
            forgiven=tuple(Portion(lot.market, lot.amount_raw) for lot in left if gone),
        )
        return replace(self, lots=lots, owed=() if gone else left), done

    def _worth(self, lot: Lot, amount_raw: int) -> Fraction:
        return Fraction(amount_raw * lot.at(self.times or {}), lot.unit * 10**lot.decimals)

    @staticmethod
    def _lot(lots: Iterable[Lot], market: bytes) -> Lot:
        return next(lot for lot in lots if lot.market == market)


def _less(lots: Iterable[Lot], portion: Portion) -> tuple[Lot, ...]:
    """Take a portion away; a lot of which nothing is left is gone."""
    found = (
        lot._replace(amount_raw=lot.amount_raw - portion.amount_raw) if lot.market == portion.market else lot
        for lot in lots
    )
    return tuple(lot for lot in found if lot.amount_raw)
