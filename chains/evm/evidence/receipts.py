"""Receipts as nodes give them, rebuilt to the root that the header of their block commits to.

A receipt's encoding depends on its type and on the fork that was active. Where an answer leaves that open, each form that is known is
tried: the root tells which was right, and nothing but the receipts of the block can bring it about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from chains.errors import NodeWrong
from chains.evm.evidence.rlp import Item, encode, whole
from chains.evm.evidence.trie import list_root

KNOWN_TYPES = frozenset(range(5))
"""Legacy, access list, dynamic fee, blob, set code (EIP-2718 and those that followed)."""

DEPOSIT = 0x7E
"""A transaction that an OP Stack chain takes over from the chain below it."""


class BlockLog(NamedTuple):
    """One log of a block: `log_index` is its place among all logs of the block."""

    log_index: int
    tx_index: int
    tx_hash: bytes
    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


class _Log(msgspec.Struct):
    address: str
    topics: list[str]
    data: str


class Receipt(msgspec.Struct, rename="camel"):
    """One receipt of `eth_getBlockReceipts`, as said."""

    transaction_hash: str
    cumulative_gas_used: str
    logs_bloom: str
    logs: list[_Log]
    type: str | None = None
    status: str | None = None
    root: str | None = None
    deposit_nonce: str | None = None
    deposit_receipt_version: str | None = None


class Form(NamedTuple):
    """How receipts of deposits end: with their nonce, with the version of that rule, with both or with neither."""

    nonce: bool
    version: bool


_FORMS = (Form(nonce=True, version=True), Form(nonce=False, version=False), Form(nonce=True, version=False))


def unproven(receipts: Sequence[Receipt], root: bytes) -> str | None:
    """Return why receipts are not proven to be those of a block with this receipts root; `None` where they are."""
    try:
        odd = sorted({number for receipt in receipts if (number := kind(receipt)) not in KNOWN_TYPES | {DEPOSIT}})
        if any(list_root([encoded(receipt, form) for receipt in receipts]) == root for form in _forms(receipts)):
            return None
    except ValueError as error:
        return f"a receipt cannot be read ({error})"
    if odd:
        return f"receipts of type {', '.join(map(hex, odd))} are not known"
    return "the receipts given do not add up to the header's receiptsRoot"


def values_of(receipts: Sequence[Receipt], root: bytes) -> list[bytes] | None:
    """Return what the trie with this root holds of receipts, `None` where they do not add up to it."""
    try:
        forms = ([encoded(receipt, form) for receipt in receipts] for form in _forms(receipts))
        return next((values for values in forms if list_root(values) == root), None)
    except ValueError:
        return None


def logs_in(receipts: Sequence[Receipt]) -> list[BlockLog]:
    """Return the logs of a block's receipts in order; raises `NodeWrong` for malformed ones."""
    try:
        return list(_numbered(receipts))
    except ValueError as error:
        raise NodeWrong(f"eth_getBlockReceipts: an answer holds a malformed log ({error})") from error


def kind(receipt: Receipt) -> int:
    """Return the type of a receipt's transaction; what has none is of the oldest."""
    return int(receipt.type, 16) if receipt.type is not None else 0


def encoded(receipt: Receipt, form: Form) -> bytes:
    """Return what the trie holds of a receipt; raises `ValueError` for a malformed one."""
    fields: list[Item] = [
        _outcome(receipt),
        whole(int(receipt.cumulative_gas_used, 16)),
        unhexed(receipt.logs_bloom),
        [[unhexed(log.address), [unhexed(topic) for topic in log.topics], unhexed(log.data)] for log in receipt.logs],
    ]
    number = kind(receipt)
    if number == DEPOSIT:
        fields += _deposit_end(receipt, form)
    return encode(fields) if number == 0 else bytes((number,)) + encode(fields)


def _outcome(receipt: Receipt) -> bytes:
    """Return whether a transaction succeeded or, of before Byzantium, the state after it."""
    if receipt.status is not None:
        return whole(int(receipt.status, 16))
    if receipt.root is None:
        raise ValueError("it has neither a status nor the state root of before Byzantium")
    return unhexed(receipt.root)


def _deposit_end(receipt: Receipt, form: Form) -> Iterator[bytes]:
    if form.nonce and receipt.deposit_nonce is not None:
        yield whole(int(receipt.deposit_nonce, 16))
    if form.version and receipt.deposit_receipt_version is not None:
        yield whole(int(receipt.deposit_receipt_version, 16))


def _forms(receipts: Sequence[Receipt]) -> Sequence[Form]:
    return _FORMS if any(kind(receipt) == DEPOSIT for receipt in receipts) else _FORMS[:1]


def _numbered(receipts: Sequence[Receipt]) -> Iterator[BlockLog]:
    place = 0
    for tx_index, receipt in enumerate(receipts):
        tx_hash = unhexed(receipt.transaction_hash)
        for log in receipt.logs:
            topics = tuple(unhexed(topic) for topic in log.topics)
            yield BlockLog(place, tx_index, tx_hash, unhexed(log.address), topics, unhexed(log.data))
            place += 1


def unhexed(text: str) -> bytes:
    """Return the bytes of `0x…` text; raises `ValueError` for anything else."""
    if not text.startswith("0x"):
        raise ValueError(f"{text[:12]!r} where 0x… was expected")
    return bytes.fromhex(text[2:])
