"""Price accounts of Pyth's push oracle."""

from __future__ import annotations

import base64
import json
import struct

import pytest

from chains.solana.oracles.pyth_push import NoPrice, push_price
from tests.support.kamino_accounts import push
from tests.support.kamino_runs import FIXTURES

DUMP = FIXTURES / "pyth" / "sol_pyth_oracle.json"


@pytest.mark.skipif(not DUMP.exists(), reason="the dumps are not in ../shared/fixtures/solana")
def test_a_recorded_account_gives_the_price_that_it_is_known_to_hold() -> None:
    said = json.loads(DUMP.read_text())

    price = push_price(base64.b64decode(said["account"]["data"][0]))

    # SOL stood at 119 USD on 5 August 2024; the feed was not trading in that slot, so the price is the one before
    assert price.publish_time == 1_722_852_532
    assert (price.price, price.confidence, price.exponent) == (11_923_378_000, 16_676_631, -8)
    assert (price.ema_price, price.ema_confidence) == (12_068_220_500, 13_079_402)
    assert not price.trading


def test_a_feed_that_does_not_trade_gives_its_last_price_that_did() -> None:
    data = bytearray(push(150, time=1000, slot=9).data)
    struct.pack_into("<QqQq", data, 176, 7, 149, 3, 900)
    struct.pack_into("<I", data, 224, 0)

    price = push_price(bytes(data))

    assert (price.price, price.confidence, price.publish_time, price.published_slot) == (149, 3, 900, 7)
    assert not price.trading


@pytest.mark.parametrize("data, problem", [(bytes(100), "has 100 bytes"), (bytes(3312), "does not begin")])
def test_another_account_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(NoPrice, match=problem):
        push_price(data)
