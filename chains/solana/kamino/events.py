"""What happened to an obligation between two looks at it: no transaction is read, so a change is only what both looks leave unexplained.

A change of cTokens is a supply or a withdrawal; a change of debt beyond the interest that the two cumulative rates make is a loan or a
repayment. A liquidation shows as both a withdrawal and a repayment. Nothing is said of an obligation that is seen for the first time, and
nothing of what is less than half of a token's smallest unit, which is the dust of interest that was rounded in several steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from chains.solana.kamino.journal import Debt, Liquidity
from chains.solana.kamino.maths import BITS, HALF


class Happened(NamedTuple):
    """One change: raw token units at the look's exchange rate (of cTokens down, of debt to the nearest), and the protocol's own."""

    kind: str
    reserve: bytes
    amount: int
    change: int


def collateral_changes(
    before: Mapping[bytes, int], after: Mapping[bytes, int], reserves: Mapping[bytes, Liquidity]
) -> Iterator[Happened]:
    """Compare cTokens by reserve."""
    for reserve in sorted(before.keys() | after.keys()):
        change = after.get(reserve, 0) - before.get(reserve, 0)
        liquidity = reserves.get(reserve)
        if change == 0 or liquidity is None:
            continue
        supply = liquidity.mint_total_supply
        worth = abs(change) * liquidity.total_supply // supply >> BITS if supply else abs(change)
        yield Happened("supply" if change > 0 else "withdraw", reserve, worth, change)


def debt_changes(
    before: Mapping[bytes, tuple[int, Debt]],
    after: Mapping[bytes, tuple[int, Debt]],
    reserves: Mapping[bytes, Liquidity],
) -> Iterator[Happened]:
    """Compare debts by reserve: the amount as a fraction, and the rate at which it stands; one that is gone stood at the reserve's."""
    for reserve in sorted(before.keys() | after.keys()):
        then, now = before.get(reserve), after.get(reserve)
        grown = 0 if then is None else then[0]
        if then is not None:
            at = now[1] if now is not None else reserves.get(reserve, then[1])
            grown = then[0] * at.cumulative_borrow_rate_bsf // then[1].cumulative_borrow_rate_bsf
        change = (0 if now is None else now[0]) - grown
        amount = (abs(change) + HALF) >> BITS
        if amount:
            yield Happened("borrow" if change > 0 else "repay", reserve, amount, change)
