"""What the newest headers say of the logs of their blocks, kept while it may be needed."""

from __future__ import annotations

from chains.evm.evidence.blooms import NOTHING
from chains.evm.evidence.trie import EMPTY_ROOT

MOST = 8_192
"""Headers that are remembered: more than any chain has between its head and its newest settled block on a usual day."""

_EMPTY = "0x" + EMPTY_ROOT.hex()


class Filters:
    """The filters of headers by the hash of their block, of the headers that were seen last."""

    def __init__(self) -> None:
        self._filters: dict[bytes, tuple[str, str]] = {}

    def note(self, block_hash: bytes, bloom: str, receipts_root: str) -> None:
        """Remember a header, as hexadecimal text; the oldest one is forgotten for it."""
        self._filters.pop(block_hash, None)
        self._filters[block_hash] = bloom, receipts_root
        if len(self._filters) > MOST:
            del self._filters[next(iter(self._filters))]

    def root(self, block_hash: bytes) -> bytes | None:
        """Return the root that a header names for its receipts, `None` where it is not known."""
        _, receipts_root = self._filters.get(block_hash, ("", ""))
        try:
            return bytes.fromhex(receipts_root[2:]) or None
        except ValueError:
            return None

    def of(self, block_hash: bytes) -> bytes | None:
        """Return the filter of a block, an empty one where no transaction has a receipt; `None` where nothing is known of its logs."""
        bloom, receipts_root = self._filters.get(block_hash, ("", ""))
        if receipts_root.lower() == _EMPTY:
            return NOTHING
        try:
            found = bytes.fromhex(bloom[2:])
        except ValueError:
            return None
        return found if len(found) == len(NOTHING) and any(found) else None
