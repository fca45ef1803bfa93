"""Large answers that are sent while they are put together, so that nobody copies megabytes, and who asks reads meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

AT_ONCE = 256 * 1024
"""About how many bytes are handed on together: so many pieces as have them on average."""


class Pieces(Payload):
    """A body that stands in pieces, in their order."""

    _autoclose = True

    def __init__(self, pieces: Sequence[bytes | memoryview]) -> None:
        super().__init__(pieces)
        self._pieces = pieces
        self._bytes = sum(map(len, pieces))

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
        together = max(1, len(self._pieces) * AT_ONCE // max(1, self._bytes))
        for first in range(0, len(self._pieces), together):
            await writer.write(b"".join(self._pieces[first : first + together]))
