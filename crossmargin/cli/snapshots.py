"""`snapshot create|list|verify`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from crossmargin.cli import figures
from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.output import add_rows, emit, facts, table, words
from crossmargin.documents import Document
from crossmargin.errors import NoSuchThing, Unverified

STYLES = {
    "done": "green",
    "late": "yellow",
    "waiting": "",
    "overdue": "bold red",
    "failed": "bold red",
    "missed": "red",
}


def create(context: Context, *, at: str | None) -> None:
    with desk_of(context, writes=True) as desk:
        document = desk.create_snapshot(at)
    emit(context, document, lambda console: facts(console, document))


def listing(context: Context) -> None:
    with desk_of(context) as desk:
        document = desk.snapshots()
    emit(context, document, lambda console: _show(console, document))


def _show(console: Console, document: Document) -> None:
    columns = ("snapshot", "schedule", "due", "state", "late", "made", "manifest")
    rows = [
        (
            row["snapshot"],
            row["schedule"],
            row["slot_time"],
            words(*_state(row)),
            figures.age(row["late_seconds"]) if row["late_seconds"] else "",
            row["created_at"],
            (row["manifest_hash"] or row["detail"] or "")[:30],
        )
        for row in document["snapshots"]
    ]
    console.print(add_rows(table(*columns), rows))


def _state(row: Document) -> tuple[str, str]:
    """What became of a snapshot, in words and colour."""
    if row["restated"]:
        return f"{row['state']}, restated", "yellow"
    return row["state"], STYLES.get(row["state"], "")


def verify(context: Context, folder: Path) -> None:
    """Compare a snapshot with its manifest; raises `Unverified` with every difference."""
    from aggregator.audit import snapshot

    path = _found(context, folder)
    faults = snapshot.verify(path)
    if faults:
        raise Unverified(f"{path} is not what its manifest says: {'; '.join(faults)}")
    document = {"snapshot": path.name, "path": str(path), "manifest_hash": snapshot.manifest_hash(path), "faults": []}
    emit(context, document, lambda console: console.print(words(f"{path} is intact: {document['manifest_hash']}")))


def _found(context: Context, folder: Path) -> Path:
    """The folder itself, so that no configuration is needed, or the snapshot of that name in the configured folder."""
    if folder.is_dir():
        return folder
    if len(folder.parts) == 1:
        named = context.settings().snapshot.folder / folder
        if named.is_dir():
            return named
        raise NoSuchThing(f"there is no snapshot {folder} here or in {named.parent}; see `crossmargin snapshot list`")
    raise NoSuchThing(f"there is no folder {folder}")
