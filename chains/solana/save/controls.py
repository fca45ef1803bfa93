"""What a reserve's own account counts, beside the sums over obligations. All accounts of a market are listed in one answer, of one slot."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from chains.auditing import Told, Whole
from chains.model import WHOLE_VENUE
from chains.solana.save.maths import WAD, MathOverflow
from chains.solana.save.reserve import Pool, accrued, pool_of
from chains.solana.save.tips import OBLIGATION_SETTING, POOL, unit_of

ROUNDINGS = 3
"""Of a debt in one slot: the reserve's cumulative rate, the obligation's quotient of rates, and its product with the debt."""

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
    for market, pool in sorted(pools.items()):
        known = market not in unknown
        tokens, debt = (supplied[market], owed[market]) if known else (None, None)
        yield Told("collateral_mint_total_supply", market, market, tokens, pool.supply, 0, pool.supply, OUTSIDE)
        yield Told("borrowed_amount_wads", market, market, debt, pool.borrowed, *_bounds(pool), DUST)


def _bounds(pool: Pool) -> tuple[int, int]:
    """Return by how much the debts may be more and less than the reserve's, if it was brought up to date in every slot there was."""
    size = pool.available * WAD + pool.borrowed
    return -2 * pool.slot, ROUNDINGS * pool.slot * (1 + size // WAD)
