"""The list of API keys: whoever holds one has its secret, and only its hash is here."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

from indexer.store.session import Con, insert
from indexer.store.statements import statement


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRow:
    """A key: the SHA-256 of its secret, what it allows (words parted by spaces), requests a minute (`None`: any number).

    Moments in Unix seconds; `expires_at` and `revoked_at` are `None` where it does not expire and was not revoked.
    """

    id: str
    name: str
    digest: bytes
    scopes: str
    quota: int | None
    created_at: int
    created_by: str
    expires_at: int | None
    revoked_at: int | None


class ApiKeyLedger:
    """The list within a transaction."""

    def __init__(self, con: Con) -> None:
        self._con = con

    def add(self, row: ApiKeyRow) -> None:
        """Enter a key."""
        insert(self._con, "api_key", astuple(row))

    def revoke(self, key_id: str, at: int) -> None:
        """Let a key hold no more; of one that is revoked already the first moment stays."""
        self._con.execute(statement("api_key_revoke"), {"id": key_id, "at": at})


def api_keys(con: Con) -> list[ApiKeyRow]:
    """Return every key, in the order in which they were made."""
    names = [column.name for column in fields(ApiKeyRow)]
    return [ApiKeyRow(**dict(zip(names, row, strict=True))) for row in con.execute(statement("api_keys")).fetchall()]
