"""What a pool's rules let anybody do to an account and its owner with it: `ValidationLogic` and `LiquidationLogic`, by revision.

Looked at are the account, its category, the reserves' switches, what is left of borrow caps and debt ceilings, and how many tokens a
reserve has left. Not looked at is whether a token itself refuses a transfer of dust.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from chains.evm.aave_v3.engines import FIRST_PLAIN
from chains.evm.aave_v3.liquidation import (
    CLOSE_FACTOR_HEALTH_FACTOR,
    LIQUIDATING,
    Pair,
    Stake,
)
from chains.evm.aave_v3.maths import PERCENT, RAY, WAD, percent_div, percent_div_up, ray_div, ray_div_up
from chains.liquidating import largest
from chains.model import Allowance, CollateralTerms, Liquidation, Permits, Reason, VenuePrice

if TYPE_CHECKING:
    from chains.evm.aave_v3.book import Limits, Reserve
    from chains.evm.aave_v3.unit import Account, Leg

FIRST_GRACED, FIRST_CHECKED_AFTER, FIRST_DECOUPLED = 4, 9, 10
"""`POOL_REVISION` of 3.1 (grace periods), 3.5 (a loan is checked once it is made), and 3.6 (categories lend by themselves)."""

CEILING_DECIMALS = 2


def permits_of(account: Account) -> Permits:
    """Return what may be done to an account that is valued, and with it."""
    unfollowed = [reserve for reserve in account.book.reserves.values() if reserve.limits is None]
    return Permits(reasons=limits_unknown(unfollowed)) if unfollowed else Rights(account).permits()


def limits_unknown(unfollowed: Iterable[Reserve]) -> tuple[Reason, ...]:
    """Say of reserves that nobody followed their limits."""
    detail = "what may be done with a reserve was not followed from its listing on; read the venue again"
    return tuple(Reason("limits_unknown", hexed(reserve), detail) for reserve in unfollowed)


class Rights:
    """The rights of one account; all its reserves have limits."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.revision = account.book.revision or 0
        self.time = account.book.snapshot.at.time
        self.sums = account.sums(account.legs)
        self.health_factor = account.health_factor(self.sums)
        self.sentinel = account.book.sentinel if self.revision < FIRST_PLAIN else None
        self.debts = [leg for leg in account.legs if leg.owed]
        self.flagged = [leg for leg in account.legs if leg.collateral]

    def permits(self) -> Permits:
        """Return all of them."""
        account = self.account
        return Permits(
            collaterals=tuple(
                CollateralTerms(leg.reserve.asset, self.bonus(leg), limits_of(leg.reserve).protocol_fee)
                for leg in self.flagged
                if account.backs(leg)
            ),
            liquidations=tuple(self._liquidations()),
            borrowable=tuple(self._borrowable(reserve) for reserve in account.book.reserves.values()),
            withdrawable=tuple(self._withdrawable(leg) for leg in account.legs if leg.supplied),
        )

    # Liquidation

    def _liquidations(self) -> Iterator[Liquidation]:
        if self.health_factor >= WAD:
            return
        for collateral in self.flagged:
            for debt in self.debts:
                if self.account.backs(collateral) and collateral.supplied:
                    yield self._liquidation(collateral, debt)

    def _liquidation(self, collateral: Leg, debt: Leg) -> Liquidation:
        pair = self.pair(collateral, debt)
        most = pair.most()
        settled = pair.settled(most)
        blocked = list(self.shielded(collateral.reserve, debt.reserve))
        if not most:
            detail = "every liquidation would leave dust of the debt or of the collateral"
            blocked.append(Reason("must_not_leave_dust", hexed(debt.reserve), detail))
        return Liquidation(
            collateral=collateral.reserve.asset,
            debt=debt.reserve.asset,
            close_factor=pair.close_factor,
            covered=settled.covered,
            seized=settled.seized,
            fee=settled.fee,
            blocked=tuple(blocked),
        )

    def pair(self, collateral: Leg, debt: Leg) -> Pair:
        """Return a collateral and a debt as a liquidation sees them; a category with a price gives it to any debt (3.0, 3.1)."""
        account = self.account
        priced = account.emode is not None and account.emode.price_source is not None
        return Pair(
            rules=LIQUIDATING[self.revision],
            collateral=stake(collateral.reserve, collateral.supplied, collateral.price),
            debt=stake(debt.reserve, debt.owed, account.emode_price if priced else debt.price),
            bonus=self.bonus(collateral),
            protocol_fee=limits_of(collateral.reserve).protocol_fee,
            owed=self.sums.debt,
            health_factor=self.health_factor,
        )

    def bonus(self, leg: Leg) -> int:
        """Return what a collateral is taken at, in basis points of what is paid."""
        emode = self.account.emode
        return emode.liquidation_bonus if leg.in_emode and emode else leg.reserve.liquidation_bonus

    def shielded(self, *reserves: Reserve) -> Iterator[Reason]:
        """Say what keeps liquidators off, though the health factor would let them."""
        for reserve in dict.fromkeys(reserves):
            limits = limits_of(reserve)
            yield from switched_off(reserve, limits)
            if self.revision >= FIRST_GRACED and limits.grace_until >= self.time:
                yield Reason(
                    "grace_period", hexed(reserve), f"nobody is liquidated until {limits.grace_until} (Unix seconds)"
                )
        if self.health_factor >= CLOSE_FACTOR_HEALTH_FACTOR:
            yield from self._watched("liquidations")

    def _watched(self, what: str) -> Iterator[Reason]:
        """Say what the sentinel keeps from being done, or that it is not known whether it does."""
        allowed = self.account.book.sentinel_allows[what]
        if self.revision < FIRST_PLAIN and not self.account.book.sentinel_is_told:
            pool = "0x" + self.account.book.snapshot.venue.address.hex()
            detail = f"whether the market has a sentinel that forbids {what} was not read; read the venue again"
            yield Reason("sentinel_unknown", pool, detail)
        elif self.sentinel and allowed is None:
            yield Reason("price_oracle_sentinel", self.sentinel, f"the sentinel did not say whether it allows {what}")
        elif self.sentinel and not allowed:
            yield Reason(
                "price_oracle_sentinel", self.sentinel, f"the sentinel of the price oracle allows no {what} now"
            )

    # Borrowing

    def _borrowable(self, reserve: Reserve) -> Allowance:
        limits = limits_of(reserve)
        cap = limits.borrow_cap * 10 ** (reserve.decimals or 0) if limits.borrow_cap else None
        left = None if cap is None else self._left_of(cap, reserve)
        blocked = tuple(self._refused(reserve))
        if left == 0:
            blocked += (Reason("borrow_cap", hexed(reserve), "all accounts together have borrowed what they may"),)
        most = 0 if blocked else self._most_borrowable(reserve)
        if left is not None:
            most = min(most, left)
        if not blocked and not most:
            blocked = (self._nothing_left(reserve),)
        most = min(most, self._lendable(reserve, most))
        if not blocked and not most:
            blocked = (no_liquidity(reserve),)
        unknown = [reserve.left] if isinstance(reserve.left, Reason) and not blocked else []
        if cap is not None and left is None and not blocked:
            detail = "how much of the borrow cap is used was not followed from the reserve's listing on"
            unknown.append(Reason("cap_use_unknown", hexed(reserve), detail))
        return Allowance(reserve.asset, most, blocked, cap, left, tuple(unknown))

    def _nothing_left(self, reserve: Reserve) -> Reason:
        isolated = self._isolated
        if isolated and isolated.isolated_debt > limits_of(isolated).debt_ceiling:
            return Reason(
                "debt_ceiling", hexed(isolated), "more is lent against the isolated collateral than its ceiling"
            )
        return Reason("nothing_left", hexed(reserve), "the account has borrowed what it may")

    def _lendable(self, reserve: Reserve, most: int) -> int:
        """Return how much of a loan of `most` the reserve has tokens for; since 3.1 no loan is larger than all supplies."""
        if isinstance(reserve.left, Reason):
            return most
        if reserve.lent_from is None:
            return min(most, reserve.left)
        if self.revision < FIRST_CHECKED_AFTER:
            return min(most, reserve.left, reserve.lent_from)
        index = reserve.loan_index
        return min(most, reserve.left, reserve.lent_from * RAY // index * index // RAY)

    def _left_of(self, cap: int, reserve: Reserve) -> int | None:
        """Return the most that the borrow cap lets anybody borrow: until 3.4 beside the debt, since then as the debt it becomes."""
        if reserve.scaled_debt is None or reserve.stable_debt is None:
            return None
        index = reserve.loan_index
        if self.revision < FIRST_CHECKED_AFTER:
            return max(cap - reserve.stable_debt - self.account.engine.owed(reserve.scaled_debt, index), 0)
        return max((cap * RAY // index - reserve.scaled_debt) * index // RAY, 0)

    def _refused(self, reserve: Reserve) -> Iterator[Reason]:
        """Say why nothing of a reserve would be lent (`validateBorrow`)."""
        limits, name = limits_of(reserve), hexed(reserve)
        yield from switched_off(reserve, limits)
        if limits.frozen:
            yield Reason("reserve_frozen", name, "the reserve is frozen: nothing new is lent or taken in")
        if isinstance(reserve.price, Reason):
            yield reserve.price
        if reserve.decimals is None:
            yield Reason("no_decimals", name, "the token's decimals could not be read")
        yield from self._not_lent(reserve, limits)
        yield from self._watched("borrowing")
        if not self.sums.collateral:
            yield Reason("no_collateral", name, "the account has no collateral")
        elif not self.sums.ltv:
            yield Reason("ltv_zero", name, "nothing is lent against the account's collateral")
        if self.health_factor < WAD or (self.revision < FIRST_CHECKED_AFTER and self.health_factor == WAD):
            yield Reason("health_factor", name, "the account's health factor is not above 1")
        if self.revision < FIRST_PLAIN:
            yield from self._kept_apart(reserve, limits)

    def _not_lent(self, reserve: Reserve, limits: Limits) -> Iterator[Reason]:
        account, name = self.account, hexed(reserve)
        decoupled = self.revision >= FIRST_DECOUPLED and account.category
        if not limits.borrowing and not decoupled:
            yield Reason("borrowing_disabled", name, "the reserve lends nothing")
        if not account.category:
            return
        if account.engine.liquid:
            lent = account.emode is not None and reserve.id in account.emode.borrowable
        else:
            lent = reserve.emode == account.category
        if not lent:
            yield Reason("not_in_category", name, f"the account's category {account.category} does not lend it")

    def _kept_apart(self, reserve: Reserve, limits: Limits) -> Iterator[Reason]:
        """Say what isolation mode and siloed borrowing refuse, until 3.6."""
        name = hexed(reserve)
        if self._isolated and not limits.borrowable_in_isolation:
            yield Reason("isolation_mode", name, "it is not lent against an isolated collateral")
        only = self.debts[0].reserve if len(self.debts) == 1 else None
        if only and limits_of(only).siloed and only.asset != reserve.asset:
            yield Reason("siloed_borrowing", hexed(only), "what the account owes may be owed only alone")
        elif self.debts and limits.siloed and only != reserve:
            yield Reason("siloed_borrowing", name, "it is lent only to accounts that owe nothing else")

    @property
    def _isolated(self) -> Reserve | None:
        """The one collateral of an account in isolation mode (`getIsolationModeState`)."""
        one = self.flagged[0].reserve if len(self.flagged) == 1 else None
        return one if one and self.revision < FIRST_PLAIN and limits_of(one).debt_ceiling else None

    def _most_borrowable(self, reserve: Reserve) -> int:
        leg = self.account.leg(reserve)
        price, unit = price_of(leg.price), 10 ** (reserve.decimals or 0)
        left = self.sums.collateral * self.sums.ltv // PERCENT - self.sums.debt
        most = largest(
            lambda amount: self._covered(leg, amount), self.sums.collateral * unit // price + 1, left * unit // price
        )
        isolated = self._isolated
        if isolated is None:
            return most
        step = 10 ** max((reserve.decimals or 0) - CEILING_DECIMALS, 0)
        room = limits_of(isolated).debt_ceiling - isolated.isolated_debt
        return min(most, (room + 1) * step - 1) if room >= 0 else 0

    def _covered(self, leg: Leg, amount: int) -> bool:
        """Tell whether the collateral covers one more loan: until 3.4 before it is made, since then as the debt it becomes."""
        price, unit = price_of(leg.price), 10 ** (leg.reserve.decimals or 0)
        if self.revision < FIRST_CHECKED_AFTER:
            return percent_div(self.sums.debt + price * amount // unit, self.sums.ltv) <= self.sums.collateral
        scaled = leg.scaled_debt + ray_div_up(amount, leg.reserve.loan_index)
        owed = self.account.engine.owed(scaled, leg.reserve.loan_index)
        base = self.account.engine.debt_base
        sums = self.sums._replace(debt=self.sums.debt - base(leg.owed * price, unit) + base(owed * price, unit))
        covered = percent_div_up(sums.debt, sums.ltv) <= sums.collateral
        return covered and self.account.health_factor(sums) >= WAD

    # Withdrawal

    def _withdrawable(self, leg: Leg) -> Allowance:
        blocked = tuple(switched_off(leg.reserve, limits_of(leg.reserve)))
        if blocked:
            return Allowance(leg.reserve.asset, 0, blocked)
        most = leg.supplied
        if leg.collateral and self.debts:
            most = largest(lambda amount: self._stays_sound(leg, amount), leg.supplied, self._spare(leg))
            if not most:
                return Allowance(leg.reserve.asset, 0, (self._held_back(leg),))
        left = leg.reserve.left
        if isinstance(left, Reason):
            return Allowance(leg.reserve.asset, most, (), unknown=(left,))
        if not left:
            return Allowance(leg.reserve.asset, 0, (no_liquidity(leg.reserve),))
        return Allowance(leg.reserve.asset, min(most, left), ())

    def _spare(self, leg: Leg) -> int:
        """Return about how much of a collateral is not needed."""
        spare = self.sums.weighted_threshold - self.sums.debt * PERCENT
        weight = self.account.threshold_of(leg) * price_of(leg.price)
        return spare * 10 ** (leg.reserve.decimals or 0) // weight if weight else leg.supplied

    def _stays_sound(self, leg: Leg, amount: int) -> bool:
        """Tell whether an account may be without an amount of a collateral (`validateHFAndLtv`, `validateHFAndLtvzero`)."""
        legs = self._without(leg, amount)
        return self.account.health_factor(self.account.sums(legs)) >= WAD and self._unlent_first(leg, legs)

    def _unlent_first(self, leg: Leg, legs: list[Leg]) -> bool:
        """Tell whether no collateral is left, against which nothing is lent, that would have to go first."""
        return not self._ltv(leg) or all(self._ltv(each) or self._ignored(each) for each in legs if each.collateral)

    def _ltv(self, leg: Leg) -> int:
        return self.account.ltv_of(leg) if self.revision >= FIRST_DECOUPLED else leg.reserve.ltv

    def _ignored(self, leg: Leg) -> bool:
        return self.revision < FIRST_DECOUPLED and leg.reserve.liquidation_threshold == 0

    def _without(self, leg: Leg, amount: int) -> list[Leg]:
        directed = self.revision >= FIRST_CHECKED_AFTER
        index = leg.reserve.income
        scaled = max(leg.scaled - (ray_div_up if directed else ray_div)(amount, index), 0)
        supplied = self.account.engine.supplied(scaled, index)
        gone = supplied == 0 if directed else amount == leg.supplied
        less = replace(leg, scaled=scaled, supplied=supplied, collateral=not gone)
        return [less if each is leg else each for each in self.account.legs]

    def _held_back(self, leg: Leg) -> Reason:
        if not self._unlent_first(leg, self._without(leg, 1)):
            return Reason(
                "ltv_zero_first", hexed(leg.reserve), "collateral against which nothing is lent has to go first"
            )
        return Reason("health_factor", hexed(leg.reserve), "the account's health factor would be below 1")


def limits_of(reserve: Reserve) -> Limits:
    """Return the limits of a reserve that has them."""
    assert reserve.limits is not None  # noqa: S101 - `permits_of` saw to it
    return reserve.limits


def no_liquidity(reserve: Reserve) -> Reason:
    """Say that a reserve has nothing to lend or to give back."""
    return Reason("no_liquidity", hexed(reserve), "the reserve has no tokens left")


def switched_off(reserve: Reserve, limits: Limits) -> Iterator[Reason]:
    """Say why nothing at all may be done with a reserve."""
    if not limits.active:
        yield Reason("reserve_inactive", hexed(reserve), "the reserve is not active")
    if limits.paused:
        yield Reason("reserve_paused", hexed(reserve), "the reserve is paused")


def price_of(price: VenuePrice | Reason) -> int:
    """Return a price that is known."""
    assert isinstance(price, VenuePrice)  # noqa: S101 - an account that is valued has the prices of what it holds and owes
    return price.answer_raw


def stake(reserve: Reserve, balance: int, price: VenuePrice | Reason) -> Stake:
    """Return a balance with its price."""
    return Stake(balance, price_of(price), 10 ** (reserve.decimals or 0))


def hexed(reserve: Reserve) -> str:
    """Return the address of a reserve's asset as `0x…` text."""
    return "0x" + reserve.asset.hex()
