"""Keeps node addresses out of everything that is stored, printed, logged or served: they may hold keys."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, urlsplit

HIDDEN = "•••"
SHORTEST = 6
PLAIN_WORD = re.compile(r"[a-z]{1,15}|v?\d+")


class Redactor:
    """Replaces every part of the known node addresses that could be a secret, and other `secrets` whole."""

    def __init__(self, addresses: Iterable[str] = (), *, secrets: Iterable[str] = ()) -> None:
        labels = {address: label(address) for address in addresses}
        parts = {part: HIDDEN for address in labels for part in _parts(address)}
        self._words = {**parts, **labels, **dict.fromkeys(secrets, HIDDEN)}
        longest_first = sorted(self._words, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def scrub(self, text: str) -> str:
        """Return `text` without secrets."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: self._words[match[0]], text)


def label(address: str) -> str:
    """Return what may be shown of a node's address: scheme, host and port."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    rest = f"/{HIDDEN}" if len(parts.path) > 1 or parts.query or parts.fragment else ""
    return f"{parts.scheme}://{host}{rest}"


def _parts(address: str) -> Iterator[str]:
    """Every part of an address that could be a secret, also without its percent signs, and as it is sent in a header."""
    parts = urlsplit(address)
    segments = [segment for segment in parts.path.split("/") if not PLAIN_WORD.fullmatch(segment)]
    pairs = [word for pair in parts.query.split("&") for word in (pair, *pair.split("=", 1))]
    user = parts.netloc.rpartition("@")[0]
    whole = [parts.path, parts.query, f"{parts.path}?{parts.query}", parts.fragment]
    for part in (*whole, *segments, *pairs, user, parts.username, parts.password):
        for spelling in {part, unquote(part)} if part else ():
            if len(spelling) >= SHORTEST:
                yield spelling
    if user:
        yield b64encode(unquote(user).encode()).decode().rstrip("=")
