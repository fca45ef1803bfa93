"""`snapshot create|list|prove|diff`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from crossmargin.archive import Archive
from crossmargin.cli import figures
from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.output import add_rows, emit, facts, table, words, write_json
from crossmargin.cli.progress import told_on
from crossmargin.cli.snapshot_diff import show_difference
from crossmargin.documents import Document
from crossmargin.errors import NoSuchThing, UsageError
from crossmargin.settings.errors import NoConfiguration
from indexer.store import StoreError

STYLES = {
    "done": "green",
    "late": "yellow",
    "waiting": "",
    "overdue": "bold red",
    "failed": "bold red",
    "missed": "red",
}


def create(context: Context, *, at: str | None) -> None:
    with told_on(context, "writing a snapshot") as told, desk_of(context, writes=True, told=told) as desk:
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
            (row["manifest_hash"] or "")[:30],
        )
        for row in document["snapshots"]
    ]
    console.print(add_rows(table(*columns), rows))
    for row in document["snapshots"]:
        if row["detail"]:
            console.print(words(f"{row['snapshot']}: {row['detail']}"), soft_wrap=True)


def _state(row: Document) -> tuple[str, str]:
    """What became of a snapshot, in words and colour."""
    if row["restated"]:
        return f"{row['state']}, restated", "yellow"
    return row["state"], STYLES.get(row["state"], "")


def prove(context: Context, folder: Path, account: str) -> None:
    """Print the proof that an account is in a snapshot, for `verify.py --proof`."""
    write_json(archive_of(context, folder).proof(folder, account))


def difference(context: Context, first: Path, second: Path, *, most: int) -> None:
    """Print what became otherwise between two snapshots, and why; the store, where it can be asked, knows what was restated."""
    archive = archive_of(context, first, second)
    try:
        with desk_of(context) as desk:
            document = Archive(archive.folder, desk.sql).difference(first, second, most=most)
    except (StoreError, UsageError, NoConfiguration):
        document = archive.difference(first, second, most=most)
    emit(context, document, lambda console: show_difference(console, document))


def archive_of(context: Context, *named: Path) -> Archive:
    """Open the configured folder of snapshots; folders that are named themselves need no configuration. Raises `NoSuchThing`."""
    alone = all(path.is_dir() for path in named)
    for path in named:
        if len(path.parts) > 1 and not path.is_dir():
            raise NoSuchThing(f"there is no snapshot in {path}, which is no folder")
    return Archive(Path() if alone else context.settings().snapshot.folder)


def found_folder(context: Context, folder: Path) -> Path:
    """The folder itself, so that no configuration is needed, or the snapshot of that name in the configured folder."""
    return archive_of(context, folder).folder_of(folder)
