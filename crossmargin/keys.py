"""The keys that sign snapshots: a folder for its owner alone, with each private key in a file and the public history of all.

    keys/history.json       which key signs from when on; each but the first named by the one before it
    keys/<16 hex>.pem       a private key (PKCS #8), named after its public key

No private key is ever in the store, in a log or in an answer.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from aggregator.audit.signing import Signer, first_entry, next_entry, public_key, read_history
from aggregator.audit.verifier import Json, canonical, key_in_force
from aggregator.margin.numbers import rfc3339
from crossmargin.errors import UsageError

HISTORY = "history.json"
FOLDER_MODE, FILE_MODE = 0o700, 0o600
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Keyring:
    """The keys of one operator in a folder; the folder comes into being with the first key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def history(self) -> tuple[Json, ...]:
        """Return all keys, oldest first, none before the first; raises `UsageError` for a history that does not hold together."""
        path = self._folder / HISTORY
        if not path.exists():
            return ()
        try:
            return read_history(path.read_bytes())
        except ValueError as error:
            raise UsageError(f"{path} cannot be relied on: {error}") from error

    def signer(self, time: int) -> Signer:
        """Return who signs what is of a moment; with the first that is asked for, the first key is made.

        Raises `UsageError` where the key is not there, or others can read it, and `OSError`.
        """
        history = self.history() or self.create(0)
        key = key_in_force(history, str(rfc3339(time)))
        if key is None:
            raise UsageError(f"no key of {self._folder} signs what is of {rfc3339(time)}; the first begins later")
        return Signer(self._private(key), history)

    def create(self, time: int) -> tuple[Json, ...]:
        """Make the first key, which signs from a moment (Unix seconds) on; raises `UsageError` where there is one."""
        if self.history():
            raise UsageError(f"{self._folder} has keys already; `crossmargin keys rotate` replaces the one in force")
        self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        private = self._new()
        return self._keep((first_entry(private, str(rfc3339(time))),))

    def rotate(self, time: int) -> tuple[Json, ...]:
        """Let a new key sign from a moment (Unix seconds) on; raises `UsageError` for one before the last began."""
        history = self.history()
        if not history:
            raise UsageError(f"{self._folder} has no key yet; `crossmargin keys create` makes one")
        since = str(rfc3339(time))
        if since <= history[-1]["from"]:
            raise UsageError(
                f"the last key signs from {history[-1]['from']}; the next one must begin later, not at {since}"
            )
        before = self._private(history[-1]["key"])
        return self._keep((*history, next_entry(before, self._new(), since)))

    def _new(self) -> Ed25519PrivateKey:
        private = Ed25519PrivateKey.generate()
        path = self._file(public_key(private))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, FILE_MODE)
            file.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return private

    def _keep(self, history: tuple[Json, ...]) -> tuple[Json, ...]:
        """Write the history so that it is the old one or the new one, whatever happens."""
        partial = self._folder / f".{HISTORY}"
        partial.write_bytes(canonical({"keys": list(history)}))
        partial.replace(self._folder / HISTORY)
        return history

    def _private(self, key: str) -> Ed25519PrivateKey:
        path = self._file(key)
        if not path.exists():
            raise UsageError(
                f"{path}, the private key of {key}, is not there; bring it back, or `crossmargin keys rotate` on a machine that has it"
            )
        if path.stat().st_mode & OTHERS or self._folder.stat().st_mode & OTHERS:
            raise UsageError(
                f"{path} can be read by others than its owner; `chmod 700 {self._folder}` and `chmod 600 {path}`"
            )
        private = load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(private, Ed25519PrivateKey) or public_key(private) != key:
            raise UsageError(f"{path} does not hold the private key of {key}")
        return private

    def _file(self, key: str) -> Path:
        return self._folder / f"{key[:16]}.pem"
