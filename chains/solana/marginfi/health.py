"""The program's check of an account: what its balances are worth in one of three ways of weighing.

Source: marginfi-v2 `programs/marginfi/src/state/marginfi_account.rs` (`get_health_components`, `calc_value`), `bank.rs`
(`maybe_get_asset_weight_init_discount`) and `type-crate/src/types/emode.rs` (`reconcile_emode_configs`). Numbers are I80F48 bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from chains.identifiers import base58
from chains.model import Reason
from chains.solana.marginfi.fixed import ONE, Overflowed, div_down, fits, mul_down, power_of_ten, whole
from chains.solana.marginfi.prices import Bias, Quote, Sides
from chains.solana.marginfi.rates import Totals
from chains.solana.marginfi.states import COLLATERAL_TIER, Bank

EMPTY_BELOW = ONE
"""A side of a balance with fewer shares than this is none."""

REDUCE_ONLY = 2
WAD = 10**18
MAX_UINT256 = 2**256 - 1

WORTH_NOTHING = frozenset({"price_stale", "price_not_verified", "price_unreadable", "reserve_stale"})
"""Where the program cannot read a price for these reasons, collateral is worth nothing to the initial check, and the others fail."""


class Requirement(Enum):
    """Ways of weighing: what may be borrowed, what is liquidated, and what is there unweighted."""

    INITIAL = "initial"
    MAINTENANCE = "maintenance"
    EQUITY = "equity"


class Balance(NamedTuple):
    """An account's shares of one bank, I80F48 bits."""

    bank: bytes
    asset_shares: int
    liability_shares: int

    @property
    def owes(self) -> bool:
        """Whether the program counts a debt here."""
        return self.liability_shares >= EMPTY_BELOW

    @property
    def holds(self) -> bool:
        """Whether the program counts a deposit here."""
        return self.asset_shares >= EMPTY_BELOW and not self.owes


class Leg(NamedTuple):
    """A balance with its bank, the bank's totals that are to be used, and the price that the program reads."""

    balance: Balance
    bank: Bank
    totals: Totals
    quote: Quote | Reason


class Values(NamedTuple):
    """Weighed USD of deposits and of debts."""

    assets: int
    liabilities: int


Emode = Mapping[int, tuple[int, int]]
"""Tag of collateral → its (initial, maintenance) weight."""


def emode_of(banks: Iterable[Bank]) -> Emode:
    """Return the collateral that all of these banks, in which is owed, favour, each at the least of their weights."""
    configs = [bank.emode for bank in banks]
    if not configs:
        return {}
    shared = set(configs[0]).intersection(*configs[1:])
    return {tag: _least([config[tag] for config in configs]) for tag in shared}


def _least(weights: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return min(init for init, _ in weights), min(maint for _, maint in weights)


def asset_weight(bank: Bank, emode: Emode, requirement: Requirement) -> int:
    """Return what a deposit's value is multiplied with: the bank's own weight or the e-mode's, the greater."""
    own, favoured = bank.weights, emode.get(bank.emode_tag) if bank.emode_tag else None
    match requirement:
        case Requirement.INITIAL:
            return max(own.asset_init, favoured[0] if favoured else 0)
        case Requirement.MAINTENANCE:
            return max(own.asset_maint, favoured[1] if favoured else 0)
        case Requirement.EQUITY:
            return ONE


def check(legs: Sequence[Leg], requirement: Requirement) -> Values | Reason:
    """Return both sides of an account, or the first reason why the program's check fails or is not known."""
    emode = emode_of(leg.bank for leg in legs if leg.balance.owes)
    assets = liabilities = 0
    for leg in legs:
        try:
            value = _value(leg, emode, requirement)
            if isinstance(value, Reason):
                return value
            assets, liabilities = fits(assets + value.assets), fits(liabilities + value.liabilities)
        except Overflowed as error:
            return Reason("program_overflows", base58(leg.bank.address), str(error))
    return Values(assets, liabilities)


def _value(leg: Leg, emode: Emode, requirement: Requirement) -> Values | Reason:
    if leg.balance.owes:
        owed = _debt(leg, requirement)
        return owed if isinstance(owed, Reason) else Values(0, owed)
    if leg.balance.holds:
        held = _deposit(leg, emode, requirement)
        return held if isinstance(held, Reason) else Values(held, 0)
    return Values(0, 0)


def _debt(leg: Leg, requirement: Requirement) -> int | Reason:
    price = _price(leg.quote, requirement, Bias.HIGH)
    if isinstance(price, Reason):
        return price
    weights = leg.bank.weights
    weight = {
        Requirement.INITIAL: weights.liability_init,
        Requirement.MAINTENANCE: weights.liability_maint,
        Requirement.EQUITY: ONE,
    }[requirement]
    amount = mul_down(leg.balance.liability_shares, leg.totals.liability_share_value)
    return worth(amount, price, leg.bank.balance_decimals, weight)


def _deposit(leg: Leg, emode: Emode, requirement: Requirement) -> int | Reason:
    bank, initial = leg.bank, requirement is Requirement.INITIAL
    if bank.risk_tier != COLLATERAL_TIER or (initial and bank.operational_state == REDUCE_ONLY):
        return 0
    if initial and isinstance(leg.quote, Reason) and leg.quote.code in WORTH_NOTHING:
        return 0
    price = _price(leg.quote, requirement, Bias.LOW)
    if isinstance(price, Reason):
        return price
    weight = asset_weight(bank, emode, requirement)
    if initial:
        weight = _discounted(weight, bank, leg.totals, price)
    return worth(mul_down(leg.balance.asset_shares, leg.totals.asset_share_value), price, bank.balance_decimals, weight)


def _price(quote: Quote | Reason, requirement: Requirement, bias: Bias) -> int | Reason:
    if isinstance(quote, Reason):
        return quote
    sides: Sides | Reason = quote.spot if requirement is Requirement.MAINTENANCE else quote.average
    return sides if isinstance(sides, Reason) else sides.biased(bias)


def _discounted(weight: int, bank: Bank, totals: Totals, price: int) -> int:
    """Return the weight of a bank's deposits so that all of them together back no more than its limit."""
    if not bank.init_limit_usd:
        return weight
    everything = worth(totals.assets, price, bank.balance_decimals, None)
    limit = whole(bank.init_limit_usd)
    return weight if everything <= limit else mul_down(weight, div_down(limit, everything))


def worth(amount: int, price: int, decimals: int, weight: int | None) -> int:
    """Return the USD of an amount of raw token units; each step down; raises `Overflowed`."""
    if amount == 0:
        return 0
    weighed = amount if weight is None else mul_down(amount, weight)
    return div_down(mul_down(weighed, price), power_of_ten(decimals))


def health_factor_wad(assets: int, liabilities: int) -> int:
    """Return weighed deposits over weighed debts, below 1e18 just where the program lets anybody liquidate: where they are not more."""
    if liabilities == 0:
        return MAX_UINT256 if assets else 0
    ratio = assets * WAD // liabilities
    return ratio if assets > liabilities else min(ratio, WAD - 1)
