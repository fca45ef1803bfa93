"""Who asks, and what they may: the owner of the store by its own token, others by keys, anybody where that is meant."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from crossmargin.errors import Forbidden, Unauthorized
from crossmargin.server.quota import Quota
from crossmargin.server.route import Scope
from indexer.store import ApiKeyRow

ALL = frozenset(Scope)
NOBODY = frozenset[Scope]()
READING = frozenset({Scope.READ})
BEARER = "bearer"
ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Whoever sent a request: the id of a key, `owner` or `anonymous`."""

    id: str
    scopes: frozenset[Scope]
    quota: Quota | None = None


OWNER = Asker(id="owner", scopes=ALL)

Lookup = Callable[[str], ApiKeyRow | None]
"""Gives whom a key belongs to, `None` for one that is not known, has expired or was revoked."""


def holder_of(row: ApiKeyRow) -> Asker:
    """Return whoever holds a key."""
    quota = None if row.quota is None else Quota(row.quota)
    return Asker(id=row.id, scopes=frozenset(map(Scope, row.scopes.split())), quota=quota)


class Access:
    """Reads `Authorization`; `token` is the owner's, `anonymous` whether anybody may read without a key."""

    def __init__(self, token: str, lookup: Lookup, *, anonymous: bool) -> None:
        self._token = token.encode()
        self._lookup = lookup
        self._anybody = Asker(id=ANONYMOUS, scopes=READING if anonymous else NOBODY)

    def asker(self, authorization: str | None) -> Asker:
        """Return who asks; raises `Unauthorized` where what is said of it does not hold."""
        if authorization is None:
            return self._anybody
        kind, _, key = authorization.partition(" ")
        key = key.strip()
        if kind.lower() != BEARER or not key:
            raise Unauthorized('Authorization must be "Bearer" and a key, as `crossmargin keys api create` gives one')
        if hmac.compare_digest(key.encode("utf-8", "surrogateescape"), self._token):
            return OWNER
        found = self._lookup(key)
        if found is None:
            raise Unauthorized(
                "this key is not known here, has expired or was revoked; ask who runs this service for one"
            )
        return holder_of(found)


def turn_of(asker: Asker, remote: str | None) -> str:
    """Return under which name an asker waits for threads: whoever has no key is told apart by address."""
    return f"{ANONYMOUS} {remote}" if asker.id == ANONYMOUS else asker.id


def check(asker: Asker, scope: Scope | None, *, signed: bool = False) -> None:
    """Refuse whoever may not ask this; raises `Unauthorized` and `Forbidden`.

    `signed`: what is sent says itself who speaks, so that nobody who may read needs a key to send it.
    """
    if scope is None or scope in asker.scopes:
        return
    if asker.id == ANONYMOUS:
        if signed and Scope.READ in asker.scopes:
            return
        raise Unauthorized(
            f'this needs a key with the scope "{scope}"; send it as Authorization: Bearer …, '
            "or use the `crossmargin` command on the machine of the service"
        )
    raise Forbidden(f'this needs the scope "{scope}", and this key has {", ".join(sorted(asker.scopes))}')
