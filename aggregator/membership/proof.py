"""Whether a wallet signed a message, by the rules of its kind.

Keys of EVM chains sign the text (EIP-191) or the typed data (EIP-712); of the two signatures that one can be turned into, the
one with the low `s` counts (EIP-2). Contracts are asked (EIP-1271). Keys of Solana sign the bytes of the text with Ed25519, or its
off-chain message (the envelope of the Solana SDK, version 0, without an application domain), which no transaction begins like.
"""

from __future__ import annotations

import re
from enum import StrEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from aggregator.margin.liabilities import MalformedLiabilities, parse_key
from aggregator.membership.message import MalformedMessage, Message
from chains.identifiers import EVM, SOLANA, IdentifierError, from_base58, namespace_of
from chains.pyth.secp256k1 import N, signer

ECDSA_BYTES = 65
LONGEST_SIGNATURE = 64 * 1024
"""Bytes of what a contract is asked about: a wallet of many owners has many signatures."""

EVM_V = {0: 0, 1: 1, 27: 0, 28: 1}
OFFCHAIN = b"\xffsolana offchain"
OFFCHAIN_LIMIT = 1_212
"""Bytes of text that every hardware wallet takes."""

MAGIC = bytes.fromhex("1626ba7e")
"""The selector of `isValidSignature(bytes32,bytes)`, and what it returns for a signature that is valid."""

_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*")


class Scheme(StrEnum):
    """How a message was signed; `operator`: not at all, the operator says it."""

    EIP191 = "eip191"
    EIP712 = "eip712"
    EIP1271 = "eip1271"
    EIP1271_TYPED = "eip1271-typed"
    ED25519 = "ed25519"
    SOLANA_OFFCHAIN = "solana-offchain"
    OPERATOR = "operator"


CONTRACT_SCHEMES = frozenset({Scheme.EIP1271, Scheme.EIP1271_TYPED})
"""By these a contract is asked, on the one chain that the message names."""

SIGNED = {
    EVM: (Scheme.EIP191, Scheme.EIP712, Scheme.EIP1271, Scheme.EIP1271_TYPED),
    SOLANA: (Scheme.ED25519, Scheme.SOLANA_OFFCHAIN),
}
"""What wallets of each family of chains can sign by."""


def parse_signature(text: str) -> bytes:
    """Read a signature in 0x hex or base 58; raises `MalformedMessage`."""
    if len(text) > 2 * LONGEST_SIGNATURE + 2:
        raise MalformedMessage(f"a signature has {LONGEST_SIGNATURE} bytes at most")
    if _HEX.fullmatch(text):
        return bytes.fromhex(text[2:])
    try:
        return from_base58(text[:128])
    except IdentifierError as error:
        raise MalformedMessage("a signature is written as 0x and hexadecimal digits, or in base 58") from error


def check_scheme(message: Message, scheme: Scheme) -> None:
    """Refuse a scheme by which no wallet of this chain signs; raises `MalformedMessage`."""
    known = SIGNED.get(namespace_of(message.wallet.chain_id), ())
    if scheme not in known:
        raise MalformedMessage(f'{message.wallet} cannot sign by "{scheme}"; it can by {", ".join(known)}')


def signed_by_key(message: Message, scheme: Scheme, signature: bytes) -> bool:
    """Whether the key of the message's wallet made this signature; of a contract's, no."""
    match scheme:
        case Scheme.EIP191:
            return _recovered(message.personal_hash(), signature) == message.wallet.address
        case Scheme.EIP712:
            return _recovered(message.typed_hash(), signature) == message.wallet.address
        case Scheme.ED25519:
            return _ed25519(message.wallet.address, message.text().encode("utf-8"), signature)
        case Scheme.SOLANA_OFFCHAIN:
            return _ed25519(message.wallet.address, offchain(message.text()), signature)
        case _:
            return False


def offchain(text: str) -> bytes:
    """Return the off-chain message of Solana that a text is signed as: UTF-8 of limited length, for it has several lines."""
    raw = text.encode("utf-8")
    if len(raw) > OFFCHAIN_LIMIT:
        raise MalformedMessage(f"the text has {len(raw)} bytes, and wallets take {OFFCHAIN_LIMIT}")
    return OFFCHAIN + bytes([0, 1]) + len(raw).to_bytes(2, "little") + raw


def question(message: Message, scheme: Scheme, signature: bytes) -> bytes:
    """Return the calldata by which a contract is asked whether a signature is valid."""
    digest = message.personal_hash() if scheme is Scheme.EIP1271 else message.typed_hash()
    padded = signature + bytes(-len(signature) % 32)
    return MAGIC + digest + (64).to_bytes(32) + len(signature).to_bytes(32) + padded


def is_yes(output: bytes) -> bool:
    """Whether a contract's answer says that the signature is valid: the selector in one word, and nothing else."""
    return output == MAGIC + bytes(28)


def _recovered(digest: bytes, signature: bytes) -> bytes | None:
    """Return whose address an ECDSA signature is of, `None` for none, and for the other one of two with the same meaning."""
    if len(signature) != ECDSA_BYTES or signature[64] not in EVM_V:
        return None
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
    return None if s > N // 2 else signer(digest, r, s, EVM_V[signature[64]])


def _ed25519(key: bytes, message: bytes, signature: bytes) -> bool:
    """Verify a signature; under a key of small order anybody can make some, so that it says nothing."""
    try:
        Ed25519PublicKey.from_public_bytes(parse_key(key.hex())).verify(signature, message)
    except (InvalidSignature, MalformedLiabilities, ValueError):
        return False
    return True
