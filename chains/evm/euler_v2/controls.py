"""What each vault counts and holds: shares to the last unit, debts but for what each of them rounds away."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from chains.auditing import Told, Whole
from chains.evm.euler_v2.events import TOTAL_BORROWS_EXACT, TOTAL_SUPPLY
from chains.evm.euler_v2.maths import DEBT_SHIFT, VIRTUAL_DEPOSIT, Debt
from chains.evm.euler_v2.unit import Book, Vault
from chains.evm.ports import STATE, Holding, Read, Total
from chains.model import Side

DUST = "in 2^-31 of a raw unit: each log rounds the total or one debt by less than one, and so does each debt to the block's time"
ROUNDS = (
    "where bad debt was shared, shares are worth more than there is by up to the virtual deposit of 1e6 raw units; "
    "a part of a unit that is owed counts as a whole one"
)


def totals(whole: Whole) -> Iterator[Total]:
    """Name each vault's shares, what it is owed, and beside that the sum of its debts (`totalBorrowsExact`)."""
    debts = whole.settings("debt")
    for vault in Book(whole.snapshot).vaults.values():

        def ask(view: bytes, contract: bytes = vault.address) -> Read:
            return Read(whole.snapshot.at.number, STATE, contract, view)

        known = vault.doubt is None
        shares = whole.sums.get((vault.address, Side.SUPPLY), 0) + vault.status.fees
        yield Total("totalSupply", vault.address, ask(TOTAL_SUPPLY.calldata()), shares if known else None)
        borrows = vault.status.borrows if known else None
        yield Total("totalBorrowsExact", vault.address, ask(TOTAL_BORROWS_EXACT.calldata()), borrows)
        owing = debts.get(vault.address, ())
        most = 2 * (whole.logs(vault.address) + len(owing))
        owed = _owed(vault, owing) if known else None
        yield Total("debts", vault.address, ask(TOTAL_BORROWS_EXACT.calldata()), owed, 0, -most, most, DUST)


def told(whole: Whole) -> Iterator[Told]:
    """Name each vault's totals as its last `VaultStatus` told them: shares, and what it is owed beside the single debts."""
    debts = whole.settings("debt")
    for vault in Book(whole.snapshot).vaults.values():
        known, status, owing = vault.doubt is None, vault.status, debts.get(vault.address, ())
        shares = whole.sums.get((vault.address, Side.SUPPLY), 0) + status.fees
        yield Told(
            "VaultStatus.totalShares", vault.address, vault.address, shares if known else None, status.shares if known else None
        )  # fmt: skip
        most = 2 * (whole.logs(vault.address) + len(owing))
        owed = _owed(vault, owing) if known else None
        yield Told(
            "VaultStatus.totalBorrows", vault.address, vault.address, owed, status.borrows if known else None, -most, most, DUST
        )  # fmt: skip


def holdings(whole: Whole) -> Iterator[Holding]:
    """Name what each vault holds of its asset; with what it is owed, it must cover what all of its shares are worth."""
    for vault in Book(whole.snapshot).vaults.values():
        status, known = vault.status, vault.doubt is None
        owed, claims = status.borrows >> DEBT_SHIFT, status.assets_down(status.shares)
        yield Holding(
            vault.address,
            vault.asset,
            vault.address,
            owed if known else None,
            claims if known else None,
            VIRTUAL_DEPOSIT + 1,
            ROUNDS,
        )


def _owed(vault: Vault, debts: Sequence[str]) -> int:
    return sum(Debt.of(json.loads(text)).at(vault.status.accumulator) for text in debts)
