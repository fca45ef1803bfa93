"""`backup` and `restore`: copies of the whole store."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from crossmargin.backups import backup_document
from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.output import emit, facts, words
from crossmargin.cli.progress import counted_on
from crossmargin.documents import Document
from crossmargin.errors import NoSuchThing, Unverified, UsageError
from crossmargin.service_file import running
from indexer.store.backup import BackupBroken, verify
from indexer.store.backup import restore as put_back


def backup(context: Context, *, name: str | None, keep: int | None) -> None:
    """Copy the store as it is; while a service runs, it does so, and goes on meanwhile."""
    with desk_of(context, writes=True) as desk, counted_on(context, "copying the store"):
        document = desk.back_up(name, keep)
    emit(context, document, lambda console: _show(console, document))


def _show(console: Console, document: Document) -> None:
    facts(console, {key: value for key, value in document.items() if key != "tables"})
    console.print(f"rows: {sum(document['tables'].values()):,} in {len(document['tables'])} tables")


def restore(context: Context, folder: Path, *, verify_only: bool) -> None:
    """Check a backup and put it where the configuration has its store; raises `Unverified` for one that is not whole."""
    path = _found(context, folder, verify_only=verify_only)
    try:
        if verify_only:
            with counted_on(context, "checking"):
                told = backup_document(verify(path), path)
            emit(context, told, lambda console: console.print(words(f"{path} is whole: {told['sha256']}", "green")))
            return
        settings = context.settings()
        if (service := running(settings.store)) is not None:
            raise UsageError(f"process {service.pid} serves {settings.store}; stop it first")
        with counted_on(context, "checking and copying"):
            document = backup_document(put_back(path, settings.store), path) | {"store": str(settings.store)}
    except BackupBroken as error:
        raise Unverified(str(error)) from error
    emit(context, document, lambda console: _show(console, document))


def _found(context: Context, folder: Path, *, verify_only: bool) -> Path:
    """The folder itself, or the backup of that name in the configured folder."""
    if folder.is_dir():
        return folder
    if len(folder.parts) == 1 and (named := context.settings().backups / folder).is_dir():
        return named
    where = (
        "" if verify_only or len(folder.parts) > 1 else f", nor a backup of that name in {context.settings().backups}"
    )
    raise NoSuchThing(f"there is no folder {folder}{where}")
