"""What an actor sees before acting: the chain as it is now, the vault, the people; and how a plan becomes bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from random import Random

from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from tests.devnet.solana import tokens
from tests.devnet.solana.accounts import token_holding
from tests.devnet.solana.book import Book, Gift, Move
from tests.devnet.solana.keys import keypair
from tests.devnet.solana.ledger import Ledger
from tests.devnet.solana.vault import Token, User, Vault

ODD_AMOUNTS = (1, 7, 999_999)
ODD_SHARE = 0.1
SMALLEST, LARGEST = -2, 3.5
"""Amounts lie between these powers of ten of a whole token."""


class Shape(Enum):
    """How a transaction is written."""

    LEGACY = "legacy"
    V0 = "v0"
    V0_LOOKUP = "v0 with lookup tables"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One transaction of a plan, and what the vault should have received when it succeeded."""

    instructions: Sequence[Instruction]
    payer: Keypair
    signers: Sequence[Keypair] = ()
    moves: Sequence[Move] = ()
    gifts: Sequence[Gift] = ()
    shape: Shape = Shape.LEGACY
    fails: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """Keys that belong to no depositor."""

    admin: Keypair
    sponsor: Keypair
    delegate: Keypair


@dataclass(slots=True, kw_only=True)
class Scene:
    """A vault in use."""

    seed: int
    ledger: Ledger
    rng: Random
    tokens: Mapping[str, Token]
    vault: Vault
    users: tuple[User, ...]
    staff: Staff
    book: Book = field(default_factory=Book)
    tables: tuple[AddressLookupTableAccount, ...] = ()
    seconds: list[Pubkey] = field(default_factory=list)
    """Token accounts that users opened beside their associated ones; some are closed by now."""
    made: int = 0

    def new_key(self, name: str) -> Keypair:
        """A key that nobody used before."""
        self.made += 1
        return keypair(self.seed, f"{name}/{self.made}")

    def user(self) -> User:
        return self.rng.choice(self.users)

    def other_than(self, user: User) -> User:
        """Somebody else; the same in a world of one."""
        others = [other for other in self.users if other is not user]
        return self.rng.choice(others) if others else user

    def token(self) -> Token:
        """Any token but wrapped SOL, which people must wrap first."""
        return self.tokens[self.rng.choice([symbol for symbol in self.tokens if symbol != "WSOL"])]

    def vault_account(self, token: Token) -> Pubkey:
        """One of the vault's accounts."""
        first, *others = self.vault.accounts[token.symbol]
        return self.rng.choice(others) if others and self.rng.random() < 0.25 else first

    def balance(self, account: Pubkey) -> int:
        """What a token account holds now; nothing when there is none."""
        held = token_holding(self.ledger.read(account))
        return held.amount if held else 0

    def depositor(self, token: Token) -> tuple[User, int] | None:
        """Somebody with something of a token in the vault, and how much."""
        nets = [(user, self.book.net(user.address, token.address)) for user in self.users]
        able = [(user, net) for user, net in nets if net > 0]
        return self.rng.choice(able) if able else None

    def vault_balances(self) -> dict[str, int]:
        """What the vault holds now, by mint."""
        return {
            token.address: sum(self.balance(account) for account in self.vault.accounts[symbol])
            for symbol, token in self.tokens.items()
        }

    def amount(self, token: Token, most: int) -> int:
        """A plausible amount, every size alike likely, never above the most."""
        if self.rng.random() < ODD_SHARE:
            return min(self.rng.choice(ODD_AMOUNTS), most)
        return min(max(1, int(10 ** (token.decimals + self.rng.uniform(SMALLEST, LARGEST)))), most)

    def part(self, amount: int) -> int:
        """A part of an amount, or all of it."""
        return amount if self.rng.random() < 0.2 else max(1, amount * self.rng.randrange(1, 1_000) // 1_000)

    def shape(self) -> Shape:
        return self.rng.choices([Shape.LEGACY, Shape.V0, Shape.V0_LOOKUP], [9, 4, 7])[0]

    def transfer(
        self, token: Token, source: Pubkey, destination: Pubkey, authority: Pubkey, amount: int
    ) -> Instruction:
        """One of the instructions that move a token."""
        if self.rng.random() < 0.5:
            return checked(token, source, destination, authority, amount)
        if not token.fee_basis_points:
            return tokens.transfer_plain(token.program, source, destination, authority, amount)
        return tokens.transfer_checked_with_fee(
            source,
            token.mint,
            destination,
            authority,
            amount=amount,
            decimals=token.decimals,
            fee=token.fee(amount),
        )

    def signed(self, step: Step) -> VersionedTransaction:
        """The transaction of a step; one that already happened gets a harmless instruction more."""
        transaction = self._signed(step, step.instructions)
        while str(transaction.signatures[0]) in self.ledger.transactions:
            self.made += 1
            transaction = self._signed(step, [tokens.distinct(self.made), *step.instructions])
        return transaction

    def _signed(self, step: Step, instructions: Sequence[Instruction]) -> VersionedTransaction:
        payer, blockhash = step.payer.pubkey(), self.ledger.tip.hash
        keys = distinct_keys([step.payer, *step.signers])
        if step.shape is Shape.LEGACY:
            return VersionedTransaction(Message.new_with_blockhash(instructions, payer, blockhash), keys)
        tables = self.tables if step.shape is Shape.V0_LOOKUP else ()
        return VersionedTransaction(MessageV0.try_compile(payer, instructions, tables, blockhash), keys)


def checked(token: Token, source: Pubkey, destination: Pubkey, authority: Pubkey, amount: int) -> Instruction:
    """The instruction that moves any token, and does not say what fee it takes."""
    return tokens.transfer_checked(
        token.program, source, token.mint, destination, authority, amount=amount, decimals=token.decimals
    )


def distinct_keys(keys: Iterable[Keypair]) -> list[Keypair]:
    """Each key once."""
    return list({key.pubkey(): key for key in keys}.values())
