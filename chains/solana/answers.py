"""What Solana nodes answer, as far as it is read, and as values of this package."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from typing import Annotated, Any

import msgspec

from chains.errors import NodeBusy, NodeWrong
from chains.identifiers import IdentifierError, from_base58
from chains.model import AccountBytes, Block
from chains.solana.ports import SlotBlock
from chains.solana.transactions import key

MOST_TRANSACTIONS = 1 << 15
"""More than any block holds."""


class Header(msgspec.Struct, rename="camel"):
    """`getBlock` without transactions, or with their signatures."""

    blockhash: str
    previous_blockhash: str
    parent_slot: int
    block_time: int | None = None
    block_height: int | None = None
    signatures: list[str] = []


class Context(msgspec.Struct):
    """The slot that an answer is of."""

    slot: int


class Account(msgspec.Struct):
    """An account, its bytes as text with the name of the encoding."""

    lamports: int
    owner: str
    data: tuple[str, str]


class Accounts(msgspec.Struct):
    """`getMultipleAccounts`."""

    context: Context
    value: list[Account | None]


class Keyed(msgspec.Struct):
    """An account with its address."""

    pubkey: str
    account: Account


class ProgramAccounts(msgspec.Struct):
    """`getProgramAccounts` with its context."""

    context: Context
    value: list[Keyed]


class Signature(msgspec.Struct):
    """One line of `getSignaturesForAddress`."""

    signature: str
    slot: int
    err: Any = None


class Signed(msgspec.Struct):
    """Who a transaction is."""

    signatures: list[str]


class Placed(msgspec.Struct, rename="camel"):
    """`getTransaction`, as far as it says which transaction it is and where; its place in the block since agave 4."""

    slot: int
    transaction: Signed
    transaction_index: Annotated[int, msgspec.Meta(ge=0, lt=MOST_TRANSACTIONS)] | None = None


class Status(msgspec.Struct, rename="camel"):
    """How far a transaction got."""

    confirmation_status: str | None = None


class Statuses(msgspec.Struct):
    """`getSignatureStatuses`."""

    value: list[Status | None]


OPTIONAL_HEADER: Any = Header | None


def slot_block(where: str, slot: int, header: Header | None, place: Collection[str]) -> SlotBlock:
    """Return a block with the places of the transactions that were asked for; raises `NodeBusy`, `NodeWrong`."""
    if header is None:
        raise NodeBusy(f"{where}: the node has no block in slot {slot} yet")
    if header.block_time is None:
        raise NodeWrong(f"{where}: the node does not know the time of slot {slot}; ask another")
    try:
        hashes = hash_bytes(header.blockhash), hash_bytes(header.previous_blockhash)
    except IdentifierError as error:
        raise NodeWrong(f"{where}: slot {slot} has a malformed hash; check the node") from error
    block = Block(number=slot, hash=hashes[0], parent_hash=hashes[1], time=header.block_time)
    places = {signature: index for index, signature in enumerate(header.signatures) if signature in place}
    return SlotBlock(block, header.parent_slot, header.block_height, places)


def hash_bytes(text: str) -> bytes:
    """Read a block hash; raises `IdentifierError`."""
    raw = from_base58(text)
    if len(raw) != 32:  # noqa: PLR2004 - the length of every hash
        raise IdentifierError(f'"{text[:64]}" is no hash of 32 bytes')
    return raw


def account_bytes(slot: int, account: Account | None) -> AccountBytes:
    """Return an account's own bytes; raises `NodeWrong`."""
    if account is None:
        return AccountBytes(slot, b"", 0, b"", closed=True)
    text, encoding = account.data
    if encoding != "base64":
        raise NodeWrong(f"the node gave bytes as {encoding[:20]!r}, asked for base64; check the node")
    try:
        return AccountBytes(
            slot, key(account.owner), account.lamports, base64.b64decode(text, validate=True), closed=False
        )
    except (binascii.Error, IdentifierError) as error:
        raise NodeWrong(f"the node gave a malformed account ({error}); check the node") from error


def signature_bytes(text: str) -> bytes:
    """Read a transaction's signature; raises `NodeWrong`."""
    try:
        raw = from_base58(text)
    except IdentifierError as error:
        raise NodeWrong(f"a signature is malformed ({error}); check the node") from error
    if len(raw) != 64:  # noqa: PLR2004 - the length of every signature
        raise NodeWrong(f"a signature has {len(raw)} bytes; check the node")
    return raw
