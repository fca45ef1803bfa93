"""Price accounts as Pyth's receiver program leaves them on the chain: PriceUpdateV2."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from solders.pubkey import Pubkey

from tests.devnet.solana.ledger import Ledger

RECEIVER = Pubkey.from_string("rec5EKMGg6MxZYaMdyBfgwp4d5rB9T1VQH5pJv5LtFJ")
DISCRIMINATOR = bytes.fromhex("22f123639d7ef4cd")
SIZE = 134
"""The account's size; an update verified in full fills one byte less."""
FEEDS = {"SOL/USD": 155.0, "USDC/USD": 1.0, "BTC/USD": 60_000.0}
"""What each feed's price begins with."""
FEED_IDS = {
    "SOL/USD": bytes.fromhex("ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d"),
    "USDC/USD": bytes.fromhex("eaa020c61cc479712813461ce153894a96a6c00b21ed0cfc2798d1f9a9e9c94a"),
    "BTC/USD": bytes.fromhex("e62df6c8b4a85fe1a67db44dc12de5db330f7ac66b72dc658afedf0f4a415b43"),
}
PARTIAL_FEED, PARTIAL_SIGNATURES = "BTC/USD", 5
"""The feed that is verified only in part."""
EXPONENT = -8
MOST_CHANGE = 0.02
CONFIDENCE_SHARE = 0.0008


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceUpdate:
    """One update. `signatures` is None for a full verification, else how many signatures were checked."""

    account: Pubkey
    feed_id: bytes
    price: int
    confidence: int
    exponent: int
    publish_time: int
    previous_publish_time: int
    ema_price: int
    ema_confidence: int
    posted_slot: int
    signatures: int | None = None
    write_authority: Pubkey = RECEIVER

    def encoded(self) -> bytes:
        """The account's bytes: a partial verification takes a byte more and moves all that follows."""
        level = b"\1" if self.signatures is None else bytes([0, self.signatures])
        message = struct.pack(
            "<32sqQiqqqQQ",
            self.feed_id,
            self.price,
            self.confidence,
            self.exponent,
            self.publish_time,
            self.previous_publish_time,
            self.ema_price,
            self.ema_confidence,
            self.posted_slot,
        )
        return (DISCRIMINATOR + bytes(self.write_authority) + level + message).ljust(SIZE, b"\0")

    def post(self, ledger: Ledger) -> None:
        """Put the update into its account, as part of the block in the making."""
        ledger.set_account(self.account, owner=RECEIVER, data=self.encoded())


def price_account(symbol: str) -> Pubkey:
    """The account of a feed's newest price."""
    return Pubkey.find_program_address([bytes(2), FEED_IDS[symbol]], RECEIVER)[0]


class Prices:
    """Prices that wander."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._usd = dict(FEEDS)
        self._last_time: dict[str, int] = {}

    def move(self, *, slot: int, time: int) -> Iterator[PriceUpdate]:
        """The next price of every feed."""
        for symbol in FEEDS:
            self._usd[symbol] *= 1 + self._rng.uniform(-MOST_CHANGE, MOST_CHANGE)
            price = round(self._usd[symbol] * 10**-EXPONENT)
            yield PriceUpdate(
                account=price_account(symbol),
                feed_id=FEED_IDS[symbol],
                price=price,
                confidence=round(price * CONFIDENCE_SHARE),
                exponent=EXPONENT,
                publish_time=time,
                previous_publish_time=self._last_time.get(symbol, time - 1),
                ema_price=price,
                ema_confidence=round(price * CONFIDENCE_SHARE),
                posted_slot=slot,
                signatures=PARTIAL_SIGNATURES if symbol == PARTIAL_FEED else None,
            )
            self._last_time[symbol] = time
