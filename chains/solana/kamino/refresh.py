"""What klend's own refresh would write of reserves and obligations at a slot, to the last bit.

Sources: klend `lending_market/lending_operations.rs` (`refresh_reserve`, `refresh_obligation…`), `state/reserve.rs` (`accrue_interest`),
`state/obligation.rs` (`accrue_interest`). All values are fractions of 60 bits (`_sf`), in the market's quote currency.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import NamedTuple

from chains.identifiers import base58
from chains.model import Reason
from chains.solana.kamino.engines import Engine
from chains.solana.kamino.journal import CURRENT_VERSION, ElevationGroup, Liquidity, Market, Obligation, Reserve
from chains.solana.kamino.maths import (
    ONE,
    Refused,
    basis_points,
    borrow_rate,
    ceil,
    compounded,
    div,
    fits,
    mul,
    percent,
    to_percent,
    value_of,
    whole,
)
from chains.solana.kamino.prices import ALL_CHECKS, Priced


class Clock(NamedTuple):
    """When a refresh happens: the slot, and Unix seconds."""

    slot: int
    time: int


class Conditions(NamedTuple):
    """What a refresh happens under: the market, the version that runs, and when."""

    market: Market
    engine: Engine
    clock: Clock


class Refreshed(NamedTuple):
    """A reserve after its refresh; `priced`: where its price came from, `None` where it kept the one it had."""

    reserve: Reserve
    liquidity: Liquidity
    priced: Priced | None


class Leg(NamedTuple):
    """One deposit or borrow after the refresh; `amount`: liquidity as a fraction, `threshold_pct`: `None` for debt."""

    refreshed: Refreshed
    raw: int
    amount: int
    market_value_sf: int
    adjusted_value_sf: int
    threshold_pct: int | None
    rate_bsf: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshedObligation:
    """An obligation after its refresh; `fields` under the program's names."""

    fields: Mapping[str, int]
    deposits: tuple[Leg, ...]
    borrows: tuple[Leg, ...]


def price_is_kept(market: Market, reserve: Reserve, liquidity: Liquidity, clock: Clock) -> bool:
    """Whether the saved price is young enough not to be refreshed (`is_price_refresh_needed`)."""
    limit = reserve.token.max_age_price_seconds * market.price_refresh_trigger_to_max_age_pct // 100
    return max(clock.time - liquidity.market_price_last_updated_ts, 0) < limit


def refresh_reserve(
    conditions: Conditions, reserve: Reserve, liquidity: Liquidity, priced: Priced | None
) -> Refreshed | Reason:
    """Accrue interest to a slot and take a price, or keep the one there is (`priced` is `None`)."""
    if reserve.version != CURRENT_VERSION:
        detail = f"the program refuses to refresh a reserve of version {reserve.version}, which it deprecated"
        return Reason("reserve_deprecated", base58(reserve.address), detail)
    clock = conditions.clock
    try:
        accrued = _accrued(conditions, reserve, liquidity)
    except Refused as error:
        return Reason("refresh_fails", base58(reserve.address), f"interest cannot be accrued: {error}")
    if priced is not None:
        accrued = accrued._replace(
            market_price_sf=priced.price, market_price_last_updated_ts=priced.timestamp, price_status=priced.status
        )
    elif clock.time - liquidity.market_price_last_updated_ts >= reserve.token.max_age_price_seconds:
        accrued = accrued._replace(price_status=0)
    return Refreshed(reserve, accrued._replace(slot=clock.slot), priced)


def _accrued(conditions: Conditions, reserve: Reserve, before: Liquidity) -> Liquidity:
    market, engine, clock = conditions
    slots = clock.slot - before.slot
    if slots < 0:
        raise Refused(f"the reserve was updated in slot {before.slot}, after slot {clock.slot}")
    if slots == 0:
        return before
    supply = fits(before.total_supply)
    utilization = div(before.borrowed_amount_sf, supply) if supply else 0
    host = basis_points(reserve.host_fixed_interest_rate_bps)
    growth = compounded(borrow_rate(reserve.curve, utilization) + host, slots, chained=engine.chained_interest)
    debt = fits(mul(before.borrowed_amount_sf, growth))
    fixed = compounded(host, slots, chained=engine.chained_interest)
    host_fee = mul(before.borrowed_amount_sf, fixed) - before.borrowed_amount_sf
    variable = fits(debt - before.borrowed_amount_sf - host_fee)
    take = percent(reserve.protocol_take_rate_pct)
    referral_rate = mul(take, basis_points(market.referral_fee_bps))
    referrers = mul(variable, referral_rate)
    earned = host_fee + mul(variable, take) - referrers
    return before._replace(
        borrowed_amount_sf=debt,
        cumulative_borrow_rate_bsf=mul(before.cumulative_borrow_rate_bsf, growth),
        accumulated_protocol_fees_sf=fits(before.accumulated_protocol_fees_sf + earned),
        pending_referrer_fees_sf=fits(before.pending_referrer_fees_sf + referrers),
        absolute_referral_rate_sf=referral_rate,
    )


def liquidity_of_collateral(liquidity: Liquidity, ctokens: int, engine: Engine) -> int:
    """Return what cTokens are worth in liquidity, as a fraction (`CollateralExchangeRate`)."""
    supply, total = liquidity.mint_total_supply, fits(liquidity.total_supply)
    if supply == 0 or total == 0:
        return whole(ctokens)
    if engine.exact_conversion:
        return fits(ctokens * total // supply)
    return fits(div(whole(ctokens), div(whole(supply), total)))


def refresh_obligation(
    conditions: Conditions,
    obligation: Obligation,
    amounts: tuple[Mapping[bytes, int], Mapping[bytes, int]],
    reserves: Mapping[bytes, Refreshed],
) -> RefreshedObligation | Reason:
    """Value an obligation upon refreshed reserves, or say why the program refuses.

    `amounts`: cTokens by reserve, and debt as fractions by reserve; `reserves` must have all of both.
    """
    try:
        group = _group(conditions.market, obligation.elevation_group)
        borrows = [_borrow(obligation, reserves[key], raw, group) for key, raw in amounts[1].items()]
        deposits = [_deposit(conditions.engine, reserves[key], raw, group) for key, raw in amounts[0].items()]
        _check_group(conditions.engine, group, deposits, borrows)
        fields = _fields(conditions, obligation, deposits, borrows)
    except Refused as error:
        return Reason(
            "refresh_fails", base58(obligation.owner), f"the program refuses to refresh the obligation: {error}"
        )
    return RefreshedObligation(fields=fields, deposits=tuple(deposits), borrows=tuple(borrows))


def _group(market: Market, number: int) -> ElevationGroup | None:
    if number == 0:
        return None
    group = market.groups.get(number)
    if group is None or group.ltv_pct == 0 or group.liquidation_threshold_pct == 0:
        raise Refused(f"elevation group {number} is not configured")
    return group


def _borrow(obligation: Obligation, refreshed: Refreshed, raw: int, group: ElevationGroup | None) -> Leg:
    liquidity, reserve = refreshed.liquidity, refreshed.reserve
    then, now = obligation.borrows[reserve.address].cumulative_borrow_rate_bsf, liquidity.cumulative_borrow_rate_bsf
    if now < then:
        raise Refused(f"the cumulative rate of reserve {base58(reserve.address)} fell from {then} to {now}")
    owed = raw if now == then else fits(raw * now // then)
    value = value_of(owed, liquidity.market_price_sf, reserve.decimals)
    adjusted = fits(mul(value, borrow_factor(reserve, group)))
    return Leg(refreshed, raw, owed, value, adjusted, None, now)


def borrow_factor(reserve: Reserve, group: ElevationGroup | None) -> int:
    """Return what a debt weighs more, as a fraction, never less than 1; in an elevation group nothing."""
    return ONE if group is not None else max(ONE, percent(reserve.borrow_factor_pct))


def _deposit(engine: Engine, refreshed: Refreshed, raw: int, group: ElevationGroup | None) -> Leg:
    liquidity, reserve = refreshed.liquidity, refreshed.reserve
    held = liquidity_of_collateral(liquidity, raw, engine)
    value = value_of(held, liquidity.market_price_sf, reserve.decimals)
    threshold = reserve.liquidation_threshold_pct if group is None else group.liquidation_threshold_pct
    return Leg(refreshed, raw, held, value, value, threshold, 0)


def _check_group(engine: Engine, group: ElevationGroup | None, deposits: list[Leg], borrows: list[Leg]) -> None:
    if group is None:
        return
    outside = [leg for leg in (*deposits, *borrows) if group.id not in leg.refreshed.reserve.elevation_groups]
    if outside:
        name = base58(outside[0].refreshed.reserve.address)
        raise Refused(f"reserve {name} is not of elevation group {group.id}")
    if any(leg.refreshed.reserve.address != group.debt_reserve for leg in borrows):
        raise Refused(f"elevation group {group.id} has another debt reserve")
    if any(leg.refreshed.reserve.address == group.debt_reserve for leg in deposits):
        raise Refused(f"the debt reserve of elevation group {group.id} is collateral")
    counted = sum(leg.raw > 0 for leg in deposits)
    if engine.counts_collaterals and counted > group.max_reserves_as_collateral:
        raise Refused(f"elevation group {group.id} takes {group.max_reserves_as_collateral} collaterals, not {counted}")


def _fields(conditions: Conditions, obligation: Obligation, deposits: list[Leg], borrows: list[Leg]) -> dict[str, int]:
    market, engine, clock = conditions
    group = _group(market, obligation.elevation_group)
    ltvs = [leg.refreshed.reserve.loan_to_value_pct if group is None else group.ltv_pct for leg in deposits]
    allowed = sum(mul(leg.market_value_sf, percent(ltv)) for leg, ltv in zip(deposits, ltvs, strict=True))
    unhealthy = sum(mul(leg.market_value_sf, percent(leg.threshold_pct or 0)) for leg in deposits)
    isolated = (leg.refreshed.reserve.disable_usage_as_coll_outside_emode for leg in deposits)
    lowest = min(ltvs, default=255) if engine.lowest_ltv else obligation.lowest_reserve_deposit_max_ltv_pct
    fields = {
        "last_update_slot": clock.slot,
        "price_status": _common(leg.refreshed.liquidity.price_status for leg in (*deposits, *borrows)),
        "deposited_value_sf": fits(sum(leg.market_value_sf for leg in deposits)),
        "borrow_factor_adjusted_debt_value_sf": fits(sum(leg.adjusted_value_sf for leg in borrows)),
        "borrowed_assets_market_value_sf": fits(sum(leg.market_value_sf for leg in borrows)),
        "allowed_borrow_value_sf": min(fits(allowed), whole(market.global_allowed_borrow_value)),
        "unhealthy_borrow_value_sf": _capped(market, engine, fits(unhealthy)),
        "elevation_group": obligation.elevation_group,
        "has_debt": 1 if borrows else obligation.has_debt,
        "lowest_reserve_deposit_liquidation_ltv": _lowest_threshold(market, deposits),
        "lowest_reserve_deposit_max_ltv_pct": lowest,
        "highest_borrow_factor_pct": _highest_factor(market, engine, borrows, group),
        "borrowing_disabled": int(group is None and any(isolated)),
    }
    fields |= {f"{_name('deposits', leg)}.market_value_sf": leg.market_value_sf for leg in deposits}
    for leg in borrows:
        name = _name("borrows", leg)
        fields[f"{name}.borrowed_amount_sf"] = leg.amount
        fields[f"{name}.cumulative_borrow_rate_bsf"] = leg.rate_bsf
        fields[f"{name}.market_value_sf"] = leg.market_value_sf
        fields[f"{name}.borrow_factor_adjusted_market_value_sf"] = leg.adjusted_value_sf
    return fields | _trackers(group, deposits, borrows)


def _trackers(group: ElevationGroup | None, deposits: list[Leg], borrows: list[Leg]) -> dict[str, int]:
    """Return what the refresh notes of debt inside and outside elevation groups."""
    if group is None:
        field = "borrowed_amount_outside_elevation_groups"
        return {f"{_name('borrows', leg)}.{field}": ceil(leg.amount) for leg in borrows}
    owed = sum(ceil(leg.amount) for leg in borrows)
    field = "borrowed_amount_against_this_collateral_in_elevation_group"
    return {f"{_name('deposits', leg)}.{field}": owed for leg in deposits}


def _name(side: str, leg: Leg) -> str:
    return f"{side}.{base58(leg.refreshed.reserve.address)}"


def _common(flags: Iterable[int]) -> int:
    return reduce(and_, flags, 0xFF & ALL_CHECKS)


def _capped(market: Market, engine: Engine, unhealthy: int) -> int:
    cap = whole(market.global_unhealthy_borrow_value)
    if engine.capped is None and 0 < cap < unhealthy:
        raise Refused(
            "whether this version caps the liquidation limit is not known, and the market sets a cap below it"
        )
    return min(unhealthy, cap) if engine.capped else unhealthy


def _lowest_threshold(market: Market, deposits: list[Leg]) -> int:
    dust = whole(market.min_value_skip_liquidation_ltv_checks)
    found = [leg.threshold_pct for leg in deposits if leg.market_value_sf >= dust and leg.threshold_pct]
    return min(found, default=255)


def _highest_factor(market: Market, engine: Engine, borrows: list[Leg], group: ElevationGroup | None) -> int:
    limit = (
        market.min_value_skip_liquidation_ltv_checks
        if engine.one_dust_limit
        else market.min_value_skip_liquidation_bf_checks
    )
    factors = [borrow_factor(leg.refreshed.reserve, group) for leg in borrows if leg.market_value_sf >= whole(limit)]
    return to_percent(max(factors, default=ONE))
