"""Keys by which others ask over HTTP: `cm_<id>_<secret>`, a secret of 256 bits that is shown once and kept as its hash."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Sequence
from typing import Any

from crossmargin.documents import Document, harmless, moment
from crossmargin.errors import NoSuchThing, UsageError
from crossmargin.remembered import Remembered
from crossmargin.watch import Clock
from indexer.store import ApiKeyRow, Store

SCOPES = ("read", "sql", "import", "follow", "admin")
ID_BYTES, SECRET_BYTES = 6, 32
WRITTEN = re.compile(r"cm_([0-9a-f]{12})_([0-9a-f]{64})")
LONGEST_NAME = 80
MOST_REQUESTS = 1_000_000


class ApiKeys:
    """The keys of one store; the process that has the store keeps them in memory, for every request asks."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known = Remembered(self._read)

    def create(
        self, name: str, scopes: Sequence[str], *, quota: int | None, expires_in_s: int | None, who: str
    ) -> Document:
        """Make a key and return it with its secret, which nobody can tell again; raises `UsageError`."""
        now, secret = int(self._clock()), secrets.token_hex(SECRET_BYTES)
        _check(name, scopes, quota, expires_in_s)
        row = ApiKeyRow(
            id=secrets.token_hex(ID_BYTES),
            name=name,
            digest=digest_of(secret),
            scopes=" ".join(scope for scope in SCOPES if scope in scopes),
            quota=quota,
            created_at=now,
            created_by=who,
            expires_at=None if expires_in_s is None else now + expires_in_s,
            revoked_at=None,
        )
        with self._store.api_keys() as ledger:
            ledger.add(row)
        self._known.forget()
        return self._line(row) | {"key": f"cm_{row.id}_{secret}"}

    def listing(self) -> Document:
        """Return every key that was ever made, without what would let anybody use it."""
        return {"keys": [self._line(row) for row in self._rows().values()]}

    def revoke(self, key_id: str) -> Document:
        """Let a key hold no more, from the next request on; raises `NoSuchThing`."""
        if key_id not in self._rows():
            shown = harmless(key_id, longest=LONGEST_NAME)
            raise NoSuchThing(f'there is no API key with the id "{shown}"; `crossmargin keys api list` has them')
        with self._store.api_keys() as ledger:
            ledger.revoke(key_id, int(self._clock()))
        self._known.forget()
        return self._line(self._rows()[key_id])

    def lookup(self, key: str) -> ApiKeyRow | None:
        """Return whose key this is; `None` for one that is not known, has expired or was revoked."""
        match = WRITTEN.fullmatch(key)
        row = self._rows().get(match[1]) if match else None
        if match is None or row is None or not hmac.compare_digest(row.digest, digest_of(match[2])):
            return None
        return row if self._state(row) == "active" else None

    def any_active(self) -> bool:
        """Whether anybody holds a key that is good now."""
        return any(self._state(row) == "active" for row in self._rows().values())

    def _rows(self) -> dict[str, ApiKeyRow]:
        return self._known.get()

    def _read(self) -> dict[str, ApiKeyRow]:
        with self._store.reading() as reader:
            return {row.id: row for row in reader.api_keys()}

    def _state(self, row: ApiKeyRow) -> str:
        if row.revoked_at is not None:
            return "revoked"
        return "expired" if row.expires_at is not None and row.expires_at <= self._clock() else "active"

    def _line(self, row: ApiKeyRow) -> dict[str, Any]:
        return {
            "id": row.id,
            "name": row.name,
            "scopes": row.scopes.split(),
            "quota_per_minute": row.quota,
            "state": self._state(row),
            "created_at": moment(row.created_at),
            "created_by": row.created_by,
            "expires_at": None if row.expires_at is None else moment(row.expires_at),
            "revoked_at": None if row.revoked_at is None else moment(row.revoked_at),
        }


def digest_of(secret: str) -> bytes:
    """Return what is kept of a secret. It is 256 bits of chance, so that nothing slower than SHA-256 is needed."""
    return hashlib.sha256(secret.encode()).digest()


def _check(name: str, scopes: Collection[str], quota: int | None, expires_in_s: int | None) -> None:
    if not name.strip() or len(name) > LONGEST_NAME or harmless(name) != name:
        raise UsageError(f"a key's name must say in one line of at most {LONGEST_NAME} characters whose it is")
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise UsageError(f"a key needs scopes out of {', '.join(SCOPES)}{_not(unknown)}")
    if quota is not None and not 0 < quota <= MOST_REQUESTS:
        raise UsageError(f"a quota must be 1 to {MOST_REQUESTS:,} requests a minute")
    if expires_in_s is not None and expires_in_s <= 0:
        raise UsageError("a key must expire in the future")


def _not(unknown: Sequence[str]) -> str:
    return f', not "{harmless(unknown[0], longest=LONGEST_NAME)}"' if unknown else ""
