"""Stores beside the store: files of their own in which something is prepared, and that go when it is done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from chains.model import ChainSpec, FeedSpec, VenueSpec
from chains.registry import followed
from indexer.store import MEMORY, Store, StoreBroken, StoreNewer

READ, DERIVED = "read", "derived"
"""What was read again; the whole chain, derived again from it and from what is stored."""


class Beside:
    """Such a store, opened or made when it is asked for."""

    def __init__(self, path: Path | str) -> None:
        self.path = path
        self._store: Store | None = None

    @property
    def store(self) -> Store:
        """The open store; what cannot be gone on with is made anew. Raises `StoreError`."""
        if self._store is None:
            try:
                self._store = Store.open(self.path)
            except (StoreBroken, StoreNewer):
                removed(self.path)
                self._store = Store.open(self.path)
        return self._store

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None

    def remove(self) -> None:
        """Close it and let everything in it go."""
        self.close()
        removed(self.path)


def place(store: Path | str, chain_id: str, kind: str, purpose: str) -> Path | str:
    """Where such a store of a chain lies; what was begun for another purpose has another name."""
    if str(store) == MEMORY:
        return MEMORY
    return Path(f"{_stem(store, chain_id)}-{kind}-{purpose}.duckdb")


def purpose_of(spec: ChainSpec, venues: Sequence[VenueSpec], feeds: Sequence[FeedSpec], first: int) -> str:
    """A short name of what is to be read again, and from which block on: what differs in any of it cannot be gone on with."""
    said = {
        "start": spec.start_block,
        "first": first,
        "venues": sorted([v.id, v.protocol, v.address.hex(), v.start_block, followed(v)] for v in venues),
        "feeds": sorted([f.kind, f.address.hex(), (f.feed_id or b"").hex()] for f in feeds),
    }
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


def cleared(store: Path | str, chain_id: str, *, keep: Path | str | None = None) -> None:
    """Remove what was begun for a chain and is of no use any more; `keep`: the one that is gone on with."""
    if str(store) == MEMORY:
        return
    stem = _stem(store, chain_id)
    for path in sorted(stem.parent.glob(f"{stem.name}-*.duckdb")):
        if path != keep:
            removed(path)
    for unfinished in stem.parent.glob(f".{stem.name}-*"):  # a process was killed while it made one
        removed(unfinished)


def removed(path: Path | str) -> None:
    """Remove a closed store with its log."""
    if str(path) != MEMORY:
        for file in (Path(path), Path(f"{path}.wal")):
            with suppress(OSError):
                file.unlink(missing_ok=True)


def _stem(store: Path | str, chain_id: str) -> Path:
    return Path(f"{store}.restate-{chain_id.replace(':', '-')}")
