"""Block headers as nodes give them, hashed by ourselves.

A header's hash is the keccak of its fields in the order in which forks added them. Which of them a chain has is seen in the answer, and
the hash itself tells whether that was right: a header whose hash does not come out has a shape that is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from eth_hash.auto import keccak

from chains.errors import NodeWrong
from chains.evm.evidence.rlp import Item, encode, whole
from chains.evm.evidence.trie import EMPTY_ROOT

HASH, ADDRESS, BLOOM, NONCE, NUMBER, BYTES = 32, 20, 256, 8, 0, -1
"""The size of a field; a number is as long as it needs, and bytes are as long as they are."""

FIRST_FIELDS = {
    "parentHash": HASH,
    "sha3Uncles": HASH,
    "miner": ADDRESS,
    "stateRoot": HASH,
    "transactionsRoot": HASH,
    "receiptsRoot": HASH,
    "logsBloom": BLOOM,
    "difficulty": NUMBER,
    "number": NUMBER,
    "gasLimit": NUMBER,
    "gasUsed": NUMBER,
    "timestamp": NUMBER,
    "extraData": BYTES,
    "mixHash": HASH,
    "nonce": NONCE,
}
LATER_FIELDS = {
    "baseFeePerGas": NUMBER,  # London
    "withdrawalsRoot": HASH,  # Shanghai
    "blobGasUsed": NUMBER,  # Cancun
    "excessBlobGas": NUMBER,
    "parentBeaconBlockRoot": HASH,
    "requestsHash": HASH,  # Prague
    "blockAccessListHash": HASH,  # Amsterdam
    "slotNumber": NUMBER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a header says; `hashed`: its fields, as given, hash to its hash."""

    number: int
    hash: bytes
    parent_hash: bytes
    receipts_root: bytes
    bloom: bytes
    hashed: bool

    @property
    def without_logs(self) -> bool:
        """Whether no transaction of the block has a receipt, so that no log can be there."""
        return self.receipts_root == EMPTY_ROOT


def header_of(said: Mapping[str, object]) -> Header:
    """Read a header of an answer; raises `NodeWrong` for one without the fields that every chain has."""
    try:
        return Header(
            number=int(_text(said["number"]), 16),
            hash=_bytes(said["hash"], HASH),
            parent_hash=_bytes(said["parentHash"], HASH),
            receipts_root=_bytes(said["receiptsRoot"], HASH),
            bloom=_bytes(said["logsBloom"], BLOOM),
            hashed=_bytes(said["hash"], HASH) in map(keccak, encodings(said)),
        )
    except (KeyError, ValueError) as error:
        raise NodeWrong(f"a node gave a malformed header ({error}); check the node") from error


def encodings(said: Mapping[str, object]) -> Iterator[bytes]:
    """Return what the hash of a header may be of: all fields that are known here first, then without the latest ones."""
    try:
        first: list[Item] = [field(said[name], size) for name, size in FIRST_FIELDS.items()]
        later = [field(said[name], size) for name, size in LATER_FIELDS.items() if said.get(name) is not None]
    except (KeyError, ValueError):
        return
    for count in range(len(later), -1, -1):
        yield encode([*first, *later[:count]])


def field(value: object, size: int) -> bytes:
    """Return a field as it is hashed; raises `ValueError` for one of another kind or size."""
    if size == NUMBER:
        return whole(int(_text(value), 16))
    return _bytes(value, size)


def linked(headers: Sequence[Header], last_hash: bytes) -> Header | None:
    """Return the highest of consecutive headers that is not the parent of the one above it, or not `last_hash`; `None` if each is."""
    expected = last_hash
    for header in reversed(headers):
        if header.hash != expected:
            return header
        expected = header.parent_hash
    return None


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(f"{str(value)[:20]!r} where 0x… was expected")
    return value


def _bytes(value: object, size: int) -> bytes:
    found = bytes.fromhex(_text(value)[2:])
    if size not in (BYTES, len(found)):
        raise ValueError(f"a field of {len(found)} bytes instead of {size}")
    return found
