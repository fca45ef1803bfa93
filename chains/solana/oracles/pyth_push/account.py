"""The bytes of a price account of Pyth's push oracle.

Source: pyth-sdk-solana `state.rs` (`PriceAccount`, `to_price_feed`): while the aggregate is not trading, the feed's price is the last one
that was.
"""

from __future__ import annotations

from dataclasses import dataclass

from chains.solana.layouts import Table, read

SIZE = 3312
MAGIC, VERSION, PRICE_ACCOUNT = 0xA1B2C3D4, 2, 3
TRADING = 1

FIELDS: Table = {
    "magic": (0, "u32"),
    "version": (4, "u32"),
    "kind": (8, "u32"),
    "exponent": (20, "i32"),
    "ema_price": (48, "i64"),
    "ema_confidence": (72, "i64"),
    "timestamp": (96, "i64"),
    "previous_slot": (176, "u64"),
    "previous_price": (184, "i64"),
    "previous_confidence": (192, "u64"),
    "previous_timestamp": (200, "i64"),
    "price": (208, "i64"),
    "confidence": (216, "u64"),
    "status": (224, "u32"),
    "published_slot": (232, "u64"),
}


class NoPrice(ValueError):
    """An account that is no price account of the push oracle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushPrice:
    """The price that a feed gives now: `price` × 10^`exponent`, give or take `confidence` × 10^`exponent`.

    `ema_…`: the exponential moving averages at the same scale; `trading`: whether it is the aggregate of now, or the last one that was.
    """

    price: int
    confidence: int
    exponent: int
    publish_time: int
    published_slot: int
    ema_price: int
    ema_confidence: int
    trading: bool


def push_price(data: bytes) -> PushPrice:
    """Read an account's bytes; raises `NoPrice`."""
    if len(data) < SIZE:
        raise NoPrice(f"the account has {len(data)} bytes, a price account has {SIZE}")
    fields = read(FIELDS, data)
    if (fields["magic"], fields["version"], fields["kind"]) != (MAGIC, VERSION, PRICE_ACCOUNT):
        raise NoPrice("the account does not begin as a price account of the second version does")
    trading = fields["status"] == TRADING
    return PushPrice(
        price=fields["price"] if trading else fields["previous_price"],
        confidence=fields["confidence"] if trading else fields["previous_confidence"],
        exponent=fields["exponent"],
        publish_time=fields["timestamp"] if trading else fields["previous_timestamp"],
        published_slot=fields["published_slot"] if trading else fields["previous_slot"],
        ema_price=fields["ema_price"],
        ema_confidence=fields["ema_confidence"] & (2**64 - 1),
        trading=trading,
    )
