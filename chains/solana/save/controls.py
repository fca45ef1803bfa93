"""What a reserve's own account counts, beside the sums over obligations."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from chains.auditing import Sizes, Told, Whole
from chains.model import WHOLE_VENUE
from chains.solana.apart import excuse_of
from chains.solana.dust import Dust, dust_of
from chains.solana.save.maths import WAD, MathOverflow
from chains.solana.save.reserve import Pool, accrued, pool_of
from chains.solana.save.tips import OBLIGATION_SETTING, POOL, unit_of

_SIZE = ("available", "borrowed")
OUTSIDE = "collateral tokens that lie outside obligations are nobody's here"
DUST = (
    "in 1e-18 of a raw unit: each slot in which interest is added rounds the reserve's debt down once, and each of its debts three times, "
    "by less than 1e-18 of it"
)


def told(whole: Whole) -> Iterator[Told]:
    """Name each reserve's collateral tokens and what it is owed, as of its last update (`Reserve::accrue_interest`, `Obligation`)."""
    pools = {
        market: pool_of(state)
        for (market, aspect), text in whole.snapshot.markets.items()
        if aspect == POOL and "problem" not in (state := json.loads(text))
    }
    supplied, owed = Counter[bytes](), Counter[bytes]()
    unknown: set[bytes] = set()
    for unit in whole.units():
        setting = unit.settings.get((WHOLE_VENUE, OBLIGATION_SETTING))
        if setting is None:
            continue
        held, problem = unit_of(json.loads(setting), unit.positions)
        reserves = {*(each.reserve for each in held.deposits), *(each.reserve for each in held.borrows)}
        unknown |= reserves if problem else set()
        for deposit in held.deposits:
            supplied[deposit.reserve] += deposit.amount
        for borrow in held.borrows:
            try:
                owed[borrow.reserve] += accrued(borrow.amount, borrow.rate, pools[borrow.reserve].rate)
            except (KeyError, MathOverflow):
                unknown.add(borrow.reserve)
    sizes = whole.sizes(POOL, _SIZE)
    for market, pool in sorted(pools.items()):
        known, excuse = market not in unknown, excuse_of(whole, market)
        tokens, debt = (supplied[market], owed[market]) if known else (None, None)
        yield Told("collateral_mint_total_supply", market, market, tokens, pool.supply, 0, pool.supply, OUTSIDE, excuse)
        dust = _dust(pool, sizes[market], None if debt is None else pool.borrowed - debt)
        excuse = excuse or dust.excuse
        yield Told("borrowed_amount_wads", market, market, debt, pool.borrowed, dust.least, dust.most, DUST, excuse)


def _dust(pool: Pool, sizes: Sizes, residual: int | None) -> Dust:
    first, most = json.loads(sizes.first), sizes.most
    size = most["available"] + -(-most["borrowed"] // WAD)
    new = "problem" not in first and (first["borrowed"], first["rate"]) == ("0", str(WAD))
    return dust_of(pool.slot, size, residual, from_beginning=new)
