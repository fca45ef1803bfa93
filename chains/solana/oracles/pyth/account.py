"""The bytes of a `PriceUpdateV2` account.

Source: pyth-crosschain `target_chains/solana/pyth_solana_receiver_sdk/src/price_update.rs`; Borsh: a partial verification level is one
byte longer than a full one, so that everything behind it moves.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

RECEIVER = bytes.fromhex("0cb7fabb52f7a648bb5b317d9a018b9057cb024774fafe01e6c4df98cc385881")
"""The receiver program, rec5EKMGg6MxZYaMdyBfgwp4d5rB9T1VQH5pJv5LtFJ."""

DISCRIMINATOR = bytes.fromhex("22f123639d7ef4cd")
_LEVEL = 40
_PARTIAL, _FULL = 0, 1
_MESSAGE = struct.Struct("<32sqQiqqqQQ")


class NoPrice(ValueError):
    """An account that is no price update."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceUpdate:
    """One price as Pyth's guardians signed it: `price` × 10^`exponent` USD, give or take `confidence` × 10^`exponent`.

    `ema_…`: the exponential moving averages at the same scale. `signatures`: how many were checked where not all that are needed were (a
    partial verification), `None` where all were.
    """

    signatures: int | None
    feed_id: bytes
    price: int
    confidence: int
    exponent: int
    publish_time: int
    posted_slot: int
    previous_publish_time: int
    ema_price: int
    ema_confidence: int


def price_update(data: bytes) -> PriceUpdate:
    """Read an account's bytes; raises `NoPrice`."""
    if data[:8] != DISCRIMINATOR:
        raise NoPrice("the account is no PriceUpdateV2")
    try:
        signatures, at = _level(data)
        feed_id, price, confidence, exponent, published, previous, ema, ema_confidence, posted = _MESSAGE.unpack_from(
            data, at
        )
    except (struct.error, IndexError) as error:
        raise NoPrice(f"the PriceUpdateV2 is cut off at {len(data)} bytes") from error
    return PriceUpdate(
        signatures=signatures,
        feed_id=feed_id,
        price=price,
        confidence=confidence,
        exponent=exponent,
        publish_time=published,
        posted_slot=posted,
        previous_publish_time=previous,
        ema_price=ema,
        ema_confidence=ema_confidence,
    )


def _level(data: bytes) -> tuple[int | None, int]:
    """Return the signatures of a partial verification, and where the message begins."""
    match data[_LEVEL]:
        case 1:
            return None, _LEVEL + 1
        case 0:
            return data[_LEVEL + 1], _LEVEL + 2
        case other:
            raise NoPrice(f"verification level {other} is not known")
