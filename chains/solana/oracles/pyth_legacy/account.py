"""The bytes of a price account of Pyth's first program on Solana.

Source: the pyth-sdk-solana crate, `state.rs` (`PriceAccount`). Its readers take the aggregate while it is trading and new enough, and
else the previous one (`get_price_no_older_than`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from chains.identifiers import from_base58
from chains.solana.layouts import Layout, read

ORACLE = from_base58("FsJ3A3u2vn5cTVofAjvy6y5kwABJAqYWpe4975bi2epH")
_MAGIC, _VERSION, _PRICE_ACCOUNT, _TRADING = 0xA1B2C3D4, 2, 3, 1

PRICE = Layout(
    name="price account",
    size=3312,
    discriminator=_MAGIC.to_bytes(4, "little"),
    fields={
        "version": (4, "u32"),
        "type": (8, "u32"),
        "exponent": (20, "i32"),
        "valid_slot": (40, "u64"),
        "ema_price": (48, "i64"),
        "ema_confidence": (72, "i64"),
        "time": (96, "i64"),
        "previous_slot": (176, "u64"),
        "previous_price": (184, "i64"),
        "previous_confidence": (192, "u64"),
        "previous_time": (200, "i64"),
        "price": (208, "i64"),
        "confidence": (216, "u64"),
        "status": (224, "u32"),
        "slot": (232, "u64"),
    },
    grows=True,
)


class NoLegacyPrice(ValueError):
    """An account that is no price account."""


class Quote(NamedTuple):
    """A price give or take its confidence, both times ten to the account's exponent, as of a slot and Unix seconds."""

    price: int
    confidence: int
    slot: int
    time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyPrice:
    """An account's aggregate, which counts while it is `trading`, and the `previous` one that did; `ema_price` at the same scale.

    `valid_slot`: the slot whose quotes the aggregate is made of.
    """

    exponent: int
    valid_slot: int
    trading: bool
    latest: Quote
    previous: Quote
    ema_price: int
    ema_confidence: int


def legacy_price(data: bytes) -> LegacyPrice:
    """Read an account's bytes; raises `NoLegacyPrice`."""
    if problem := PRICE.problem(data):
        raise NoLegacyPrice(problem)
    said = read(PRICE.fields, data)
    if said["version"] != _VERSION or said["type"] != _PRICE_ACCOUNT:
        raise NoLegacyPrice(f"version {said['version']}, type {said['type']} is no price account of version {_VERSION}")
    return LegacyPrice(
        exponent=said["exponent"],
        valid_slot=said["valid_slot"],
        trading=said["status"] == _TRADING,
        latest=Quote(said["price"], said["confidence"], said["slot"], said["time"]),
        previous=Quote(
            said["previous_price"], said["previous_confidence"], said["previous_slot"], said["previous_time"]
        ),
        ema_price=said["ema_price"],
        ema_confidence=said["ema_confidence"],
    )
