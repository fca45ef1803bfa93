"""How an account fared: its numbers in the snapshots that were made, each as it was signed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aggregator.audit.pack import Pack
from aggregator.audit.verifier import Fault
from crossmargin.archive import Archive
from crossmargin.documents import Document
from crossmargin.errors import Unverified
from indexer.store.parquet import parquet_views

MOST_SNAPSHOTS = 96
MEMORY = "512MB"
TOLD = (
    "status",
    "health_factor",
    "health_factor_low",
    "health_factor_high",
    "min_unit_health_factor",
    "collateral_usd",
    "debt_usd",
)


def course_of(archive: Archive, account: str, *, most: int = MOST_SNAPSHOTS) -> Document:
    """Return what the newest snapshots say of an account, the oldest first.

    `points`: a line for each snapshot that has it, with the names of `TOLD`; `earlier`: how many older snapshots were not looked at;
    `unread`: those that are not as they were signed, with what is wrong. Raises `StoreError`.
    """
    names = archive.names()
    packs, files, unread = _opened(archive, names[-most:])
    found = _rows(files, account) if files else {}
    return {
        "account": account,
        "points": [
            {
                "snapshot": name,
                "slot_time": packs[name].manifest["slot_time"],
                "manifest_hash": packs[name].hash,
                **found[name],
            }
            for name in packs
            if name in found
        ],
        "earlier": max(0, len(names) - most),
        "unread": unread,
    }


def _opened(archive: Archive, names: list[str]) -> tuple[dict[str, Pack], dict[str, Path], list[Document]]:
    packs: dict[str, Pack] = {}
    files: dict[str, Path] = {}
    unread: list[Document] = []
    for name in names:
        try:
            pack = archive.opened(name)
            files[name] = pack.copies(["accounts"])["accounts"]
            packs[name] = pack
        except (Fault, OSError, Unverified) as error:
            unread.append({"snapshot": name, "detail": str(error)})
    return packs, files, unread


def _rows(files: Mapping[str, Path], account: str) -> dict[str, Document]:
    """Return the rows of an account, by snapshot."""
    views = {f"accounts_{number}": path for number, path in enumerate(files.values())}
    columns, quoted = ", ".join(TOLD), account.replace("'", "''")
    query = " UNION ALL ".join(
        f"SELECT {number} AS number, {columns} FROM accounts_{number} WHERE account = '{quoted}'"  # noqa: S608 - quoted
        for number in range(len(files))
    )
    names = list(files)
    with parquet_views(views, memory=MEMORY) as tables:
        return {names[row[0]]: dict(zip(TOLD, row[1:], strict=True)) for row in tables.rows(query)}
