"""Keys that follow from a seed and a name."""

from __future__ import annotations

from hashlib import sha256

from solders.hash import Hash
from solders.keypair import Keypair


def keypair(seed: int, name: str) -> Keypair:
    """The key of a name."""
    return Keypair.from_seed(sha256(f"crossmargin solana devnet/{seed}/{name}".encode()).digest())


def genesis_hash(seed: int) -> Hash:
    """The hash by which a chain is known."""
    return Hash(sha256(f"crossmargin solana devnet/{seed}/genesis".encode()).digest())
