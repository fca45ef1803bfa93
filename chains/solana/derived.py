"""Addresses that follow from a program and some seeds, and that nobody has the key of.

Source: Solana's `Pubkey::find_program_address`: the first hash, counted down from bump 255, that is no point of the curve Ed25519.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

_MARKER = b"ProgramDerivedAddress"
_FIELD = 2**255 - 19
_D = -121_665 * pow(121_666, -1, _FIELD) % _FIELD


@lru_cache(maxsize=4096)
def program_address(program: bytes, *seeds: bytes) -> bytes:
    """Return the address that a program derives from seeds; raises `ValueError` where there is none."""
    joined = b"".join(seeds)
    for bump in range(255, -1, -1):
        found = sha256(joined + bytes([bump]) + program + _MARKER).digest()
        if not _on_curve(found):
            return found
    raise ValueError(f"no address of program {program.hex()} off the curve for seeds {joined.hex()}")


def _on_curve(point: bytes) -> bool:
    """Tell whether 32 bytes are the compressed form of a point: x² = (y² − 1) / (d·y² + 1) has a root."""
    y = (int.from_bytes(point, "little") & (2**255 - 1)) % _FIELD
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _FIELD) % _FIELD
    return square == 0 or pow(square, (_FIELD - 1) // 2, _FIELD) == 1
