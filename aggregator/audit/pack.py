"""A snapshot that was made, opened again: its manifest, which somebody signed, and its files, each by the hash that stands there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from aggregator.audit import verifier
from aggregator.audit.verifier import FORMAT, KEYS, MANIFEST, SIGNATURE, SIGNED_DOMAIN, Fault, Json, parsed, sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A snapshot by its folder; `hash`: that of its manifest, which names it."""

    folder: Path
    manifest: Json
    hash: str

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def tables(self) -> dict[str, Json]:
        """What the manifest says of each table: `rows`, `columns`, `key`."""
        return dict(self.manifest["tables"])

    def copies(self, names: Iterable[str] | None = None) -> dict[str, Path]:
        """Return the Parquet copies of tables (of all), whose hashes are those of the manifest; raises `Fault` and `OSError`."""
        wanted = self.tables if names is None else names
        return {name: self.checked(f"{name}.parquet") for name in wanted}

    def checked(self, name: str) -> Path:
        """Return a file of the snapshot once its hash was compared; raises `Fault` and `OSError`."""
        entry, path = self.manifest["files"].get(name), self.folder / name
        if entry is None:
            raise Fault(f"{self.name} has no {name}")
        if (hashed := _hash_of(path)) != entry["sha256"]:
            raise Fault(f"{path} has the hash {hashed}, the manifest says {entry['sha256']}")
        return path


def open_pack(folder: Path) -> Pack:
    """Open a snapshot whose manifest is signed by the key that its own history has in force; raises `Fault` and `OSError`.

    That the key is the operator's, and that tables, tree and proofs hold, is for `snapshot.verify` to say.
    """
    raw = (folder / MANIFEST).read_bytes()
    manifest = parsed(raw, f"{folder / MANIFEST}")
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise Fault(f"{folder / MANIFEST} is not of the format {FORMAT}")
    faults = list(_signature_faults(folder, manifest, raw))
    if faults:
        raise Fault(f"{folder}: {'; '.join(faults)}")
    return Pack(folder=folder, manifest=manifest, hash=sha256(raw))


def _signature_faults(folder: Path, manifest: Json, raw: bytes) -> Iterator[str]:
    said = parsed((folder / SIGNATURE).read_bytes(), SIGNATURE)
    keys = (folder / KEYS).read_bytes()
    history = parsed(keys, KEYS)["keys"]
    if sha256(keys) != manifest["files"][KEYS]["sha256"]:
        yield f"{KEYS} is not the one of the manifest"
    yield from verifier.key_faults(history)
    if not verifier.signed_by(said["key"], said["signature"], SIGNED_DOMAIN + raw):
        yield f"the manifest was not signed by {said['key']}"
    if said["key"] != verifier.key_in_force(history, manifest["slot_time"]):
        yield f"{said['key']} was not the key in force at {manifest['slot_time']}"


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
