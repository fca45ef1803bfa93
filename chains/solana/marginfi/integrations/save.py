"""Reserves of Save (formerly Solend): a bank's deposits are collateral tokens of one.

The program cuts each wad to 48 bits on its own (`decimal_to_i80f48`). Save brings no reserve up to date of which it has no price.
"""

from __future__ import annotations

from collections.abc import Mapping

from chains.identifiers import base58
from chains.model import AccountBytes, Reason
from chains.solana.layouts import read
from chains.solana.marginfi.fixed import FRACTION_BITS, Overflowed, whole
from chains.solana.marginfi.integrations.ports import HELD_BESIDE, Asked, Standing, State
from chains.solana.marginfi.integrations.ratio import scaled_by_ratio
from chains.solana.save.layout import PROGRAM, RESERVE
from chains.solana.save.maths import WAD, MathOverflow
from chains.solana.save.price import Now, Refused, price_at, price_state
from chains.solana.save.reserve import Pool, Terms, pool_of, pool_state, terms_of, terms_state


class Save:
    """The integration."""

    name = "Solend"
    program = PROGRAM
    pool = RESERVE
    setups: Mapping[int, str] = {11: "pyth", 12: "switchboard"}

    def pool_states(self, data: bytes) -> tuple[State, State]:
        """Return a reserve as Save's own journals write it, with its lending market."""
        fields = read(RESERVE.fields, data)
        return {"reserve": terms_state(fields), "lending_market": base58(fields["lending_market"])}, pool_state(fields)

    def beside(self, held: State) -> tuple[bytes, ...]:
        """Return the reserve's two oracles."""
        terms = terms_of(held["reserve"])
        return tuple(each for each in (terms.pyth, terms.switchboard) if each is not None)

    def beside_state(self, account: AccountBytes) -> State:
        """Return what an oracle says to Save."""
        return price_state(account)

    def standing(self, asked: Asked, held: State, totals: State) -> Standing | Reason:
        """Accrue a reserve's interest to the slot, where Save has a price of it."""
        terms = terms_of(held["reserve"])
        if (refusal := _unpriced(asked, terms)) is not None:
            return refusal
        try:
            pool = pool_of(totals).at(asked.slot, terms)
            scaled = scaled_by_ratio(_supply(pool), pool.supply, terms.decimals)
            pool.exchange_rate  # noqa: B018 - fails where Save does
        except MathOverflow as error:
            return asked.refused("reserve_stale", f"Save does not bring the reserve up to date: {error}")
        except Overflowed as error:
            return asked.refused("price_unreadable", f"the reserve has no exchange rate: {error}")
        return Standing(
            mint=terms.asset,
            scaled=scaled,
            redeemed=lambda units: _redeemed(pool, units),
            payable_raw=pool.available,
            venue=f"save:{held['lending_market']}",
        )


def _unpriced(asked: Asked, terms: Terms) -> Reason | None:
    """Say why Save would not bring a reserve up to date: none of its oracles has a price."""
    refusals = []
    for oracle in (terms.pyth, terms.switchboard):
        if oracle is None:
            continue
        said = asked.state(oracle, HELD_BESIDE)
        if said is None:
            return asked.refused("integration_unknown", f"the reserve's oracle {base58(oracle)} has not been read")
        try:
            price_at(said, Now(asked.slot, asked.time))
        except Refused as refusal:
            refusals.append(f"{base58(oracle)}: {refusal}")
        else:
            return None
    words = "; ".join(refusals) or "it names no oracle"
    return asked.refused("reserve_stale", f"Save does not bring the reserve up to date, having no price of it: {words}")


def _supply(pool: Pool) -> int:
    return whole(pool.available) + _cut(pool.borrowed) - _cut(pool.fees)


def _cut(wad: int) -> int:
    return (wad << FRACTION_BITS) // WAD


def _redeemed(pool: Pool, units: int) -> int:
    try:
        return pool.redeemed(units) // WAD
    except MathOverflow as error:
        raise Overflowed(str(error)) from error


SAVE = Save()
