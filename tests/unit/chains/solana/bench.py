"""Tokens of every kind in the real token programs, with wallets and accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random

import msgspec
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from spl.token.constants import TOKEN_2022_PROGRAM_ID, TOKEN_PROGRAM_ID, WRAPPED_SOL_MINT

from chains.solana.transactions import Transaction, transaction
from tests.devnet.solana import tokens, wire
from tests.devnet.solana.accounts import MINT_SIZE, SYSTEM_PROGRAM, TokenHolding, rent_exempt, token_holding
from tests.devnet.solana.blocks import Landed
from tests.devnet.solana.keys import genesis_hash, keypair
from tests.devnet.solana.ledger import Ledger

NATIVE_2022 = Pubkey.create_program_address([b"native-mint", b"\xff"], TOKEN_2022_PROGRAM_ID)
FEE_BASIS_POINTS, FEE_MOST = 250, 40_000
RICH = 10**14
WALLETS = 3
ROOM = 240
"""Bytes of a token account with whatever extensions its mint asks for."""


@dataclass(frozen=True, slots=True)
class Mint:
    """A token; `delegate` may move what anybody holds, `burner` must sign for what is burnt."""

    key: Pubkey
    program: Pubkey
    native: bool = False
    fee: bool = False
    delegate: Keypair | None = None
    burner: Keypair | None = None


@dataclass(slots=True)
class Bench:
    """A ledger with mints, wallets and token accounts."""

    seed: int
    rng: Random = field(init=False)
    ledger: Ledger = field(init=False)
    keys: dict[Pubkey, Keypair] = field(default_factory=dict)
    mints: list[Mint] = field(default_factory=list)
    accounts: dict[Pubkey, Mint] = field(default_factory=dict)
    wallets: list[Pubkey] = field(default_factory=list)
    made: int = 0

    def __post_init__(self) -> None:
        self.rng = Random(f"{self.seed}/bench")
        self.ledger = Ledger(genesis_hash=genesis_hash(self.seed))
        self.wallets = [self.new_key() for _ in range(WALLETS)]
        for wallet in self.wallets:
            self.ledger.set_account(wallet, owner=SYSTEM_PROGRAM, lamports=RICH)
        body = bytearray(MINT_SIZE)
        body[44], body[45] = 9, 1
        self.ledger.set_account(WRAPPED_SOL_MINT, owner=TOKEN_PROGRAM_ID, data=bytes(body))
        self.ledger.seal()
        self.mints = list(self._mints())
        for mint in self.mints:
            for wallet in (*self.wallets, self.wallets[0]):
                made, account = self.opened(mint, wallet, lamports=0)
                self.must(made)
                self.accounts[account] = mint
            if not mint.native:
                self.must([self.minted(mint, account, 10**6) for account in self.of(mint)])

    @property
    def payer(self) -> Pubkey:
        """Who pays for everything, and is every mint's authority."""
        return self.wallets[0]

    def new_key(self) -> Pubkey:
        self.made += 1
        key = keypair(self.seed, f"bench/{self.made}")
        self.keys[key.pubkey()] = key
        return key.pubkey()

    def of(self, mint: Mint) -> list[Pubkey]:
        """The token accounts of a mint that are there, and somebody's here."""
        held = {account: self.holding(account) for account, of in self.accounts.items() if of is mint}
        return [account for account, holding in held.items() if holding and holding.owner in self.keys]

    def holding(self, account: Pubkey) -> TokenHolding | None:
        return token_holding(self.ledger.read(account))

    def holdings(self) -> dict[Pubkey, TokenHolding]:
        """What every token account says of itself."""
        found = {account: self.holding(account) for account in self.accounts}
        return {account: held for account, held in found.items() if held}

    def run(self, instructions: Sequence[Instruction]) -> tuple[Landed, Transaction]:
        """Execute a transaction, and read it as a node would tell it."""
        self.made += 1
        parts = [tokens.distinct(self.made), *instructions]
        signers = {meta.pubkey: None for each in instructions for meta in each.accounts if meta.is_signer}
        keys = {self.payer: None, **signers}
        message = Message.new_with_blockhash(parts, self.payer, self.ledger.tip.hash)
        landed = self.ledger.execute(VersionedTransaction(message, [self.keys[key] for key in keys]))
        if self.made % 50 == 0:
            self.ledger.seal()
        return landed, transaction(msgspec.json.encode(wire.confirmed_transaction(landed, "json", 0)))

    def must(self, instructions: Sequence[Instruction]) -> None:
        landed, _ = self.run(instructions)
        assert landed.error is None, landed.logs

    def opened(self, mint: Mint, owner: Pubkey, *, lamports: int) -> tuple[list[Instruction], Pubkey]:
        """A new token account, by any of the instructions that make one, with some lamports more than it needs."""
        account = self.new_key()
        size = 165 if mint.program == TOKEN_PROGRAM_ID or mint.native else ROOM
        room = tokens.create_token_account(mint.program, self.payer, account, mint.key, owner)[0]
        if size != 165:
            room = Instruction(
                room.program_id, bytes(room.data[:12]) + tokens.u64(size) + bytes(room.data[20:]), room.accounts
            )
        rent = tokens.pay(self.payer, account, rent_exempt(size) - rent_exempt(165) + lamports)
        plain = [tokens.writable(account), tokens.readonly(mint.key)]
        sysvar = tokens.readonly(Pubkey.from_string("SysvarRent111111111111111111111111111111111"))
        begin = self.rng.choice(
            [
                Instruction(mint.program, b"\x01", [*plain, tokens.readonly(owner), sysvar]),
                Instruction(mint.program, b"\x10" + bytes(owner), [*plain, sysvar]),
                Instruction(mint.program, b"\x12" + bytes(owner), plain),
            ]
        )
        return [room, rent, begin], account

    def minted(self, mint: Mint, account: Pubkey, amount: int) -> Instruction:
        return tokens.mint_to(mint.program, mint.key, account, self.payer, amount)

    def _mints(self) -> Iterator[Mint]:
        yield Mint(WRAPPED_SOL_MINT, TOKEN_PROGRAM_ID, native=True)
        native = [tokens.paying(self.payer), tokens.writable(NATIVE_2022), tokens.readonly(SYSTEM_PROGRAM)]
        self.must([Instruction(TOKEN_2022_PROGRAM_ID, b"\x1f", native)])
        yield Mint(NATIVE_2022, TOKEN_2022_PROGRAM_ID, native=True)
        for program in (TOKEN_PROGRAM_ID, TOKEN_2022_PROGRAM_ID):
            key = self.new_key()
            self.must(tokens.create_mint(program, self.payer, key, self.payer, 6))
            yield Mint(key, program)
        key, terms = self.new_key(), {"basis_points": FEE_BASIS_POINTS, "most": FEE_MOST}
        self.must(tokens.create_fee_mint(self.payer, key, self.payer, 6, **terms))
        yield Mint(key, TOKEN_2022_PROGRAM_ID, fee=True)
        yield self._extended(35, lambda mint, key: replace(mint, delegate=key))
        yield self._extended(46, lambda mint, key: replace(mint, burner=key))

    def _extended(self, code: int, named: Callable[[Mint, Keypair], Mint]) -> Mint:
        """A mint with one extension that names one key."""
        key, power = self.new_key(), self.new_key()
        size = 166 + 4 + 32
        room, begin = tokens.create_mint(TOKEN_2022_PROGRAM_ID, self.payer, key, self.payer, 6)
        room = Instruction(
            room.program_id, bytes(room.data[:12]) + tokens.u64(size) + bytes(room.data[20:]), room.accounts
        )
        rent = tokens.pay(self.payer, key, rent_exempt(size) - rent_exempt(MINT_SIZE))
        sub = b"\0" if code == 46 else b""
        extension = Instruction(TOKEN_2022_PROGRAM_ID, bytes([code]) + sub + bytes(power), [tokens.writable(key)])
        self.must([room, rent, extension, begin])
        return named(Mint(key, TOKEN_2022_PROGRAM_ID), self.keys[power])
