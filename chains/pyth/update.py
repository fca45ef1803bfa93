"""The bytes that Hermes gives: prices, the Merkle path of each to a root, and that root in a message that Wormhole's guardians signed.

Sources: pyth-crosschain `pythnet/pythnet_sdk` (wire format "PNAU", Merkle tree with keccak-160, price messages) and
`target_chains/ethereum/contracts` (`PythAccumulator`: what a contract refuses); Wormhole's whitepaper on VAAs (body, digest, quorum).
All numbers are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from eth_hash.auto import keccak

MAGIC = b"PNAU"
MAJOR = 1
WORMHOLE_MERKLE = 0
ROOT_MAGIC = b"AUWV"
HASH = 20
VAA_VERSION = 1
PRICE, TWAP = 0, 1

_LEAF, _NODE = b"\x00", b"\x01"
_SIGNATURE = struct.Struct(">B32s32sB")
_BODY = struct.Struct(">IIH32sQB")
_ROOT = struct.Struct(">4sBQI20s")
_PRICE = struct.Struct(">B32sqQiqqqQ")


class BadUpdate(ValueError):
    """An update that is not believed; `code` names why: malformed, broken_merkle_path, and what `guardians.py` adds."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Signature(NamedTuple):
    """One guardian's signature: its place in the guardian set, and the ECDSA signature."""

    guardian: int
    r: int
    s: int
    recovery: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Vaa:
    """A message of Wormhole: who says they signed it (`guardian_set` by number), who emitted it, and what it says.

    `digest`: what is signed, keccak-256 of keccak-256 of the body; `timestamp`: Unix seconds.
    """

    guardian_set: int
    signatures: tuple[Signature, ...]
    digest: bytes
    timestamp: int
    emitter_chain: int
    emitter: bytes
    payload: bytes


class PriceMessage(NamedTuple):
    """One price: `price` × 10^`exponent` USD, give or take `confidence` × 10^`exponent`, as of `publish_time` (Unix seconds).

    `ema_…`: the exponential moving averages at the same scale.
    """

    feed_id: bytes
    price: int
    confidence: int
    exponent: int
    publish_time: int
    previous_publish_time: int
    ema_price: int
    ema_confidence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One root of prices and some of the prices under it, each with its path checked; `slot`: Pythnet's, of the root."""

    vaa: Vaa
    slot: int
    root: bytes
    prices: tuple[PriceMessage, ...]


class _Bytes:
    """Bytes that are read from front to back."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def take(self, count: int, what: str) -> bytes:
        part = self._raw[self._at : self._at + count]
        if len(part) < count:
            raise BadUpdate("malformed", f"it ends at {len(self._raw)} bytes, within {what}")
        self._at += count
        return part

    def number(self, count: int, what: str) -> int:
        return int.from_bytes(self.take(count, what))

    def rest(self) -> bytes:
        return self._raw[self._at :]


def update(body: bytes) -> Update:
    """Take an update apart and follow every Merkle path to the root; who signed the root is not looked at. Raises `BadUpdate`."""
    data = _Bytes(body)
    if data.take(4, "its header") != MAGIC:
        raise BadUpdate("malformed", "it does not begin with PNAU")
    if (major := data.number(1, "its header")) != MAJOR:
        raise BadUpdate("malformed", f"its format has version {major}, known is {MAJOR}")
    data.take(1, "its header")
    data.take(data.number(1, "its header"), "its header")
    if (kind := data.number(1, "its header")) != WORMHOLE_MERKLE:
        raise BadUpdate("malformed", f"its proof is of type {kind}, known is {WORMHOLE_MERKLE}")
    signed = vaa(data.take(data.number(2, "its VAA"), "its VAA"))
    slot, root = _root(signed.payload)
    prices = tuple(_prices(data, root))
    if data.rest():
        raise BadUpdate("malformed", f"{len(data.rest())} bytes stand behind its last price")
    return Update(vaa=signed, slot=slot, root=root, prices=prices)


def vaa(raw: bytes) -> Vaa:
    """Take a VAA apart; raises `BadUpdate`."""
    data = _Bytes(raw)
    if (version := data.number(1, "its VAA")) != VAA_VERSION:
        raise BadUpdate("malformed", f"its VAA has version {version}, known is {VAA_VERSION}")
    guardian_set = data.number(4, "its VAA")
    signatures = tuple(_signatures(data))
    body = data.rest()
    if len(body) < _BODY.size:
        raise BadUpdate("malformed", "its VAA ends within its body")
    timestamp, _, emitter_chain, emitter, _, _ = _BODY.unpack_from(body)
    return Vaa(
        guardian_set=guardian_set,
        signatures=signatures,
        digest=keccak(keccak(body)),
        timestamp=timestamp,
        emitter_chain=emitter_chain,
        emitter=emitter,
        payload=body[_BODY.size :],
    )


def leaf_hash(message: bytes) -> bytes:
    """Return the hash of a message as a leaf of the tree."""
    return bytes(keccak(_LEAF + message))[:HASH]


def node_hash(one: bytes, other: bytes) -> bytes:
    """Return the hash of two nodes, whichever is on which side."""
    return bytes(keccak(_NODE + min(one, other) + max(one, other)))[:HASH]


def _signatures(data: _Bytes) -> Iterator[Signature]:
    for _ in range(data.number(1, "its signatures")):
        guardian, r, s, recovery = _SIGNATURE.unpack(data.take(_SIGNATURE.size, "its signatures"))
        yield Signature(guardian, int.from_bytes(r), int.from_bytes(s), recovery)


def _root(payload: bytes) -> tuple[int, bytes]:
    """Return the slot and the root that the guardians signed."""
    if len(payload) < _ROOT.size:
        raise BadUpdate("malformed", "its VAA is too short to hold a Merkle root")
    magic, kind, slot, _, root = _ROOT.unpack_from(payload)
    if magic != ROOT_MAGIC or kind != WORMHOLE_MERKLE:
        raise BadUpdate("malformed", "its VAA holds no Merkle root")
    return slot, root


def _prices(data: _Bytes, root: bytes) -> Iterator[PriceMessage]:
    for number in range(data.number(1, "its prices")):
        message = data.take(data.number(2, "its prices"), "its prices")
        hashed = leaf_hash(message)
        for _ in range(data.number(1, "a Merkle path")):
            hashed = node_hash(hashed, data.take(HASH, "a Merkle path"))
        if hashed != root:
            raise BadUpdate("broken_merkle_path", f"the path of price {number + 1} does not lead to the signed root")
        if message[:1] != bytes([TWAP]):
            yield _price(message)


def _price(message: bytes) -> PriceMessage:
    if len(message) < _PRICE.size or message[0] != PRICE:
        raise BadUpdate("malformed", "a message under its root is no price")
    return PriceMessage(*_PRICE.unpack_from(message)[1:])
