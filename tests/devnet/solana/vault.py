"""What a vault is: tokens, one authority, and the token accounts in which it holds what people deposit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from solders.keypair import Keypair
from solders.pubkey import Pubkey
from spl.token.constants import TOKEN_2022_PROGRAM_ID, TOKEN_PROGRAM_ID, WRAPPED_SOL_MINT

from tests.devnet.solana.tokens import ata_address, transfer_fee


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A mint, also as text; a transfer withholds `fee_basis_points`, rounded up, and never more than `fee_most`."""

    symbol: str
    mint: Pubkey
    address: str
    program: Pubkey
    decimals: int
    fee_basis_points: int = 0
    fee_most: int = 0

    def fee(self, amount: int) -> int:
        """What a transfer of an amount withholds."""
        return transfer_fee(amount, basis_points=self.fee_basis_points, most=self.fee_most)

    def ata(self, owner: Pubkey) -> Pubkey:
        """The associated token account of an owner."""
        return ata_address(owner, self.mint, self.program)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """Who may spend, and the token accounts by symbol; the first of each is the associated one."""

    key: Keypair
    authority: Pubkey
    accounts: Mapping[str, tuple[Pubkey, ...]]

    @property
    def all_accounts(self) -> tuple[Pubkey, ...]:
        """Every account, in the order of the symbols."""
        return tuple(account for accounts in self.accounts.values() for account in accounts)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who deposits: the wallet, also as text, and its associated token account of each symbol."""

    name: str
    key: Keypair
    owner: Pubkey
    address: str
    accounts: Mapping[str, Pubkey]


USDC, JSOL, FEE, WSOL = "USDC", "JSOL", "FEE", "WSOL"
DECIMALS = {USDC: 6, JSOL: 9, FEE: 6, WSOL: 9}
FEE_BASIS_POINTS = 100
FEE_MOST = 5_000_000


def tokens(keys: Mapping[str, Keypair], *, wrapped_sol: bool) -> dict[str, Token]:
    """The tokens by symbol."""
    mints = {symbol: key.pubkey() for symbol, key in keys.items()} | ({WSOL: WRAPPED_SOL_MINT} if wrapped_sol else {})
    return {
        symbol: Token(
            symbol=symbol,
            mint=mint,
            address=str(mint),
            program=TOKEN_2022_PROGRAM_ID if symbol == FEE else TOKEN_PROGRAM_ID,
            decimals=DECIMALS[symbol],
            fee_basis_points=FEE_BASIS_POINTS if symbol == FEE else 0,
            fee_most=FEE_MOST if symbol == FEE else 0,
        )
        for symbol, mint in mints.items()
    }
