"""Names of what was answered, by which an asker says that it has it."""

from __future__ import annotations

import hashlib

ETAG_DIGITS = 32


def etag(body: bytes) -> str:
    """Name a body; weak, since it may travel compressed or not."""
    return f'W/"{hashlib.sha256(body).hexdigest()[:ETAG_DIGITS]}"'


def known(said: str | None, tag: str) -> bool:
    """Whether `If-None-Match` names an ETag, by weak comparison."""
    if said is None:
        return False
    names = {name.strip().removeprefix("W/") for name in said.split(",")}
    return "*" in names or tag.removeprefix("W/") in names
