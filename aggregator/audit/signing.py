"""Who stands for a snapshot: Ed25519 keys, one after another, each named by the one before it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aggregator.audit import verifier
from aggregator.audit.verifier import Json, canonical, rotation_message


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key that is in force, and the history of keys up to it, oldest first."""

    private: Ed25519PrivateKey
    history: tuple[Json, ...]

    @property
    def key(self) -> str:
        """The public key in hex."""
        return public_key(self.private)

    def keys_text(self) -> bytes:
        """Return what a snapshot says of its operator's keys."""
        return canonical({"keys": list(self.history)})

    def signature_text(self, manifest: bytes) -> bytes:
        """Sign a manifest."""
        signature = self.private.sign(verifier.SIGNED_DOMAIN + manifest).hex()
        return canonical({"key": self.key, "signature": signature})


def public_key(private: Ed25519PrivateKey) -> str:
    """Return the public key of a private one, in hex."""
    return private.public_key().public_bytes_raw().hex()


def first_entry(private: Ed25519PrivateKey, since: str) -> Json:
    """Begin a history of keys at a moment (RFC 3339, UTC)."""
    entry: Json = {"key": public_key(private), "from": since, "replaces": None}
    return entry | {"signature": None, "consent": private.sign(rotation_message(entry)).hex()}


def next_entry(before: Ed25519PrivateKey, private: Ed25519PrivateKey, since: str) -> Json:
    """Let one key replace another from a moment on: the old one names it, and it agrees."""
    entry: Json = {"key": public_key(private), "from": since, "replaces": public_key(before)}
    message = rotation_message(entry)
    return entry | {"signature": before.sign(message).hex(), "consent": private.sign(message).hex()}


def witness_text(private: Ed25519PrivateKey, manifest_hash: str) -> bytes:
    """Sign the hash of somebody else's manifest."""
    signature = private.sign(verifier.witness_message(manifest_hash)).hex()
    return canonical({"key": public_key(private), "signature": signature})


def witness_name(key: str) -> str:
    """Name the file of a witness."""
    return f"witness-{key[:16]}.json"


def read_history(text: bytes) -> tuple[Json, ...]:
    """Read a history of keys; raises `ValueError` for one that is none, or that does not hold together."""
    try:
        history: Sequence[Json] = json.loads(text)["keys"]
        faults = verifier.key_faults(history)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"it is no history of keys: {error}") from error
    if faults:
        raise ValueError("; ".join(faults))
    return tuple(history)
