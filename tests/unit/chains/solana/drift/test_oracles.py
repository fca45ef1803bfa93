"""Prices as the program reads them, and what its guard rails say of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chains.identifiers import base58
from chains.model import AccountBytes, Block, Reason, VenueSnapshot
from chains.solana.drift.integers import Refused
from chains.solana.drift.layout import PRELAUNCH_ORACLE
from chains.solana.drift.oracles import (
    RECEIVER,
    SOURCES,
    OraclePrice,
    Oracles,
    Validity,
    kind_of,
    price_text,
    validity_of,
)
from chains.solana.drift.states import PRICE as PRICE_ASPECT
from chains.solana.drift.states import Rails
from chains.solana.oracles.pyth_legacy.account import ORACLE as PYTH
from chains.solana.oracles.pyth_legacy.account import PRICE as LEGACY
from chains.solana.oracles.switchboard.account import PROGRAM as ON_DEMAND
from chains.solana.oracles.switchboard.account import PULL_FEED
from chains.solana.oracles.switchboard.aggregator import AGGREGATOR, AGGREGATORS
from tests.support.drift_runs import PROGRAM_ID, seen, venue
from tests.unit.chains.solana.drift.builders import NOW, SLOT, SOL_PRICE, lazer
from tests.unit.chains.solana.drift.test_perp import market as perp_market
from tests.unit.chains.solana.drift.test_spot import market
from tests.unit.chains.solana.marginfi.builders import encoded, pyth

USD = 10**6
RAILS = Rails(
    slots_before_stale_for_margin=120,
    confidence_interval_max_size=20_000,
    too_volatile_ratio=5,
    liquidation_margin_buffer_ratio=200,
    exchange_status=0,
)


def pull(price: int, *, confidence: int = 0, exponent: int = -8) -> AccountBytes:
    said = pyth(price, confidence=confidence, published=NOW - 5, exponent=exponent, posted_slot=SLOT - 3)
    return seen(said, SLOT, RECEIVER)


def push(price: int, *, confidence: int = 0, exponent: int = -8) -> AccountBytes:
    said = {"version": 2, "type": 3, "exponent": exponent, "price": price, "confidence": confidence, "status": 1}
    return seen(encoded(LEGACY, valid_slot=SLOT - 3, time=NOW - 5, slot=SLOT, **said), SLOT, PYTH)


def aggregate(mantissa: int, scale: int, deviation: int) -> AccountBytes:
    said = {"mantissa": mantissa, "scale": scale, "deviation_mantissa": deviation, "deviation_scale": scale}
    data = encoded(AGGREGATOR, round_open_slot=SLOT - 3, round_open_timestamp=NOW - 5, **said)
    return seen(data, SLOT, AGGREGATORS)


def on_demand(value: int, *, std_dev: int = 0, spread: int = 0, slot: int = SLOT - 3) -> AccountBytes:
    result = {"value": value, "std_dev": std_dev, "range": spread, "slot": slot}
    data = encoded(PULL_FEED, last_update_timestamp=NOW - 5, result=[result])
    return seen(data, SLOT, ON_DEMAND)


def prelaunch(price: int, slot: int) -> AccountBytes:
    return seen(encoded(PRELAUNCH_ORACLE, price=price, confidence=9, amm_last_update_slot=slot), SLOT)


def read(source: str | int, account: AccountBytes | None, oracle: bytes = SOL_PRICE) -> OraclePrice | Reason:
    number = SOURCES.index(source) if isinstance(source, str) else source
    texts = {} if account is None else {(oracle, PRICE_ASPECT): price_text(account, PROGRAM_ID)}
    at = Block(number=SLOT, hash=b"", parent_hash=b"", time=NOW)
    oracles = Oracles(VenueSnapshot(venue=venue(), at=at, markets=texts, feeds={}, answers={}))
    return oracles.price(market(oracle=oracle, oracle_source=number))


@pytest.mark.parametrize(
    "source, account, price, confidence",
    [
        ("PythPull", pull(9_999_999_999, confidence=199), 99_999_999, 1),
        ("Pyth", push(9_999_999_999, confidence=199), 99_999_999, 1),
        ("PythPull", pull(5, exponent=-2), 50_000, 0),
        ("PythPull", pull(5, exponent=2), 50_000, 0),  # the exponent's sign is not looked at
        ("Pyth1KPull", pull(12_345), 123_450, 0),
        ("Pyth1MPull", pull(12_345), 123_450_000, 0),
        ("Pyth1K", push(12_345), 123_450, 0),
        ("Pyth1M", push(12_345), 123_450_000, 0),
        ("PythPull", pull(-150), -1, 0),  # toward zero
        ("PythLazer", seen(lazer(7, exponent=-6, confidence=2), SLOT), 7, 2),
        ("PythLazer1K", seen(lazer(7), SLOT), 7_000, 0),
        ("Switchboard", aggregate(123_456_789, 8, 1_000_000), 1_234_567, 10_000),
        ("Switchboard", aggregate(123, 2, 0), 1_230_000, 1_230),  # a thousandth at least
        (
            "SwitchboardOnDemand",
            on_demand(155_594_045_270_000_000_000, std_dev=3 * 10**12, spread=2 * 10**12),
            155_594_045,
            3,
        ),
        ("SwitchboardOnDemand", on_demand(10**18, std_dev=2 * 10**12, spread=5 * 10**12), 1_000_000, 5),
        ("Prelaunch", prelaunch(42, SLOT), 42, 9),
    ],
)
def test_every_source_is_read_with_six_decimals(
    source: str, account: AccountBytes, price: int, confidence: int
) -> None:
    found = read(source, account)

    assert isinstance(found, OraclePrice), found
    assert (found.price, found.confidence) == (price, confidence)


def test_a_price_is_as_old_as_its_slot() -> None:
    found = read("PythPull", pull(10**8))

    assert found == OraclePrice(USD, 0, 3, SLOT - 3, NOW - 5)
    assert read("Prelaunch", prelaunch(1, SLOT - 100)) == OraclePrice(1, 9, 0, SLOT - 100, NOW - 100)


def test_a_negative_deviation_is_the_widest() -> None:
    found = read("Switchboard", aggregate(100, 2, -1))

    assert isinstance(found, OraclePrice)
    assert found.confidence == 2**64 - 1


@pytest.mark.parametrize(
    "price, confidence, counted",
    [
        (100_049_999, 60_000, 1_000_000),
        (100_050_000, 60_000, 1_000_000),  # five basis points are near enough
        (100_050_100, 60_000, 1_000_501),
        (100_030_000, 20_000, 1_000_300),  # the interval is narrower than the difference
        (99_970_000, 30_000, 1_000_000),
    ],
)
def test_a_stable_coin_near_one_is_one(price: int, confidence: int, counted: int) -> None:
    for source in ("PythStableCoinPull", "PythStableCoin"):
        account = (pull if source.endswith("Pull") else push)(price, confidence=confidence)
        found = read(source, account)
        assert isinstance(found, OraclePrice)
        assert found.price == counted


def test_the_quote_asset_is_one_without_any_account() -> None:
    assert read("QuoteAsset", None) == OraclePrice(USD, 1, 0, SLOT, NOW)
    assert read("PythPull", None, bytes(32)) == OraclePrice(USD, 1, 0, SLOT, NOW)


@pytest.mark.parametrize(
    "source, account, code, words",
    [
        (16, pull(1), "unsupported_oracle", "number 16"),
        ("PythPull", None, "price_unknown", "not been read"),
        ("PythPull", push(1), "price_unreadable", "the account is of pyth, the market's source is PythPull"),
        ("Pyth", pull(1), "price_unreadable", "is of pyth_pull"),
        ("PythPull", seen(None, SLOT), "price_unreadable", "no account"),
        ("PythPull", seen(b"", SLOT, b"\x07" * 32), "price_unreadable", "no oracle known here"),
        ("PythPull", seen(b"\0" * 200, SLOT, RECEIVER), "price_unreadable", "PriceUpdateV2"),
        ("PythLazer", seen(lazer(1)[:-1], SLOT), "price_unreadable", "47 bytes, a PythLazerOracle has 48"),
        ("Prelaunch", seen(prelaunch(1, 1).data + b"\0", SLOT), "price_unreadable", "a PrelaunchOracle has 120"),
        ("Pyth1MPull", pull(1, exponent=-6), "price_unreadable", "larger than the oracle's precision"),
        ("PythPull", pull(1, exponent=-39), "price_unreadable", "no room"),
        ("SwitchboardOnDemand", on_demand(10**18, slot=0), "price_unreadable", "no result"),
        ("Switchboard", aggregate(2**100, 0, 0), "price_unreadable", "no room"),
    ],
)
def test_what_cannot_be_read_says_why(source: str | int, account: Any, code: str, words: str) -> None:
    found = read(source, account)

    assert isinstance(found, Reason)
    assert (found.code, found.subject) == (code, base58(SOL_PRICE))
    assert words in found.detail


def test_every_source_has_a_kind() -> None:
    kinds = {source: kind_of(source) for source in SOURCES if source != "QuoteAsset"}

    assert len(kinds) == 15
    assert kinds["PythStableCoin"] == "pyth"
    assert kinds["PythLazerStableCoin"] == "pyth_lazer"


@pytest.mark.parametrize(
    "price, validity",
    [
        (OraclePrice(100 * USD, 0, 120, 0, 0), Validity.VALID),
        (OraclePrice(100 * USD, 0, 121, 0, 0), Validity.STALE_FOR_MARGIN),
        (OraclePrice(100 * USD, 2 * USD + 99, 0, 0, 0), Validity.VALID),  # 2.0099 %, in whole millionths 20,000.99
        (OraclePrice(100 * USD, 2 * USD + 100, 0, 0, 0), Validity.TOO_UNCERTAIN),
        (OraclePrice(600 * USD - 1, 0, 0, 0, 0), Validity.VALID),
        (OraclePrice(600 * USD, 0, 0, 0, 0), Validity.TOO_VOLATILE),
        (OraclePrice(16 * USD, 0, 999, 0, 0), Validity.TOO_VOLATILE),
    ],
)
def test_the_guard_rails_hold_against_the_average_the_interval_and_the_age(
    price: OraclePrice, validity: Validity
) -> None:
    assert validity_of(price, market(), RAILS) is validity


def test_tiers_widen_intervals_and_stable_coins_may_be_older() -> None:
    wide = OraclePrice(100 * USD, 10 * USD, 0, 0, 0)
    old = OraclePrice(100 * USD, 0, 360, 0, 0)

    assert [validity_of(wide, market(asset_tier=tier), RAILS) is Validity.VALID for tier in range(5)] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert [validity_of(wide, perp_market(contract_tier=tier), RAILS) is Validity.VALID for tier in range(6)] == [
        False,
        False,
        False,
        True,
        True,
        True,
    ]
    stable = [market(oracle_source=number) for number, name in enumerate(SOURCES) if "StableCoin" in name]
    assert [validity_of(old, each, RAILS) for each in stable] == [Validity.VALID] * 3
    assert validity_of(old._replace(delay=361), stable[0], RAILS) is Validity.STALE_FOR_MARGIN


def test_a_price_that_is_not_positive_is_refused() -> None:
    for price in (0, -1):
        with pytest.raises(Refused, match="not positive"):
            validity_of(OraclePrice(price, 0, 0, 0, 0), market(), RAILS)


def test_a_price_s_text_is_canonical_and_exact() -> None:
    text = price_text(pull(2**62 + 1, confidence=2**63), PROGRAM_ID)

    assert json.loads(text) == {
        "kind": "pyth_pull",
        "price": str(2**62 + 1),
        "confidence": str(2**63),
        "exponent": -8,
        "slot": str(SLOT - 3),
        "time": str(NOW - 5),
    }
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
