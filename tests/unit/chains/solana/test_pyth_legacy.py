"""Price accounts of Pyth's first program."""

from __future__ import annotations

import base64
import json

import pytest

from chains.solana.oracles.pyth_legacy import NoLegacyPrice, Quote, legacy_price
from tests.support.kamino_runs import FIXTURES
from tests.support.save_accounts import SLOT, TIME, legacy
from tests.support.save_runs import account_bytes, load, runs

DUMP = FIXTURES / "pyth" / "sol_pyth_oracle.json"


def test_an_account_has_an_aggregate_and_the_last_good_one() -> None:
    said = legacy_price(
        legacy(
            status=2, price=-5, confidence=6, previous_price=7, previous_confidence=8, previous_slot=9, previous_time=10,
            ema_price=11, ema_confidence=12, exponent=-3,
        ).data
    )  # fmt: skip

    assert (said.exponent, said.trading, said.ema_price, said.ema_confidence) == (-3, False, 11, 12)
    assert said.latest == Quote(-5, 6, SLOT, TIME)
    assert said.previous == Quote(7, 8, 9, 10)


def test_a_recorded_account_reads_as_the_program_read_it() -> None:
    run = load(runs()["golden/case-101"])
    (reserve,) = (each for each in run.case["reserves"].values() if each["extra_oracle"])
    compared = 0
    for sample in run.samples:
        written = sample["refreshed"].get(reserve["address"])
        if written is None:
            continue
        account = account_bytes(sample["slot"], sample["accounts"][reserve["extra_oracle"]])
        said = legacy_price(account.data)
        assert said.trading
        assert said.latest.price * 10 ** (18 + said.exponent) == int(written["extra_market_price"])
        compared += 1

    assert compared > 20


@pytest.mark.parametrize(
    "data, problem",
    [
        (legacy().data[:3_311], "the account has 3311 bytes, a price account has 3312"),
        (b"\0" + legacy().data[1:], "the account begins with 00c3b2a1, a price account with d4c3b2a1"),
        (legacy(version=3).data, "version 3, type 3 is no price account of version 2"),
        (legacy(type=2).data, "version 2, type 2 is no price account of version 2"),
    ],
)
def test_what_is_no_price_account_is_named(data: bytes, problem: str) -> None:
    with pytest.raises(NoLegacyPrice, match=problem):
        legacy_price(data)


@pytest.mark.skipif(not DUMP.exists(), reason="the account dumps that the fixtures folder holds are not here")
def test_a_real_account_that_does_not_trade_has_its_last_price() -> None:
    said = legacy_price(base64.b64decode(json.loads(DUMP.read_text())["account"]["data"][0]))

    # SOL stood at 119 USD on 5 August 2024
    assert (said.trading, said.exponent, said.previous.time) == (False, -8, 1_722_852_532)
    assert (said.previous.price, said.previous.confidence) == (11_923_378_000, 16_676_631)
    assert (said.ema_price, said.ema_confidence) == (12_068_220_500, 13_079_402)
