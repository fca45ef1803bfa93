"""Where the push program keeps the price of a feed: one account for each shard, at an address that follows from both.

Source: pyth-crosschain `target_chains/solana/programs/pyth-push-oracle` (seeds: shard as u16, feed id), and Solana's
`Pubkey::find_program_address`: the first hash, counted down from bump 255, that is no point of the curve Ed25519.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

PUSH_PROGRAM = bytes.fromhex("0c4aa0128e95d3e1622aa501c585a9eb07b37354c108ea0b791b456dc7eea336")
"""The push program, pythWSnswVUd12oZpeFP8e9CVaEqJg25g1Vtc2biRsT."""

_MARKER = b"ProgramDerivedAddress"
_FIELD = 2**255 - 19
_D = -121_665 * pow(121_666, -1, _FIELD) % _FIELD


@lru_cache(maxsize=4096)
def push_address(shard: int, feed_id: bytes) -> bytes:
    """Return the address of the account that holds a feed's price in a shard."""
    seeds = shard.to_bytes(2, "little") + feed_id
    for bump in range(255, -1, -1):
        found = sha256(seeds + bytes([bump]) + PUSH_PROGRAM + _MARKER).digest()
        if not _on_curve(found):
            return found
    raise ValueError(f"no address off the curve for feed {feed_id.hex()} in shard {shard}")


def _on_curve(point: bytes) -> bool:
    """Tell whether 32 bytes are the compressed form of a point: x² = (y² − 1) / (d·y² + 1) has a root."""
    y = (int.from_bytes(point, "little") & (2**255 - 1)) % _FIELD
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _FIELD) % _FIELD
    return square == 0 or pow(square, (_FIELD - 1) // 2, _FIELD) == 1
