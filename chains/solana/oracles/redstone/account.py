"""The bytes of a RedStone price account.

Source: redstone-finance `redstone-price-adapter` (`PriceData`: feed id, value as a big-endian number of 256 bits, timestamps in
milliseconds); Borsh, with an option of variable length behind the first time.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_VALUE, _TIMESTAMP, _WRITTEN = slice(40, 72), 72, 80


class NoFeed(ValueError):
    """An account that is no RedStone price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A price `value` / 10^`decimals`, computed at `timestamp` and written at `write_timestamp`, milliseconds; `None`: not said."""

    value: int
    timestamp: int
    write_timestamp: int | None
    decimals: int


def redstone_feed(data: bytes) -> Feed:
    """Read an account's bytes; raises `NoFeed`."""
    try:
        option = data[_WRITTEN]
        if option > 1:
            raise NoFeed(f"an option begins with {option}")
        written = struct.unpack_from("<Q", data, _WRITTEN + 1)[0] if option else None
        timestamp, decimals = struct.unpack_from("<Q", data, _TIMESTAMP)[0], data[_WRITTEN + 9 + 8 * option]
    except (struct.error, IndexError) as error:
        raise NoFeed(f"the account is cut off at {len(data)} bytes") from error
    return Feed(
        value=int.from_bytes(data[_VALUE], "big"), timestamp=timestamp, write_timestamp=written, decimals=decimals
    )
