"""Whether the program lets anybody liquidate an obligation, and what else people should know about that.

Source: klend `state/liquidation_operations.rs`, `assert_obligation_liquidatable`. The loan-to-value decides where prices are loaded, young
and not blocked. The other causes of a liquidation are told from their conditions, not computed: one that may apply leaves no verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from chains.identifiers import base58
from chains.model import Reason
from chains.solana.kamino.engines import Engine
from chains.solana.kamino.journal import Market, Obligation, Reserve
from chains.solana.kamino.maths import div, whole
from chains.solana.kamino.prices import LIQUIDATION_CHECKS, USAGE
from chains.solana.kamino.refresh import Conditions, Leg, RefreshedObligation

WAD = 10**18
MAX_UINT256 = 2**256 - 1
ADJUSTED_DEBT = "borrow_factor_adjusted_debt_value_sf"
DEPOSITED, UNHEALTHY = "deposited_value_sf", "unhealthy_borrow_value_sf"


class Verdict(NamedTuple):
    """Whether the program liquidates, and the health factor, each `None` where that is not known."""

    liquidatable: bool | None
    health_factor_wad: int | None
    reasons: tuple[Reason, ...]


def loans_to_value(fields: Mapping[str, int]) -> dict[str, int]:
    """Return the two ratios that decide a liquidation; nothing without collateral, where the program stops at the division."""
    deposited = fields[DEPOSITED]
    if deposited == 0:
        return {}
    return {
        "loan_to_value_sf": div(fields[ADJUSTED_DEBT], deposited),
        "unhealthy_loan_to_value_sf": div(fields[UNHEALTHY], deposited),
    }


def verdict_of(
    conditions: Conditions, unit_id: bytes, obligation: Obligation, refreshed: RefreshedObligation
) -> Verdict:
    """Judge a refreshed obligation."""
    fields = refreshed.fields
    noted = tuple(_noted(conditions, unit_id, obligation))
    if fields[ADJUSTED_DEBT] == 0:
        return Verdict(liquidatable=False, health_factor_wad=None, reasons=noted)
    refused = refused_for(fields["price_status"], unit_id)
    if refused is not None:
        return Verdict(liquidatable=None, health_factor_wad=None, reasons=(refused, *noted))
    if fields[DEPOSITED] == 0:
        return Verdict(liquidatable=False, health_factor_wad=0, reasons=noted)
    health = health_of(fields)
    if health < WAD and not price_triggered_disabled(conditions):
        return _of_what_is_taken(conditions.engine, unit_id, refreshed, health, noted)
    causes = tuple(other_causes(conditions, unit_id, obligation, refreshed))
    if causes:
        return Verdict(liquidatable=None, health_factor_wad=None, reasons=(*causes, *noted))
    return Verdict(liquidatable=False, health_factor_wad=health, reasons=noted)


def _of_what_is_taken(
    engine: Engine, unit_id: bytes, refreshed: RefreshedObligation, health: int, noted: tuple[Reason, ...]
) -> Verdict:
    """Judge an obligation beyond its limit by whether any of its deposits may be taken."""
    found = [may_be_taken(engine, leg) for leg in refreshed.deposits if leg.market_value_sf]
    if any(found):
        return Verdict(liquidatable=True, health_factor_wad=health, reasons=noted)
    if None in found:
        return Verdict(liquidatable=None, health_factor_wad=health, reasons=(untold(unit_id), *noted))
    detail = "all deposits have a liquidation threshold of 0, the program takes none of them"
    refused = Reason("collateral_not_liquidatable", base58(unit_id), detail)
    return Verdict(liquidatable=False, health_factor_wad=health, reasons=(refused, *noted))


def may_be_taken(engine: Engine, pledged: Leg) -> bool | None:
    """Whether a deposit may be taken at all, `None` where that is not known of the version (`CollateralNonLiquidatable`)."""
    reserve = pledged.refreshed.reserve
    if not pledged.threshold_pct:
        return False
    has_own = reserve.loan_to_value_pct and reserve.liquidation_threshold_pct
    return True if has_own or engine.takes_by_threshold else None


def untold(subject: bytes) -> Reason:
    """Say that it is not known of the version whether a deposit may be taken."""
    detail = "whether this version takes deposits of a reserve whose own loan-to-value or threshold is 0 is not known"
    return Reason("liquidation_unknown", base58(subject), detail)


def health_of(fields: Mapping[str, int]) -> int:
    """Return how far the limit covers the debt, a wad: below one just where the program liquidates for the loan-to-value."""
    if fields[ADJUSTED_DEBT] == 0:
        return MAX_UINT256
    if fields[DEPOSITED] == 0:
        return 0
    ratio = loans_to_value(fields)
    exact = fields[UNHEALTHY] * WAD // fields[ADJUSTED_DEBT]
    unhealthy = ratio["loan_to_value_sf"] >= ratio["unhealthy_loan_to_value_sf"]
    return min(exact, WAD - 1) if unhealthy else max(exact, WAD)


def price_triggered_disabled(conditions: Conditions) -> bool:
    """Whether the market liquidates nobody for the loan-to-value."""
    return conditions.engine.settings and bool(conditions.market.price_triggered_liquidation_disabled)


def refused_for(status: int, unit_id: bytes) -> Reason | None:
    """Return why the program would refuse to liquidate at the prices that it has."""
    missing = LIQUIDATION_CHECKS & ~status
    if not missing:
        return None
    if missing == USAGE:
        detail = "the market blocks the use of a price, nobody can be liquidated"
        return Reason("price_usage_blocked", base58(unit_id), detail)
    return Reason(
        "venue_price_refused", base58(unit_id), "a price is too old for the program, it would refuse to liquidate"
    )


def _noted(conditions: Conditions, unit_id: bytes, obligation: Obligation) -> Iterator[Reason]:
    """Yield what people should know and what changes no number."""
    market, name = conditions.market, base58(unit_id)
    if not conditions.engine.settings:
        return
    if market.price_triggered_liquidation_disabled:
        detail = "the market liquidates nobody for the loan-to-value"
        yield Reason("price_triggered_liquidation_disabled", name, detail)
    if market.emergency_mode:
        yield Reason("emergency_mode", name, "the market is in emergency mode, which stops its operations")
    if obligation.orders and market.obligation_order_execution_enabled:
        yield Reason(
            "obligation_orders", name, "anybody may execute the orders that the owner placed on the obligation"
        )


def other_causes(
    conditions: Conditions, unit_id: bytes, obligation: Obligation, refreshed: RefreshedObligation
) -> Iterator[Reason]:
    """Yield reasons for which the program may liquidate whatever the loan-to-value is."""
    market, engine, clock = conditions
    if market.autodeleverage_enabled and engine.settings and obligation.autodeleverage_margin_call_started_timestamp:
        yield Reason("marked_for_deleveraging", base58(unit_id), "the obligation is marked for deleveraging")
    for leg in (*refreshed.deposits, *refreshed.borrows):
        if market.autodeleverage_enabled and _over_its_limit(leg, engine, clock.time):
            detail = "the reserve is over its limit and may be deleveraged"
            yield Reason("reserve_deleveraging", base58(leg.refreshed.reserve.address), detail)
    for leg in refreshed.borrows if engine.settings else ():
        if _is_due(leg.refreshed.reserve, obligation, market, clock.time):
            detail = "the debt's term is over or the reserve's debt has matured"
            yield Reason("debt_is_due", base58(leg.refreshed.reserve.address), detail)


def _over_its_limit(leg: Leg, engine: Engine, now: int) -> bool:
    """Whether a reserve holds or lends more than its limit and has called for long enough; the call is not read before 1.8."""
    reserve, liquidity = leg.refreshed.reserve, leg.refreshed.liquidity
    if leg.threshold_pct is None:
        crossed = liquidity.borrowed_amount_sf > whole(reserve.borrow_limit)
        since = liquidity.borrow_limit_crossed_timestamp
    else:
        crossed = liquidity.total_supply > whole(reserve.deposit_limit)
        since = liquidity.deposit_limit_crossed_timestamp
    if not engine.settings:
        return crossed
    called = since > 0 and now - since >= reserve.deleveraging_margin_call_period_secs
    return bool(reserve.autodeleverage_enabled) and crossed and called


def _is_due(reserve: Reserve, obligation: Obligation, market: Market, now: int) -> bool:
    matured = market.mature_reserve_debt_liquidation_enabled and 0 < reserve.debt_maturity_timestamp <= now
    borrowed_at = obligation.borrows[reserve.address].last_borrowed_at_timestamp
    ended = borrowed_at > 0 and 0 < reserve.debt_term_seconds <= now - borrowed_at
    over = market.obligation_borrow_debt_term_liquidation_enabled and ended
    return bool(matured or over)
