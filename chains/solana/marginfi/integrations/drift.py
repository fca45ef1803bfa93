"""Spot markets of Drift: a bank's deposits are scaled balances of nine decimals in one."""

from __future__ import annotations

import json
from collections.abc import Mapping

from chains.identifiers import from_base58
from chains.model import AccountBytes, Reason
from chains.solana.drift.integers import Refused
from chains.solana.drift.interest import deposited_down, with_interest
from chains.solana.drift.layout import PROGRAM, SPOT_MARKET
from chains.solana.drift.states import SpotMarket, spot_of, spot_texts
from chains.solana.marginfi.fixed import Overflowed
from chains.solana.marginfi.integrations.ports import Asked, NotAPool, Standing, State
from chains.solana.marginfi.integrations.ratio import narrow

INTEREST_ONE = 10**10
_U128 = 128


class Drift:
    """The integration."""

    name = "Drift"
    program = from_base58(PROGRAM)
    pool = SPOT_MARKET
    setups: Mapping[int, str] = {9: "pyth", 10: "switchboard"}

    def pool_states(self, data: bytes) -> tuple[State, State]:
        """Return a spot market as Drift's own journals write it."""
        terms, totals = spot_texts(data)
        return {"spot_market": json.loads(terms)}, json.loads(totals)

    def beside(self, held: State) -> tuple[bytes, ...]:
        """Return nothing: a spot market says all itself."""
        del held
        return ()

    def beside_state(self, account: AccountBytes) -> State:
        """Refuse any account."""
        raise NotAPool(f"a spot market names no account to read, nor one of {len(account.data)} bytes")

    def standing(self, asked: Asked, held: State, totals: State) -> Standing | Reason:
        """Accrue a spot market's interest to the second."""
        market = spot_of(asked.pool, json.dumps(held["spot_market"]), json.dumps(totals))
        if isinstance(market, str):
            return asked.refused("integration_unreadable", market)
        try:
            now = with_interest(market, asked.time)
        except Refused as error:
            return asked.refused("reserve_stale", f"Drift does not bring the spot market up to date: {error}")
        if now.last_interest_ts < asked.time:
            detail = (
                f"Drift brought the spot market up to date {asked.time - now.last_interest_ts} s ago and adds no interest now; marginfi"
                " takes no price of it"
            )
            return asked.refused("reserve_stale", detail)
        return Standing(
            mint=now.mint,
            scaled=lambda number, bits: _scaled(now, number, bits),
            redeemed=lambda units: _redeemed(now, units),
            payable_raw=None,
            venue="drift",
        )


def _scaled(market: SpotMarket, number: int, bits: int) -> int:
    product = narrow(narrow(number, _U128) * market.cumulative_deposit_interest, _U128)
    return narrow(product // INTEREST_ONE, bits)


def _redeemed(market: SpotMarket, units: int) -> int:
    try:
        return deposited_down(market, units)
    except Refused as error:
        raise Overflowed(str(error)) from error


DRIFT = Drift()
