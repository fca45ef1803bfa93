"""Exchange prices at a moment: of the Liquidity program's reserves, and of a vault upon them.

An exchange price is what a raw unit is worth, times 10^12. Sources: the Liquidity program's `TokenReserve::calculate_exchange_prices`
and the vaults program's `VaultState::load_exchange_prices` (February 2026): product first, division after, all down but where `div_up`
stands. What their 128 bits do not hold raises `Refused`, as does a clock that is behind what is stored.
"""

from __future__ import annotations

from typing import NamedTuple

from chains.solana.jupiter_lend.maths import FOUR_DECIMALS, Refused, div_up, u64, u128

PRICE_ONE = 10**12
SECONDS_PER_YEAR = 31_536_000
_YIELD_ONE = 10**17
_SCALE = 10**18


class Reserve(NamedTuple):
    """A token at the Liquidity program as stored: rates in basis points, exchange prices at `last_update_timestamp`, raw totals."""

    borrow_rate: int
    fee_on_interest: int
    last_utilization: int
    last_update_timestamp: int
    supply_exchange_price: int
    borrow_exchange_price: int
    total_supply_with_interest: int
    total_supply_interest_free: int
    total_borrow_with_interest: int
    total_borrow_interest_free: int


class Prices(NamedTuple):
    """What a raw unit supplied, and one owed, is worth, times 10^12."""

    supply: int
    borrow: int


class VaultPrices(NamedTuple):
    """A vault's exchange prices as stored, with those of the Liquidity program that they were made upon."""

    liquidity_supply_exchange_price: int
    liquidity_borrow_exchange_price: int
    vault_supply_exchange_price: int
    vault_borrow_exchange_price: int
    last_update_timestamp: int


class Magnifiers(NamedTuple):
    """What a vault adds to its tokens' yearly rates, basis points; negative: takes from them."""

    supply: int
    borrow: int


def reserve_prices(reserve: Reserve, time: int) -> Prices:
    """Return a token's exchange prices at a time; raises `Refused`."""
    supply, borrow = reserve.supply_exchange_price, reserve.borrow_exchange_price
    if supply == 0 or borrow == 0:
        raise Refused("ExchangePriceZero")
    seconds = u128(time - reserve.last_update_timestamp)
    if seconds == 0 or reserve.borrow_rate == 0 or reserve.total_borrow_with_interest == 0:
        return Prices(supply, borrow)
    year = SECONDS_PER_YEAR * FOUR_DECIMALS
    grown = u128(borrow + div_up(u128(borrow * reserve.borrow_rate * seconds), year))
    earned = _share_that_earns(reserve)
    if earned is None:
        return Prices(supply, grown)
    rate = u128(reserve.borrow_rate * earned * u128(FOUR_DECIMALS - reserve.fee_on_interest))
    return Prices(u128(supply + u128(supply * rate * seconds) // year // FOUR_DECIMALS**2), grown)


def _share_that_earns(reserve: Reserve) -> int | None:
    """Return by what the borrowers' rate is multiplied for those whose supply earns, basis points; `None` where none does."""
    with_interest, free = reserve.total_supply_with_interest, reserve.total_supply_interest_free
    if with_interest == 0:
        return None
    ratio = _ratio(with_interest, free)
    if with_interest < free:
        if ratio == 0:
            return None
        inverse = _YIELD_ONE * FOUR_DECIMALS // ratio
        supplied = u128(reserve.last_utilization * (_YIELD_ONE + inverse)) // FOUR_DECIMALS
    else:
        whole = u128(reserve.last_utilization * _YIELD_ONE * (FOUR_DECIMALS + ratio))
        supplied = whole // FOUR_DECIMALS**2
    return u128(u128(supplied * _paying(reserve) // _YIELD_ONE) * FOUR_DECIMALS) // _YIELD_ONE


def _paying(reserve: Reserve) -> int:
    """Return the share of what is owed that pays interest, of 10^17."""
    with_interest, free = reserve.total_borrow_with_interest, reserve.total_borrow_interest_free
    ratio = _ratio(with_interest, free)
    share = ratio * _YIELD_ONE // (FOUR_DECIMALS + ratio)
    return share if with_interest < free else _YIELD_ONE - share


def _ratio(one: int, other: int) -> int:
    """Return the smaller of two over the larger, basis points."""
    larger = max(one, other)
    return min(one, other) * FOUR_DECIMALS // larger if larger else 0


def vault_prices(stored: VaultPrices, magnifiers: Magnifiers, liquidity: Prices, time: int) -> Prices:
    """Return a vault's exchange prices at a time, given its tokens' at the Liquidity program then; raises `Refused`."""
    before = Prices(stored.liquidity_supply_exchange_price, stored.liquidity_borrow_exchange_price)
    if liquidity.supply < before.supply or liquidity.borrow < before.borrow:
        raise Refused("VaultLiquidityExchangePriceUnexpected")
    if before.supply == 0 or before.borrow == 0:
        raise Refused("the vault has no exchange price")
    seconds = u128(time - stored.last_update_timestamp)
    supply, borrow = stored.vault_supply_exchange_price, stored.vault_borrow_exchange_price
    grown_supply = u128(supply * (u128(liquidity.supply * _SCALE) // before.supply)) // _SCALE
    grown_borrow = div_up(u128(borrow * (u128(liquidity.borrow * _SCALE) // before.borrow)), _SCALE)
    return Prices(
        u128(grown_supply + _added(supply, magnifiers.supply, seconds)),
        u128(grown_borrow + _added(borrow, magnifiers.borrow, seconds)),
    )


def _added(price: int, magnifier: int, seconds: int) -> int:
    change = u128(price * seconds * abs(magnifier)) // FOUR_DECIMALS // SECONDS_PER_YEAR
    return change if magnifier > 0 else -change


class Lending(NamedTuple):
    """A deposit token of the lending program (jlUSDC and others) as stored."""

    liquidity_exchange_price: int
    token_exchange_price: int
    last_update_timestamp: int


class Rewards(NamedTuple):
    """What is paid to a deposit token's holders besides: now `yearly_reward` for `duration`, and then `next_reward_amount`."""

    start_tvl: int
    duration: int
    start_time: int
    yearly_reward: int
    next_duration: int
    next_reward_amount: int


_PERCENT_ONE = 10**14
_HIGHEST_REWARD = 50 * 10**12


def deposit_token_price(lending: Lending, rewards: Rewards, supply: int, liquidity: int, time: int) -> int:
    """Return what a deposit token is worth in its token, times 10^12 (`calculate_new_token_exchange_price`); raises `Refused`.

    `supply`: how many raw units of it there are; `liquidity`: the token's supply exchange price now.
    """
    u64(liquidity)
    if liquidity < lending.liquidity_exchange_price:
        raise Refused("FTokenLiquidityExchangePriceUnexpected")
    if lending.liquidity_exchange_price == 0:
        raise Refused("the deposit token has no exchange price")
    old = lending.token_exchange_price
    assets = u64(old * supply // PRICE_ONE)
    returned = _rewards(rewards, assets, lending.last_update_timestamp, time)
    grown = (liquidity - lending.liquidity_exchange_price) * _PERCENT_ONE // lending.liquidity_exchange_price
    return u64(old + u64(u128(old * u128(returned + grown)) // _PERCENT_ONE))


def _rewards(rewards: Rewards, assets: int, updated: int, time: int) -> int:
    """Return what both periods of rewards add, of 10^14."""
    start, end = rewards.start_time, u64(rewards.start_time + rewards.duration)
    if start == 0 or time < start:
        return 0
    total = 0
    rate = _reward_rate(rewards, rewards.yearly_reward, assets)
    if rate > 0 and updated < end:
        first, last = max(updated, start), min(time, end)
        if last > first:
            total, updated = rate * (last - first) // SECONDS_PER_YEAR, last
        else:
            updated = first
    if rewards.next_reward_amount > 0:
        total += _next_rewards(rewards, assets, end, updated, time)
    return total


def _next_rewards(rewards: Rewards, assets: int, start: int, updated: int, time: int) -> int:
    end = u64(start + rewards.next_duration)
    if assets < rewards.start_tvl:
        return 0
    if rewards.next_duration == 0:
        raise Refused("the next rewards last no time")
    yearly = rewards.next_reward_amount * SECONDS_PER_YEAR // rewards.next_duration
    rate = _reward_rate(rewards, yearly, assets)
    first, last = max(updated, start), min(time, end)
    return rate * (last - first) // SECONDS_PER_YEAR if rate > 0 and start > 0 and time > start and last > first else 0


def _reward_rate(rewards: Rewards, yearly: int, assets: int) -> int:
    if assets < rewards.start_tvl:
        return 0
    if assets == 0:
        raise Refused("rewards are paid to nobody")
    return min(yearly * _PERCENT_ONE // assets, _HIGHEST_REWARD)
