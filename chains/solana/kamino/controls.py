"""What a reserve's own account counts, beside the sums over obligations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from chains.auditing import Told, Whole
from chains.model import WHOLE_VENUE, Side, UnitSnapshot
from chains.solana.apart import excuse_of
from chains.solana.kamino.journal import LIQUIDITY, OBLIGATION, Liquidity, liquidity_of, obligation_of

ONE = 1 << 60
ROUNDINGS = 3
"""Of a debt in one slot: the reserve's cumulative rate, the obligation's product with it, and its quotient by the rate before."""

OUTSIDE = "collateral tokens that lie outside obligations are nobody's here"
DUST = (
    "in 2^-60 of a raw unit: each slot in which interest is added rounds the reserve's debt down once, and each of its debts three times, "
    "by less than 2^-60 of it"
)


def told(whole: Whole) -> Iterator[Told]:
    """Name each reserve's collateral tokens and what it is owed, as of its last update (`Reserve::accrue_interest`, `Obligation`)."""
    found = {
        market: liquidity_of(text) for (market, aspect), text in whole.snapshot.markets.items() if aspect == LIQUIDITY
    }
    supplied, owed = Counter[bytes](), Counter[bytes]()
    unknown: set[bytes] = set()
    for unit in whole.units():
        setting = unit.settings.get((WHOLE_VENUE, OBLIGATION))
        if setting is None:
            continue
        obligation = obligation_of(setting)
        if obligation.problem:
            unknown |= {*obligation.deposits, *obligation.borrows}
        for reserve in obligation.deposits:
            supplied[reserve] += unit.positions.get((reserve, Side.SUPPLY), 0)
        for reserve, debt in obligation.borrows.items():
            if reserve not in found or not debt.cumulative_borrow_rate_bsf:
                unknown.add(reserve)
            else:
                amount = _amount(unit, reserve, debt.wide)
                owed[reserve] += amount * found[reserve].cumulative_borrow_rate_bsf // debt.cumulative_borrow_rate_bsf
    for market, liquidity in sorted(found.items()):
        excuse, total = excuse_of(whole, market), liquidity.mint_total_supply
        tokens, owing = (None, None) if market in unknown else (supplied[market], owed[market])
        yield Told("collateral.mint_total_supply", market, market, tokens, total, 0, total, OUTSIDE, excuse)
        least, most = _bounds(liquidity)
        yield Told(
            "liquidity.borrowed_amount_sf", market, market, owing, liquidity.borrowed_amount_sf, least, most, DUST, excuse
        )  # fmt: skip


def _amount(unit: UnitSnapshot, reserve: bytes, wide: int | None) -> int:
    return unit.positions.get((reserve, Side.BORROW), 0) if wide is None else wide


def _bounds(liquidity: Liquidity) -> tuple[int, int]:
    """Return by how much the debts may be more and less than the reserve's, if it was brought up to date in every slot there was."""
    size = liquidity.total_available_amount * ONE + liquidity.borrowed_amount_sf
    return -2 * liquidity.slot, ROUNDINGS * liquidity.slot * (1 + size // ONE)
