"""The bytes of a Chainlink feed with one transmission.

Source: chainlink-solana, the client `read_feed_v2` (`Transmissions`: header of 192 bytes behind the discriminator, then the newest
transmission).
"""

from __future__ import annotations

from dataclasses import dataclass

from chains.identifiers import from_base58
from chains.solana.layouts import Layout, read

STORE = from_base58("HEvSKofvBgfaexv23kMabbYqxasxU3mQ4ibBMEmJWHny")
"""The store program."""

FEED = Layout(
    name="Transmissions",
    size=248,
    discriminator=bytes.fromhex("60b3454280814975"),
    fields={
        "decimals": (138, "u8"),
        "latest_round_id": (143, "u32"),
        "live_length": (148, "u32"),
        "slot": (200, "u64"),
        "timestamp": (208, "u32"),
        "answer": (216, "i128"),
    },
    grows=True,
)


class NoFeed(ValueError):
    """An account that is no Chainlink feed with an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """The newest answer / 10^`decimals`, received in `slot`; `timestamp` as its observers say."""

    decimals: int
    latest_round_id: int
    slot: int
    timestamp: int
    answer: int


def chainlink_feed(data: bytes) -> Feed:
    """Read an account's bytes; raises `NoFeed`."""
    if problem := FEED.problem(data):
        raise NoFeed(problem)
    told = read(FEED.fields, data)
    if told.pop("live_length") != 1 or told["latest_round_id"] == 0:
        raise NoFeed("the feed has not just one transmission")
    return Feed(**told)
