"""What a Merkle Patricia trie holds under a key, by the nodes on the way there (Yellow Paper, appendix D).

Keys are hashes, so that all are of one length and no value sits in a branch. Nodes come as EIP-1186 has them: from the root down, each that
its parent names by hash; those that are shorter stand within their parents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from eth_hash.auto import keccak

from chains.evm.evidence.rlp import Item, encode
from chains.evm.evidence.trie import EMPTY_ROOT
from chains.evm.proofs.faults import BadProof
from chains.evm.proofs.rlp import decode

_HASH = 32
_BRANCH, _PAIR = 17, 2
_ODD, _LEAF = 1, 2


def value_at(root: bytes, key: bytes, nodes: Sequence[bytes]) -> bytes | None:
    """Return the value under the hash of a key, `None` where the nodes prove that there is none.

    Raises `BadProof` for nodes that do not lead there from `root`, or of which some are not needed.
    """
    given = enumerate(nodes)
    value = _found(root, keccak(key), given)
    if (rest := next(given, None)) is not None:
        raise BadProof(f"node {rest[0]} is below where the key ends")
    return value


def _found(root: bytes, digest: bytes, given: Iterator[tuple[int, bytes]]) -> bytes | None:
    if root == EMPTY_ROOT:
        _nothing(given)
        return None
    path = bytes(half for byte in digest for half in (byte >> 4, byte & 15))
    reference: Item = root
    place, node = 0, cast("Sequence[Item]", ())
    while True:
        place, node = _opened(reference, given, place, is_root=reference is root)
        if len(node) == _BRANCH:
            if not path:
                raise BadProof(f"node {place} is a branch where the key has ended")
            reference, path = node[path[0]], path[1:]
        else:
            way, is_leaf = _way(node[0], place)
            if path[: len(way)] != way or (is_leaf and len(way) != len(path)):
                return None
            path = path[len(way) :]
            if is_leaf:
                return _value(node[1], place)
            reference = node[1]
        if reference == b"":
            if len(node) != _BRANCH:
                raise BadProof(f"node {place} leads nowhere")
            return None


def _nothing(given: Iterator[tuple[int, bytes]]) -> None:
    """Take the encoding of nothing, which some nodes give as the only node of an empty trie."""
    first = next(given, None)
    if first is not None and first[1] != encode(b""):
        raise BadProof("node 0 is not the root: that of an empty trie has none")


def _opened(
    reference: Item, given: Iterator[tuple[int, bytes]], place: int, *, is_root: bool
) -> tuple[int, Sequence[Item]]:
    """Return the node that is referred to, and the number of the given one that it is or stands in."""
    if not isinstance(reference, bytes):
        if len(encode(reference)) >= _HASH:
            raise BadProof(f"node {place} holds a node that must be named by its hash")
        return place, _parts(reference, place)
    if len(reference) != _HASH:
        raise BadProof(f"node {place} refers to {len(reference)} bytes, which are no hash")
    place, raw = next(given, (-1, b""))
    if place < 0:
        raise BadProof(f"the node 0x{reference.hex()} is missing")
    if keccak(raw) != reference:
        raise BadProof(f"node {place} has another hash than 0x{reference.hex()}")
    if len(raw) < _HASH and not is_root:
        raise BadProof(f"node {place} is too short to be named by its hash")
    try:
        return place, _parts(decode(raw), place)
    except BadProof as error:
        raise BadProof(f"node {place}: {error}") from error


def _parts(node: Item, place: int) -> Sequence[Item]:
    if isinstance(node, bytes) or len(node) not in {_BRANCH, _PAIR}:
        raise BadProof(f"node {place} is neither a branch nor a leaf nor an extension")
    return node


def _way(packed: Item, place: int) -> tuple[bytes, bool]:
    """Return the part of the key that a node stands for, and whether it is a leaf."""
    if not isinstance(packed, bytes) or not packed:
        raise BadProof(f"node {place} has no path")
    flag, halves = packed[0] >> 4, bytes(half for byte in packed for half in (byte >> 4, byte & 15))
    if flag > _ODD | _LEAF or (not flag & _ODD and halves[1]):
        raise BadProof(f"node {place} has a path of no known kind")
    way = halves[1:] if flag & _ODD else halves[2:]
    if not way and not flag & _LEAF:
        raise BadProof(f"node {place} is an extension by nothing")
    return way, bool(flag & _LEAF)


def _value(item: Item, place: int) -> bytes:
    if not isinstance(item, bytes) or not item:
        raise BadProof(f"node {place} is a leaf without a value")
    return item
