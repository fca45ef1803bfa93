"""Copies of the whole store, made while it is used: names, which are kept, and how they are answered."""

from __future__ import annotations

import re
from pathlib import Path

from crossmargin.documents import Document, moment
from crossmargin.errors import UsageError
from crossmargin.watch import Clock
from indexer.store import Store
from indexer.store.backup import Backup, thin_out

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Backups:
    """Makes backups of one store into one folder."""

    def __init__(self, folder: Path, store: Store, clock: Clock) -> None:
        self._folder = folder
        self._store = store
        self._clock = clock

    def make(self, name: str | None, keep: int | None) -> Document:
        """Make one, named by its time if it has no `name`, then remove all but the newest `keep`; raises `UsageError`, `StoreError`."""
        made_at = int(self._clock())
        chosen = name or moment(made_at).replace(":", "-")
        if not NAME.fullmatch(chosen):
            raise UsageError(
                f'"{chosen}" cannot name a backup: up to 100 letters, digits, dots, lines and underscores; it goes into {self._folder}'
            )
        if keep is not None and keep < 1:
            raise UsageError(f"{keep} backups cannot be kept; keep 1 or more")
        made = self._store.back_up(self._folder / chosen, made_at)
        removed = [] if keep is None else [old.name for old in thin_out(self._folder, keep, newest=chosen)]
        return backup_document(made, self._folder / chosen) | {"removed": removed}


def backup_document(made: Backup, folder: Path) -> dict[str, object]:
    """Write a backup as it is answered."""
    return {
        "backup": folder.name,
        "path": str(folder),
        "made_at": moment(made.made_at),
        "schema": made.schema,
        "bytes": made.bytes,
        "sha256": made.sha256,
        "chains": dict(made.chains),
        "tables": dict(made.tables),
    }
