"""What a reserve's own account counts, beside the sums over obligations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from chains.auditing import Sizes, Told, Whole
from chains.model import WHOLE_VENUE, Side, UnitSnapshot
from chains.solana.apart import excuse_of
from chains.solana.dust import Dust, dust_of
from chains.solana.kamino.journal import LIQUIDITY, OBLIGATION, Liquidity, liquidity_of, obligation_of

ONE = 1 << 60
_SIZE = ("total_available_amount", "borrowed_amount_sf")

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
    sizes = whole.sizes(LIQUIDITY, _SIZE)
    for market, liquidity in sorted(found.items()):
        excuse, total = excuse_of(whole, market), liquidity.mint_total_supply
        tokens, owing = (None, None) if market in unknown else (supplied[market], owed[market])
        yield Told("collateral.mint_total_supply", market, market, tokens, total, 0, total, OUTSIDE, excuse)
        lent = liquidity.borrowed_amount_sf
        dust = _dust(liquidity, sizes[market], None if owing is None else lent - owing)
        excuse = excuse or dust.excuse
        yield Told("liquidity.borrowed_amount_sf", market, market, owing, lent, dust.least, dust.most, DUST, excuse)


def _amount(unit: UnitSnapshot, reserve: bytes, wide: int | None) -> int:
    return unit.positions.get((reserve, Side.BORROW), 0) if wide is None else wide


def _dust(liquidity: Liquidity, sizes: Sizes, residual: int | None) -> Dust:
    first, most = liquidity_of(sizes.first), sizes.most
    size = most["total_available_amount"] + -(-most["borrowed_amount_sf"] // ONE)
    new = first.borrowed_amount_sf == 0 and first.cumulative_borrow_rate_bsf == ONE
    return dust_of(liquidity.slot, size, residual, from_beginning=new)
