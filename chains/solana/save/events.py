"""What happened to an obligation between two looks at it, as far as two looks can tell.

A debt's interest is taken off: what is left of a change is borrowed or repaid, to the nearest raw token unit (a debt that is gone: up).
Collateral is told in tokens at the reserve's exchange rate of that time, rounded down, with the collateral tokens beside it. Several steps
between two looks are one change.
"""

from __future__ import annotations

from chains.solana.save.layout import Obligation
from chains.solana.save.maths import WAD, MathOverflow
from chains.solana.save.reserve import Pool, accrued, pool_of
from chains.solana.save.tips import POOL, Tips


def tell(tips: Tips, slot: int, unit: bytes, before: Obligation, after: Obligation) -> None:
    """Note as events what changed; a reserve that is not known, or that cannot say what its collateral stands for, tells nothing."""
    old, new = ({each.reserve: each for each in held.deposits} for held in (before, after))
    for reserve in sorted(old.keys() | new.keys()):
        change = (new[reserve].amount if reserve in new else 0) - (old[reserve].amount if reserve in old else 0)
        tokens = _tokens(tips, reserve, abs(change)) if change else None
        if tokens is not None:
            kind = "supply" if change > 0 else "withdraw"
            tips.history(
                slot,
                kind,
                unit,
                after.owner,
                reserve,
                tokens=tokens,
                collateral_raw=str(abs(change)),
                change_raw=str(change),
            )
    _tell_debts(tips, slot, unit, before, after)


def _tell_debts(tips: Tips, slot: int, unit: bytes, before: Obligation, after: Obligation) -> None:
    old, new = ({each.reserve: each for each in held.borrows} for held in (before, after))
    for reserve in sorted(old.keys() | new.keys()):
        owed, now = old.get(reserve), new.get(reserve)
        pool = _pool(tips, reserve)
        if pool is None:
            continue
        try:
            expected = accrued(owed.amount, owed.rate, now.rate if now else pool.rate) if owed else 0
        except MathOverflow:
            continue
        change = (now.amount if now else 0) - expected
        tokens = (abs(change) + (WAD // 2 if now else WAD - 1)) // WAD
        if tokens:
            tips.history(slot, "borrow" if change > 0 else "repay", unit, after.owner, reserve, tokens=tokens)


def _tokens(tips: Tips, reserve: bytes, collateral: int) -> int | None:
    pool = _pool(tips, reserve)
    if pool is None:
        return None
    try:
        return pool.redeemed(collateral) // WAD
    except MathOverflow:
        return None


def _pool(tips: Tips, reserve: bytes) -> Pool | None:
    state = tips.state(reserve, POOL)
    return None if state is None or "problem" in state else pool_of(state)
