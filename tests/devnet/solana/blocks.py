"""What a chain is made of: transactions with what they did, blocks, and where a node stands among them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from solders.hash import Hash
from solders.message import Message, MessageV0, MessageV1
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata, InnerInstruction
from solders.transaction_status import UiTransactionStatusMeta

from tests.devnet.solana.accounts import TOKEN_PROGRAMS, Image, Read, mint_of, token_holding

AnyMessage: TypeAlias = Message | MessageV0 | MessageV1


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBalance:
    """What one of a transaction's accounts held of a token."""

    index: int
    mint: Pubkey
    owner: Pubkey
    program: Pubkey
    amount: int
    decimals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The accounts of a transaction, in the order of its keys, before or after it."""

    lamports: tuple[int, ...]
    tokens: tuple[TokenBalance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """A transaction in a block, successful or not. `keys` are static, then loaded writable, then loaded readonly."""

    signature: str
    slot: int
    index: int
    time: int
    transaction: VersionedTransaction
    keys: tuple[Pubkey, ...]
    loaded_writable: tuple[Pubkey, ...]
    loaded_readonly: tuple[Pubkey, ...]
    before: Moment
    after: Moment
    error: Any
    fee: int
    compute_units: int
    logs: tuple[str, ...]
    inner: tuple[tuple[InnerInstruction, ...], ...]
    return_program: Pubkey | None
    return_bytes: bytes

    @property
    def version(self) -> int | str:
        """`legacy`, or the number of the format."""
        return 0 if isinstance(self.transaction.message, MessageV0) else "legacy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A sealed block; `changed` names the accounts that it left different from how it found them."""

    slot: int
    parent_slot: int
    height: int
    hash: Hash
    previous_hash: Hash
    time: int
    transactions: tuple[Landed, ...]
    changed: tuple[Pubkey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a node stands: its newest block, and those that it calls confirmed and finalized."""

    processed: Block
    confirmed: Block
    finalized: Block

    def at(self, commitment: str) -> Block:
        """The newest block of a commitment."""
        return cast("Block", getattr(self, commitment))


def error_json(outcome: FailedTransactionMetadata) -> Any:
    """A transaction's error as nodes write it; only inside a status does it keep its name."""
    return json.loads(UiTransactionStatusMeta(outcome.err(), 0, [], []).to_json())["err"]


def writable_indexes(message: AnyMessage, loaded_writable: int) -> list[int]:
    """The places of the keys that a transaction may change."""
    header, static = message.header, len(message.account_keys)
    signed = header.num_required_signatures
    first_readonly_signed = signed - header.num_readonly_signed_accounts
    first_readonly_unsigned = static - header.num_readonly_unsigned_accounts
    return [
        *range(first_readonly_signed),
        *range(signed, first_readonly_unsigned),
        *range(static, static + loaded_writable),
    ]


def invoked(transaction: VersionedTransaction) -> frozenset[int]:
    """The places of the keys that are called as programs."""
    return frozenset(instruction.program_id_index for instruction in transaction.message.instructions)


def token_balances(
    keys: Sequence[Pubkey], images: Sequence[Image | None], programs: frozenset[int], read: Read
) -> tuple[TokenBalance, ...]:
    """What nodes note of a transaction's token accounts: nothing unless it names a token program."""
    if TOKEN_PROGRAMS.isdisjoint(keys):
        return ()
    found = []
    for index, image in enumerate(images):
        holding = None if index in programs or keys[index] in TOKEN_PROGRAMS else token_holding(image)
        mint = mint_of(read(holding.mint)) if holding else None
        if holding and mint:
            found.append(
                TokenBalance(
                    index=index,
                    mint=holding.mint,
                    owner=holding.owner,
                    program=holding.program,
                    amount=holding.amount,
                    decimals=mint.decimals,
                )
            )
    return tuple(found)
