"""`keys api create|list|revoke`: who may ask the service over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import time
from typing import Protocol

from rich.console import Console

from crossmargin.api_keys import ApiKeys
from crossmargin.app import must_exist, unlocked
from crossmargin.cli.context import Context
from crossmargin.cli.output import add_rows, emit, facts, table, words
from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.policies import user
from crossmargin.remote_desk import RemoteDesk
from crossmargin.service_file import running
from crossmargin.settings import values

COLUMNS = ("id", "name", "scopes", "a minute", "state", "made", "expires")


class Keys(Protocol):
    """What is asked of the keys, here or of the service."""

    def create(
        self, name: str, scopes: tuple[str, ...], *, quota: int | None, expires_in_s: int | None, who: str
    ) -> Document: ...

    def listing(self) -> Document: ...

    def revoke(self, key_id: str) -> Document: ...


def create(context: Context, name: str, *, scopes: tuple[str, ...], quota: int | None, expires: str | None) -> None:
    """Make a key and print it, once."""
    with _keys(context, writes=True) as keys:
        made = keys.create(name, scopes, quota=quota, expires_in_s=_seconds(expires), who=user())
    emit(context, made, lambda console: _show_made(console, made))


def listing(context: Context) -> None:
    """Print all keys, oldest first."""
    with _keys(context, writes=False) as keys:
        document = keys.listing()
    emit(context, document, lambda console: _show(console, document))


def revoke(context: Context, key_id: str) -> None:
    """Let a key hold no more."""
    with _keys(context, writes=True) as keys:
        document = keys.revoke(key_id)
    emit(context, document, lambda console: facts(console, document))


@contextmanager
def _keys(context: Context, *, writes: bool) -> Iterator[Keys]:
    """The keys of the running service, or of the store; the first key may come before anything is indexed."""
    settings = context.settings()
    service = running(settings.store)
    if service is not None and (desk := RemoteDesk(service)).answers():
        yield _Remote(desk)
        return
    if not writes:
        must_exist(settings)
    settings.store.parent.mkdir(parents=True, exist_ok=True)
    with unlocked(settings, read_only=not writes) as store:
        yield ApiKeys(store, time)


class _Remote:
    def __init__(self, desk: RemoteDesk) -> None:
        self._desk = desk

    def create(
        self, name: str, scopes: tuple[str, ...], *, quota: int | None, expires_in_s: int | None, who: str
    ) -> Document:
        return self._desk.create_api_key(name, scopes, quota=quota, expires_in_s=expires_in_s, who=who)

    def listing(self) -> Document:
        return self._desk.api_keys()

    def revoke(self, key_id: str) -> Document:
        return self._desk.revoke_api_key(key_id)


def _seconds(expires: str | None) -> int | None:
    if expires is None:
        return None
    try:
        return values.whole_seconds(expires)
    except ValueError as error:
        raise UsageError(f"--expires {error}") from error


def _show_made(console: Console, made: Document) -> None:
    facts(console, {key: value for key, value in made.items() if key not in {"key", "revoked_at"}})
    console.print(words("The key, shown only now:", "yellow"))
    console.print(made["key"], soft_wrap=True, markup=False, highlight=False)


def _show(console: Console, document: Document) -> None:
    rows = [
        (
            line["id"],
            line["name"],
            " ".join(line["scopes"]),
            "any" if line["quota_per_minute"] is None else line["quota_per_minute"],
            line["state"],
            line["created_at"],
            line["expires_at"] or "never",
        )
        for line in document["keys"]
    ]
    console.print(add_rows(table(*COLUMNS), rows))
