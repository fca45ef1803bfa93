"""A position as the contract liquidates it: what it has no room for, and what is owed less."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from chains.evm.morpho_blue.liquidating import Liquidable
from chains.evm.morpho_blue.maths import PRICE_SCALE, Totals
from chains.liquidating import WAD, Lot

OIL, GOLD = b"\x01" * 20, b"\x02" * 20
MARKET = b"\x03" * 32


def position(pledged: int, price: int, *, shares: int = 10**9) -> Liquidable:
    """1,000 raw units of gold are owed against oil, at an LLTV of 80 %."""
    return Liquidable(
        pledged=Lot(MARKET, OIL, 0, pledged, price, PRICE_SCALE, 8_000),
        loan=Lot(MARKET, GOLD, 0, 1_000, 1, 1),
        shares=shares,
        totals=Totals(2_000, 2 * 10**9, 1_000, 10**9, 0, 0),
        lltv=WAD * 8 // 10,
        price=price,
    )


def test_a_price_that_the_contract_has_no_room_for_makes_a_position_unknown() -> None:
    # Anybody may open such a market: 2¹²⁷ raw units at nearly 2¹²⁹ just fit 256 bits, and do not once the loan falls to half.
    wide = position(2**127, 2**129 - 1)
    fallen = wide.moved({GOLD: Fraction(1, 2)})

    assert wide.health_factor_wad is not None
    assert fallen.health_factor_wad is None
    assert fallen.most(MARKET, MARKET) == 0


def test_what_is_paid_is_rounded_up_and_what_is_owed_less_is_what_it_was_less_what_it_is() -> None:
    # The market owes 1,000 for 10⁹ shares: 333 raw units buy shares of 333.0, and pay for them in full.
    before = replace(position(1_100, PRICE_SCALE), totals=Totals(2_000, 2 * 10**9, 1_001, 10**9, 0, 0))
    most = before.most(MARKET, MARKET)
    assert most > 333
    for cover in (1, 2, 333, most):
        after, done = before.taken(MARKET, MARKET, cover)

        [relieved] = done.relieved
        forgiven = sum(each.amount_raw for each in done.forgiven)
        assert before.owed - after.owed == relieved.amount_raw + forgiven
        assert 0 <= done.paid.amount_raw - relieved.amount_raw <= 1
