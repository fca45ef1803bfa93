"""Large answers that are sent while they are put together, so that nobody copies megabytes, and who asks reads meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

AT_ONCE = 256 * 1024
"""Bytes that are handed on together."""


class Pieces(Payload):
    """A body that stands in pieces, in their order."""

    _autoclose = True

    def __init__(self, pieces: Sequence[bytes | memoryview]) -> None:
        super().__init__(pieces)
        self._pieces = pieces
        self._bytes = sum(len(piece) for piece in pieces)

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return self._bytes

    def whole(self) -> bytes:
        """Return all of it."""
        return b"".join(self._pieces)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self.whole().decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        together: list[bytes | memoryview] = []
        size = 0
        for piece in self._pieces:
            together.append(piece)
            size += len(piece)
            if size >= AT_ONCE:
                await writer.write(b"".join(together))
                together, size = [], 0
        if together:
            await writer.write(b"".join(together))
