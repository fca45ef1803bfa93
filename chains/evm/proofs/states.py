"""From the hash of a block to the words of a contract's storage: header, account, slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eth_hash.auto import keccak

from chains.evm.evidence.headers import FIRST_FIELDS, encodings
from chains.evm.evidence.rlp import Item
from chains.evm.evidence.trie import EMPTY_ROOT
from chains.evm.proofs.faults import BadProof
from chains.evm.proofs.rlp import decode
from chains.evm.proofs.trie import value_at
from chains.model import Block

WORD = 32
_ACCOUNT = 4
_STORAGE_ROOT = 2
_STATE_ROOT, _NUMBER = list(FIRST_FIELDS).index("stateRoot"), list(FIRST_FIELDS).index("number")


def header_of(said: Mapping[str, object], digest: bytes) -> bytes:
    """Return the RLP of a header as a node gave it; raises `BadProof` where no known set of fields hashes to the block's hash.

    Known are all forks up to Prague, with which headers of OP-stack and Arbitrum chains agree; chains that hash other fields have none.
    """
    for raw in encodings(said):
        if keccak(raw) == digest:
            return raw
    raise BadProof(
        "the fields of the header do not hash to the block's hash: the node is wrong, or the chain hashes other fields"
    )


def state_root(header: bytes, at: Block) -> bytes:
    """Return the state root that a block commits to; raises `BadProof` for the header of another one."""
    if keccak(header) != at.hash:
        raise BadProof(f"the header has another hash than that of block {at.number}, 0x{at.hash.hex()}")
    fields = decode(header)
    if isinstance(fields, bytes) or len(fields) < len(FIRST_FIELDS):
        raise BadProof("the header has too few fields")
    root, number = _bytes(fields[_STATE_ROOT]), int.from_bytes(_bytes(fields[_NUMBER]))
    if len(root) != WORD or number != at.number:
        raise BadProof(f"the header is of block {number}, not {at.number}, or has no state root")
    return root


def storage_root(root: bytes, contract: bytes, nodes: Sequence[bytes]) -> bytes:
    """Return the storage root of a contract, that of nothing where it is proven that no account is there; raises `BadProof`."""
    try:
        found = value_at(root, contract, nodes)
    except BadProof as error:
        raise BadProof(f"account 0x{contract.hex()}: {error}") from error
    if found is None:
        return EMPTY_ROOT
    account = decode(found)
    if isinstance(account, bytes) or len(account) != _ACCOUNT or len(_bytes(account[_STORAGE_ROOT])) != WORD:
        raise BadProof(f"account 0x{contract.hex()}: not nonce, balance, storage root and code hash")
    return _bytes(account[_STORAGE_ROOT])


def word_at(root: bytes, slot: bytes, nodes: Sequence[bytes]) -> int:
    """Return the word in a slot of a contract with this storage root: zero where it is proven that nothing is there.

    Some development nodes keep zeros too. Raises `BadProof`.
    """
    try:
        found = value_at(root, slot, nodes)
        word = b"" if found is None else _bytes(decode(found))
    except BadProof as error:
        raise BadProof(f"slot 0x{slot.hex()}: {error}") from error
    if len(word) > WORD or word[:1] == b"\0":
        raise BadProof(f"slot 0x{slot.hex()}: the value is no word in its one form")
    return int.from_bytes(word)


def _bytes(item: Item) -> bytes:
    if not isinstance(item, bytes):
        raise BadProof("a list stands where bytes must be")
    return item
