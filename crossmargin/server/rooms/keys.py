"""API keys, for whoever administers the service."""

from __future__ import annotations

from typing import Literal

from aiohttp import web
from pydantic import Field

from crossmargin.desk import Desk
from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.server.answers.service import KeyLine, KeyList, KeyMade
from crossmargin.server.idempotency import HEADER
from crossmargin.server.route import Asked, Room, Scope

room = Room("keys")


class KeyPath(Asked):
    """Which key."""

    id: str = Field(min_length=1, max_length=80)


class KeyOrder(Asked):
    """What a new key is to be: `quota_per_minute` and `expires_in_s` `null` for none."""

    name: str = Field(min_length=1, max_length=80)
    scopes: list[Literal["read", "sql", "import", "follow", "admin"]] = Field(min_length=1)
    quota_per_minute: int | None = Field(default=None, ge=1, le=1_000_000)
    expires_in_s: int | None = Field(default=None, ge=1, le=10**9)
    who: str = Field(default="", max_length=80)


@room.get("/v1/keys", answer=KeyList, scope=Scope.ADMIN)
def list_keys(desk: Desk) -> Document:
    """Return every API key that was ever made, without its secret."""
    return desk.api_keys()


@room.post("/v1/keys", answer=KeyMade, scope=Scope.ADMIN)
def create_key(desk: Desk, request: web.Request, body: KeyOrder) -> Document:
    """Make an API key. Its secret is in this answer and nowhere else."""
    if HEADER in request.headers:
        raise UsageError(f"a key is shown once, and not again under the same {HEADER}; leave it out")
    return desk.create_api_key(
        body.name, body.scopes, quota=body.quota_per_minute, expires_in_s=body.expires_in_s, who=body.who
    )


@room.post("/v1/keys/{id}/revoke", answer=KeyLine, scope=Scope.ADMIN)
def revoke_key(desk: Desk, path: KeyPath) -> Document:
    """Let a key hold no more."""
    return desk.revoke_api_key(path.id)
