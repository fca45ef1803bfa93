"""Owners: the same key, and so the same address, on every chain."""

from collections.abc import Sequence

from eth_account import Account
from eth_utils.crypto import keccak


def private_key(seed: int, name: str) -> bytes:
    """The key of a named person in the world of a seed."""
    return keccak(text=f"devnet/{seed}/{name}")


def address(seed: int, name: str) -> str:
    """The lower-case address of a named person."""
    return str(Account.from_key(private_key(seed, name)).address).lower()


def owners(seed: int, indices: Sequence[int]) -> tuple[str, ...]:
    """The addresses of numbered owners."""
    return tuple(address(seed, f"owner {index}") for index in indices)
