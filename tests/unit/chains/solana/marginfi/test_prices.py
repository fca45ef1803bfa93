"""Prices as the program takes them: less or more its interval, capped, and refused where the program refuses."""

from __future__ import annotations

import base64
import json
from functools import partial
from typing import Any

import pytest

from chains.model import Reason
from chains.solana.marginfi.engines import ENGINES
from chains.solana.marginfi.fixed import ONE, constant, mul_down
from chains.solana.marginfi.prices import Bias, Prices, Quote, Sides
from chains.solana.marginfi.standings import standing_of
from chains.solana.marginfi.states import Bank, bank_of, bank_texts
from tests.support.marginfi_runs import FIXTURES
from tests.unit.chains.solana.marginfi.builders import (
    FEED,
    JTO_PRICE,
    NOW,
    SLOT,
    SOL,
    SOL_PRICE,
    World,
    bank,
    bits,
    pyth,
    switchboard,
)

SWITCHBOARD_DUMP = FIXTURES / "switchboard" / "swb_pull_sol_price.json"


def quote(price: bytes, *, version: str = "0.1.7", now: int = NOW, **changes: Any) -> Quote | Reason:
    found = bank_of(SOL, *bank_texts(bank(**changes)))
    assert isinstance(found, Bank)
    return prices(World(prices={SOL_PRICE: price}, time=now), version).quote(found)


def prices(world: World, version: str = "0.1.7") -> Prices:
    snapshot, engine = world.snapshot(), ENGINES[version]
    return Prices(snapshot, engine, partial(standing_of, snapshot, engine))


def sides(found: Quote | Reason) -> Sides:
    assert isinstance(found, Quote)
    assert isinstance(found.spot, Sides)
    return found.spot


def refusal(found: Quote | Reason | Sides) -> tuple[str, str]:
    assert isinstance(found, Reason)
    return found.code, found.detail


def test_a_price_is_taken_less_or_more_its_confidence_times_2_12() -> None:
    found = sides(quote(pyth(100 * 10**8, confidence=10**8)))

    assert found.price == bits(100)
    assert found.interval == mul_down(bits(1), constant("2.12"))
    assert found.biased(Bias.LOW) == bits(100) - found.interval
    assert found.biased(Bias.HIGH) == bits(100) + found.interval


def test_the_interval_is_at_most_five_percent() -> None:
    found = sides(quote(pyth(100 * 10**8, confidence=4 * 10**8)))  # 8.48 %

    assert found.interval == mul_down(bits(100), constant("0.05"))


def test_a_wider_interval_than_a_tenth_is_refused_since_0_1_4_and_only_capped_before() -> None:
    wide = pyth(100 * 10**8, confidence=5 * 10**8)  # 10.6 %

    found = quote(wide)
    assert isinstance(found, Quote)
    assert not isinstance(found.spot, Sides)
    assert refusal(found.spot) == ("confidence_too_wide", "the interval is 10.6000% of the price, the limit 10.0000%")
    assert sides(quote(wide, version="0.1.0")).interval == mul_down(bits(100), constant("0.05"))


def test_a_bank_may_set_another_limit() -> None:
    found = quote(pyth(100 * 10**8, confidence=10**8), oracle_max_confidence=2**32 // 50)  # 2 % < 2.12 %

    assert isinstance(found, Quote)
    assert isinstance(found.spot, Reason)
    assert sides(quote(pyth(100 * 10**8, confidence=10**8), oracle_max_confidence=2**32 // 40)).price == bits(100)


def test_spot_and_average_are_judged_apart() -> None:
    found = quote(pyth(100 * 10**8, ema_price=90 * 10**8, ema_confidence=9 * 10**8))

    assert sides(found).interval == 0
    assert isinstance(found, Quote)
    assert isinstance(found.average, Reason)


def test_a_price_of_the_last_second_of_its_age_is_fresh_and_a_second_later_stale() -> None:
    price = pyth(100 * 10**8)

    assert sides(quote(price, now=NOW + 60)).price == bits(100)
    code, detail = refusal(quote(price, now=NOW + 61))
    assert (code, detail) == ("price_stale", "its price was published 61 s before the block, the bank's limit is 60 s")


def test_without_a_limit_of_its_own_a_bank_takes_pyth_prices_of_a_minute() -> None:
    assert sides(quote(pyth(1), now=NOW + 60, oracle_max_age=0)).price > 0
    assert refusal(quote(pyth(1), now=NOW + 61, oracle_max_age=0))[0] == "price_stale"


@pytest.mark.parametrize(
    "price, code",
    [
        (pyth(1, signatures=5), "price_not_verified"),
        (pyth(-1), "price_negative"),
        (pyth(1, exponent=-24), "price_too_large"),
        (bytes(134), "price_unreadable"),
    ],
)
def test_what_the_program_refuses_is_refused(price: bytes, code: str) -> None:
    found = quote(price)
    assert refusal(found.spot if isinstance(found, Quote) else found)[0] == code


def test_exponents_of_both_signs_are_multiplied_out() -> None:
    assert sides(quote(pyth(5, exponent=0))).price == bits(5)
    assert sides(quote(pyth(5, exponent=2))).price == bits(500)
    assert sides(quote(pyth(1, exponent=-1))).price == ONE // 10


def test_a_bank_whose_price_account_was_never_read_has_no_price() -> None:
    assert refusal(quote(pyth(1), oracle_keys=[{"key": JTO_PRICE}]))[0] == "price_unknown"
    assert refusal(quote(pyth(1), oracle_keys=[]))[0] == "no_price_source"
    assert refusal(quote(pyth(1), oracle_setup=0))[0] == "no_price_source"


def test_a_bank_that_names_a_feed_takes_its_newest_verified_account() -> None:
    older, newer, partly = b"\xa1" * 32, b"\xa0" * 32, b"\xa2" * 32
    accounts = {
        older: pyth(10**8, published=NOW - 9),
        newer: pyth(2 * 10**8, published=NOW - 3),
        partly: pyth(3 * 10**8, signatures=5),
    }
    found = bank_of(SOL, *bank_texts(bank(price=FEED, config_flags=0)))
    assert isinstance(found, Bank)

    said = prices(World(prices=accounts)).quote(found)

    assert isinstance(said, Quote)
    assert (said.source, said.updated_at, said.slot) == (newer, NOW - 3, SLOT - 1)


def test_a_bank_with_a_fixed_price_needs_no_account() -> None:
    found = quote(pyth(1, published=0), oracle_setup=8, oracle_keys=[], fixed_price=bits(1.5))

    assert sides(found) == Sides(bits(1.5), 0)


@pytest.mark.parametrize(
    "setup, name",
    [(1, "PythLegacy"), (5, "StakedWithPythPush"), (6, "KaminoPythPush"), (9, "DriftPythPull"), (77, "of number 77")],
)
def test_other_setups_are_named_and_not_valued(setup: int, name: str) -> None:
    code, detail = refusal(quote(pyth(1), oracle_setup=setup))

    assert code == "unsupported_oracle"
    assert name in detail


def test_switchboards_deviation_counts_1_96_times() -> None:
    found = sides(quote(switchboard(100 * 10**18, 10**18), oracle_setup=4))

    assert found == Sides(bits(100), constant("1.96"))


def test_a_switchboard_price_is_stale_a_second_after_its_age() -> None:
    price = switchboard(10**18, 0)

    assert sides(quote(price, oracle_setup=4, now=NOW + 60)).price == ONE
    assert refusal(quote(price, oracle_setup=4, now=NOW + 61))[0] == "price_stale"


def test_how_early_versions_widen_switchboards_prices_is_not_known() -> None:
    assert refusal(quote(switchboard(10**18, 0), version="0.1.0", oracle_setup=4))[0] == "unsupported_oracle"


def test_a_switchboard_value_without_room_in_an_i80f48_is_refused() -> None:
    assert refusal(quote(switchboard(2**80, 0), oracle_setup=4))[0] == "price_too_large"


def test_the_account_must_be_of_the_oracle_that_the_bank_names() -> None:
    assert refusal(quote(switchboard(10**18, 0)))[0] == "price_unreadable"
    assert refusal(quote(pyth(1), oracle_setup=4))[0] == "price_unreadable"


@pytest.mark.skipif(not SWITCHBOARD_DUMP.is_file(), reason=f"there is no account dump at {SWITCHBOARD_DUMP}")
def test_a_real_switchboard_account_is_read_to_the_last_unit() -> None:
    dump = json.loads(SWITCHBOARD_DUMP.read_text(encoding="utf-8"))["account"]
    data = base64.b64decode(dump["data"][0])

    found = sides(quote(data, oracle_setup=4, now=1_723_244_190))

    assert found.price == 155_594_045_270_000_000_000 * ONE // 10**18
    assert found.interval == mul_down(240_161_790_000_000_000 * ONE // 10**18, constant("1.96"))
    assert 0.47 < found.interval / ONE < 0.48
