"""Names that other systems use: CAIP-2 chains, CAIP-10 accounts, CAIP-19 assets; inside, addresses are bytes.

Sources: chainagnostic.org CAIP-2, CAIP-10 and CAIP-19, with the namespaces eip155 (EIP-55 checksums) and
solana (base58).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from eth_hash.auto import keccak

EVM = "eip155"
SOLANA = "solana"
PYTH = "pyth"
"""Prices that Pyth signs: a chain without accounts and assets of its own."""

_CHAIN = re.compile(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}")
_EVM_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_EVM_ADDRESS_BYTES = 20
_SOLANA_ADDRESS_BYTES = 32
_COIN = b"slip44:"
"""How the name of a chain's own coin begins where a token's address would stand."""
_TOKEN_NAMESPACE = {EVM: "erc20", SOLANA: "token"}


class IdentifierError(ValueError):
    """A text that is no identifier of its kind; the message says what it should look like."""


class Account(NamedTuple):
    """A CAIP-10 account: who on which chain."""

    chain_id: str
    address: bytes

    def __str__(self) -> str:
        return f"{self.chain_id}:{format_address(self.chain_id, self.address)}"


class Asset(NamedTuple):
    """A CAIP-19 asset; `reference` is a token's address in raw bytes, or a coin type's digits (`slip44`)."""

    chain_id: str
    namespace: str
    reference: bytes

    def __str__(self) -> str:
        return f"{self.chain_id}/{self.namespace}:{self._reference_text()}"

    def _reference_text(self) -> str:
        if self.namespace == _TOKEN_NAMESPACE.get(namespace_of(self.chain_id)):
            return format_address(self.chain_id, self.reference)
        return self.reference.decode("ascii")


def namespace_of(chain_id: str) -> str:
    """Return the family of a chain, `eip155` of `eip155:1`."""
    return chain_id.partition(":")[0]


def parse_chain(text: str) -> str:
    """Check a CAIP-2 chain and return it; raises `IdentifierError`."""
    if not _CHAIN.fullmatch(text):
        raise IdentifierError(f'"{text}" is no CAIP-2 chain; write it like eip155:1')
    return text


def parse_account(text: str) -> Account:
    """Read a CAIP-10 account; raises `IdentifierError`."""
    chain_id, separator, address = text.rpartition(":")
    if not separator or not _CHAIN.fullmatch(chain_id):
        raise IdentifierError(f'"{text}" is no CAIP-10 account; write it like eip155:1:0x… (chain, then address)')
    return Account(chain_id, parse_address(chain_id, address))


def parse_asset(text: str) -> Asset:
    """Read a CAIP-19 asset; raises `IdentifierError`."""
    chain_id, _, asset = text.partition("/")
    namespace, separator, reference = asset.partition(":")
    if not separator or not _CHAIN.fullmatch(chain_id):
        raise IdentifierError(f'"{text}" is no CAIP-19 asset; write it like eip155:1/erc20:0x… or eip155:1/slip44:60')
    if namespace == _TOKEN_NAMESPACE.get(namespace_of(chain_id)):
        return Asset(chain_id, namespace, parse_address(chain_id, reference))
    if namespace == "slip44" and reference.isascii() and reference.isdigit():
        return Asset(chain_id, namespace, reference.encode("ascii"))
    raise IdentifierError(f'"{text}": {namespace}:{reference} names no asset of {chain_id}')


def token(chain_id: str, address: bytes) -> Asset:
    """Name the token at an address of a chain, or its own coin, which has none: `slip44:60` in ASCII."""
    if _is_coin(chain_id, address):
        return Asset(chain_id, "slip44", address.removeprefix(_COIN))
    return Asset(chain_id, _TOKEN_NAMESPACE.get(namespace_of(chain_id), "token"), address)


def parse_address(chain_id: str, text: str) -> bytes:
    """Read an address as its chain writes it; raises `IdentifierError`, also for a wrong EIP-55 checksum."""
    match namespace_of(chain_id):
        case "eip155":
            return _parse_evm_address(text)
        case "solana":
            return _parse_solana_address(text)
        case other:
            raise IdentifierError(f'addresses of the namespace "{other}" are not known; use {EVM} or {SOLANA}')


def format_address(chain_id: str, address: bytes) -> str:
    """Write an address, or an id of any length, as its chain writes it: checksummed, base58, or plain hex; a coin by its name."""
    if _is_coin(chain_id, address):
        return address.decode("ascii")
    match namespace_of(chain_id):
        case "eip155" if len(address) == _EVM_ADDRESS_BYTES:
            return _checksummed(address)
        case "solana":
            return base58(address)
        case _:
            return f"0x{address.hex()}"


def _is_coin(chain_id: str, address: bytes) -> bool:
    """Whether this is the name of a chain's own coin, and so no address."""
    named = len(address) != _EVM_ADDRESS_BYTES and address.startswith(_COIN) and address[len(_COIN) :].isdigit()
    return named and namespace_of(chain_id) == EVM


def format_hash(chain_id: str, block_hash: bytes) -> str:
    """Write a block hash as its chain writes it."""
    return base58(block_hash) if namespace_of(chain_id) == SOLANA else f"0x{block_hash.hex()}"


@lru_cache(maxsize=65_536)
def hexed(raw: bytes) -> str:
    """Write bytes as `0x…` text, in lower case."""
    return "0x" + raw.hex()


def unhexed(text: str) -> bytes:
    """Read bytes of `0x…` text; raises `ValueError`."""
    return bytes.fromhex(text[2:])


def base58(raw: bytes) -> str:
    """Write bytes in Bitcoin's base 58; a leading zero byte is a leading `1`."""
    number = int.from_bytes(raw)
    digits = ""
    while number:
        number, digit = divmod(number, 58)
        digits = _ALPHABET[digit] + digits
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + digits


@lru_cache(maxsize=65_536)
def from_base58(text: str) -> bytes:
    """Read Bitcoin's base 58; raises `IdentifierError`."""
    number = 0
    for character in text:
        digit = _ALPHABET.find(character)
        if digit < 0:
            raise IdentifierError(f'"{text}" is not base58: it has "{character}"')
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)


def _parse_evm_address(text: str) -> bytes:
    if not _EVM_ADDRESS.fullmatch(text):
        raise IdentifierError(f'"{text}" is no address; write 0x and 40 hexadecimal digits')
    address = bytes.fromhex(text[2:])
    one_case = text[2:] in {text[2:].lower(), text[2:].upper()}
    if not one_case and text != _checksummed(address):
        raise IdentifierError(f'"{text}" has a wrong checksum; if it is right otherwise, write {_checksummed(address)}')
    return address


def _parse_solana_address(text: str) -> bytes:
    address = from_base58(text[:64])
    if len(address) != _SOLANA_ADDRESS_BYTES:
        raise IdentifierError(f'"{text}" is no Solana address; write {_SOLANA_ADDRESS_BYTES} bytes in base58')
    return address


@lru_cache(maxsize=65_536)
def _checksummed(address: bytes) -> str:
    """The hexadecimal form of an address, of which the digits of its own hash say which letters are capitals (EIP-55)."""
    digits = address.hex()
    capitals = keccak(digits.encode()).hex()
    return "0x" + "".join(d.upper() if c >= "8" else d for d, c in zip(digits, capitals, strict=False))
