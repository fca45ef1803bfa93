"""The root of the Merkle Patricia trie over a list, which is what headers commit to (Yellow Paper, appendix D)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from eth_hash.auto import keccak

from chains.evm.evidence.rlp import encode, listed, string, whole

EMPTY_ROOT = keccak(encode(b""))
"""The root of a list of nothing."""

_HASHED = 32
"""A node of so many bytes or more stands in its parent by its hash."""

_WIDTH = 16


class _Entry(NamedTuple):
    path: bytes
    value: bytes


def list_root(values: Sequence[bytes]) -> bytes:
    """Return the root of the trie that holds each value under the encoding of its place.

    No key is the beginning of another, so no value ever sits in a branch.
    """
    if not values:
        return EMPTY_ROOT
    entries = sorted(_Entry(_nibbles(encode(whole(place))), value) for place, value in enumerate(values))
    return keccak(_node(entries, 0))


def list_proof(values: Sequence[bytes], place: int) -> list[bytes]:
    """Return the nodes from the root of the same trie to the value at a place, each that its parent names by its hash."""
    entries = sorted(_Entry(_nibbles(encode(whole(number))), value) for number, value in enumerate(values))
    path, depth, nodes = _nibbles(encode(whole(place))), 0, list[bytes]()
    while True:
        raw = _node(entries, depth)
        if not nodes or len(raw) >= _HASHED:
            nodes.append(raw)
        if len(entries) == 1:
            return nodes
        shared = _shared(entries[0].path, entries[-1].path, depth)
        if shared > depth:
            depth = shared
        else:
            entries = [entry for entry in entries if entry.path[depth] == path[depth]]
            depth += 1


def _node(entries: Sequence[_Entry], depth: int) -> bytes:
    """Return the encoding of the node that holds entries, sorted and alike up to `depth`."""
    first, last = entries[0].path, entries[-1].path
    if len(entries) == 1:
        return listed(string(_packed(first[depth:], leaf=True)) + string(entries[0].value))
    shared = _shared(first, last, depth)
    if shared > depth:
        return listed(string(_packed(first[depth:shared], leaf=False)) + _reference(_node(entries, shared)))
    return listed(b"".join(_branches(entries, depth)) + string(b""))


def _branches(entries: Sequence[_Entry], depth: int) -> list[bytes]:
    children = [string(b"")] * _WIDTH
    start = 0
    for end in range(1, len(entries) + 1):
        if end == len(entries) or entries[end].path[depth] != entries[start].path[depth]:
            children[entries[start].path[depth]] = _reference(_node(entries[start:end], depth + 1))
            start = end
    return children


def _reference(node: bytes) -> bytes:
    return node if len(node) < _HASHED else string(keccak(node))


def _shared(first: bytes, last: bytes, depth: int) -> int:
    """Return how far two paths are alike; all that is sorted between them is alike as far."""
    end = depth
    while end < min(len(first), len(last)) and first[end] == last[end]:
        end += 1
    return end


def _nibbles(key: bytes) -> bytes:
    return bytes(half for byte in key for half in (byte >> 4, byte & 15))


def _packed(path: bytes, *, leaf: bool) -> bytes:
    """Return a path in whole bytes, the kind of its node and whether it is of odd length before it."""
    flag = 2 * leaf + len(path) % 2
    halves = bytes((flag,)) + path if len(path) % 2 else bytes((flag, 0)) + path
    return bytes(high << 4 | low for high, low in zip(halves[::2], halves[1::2], strict=True))
