"""Reserves of klend: a bank's deposits are collateral tokens of one.

The program takes the reserve's liquidity and fees as I80F48, each cut to 48 bits on its own (`u68f60_to_i80f48`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chains.identifiers import base58, from_base58
from chains.model import AccountBytes, Reason
from chains.solana.kamino import options as klend
from chains.solana.kamino.engines import KNOWN, Engine, engine_of
from chains.solana.kamino.journal import (
    Liquidity,
    liquidity_of,
    liquidity_state,
    market_of,
    market_state,
    reserve_of,
    reserve_state,
    text_of,
)
from chains.solana.kamino.layout import MARKET, PROGRAM, RESERVE
from chains.solana.kamino.maths import BITS, Refused
from chains.solana.kamino.refresh import Clock, Conditions, liquidity_of_collateral, refresh_reserve
from chains.solana.kamino.unit import unsupported
from chains.solana.layouts import read
from chains.solana.marginfi.fixed import FRACTION_BITS, Overflowed, whole
from chains.solana.marginfi.integrations.ports import HELD_BESIDE, PROBLEM, Asked, NotAPool, Standing, State
from chains.solana.marginfi.integrations.ratio import scaled_by_ratio

VERSION = "kamino_version"
_CUT = BITS - FRACTION_BITS


class Kamino:
    """The integration."""

    name = "Kamino"
    program = PROGRAM
    pool = RESERVE
    setups: Mapping[int, str] = {6: "pyth", 7: "switchboard"}

    def pool_states(self, data: bytes) -> tuple[State, State]:
        """Return a reserve as klend's own journals write it, with its lending market."""
        market = read(RESERVE.fields, data)["lending_market"]
        return {"reserve": reserve_state(data), "lending_market": base58(market)}, liquidity_state(data)

    def beside(self, held: State) -> tuple[bytes, ...]:
        """Return the lending market: it says what referrers get of the interest."""
        return (from_base58(held["lending_market"]),)

    def beside_state(self, account: AccountBytes) -> State:
        """Return a lending market's configuration; raises `NotAPool`."""
        if account.closed or account.owner != self.program or (problem := MARKET.problem(account.data)):
            raise NotAPool(problem if account.owner == self.program and not account.closed else "no account of klend's")
        return {"market": market_state(account.data)}

    def standing(self, asked: Asked, held: State, totals: State) -> Standing | Reason:
        """Accrue a reserve's interest to the slot."""
        engine = _engine(asked.options, asked.slot)
        if engine is None:
            detail = (
                f"the bank's deposits are positions in Kamino, and the configuration does not say which version of klend runs at slot"
                f" {asked.slot}; say it as `{VERSION}`, one of {KNOWN}"
            )
            return asked.refused("unsupported_integration", detail)
        beside = asked.state(from_base58(held["lending_market"]), HELD_BESIDE)
        if beside is None or PROBLEM in beside:
            problem = "has not been read" if beside is None else f"is not what it should be: {beside[PROBLEM]}"
            return asked.refused("integration_unknown", f"the reserve's lending market {problem}")
        return _standing(asked, held, totals, beside, engine)


def _standing(asked: Asked, held: State, totals: State, beside: State, engine: Engine) -> Standing | Reason:
    market, reserve = market_of(text_of(beside["market"])), reserve_of(asked.pool, text_of(held["reserve"]))
    before = liquidity_of(text_of(totals))
    if (unknown := unsupported(market, engine, reserve, before)) is not None:
        return unknown
    conditions = Conditions(market, engine, Clock(asked.slot, asked.time))
    found = refresh_reserve(conditions, reserve, before, None)
    if isinstance(found, Reason):
        return Reason("reserve_stale", found.subject, found.detail)
    liquidity = found.liquidity
    try:
        scaled = scaled_by_ratio(_supply(liquidity), liquidity.mint_total_supply, reserve.decimals)
        liquidity_of_collateral(liquidity, 0, engine)
    except (Overflowed, Refused) as error:
        return asked.refused("price_unreadable", f"the reserve has no exchange rate: {error}")
    return Standing(
        mint=reserve.mint,
        scaled=scaled,
        redeemed=lambda units: _redeemed(liquidity, units, engine),
        payable_raw=liquidity.total_available_amount,
        venue=f"kamino:{held['lending_market']}",
    )


def _supply(liquidity: Liquidity) -> int:
    fees = (
        liquidity.accumulated_protocol_fees_sf,
        liquidity.accumulated_referrer_fees_sf,
        liquidity.pending_referrer_fees_sf,
    )
    return (
        whole(liquidity.total_available_amount) + (liquidity.borrowed_amount_sf >> _CUT) - sum(f >> _CUT for f in fees)
    )


def _redeemed(liquidity: Liquidity, units: int, engine: Engine) -> int:
    try:
        return liquidity_of_collateral(liquidity, units, engine) >> BITS
    except Refused as error:
        raise Overflowed(str(error)) from error


def _engine(options: Mapping[str, Any], slot: int) -> Engine | None:
    return engine_of(klend.version_at({klend.PROGRAM_VERSION: options.get(VERSION)}, slot))


def stated_slots(options: Mapping[str, Any]) -> list[int]:
    """Return the slots of deployments of klend that the option speaks of."""
    return klend.stated_slots({klend.PROGRAM_VERSION: options.get(VERSION)})


def check_version(options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the option, in words."""
    if VERSION not in options:
        return []
    problems = klend.check_options({klend.PROGRAM_VERSION: options[VERSION]})
    return [problem.replace(klend.PROGRAM_VERSION, VERSION) for problem in problems]


KAMINO = Kamino()
