"""The price that klend takes: which source, with which flags, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from chains.model import AccountBytes, Reason
from chains.solana.kamino.engines import Engine, engine_of
from chains.solana.kamino.journal import oracle_state, reserve_of, reserve_state, text_of
from chains.solana.kamino.prices import AGE, ALL_CHECKS, HEURISTIC, TWAP, TWAP_AGE, USAGE, Priced, price_of
from tests.support.kamino_accounts import ONE, SOL, SOL_PRICE, pull, push, reserve, scope

SCOPE = b"C" * 32
OLD, MIDDLE, NEW = engine_of((1, 7)), engine_of((1, 9)), engine_of((1, 22))
CHAIN: Any = [{"index": 2}, {"index": 5}, {"index": 0xFFFF}, {"index": 0xFFFF}]


def price(
    oracles: dict[bytes, AccountBytes], *, engine: Engine | None = NEW, now: int = 1000, **token: Any
) -> Priced | Reason:
    assert engine is not None
    state = text_of(reserve_state(reserve(token=token).data))
    texts = {address: text_of(oracle_state(account, {2, 5, 7})) for address, account in oracles.items()}
    return price_of(reserve_of(SOL, state), texts, engine, now)


def priced(*args: Any, **kwargs: Any) -> Priced:
    found = price(*args, **kwargs)
    assert isinstance(found, Priced), found
    return found


def refused(*args: Any, **kwargs: Any) -> str:
    found = price(*args, **kwargs)
    assert isinstance(found, Reason), found
    return found.code


@pytest.mark.parametrize("engine, account", [(OLD, push(15_000_000_000)), (NEW, pull(15_000_000_000))])
def test_a_price_that_passes_every_check_has_every_flag(engine: Engine, account: AccountBytes) -> None:
    assert priced({SOL_PRICE: account}, engine=engine) == Priced(150 * ONE, 1000, ALL_CHECKS, 10, SOL_PRICE)


@pytest.mark.parametrize(
    "now, token, missing",
    [
        (1060, {}, 0),
        (1061, {}, AGE),
        (1000, {"block_price_usage": 1}, USAGE),
        (1000, {"heuristic_lower": 151}, HEURISTIC),
        (1000, {"heuristic_upper": 1499, "heuristic_exp": 1}, HEURISTIC),
        (1000, {"heuristic_lower": 150, "heuristic_upper": 150}, 0),
        (1000, {"max_twap_divergence_bps": 501, "max_age_twap_seconds": 1}, 0),
        (1000, {"max_twap_divergence_bps": 500, "max_age_twap_seconds": 1}, TWAP),
        (1002, {"max_twap_divergence_bps": 501, "max_age_twap_seconds": 1}, TWAP_AGE),
    ],
)
def test_a_check_that_fails_takes_its_flag_and_leaves_the_price(now: int, token: dict[str, int], missing: int) -> None:
    # the average is 142.5, five percent below
    found = priced({SOL_PRICE: pull(15_000_000_000, ema=14_250_000_000)}, now=now, **token)

    assert found.price == 150 * ONE
    assert found.status == ALL_CHECKS & ~missing


def test_two_percent_of_confidence_are_taken_and_more_is_refused() -> None:
    assert priced({SOL_PRICE: pull(15_000_000_000, confidence=300_000_000)}).price == 150 * ONE
    assert refused({SOL_PRICE: pull(15_000_000_000, confidence=300_000_001)}) == "price_confidence_too_wide"


@pytest.mark.parametrize("engine, code", [(MIDDLE, "price_confidence_too_wide"), (NEW, "price_confidence_too_wide")])
def test_from_1_8_on_the_average_must_be_as_certain(engine: Engine, code: str) -> None:
    assert refused({SOL_PRICE: pull(15_000_000_000, ema_confidence=300_000_001)}, engine=engine) == code


def test_the_uncertainty_of_the_average_is_nothing_to_1_7() -> None:
    uncertain = push(15_000_000_000, ema=1)

    assert priced({SOL_PRICE: uncertain}, engine=OLD).price == 150 * ONE


@pytest.mark.parametrize(
    "account, engine, code",
    [
        (pull(0), NEW, "price_not_positive"),
        (pull(-1), NEW, "price_refused"),
        (pull(1, signatures=5), NEW, "price_not_verified"),
        (pull(10**15, exponent=-31), NEW, "price_refused"),
        (push(1), NEW, "unsupported_oracle"),
        (pull(1), OLD, "unsupported_oracle"),
    ],
)
def test_what_the_program_does_not_take_is_named(account: AccountBytes, engine: Engine, code: str) -> None:
    assert refused({SOL_PRICE: account}, engine=engine) == code


def test_plausible_prices_of_an_unknown_exponent_stop_the_program_and_without_limits_their_exponent_is_nothing() -> (
    None
):
    oracles = {SOL_PRICE: pull(15_000_000_000)}

    assert refused(oracles, heuristic_lower=1, heuristic_exp=2**63) == "price_refused"
    assert priced(oracles, heuristic_exp=2**63).status == ALL_CHECKS


def test_a_source_that_was_never_read_is_named() -> None:
    assert refused({}) == "no_price_account"


def test_a_reserve_that_also_reads_switchboard_is_not_priced() -> None:
    assert refused({SOL_PRICE: pull(1)}, switchboard_price_aggregator=b"w" * 32) == "unsupported_oracle"


def test_a_chain_of_scope_is_the_product_and_as_old_as_its_oldest_link() -> None:
    # 1.05 (2 decimals) · 150 (8 decimals) = 157.5
    account = scope({2: (105, 2, 9, 990), 5: (15_000_000_000, 8, 8, 980)})

    found = priced({SCOPE: account}, pyth_price=bytes(32), scope_price_feed=SCOPE, scope_price_chain=CHAIN)

    assert found == Priced(ONE * 315 // 2, 980, ALL_CHECKS, 8, SCOPE)


def test_the_newest_of_two_sources_counts_and_pyth_where_both_are_as_new() -> None:
    oracles = {SOL_PRICE: pull(15_000_000_000, time=990), SCOPE: scope({2: (1, 0, 9, 991), 5: (151, 0, 9, 991)})}
    token = {"scope_price_feed": SCOPE, "scope_price_chain": CHAIN}

    assert priced(oracles, **token).price == 151 * ONE
    assert priced(oracles | {SOL_PRICE: pull(15_000_000_000, time=991)}, **token).price == 150 * ONE


def test_an_answer_that_is_refused_leaves_the_other_source() -> None:
    oracles = {
        SOL_PRICE: pull(15_000_000_000, confidence=10**9),
        SCOPE: scope({2: (1, 0, 9, 900), 5: (151, 0, 9, 900)}),
    }

    assert priced(oracles, scope_price_feed=SCOPE, scope_price_chain=CHAIN).price == 151 * ONE


def test_an_average_of_scope_is_its_own_chain_and_without_one_its_flags_are_missing() -> None:
    account = scope({2: (1, 0, 9, 1000), 5: (150, 0, 9, 1000), 7: (149, 0, 9, 990)})
    token: dict[str, Any] = {
        "pyth_price": bytes(32),
        "scope_price_feed": SCOPE,
        "scope_price_chain": CHAIN,
        "max_twap_divergence_bps": 100,
        "max_age_twap_seconds": 10,
    }
    averaged = [{"index": 7}, *[{"index": 0xFFFF}] * 3]

    assert priced({SCOPE: account}, **token, scope_twap_chain=averaged).status == ALL_CHECKS
    without = priced({SCOPE: account}, **token, scope_twap_chain=[{"index": 0xFFFF}] * 4)
    assert without.status == ALL_CHECKS & ~(TWAP | TWAP_AGE)


def test_a_scope_price_of_zero_is_no_price_here() -> None:
    token: dict[str, Any] = {"scope_price_feed": SCOPE, "scope_price_chain": CHAIN}

    assert refused({SOL_PRICE: pull(1), SCOPE: scope({2: (0, 0, 9, 1), 5: (1, 0, 9, 1)})}, **token) == "price_is_zero"
