"""Price accounts: their bytes as real programs left them and in every broken form, and what becomes of them in the journals."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from solders.pubkey import Pubkey

from chains.model import FEEDS, AccountBytes, Basis, FeedSpec, MarketChange, PriceObservation, Rows
from chains.solana.oracles.pyth import Pyth
from chains.solana.oracles.pyth.account import RECEIVER, NoPrice, PriceUpdate, price_update
from tests.devnet.solana import pyth as devnet
from tests.unit.chains.solana.builders import OTHER_PROGRAM, Tips

DUMPS = Path(__file__).parents[4] / ".." / "shared" / "fixtures" / "solana"
ACCOUNT, FEED = b"\x31" * 32, bytes.fromhex("ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d")
UPDATE = PriceUpdate(
    signatures=None,
    feed_id=FEED,
    price=15_679_769_099,
    confidence=16_197_271,
    exponent=-8,
    publish_time=1_721_133_402,
    posted_slot=277_875_167,
    previous_publish_time=1_721_133_401,
    ema_price=15_660_921_800,
    ema_confidence=15_919_247,
)
needs_dumps = pytest.mark.skipif(
    not DUMPS.is_dir(), reason="the account dumps that the fixtures folder holds are not here"
)


def dump(name: str) -> bytes:
    account: dict[str, Any] = json.loads((DUMPS / name).read_text(encoding="utf-8"))["account"]
    return base64.b64decode(account["data"][0])


def encoded(update: PriceUpdate) -> bytes:
    """The account of an update, its moving average beside the price."""
    return devnet.PriceUpdate(
        account=Pubkey.default(),
        feed_id=update.feed_id,
        price=update.price,
        confidence=update.confidence,
        exponent=update.exponent,
        publish_time=update.publish_time,
        previous_publish_time=update.previous_publish_time,
        ema_price=update.ema_price,
        ema_confidence=update.ema_confidence,
        posted_slot=update.posted_slot,
        signatures=update.signatures,
    ).encoded()


@needs_dumps
def test_a_real_account_is_read_to_the_last_unit() -> None:
    assert price_update(dump("pyth/pyth_push_sol_price.json")) == UPDATE


@needs_dumps
@pytest.mark.parametrize(
    "name, price, confidence, published",
    [
        ("pyth/pyth_push_usdc_price.json", 100_004_997, 67_956, 1_747_165_253),
        ("pyth/pyth_sol_usd.json", 7_282_143_606, 3_856_794, 1_785_539_008),
        ("pyth/sol_pyth_price_feed.json", 21_568_137_069, 20_134_469, 1_735_984_087),
    ],
)
def test_real_accounts_with_all_signatures_are_read(name: str, price: int, confidence: int, published: int) -> None:
    update = price_update(dump(name))

    assert (update.price, update.confidence, update.publish_time) == (price, confidence, published)
    assert (update.signatures, update.exponent) == (None, -8)


@needs_dumps
@pytest.mark.parametrize("symbol", ["btc", "sol", "usdc"])
def test_real_accounts_with_some_signatures_are_read_a_byte_further_on(symbol: str) -> None:
    expected = {
        "btc": (9_300_000_000_000, 9_900_000_000_000),
        "sol": (18 * 10**9, 20 * 10**9),
        "usdc": (99 * 10**6, 101 * 10**6),
    }
    update = price_update(dump(f"drift/liquidate_dust_spot_market__{symbol}_oracle.json"))

    low, high = expected[symbol]
    assert (update.signatures, update.exponent) == (2, -8)
    assert low < update.price < high
    assert 1_734_000_000 < update.publish_time < 1_735_000_000


@needs_dumps
def test_a_real_account_of_the_older_oracle_is_no_price_update() -> None:
    with pytest.raises(NoPrice, match="no PriceUpdateV2"):
        price_update(dump("pyth/sol_pyth_oracle.json"))


@pytest.mark.parametrize("signatures", [None, 0, 5, 255])
def test_every_level_of_verification_is_read_and_every_truncation_refused(signatures: int | None) -> None:
    update = replace(UPDATE, signatures=signatures)
    whole = encoded(update)
    needed = 133 if signatures is None else 134

    assert price_update(whole) == update
    assert price_update(whole[:needed] + bytes(50)) == update
    for length in range(needed):
        with pytest.raises(NoPrice):
            price_update(whole[:length])


def test_a_level_of_verification_that_does_not_exist_is_refused() -> None:
    whole = bytearray(encoded(UPDATE))
    for level in (2, 3, 255):
        whole[40] = level
        with pytest.raises(NoPrice, match=f"level {level} is not known"):
            price_update(bytes(whole))


def test_extremes_of_every_field_are_read() -> None:
    for update in (
        replace(
            UPDATE, price=-(2**63), confidence=2**64 - 1, exponent=-(2**31), publish_time=-1, posted_slot=2**64 - 1
        ),
        replace(UPDATE, price=2**63 - 1, confidence=0, exponent=2**31 - 1, publish_time=2**62, posted_slot=0),
    ):
        assert price_update(encoded(update)) == update


# Into journals


def feed(**changes: Any) -> FeedSpec:
    spec = FeedSpec(
        asset="solana:test/token:1",
        kind="pyth-solana",
        chain_id="solana:test",
        address=ACCOUNT,
        heartbeat_s=60,
        deviation=0.005,
        feed_id=FEED,
        max_confidence=0.02,
    )
    return replace(spec, **changes)


def account(update: PriceUpdate | bytes, *, slot: int = 9, owner: bytes = RECEIVER) -> AccountBytes:
    body = update if isinstance(update, bytes) else encoded(update)
    return AccountBytes(slot, owner, 1, body, closed=False)


def folded(*seen: AccountBytes, tips: Tips | None = None, spec: FeedSpec | None = None) -> Rows:
    return Pyth([spec or feed()]).fold(tips or Tips(), [(ACCOUNT, each) for each in seen])


def phases(rows: Rows) -> list[dict[str, Any]]:
    return [json.loads(row.state) for row in rows.markets]


def test_a_price_becomes_a_phase_and_an_observation_at_the_end_of_its_slot() -> None:
    rows = folded(account(UPDATE))

    end = 2**31 - 1
    phase = f'{{"aggregator":"0x{ACCOUNT.hex()}","decimals":8,"fault":null,"problem":null}}'
    assert rows.markets == [MarketChange(9, -1, end, FEEDS, ACCOUNT, "phase", phase, "pyth-solana-1", Basis.OBSERVED)]
    assert rows.prices == [
        PriceObservation(9, -1, end, ACCOUNT, 15_679_769_099, 277_875_167, 1_721_133_402, Basis.OBSERVED, 16_197_271)
    ]


def test_another_price_is_no_other_phase() -> None:
    rows = folded(account(UPDATE), account(replace(UPDATE, price=7), slot=10))

    assert len(rows.markets) == 1
    assert [(row.block, row.answer_raw) for row in rows.prices] == [(9, 15_679_769_099), (10, 7)]


def test_a_phase_that_is_stored_is_not_written_again() -> None:
    tips = Tips()
    tips.aspects = {(row.market, row.aspect): row.state for row in folded(account(UPDATE)).markets}

    assert folded(account(UPDATE), tips=tips).markets == []


def test_an_exponent_that_changes_is_another_phase_and_a_positive_one_is_multiplied_out() -> None:
    rows = folded(
        account(replace(UPDATE, exponent=-6), slot=1),
        account(replace(UPDATE, exponent=0, price=5, confidence=1), slot=2),
        account(replace(UPDATE, exponent=2, price=5, confidence=1), slot=3),
    )

    assert [phase["decimals"] for phase in phases(rows)] == [6, 0]
    assert [(row.answer_raw, row.confidence_raw) for row in rows.prices][1:] == [(5, 1), (500, 100)]


@pytest.mark.parametrize(
    "seen, words",
    [
        (AccountBytes(9, b"", 0, b"", closed=True), "there is no account"),
        (account(UPDATE, owner=OTHER_PROGRAM), "not to the Pyth receiver"),
        (account(b""), "no PriceUpdateV2"),
        (account(encoded(UPDATE)[:100]), "cut off at 100 bytes"),
        (account(replace(UPDATE, exponent=-31)), "exponent -31"),
        (account(replace(UPDATE, exponent=31)), "exponent 31"),
        (account(replace(UPDATE, exponent=30, price=10**9)), "more than 38 digits"),
        (account(replace(UPDATE, publish_time=-1)), "has no date"),
    ],
)
def test_what_gives_no_price_is_a_problem_and_no_observation(seen: AccountBytes, words: str) -> None:
    rows = folded(seen)

    (phase,) = phases(rows)
    assert words in phase["problem"]
    assert (phase["aggregator"], phase["fault"], rows.prices) == (None, None, [])


def test_a_price_that_must_not_be_believed_is_kept_with_its_fault() -> None:
    partial = folded(account(replace(UPDATE, signatures=5)))
    other = folded(account(replace(UPDATE, feed_id=b"\x44" * 32)))

    assert phases(partial)[0]["fault"].startswith("only 5 guardian signatures")
    assert f"feed {'44' * 32}, configured is {FEED.hex()}" in phases(other)[0]["fault"]
    assert [len(rows.prices) for rows in (partial, other)] == [1, 1]


def test_without_a_configured_id_any_feed_is_taken() -> None:
    rows = folded(account(replace(UPDATE, feed_id=b"\x44" * 32)), spec=feed(feed_id=None))

    assert phases(rows)[0]["fault"] is None


def test_two_feeds_of_one_account_are_one_account_to_look_at() -> None:
    both = Pyth(
        [feed(feed_id=None), feed(asset="solana:test/token:2"), feed(asset="solana:test/token:3", feed_id=None)]
    )

    assert both.addresses == [ACCOUNT]
    assert both._feed_ids == {ACCOUNT: FEED}


def test_accounts_of_others_are_no_prices() -> None:
    assert Pyth([]).fold(Tips(), [(ACCOUNT, account(UPDATE))]) == Rows()
