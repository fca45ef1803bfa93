"""What a bank's own account counts, beside the sums over members' accounts: shares, as I80F48 bits."""

from __future__ import annotations

from collections.abc import Iterator

from chains.auditing import Told, Whole
from chains.model import Side
from chains.solana.apart import excuse_of
from chains.solana.marginfi.states import TOTALS, totals_of

ONE = 1 << 48
LEAST_PART = 10_000
"""A balance below 10^-4 raw units counts as nothing (`ZERO_AMOUNT_THRESHOLD`)."""

DUST = "one balance closed in each slot, which leaves less than 1e-4 raw units in the bank's total (`close_balance`)"


def told(whole: Whole) -> Iterator[Told]:
    """Name each bank's shares of both sides; every change of a balance is added to its bank's total as it is (`change_asset_shares`)."""
    for (bank, aspect), text in sorted(whole.snapshot.markets.items()):
        if aspect != TOTALS:
            continue
        totals, excuse = totals_of(text), excuse_of(whole, bank)
        for name, side, theirs, value in (
            ("total_asset_shares", Side.SUPPLY, totals.total_asset_shares, totals.asset_share_value),
            ("total_liability_shares", Side.BORROW, totals.total_liability_shares, totals.liability_share_value),
        ):
            ours = whole.sums.get((bank, side), 0)
            yield Told(name, bank, bank, ours, theirs, 0, _dust(whole.snapshot.at.number, value), DUST, excuse)


def _dust(slots: int, share_value: int) -> int:
    """Return the shares (bits) that so many closed balances may leave, rounded up."""
    return -(-slots * ONE * ONE // (LEAST_PART * share_value)) if share_value > 0 else 0
