"""How price sources are read once and computed for ever after: routers, adapters, declared rules, and what is unknown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from eth_abi.abi import encode

from chains.evm.abi import Function
from chains.evm.erc20 import DECIMALS
from chains.evm.euler_v2 import events as ev
from chains.evm.euler_v2.options import Declared
from chains.evm.euler_v2.quotes import Quote, quoted
from chains.evm.euler_v2.routes import Node, NotYet, Scout, feeds_of
from chains.evm.ports import ETH_CALL, Answer, Read, Reads
from chains.model import Block, PriceAnswer, Reason, VenueSnapshot, VenueSpec

ROUTER, ADAPTER, SECOND, FEED, OTHER_FEED, AGGREGATOR = (bytes([n]) * 20 for n in range(1, 7))
WETH, USDC, VAULT, STRANGER = (bytes([n]) * 20 for n in range(0x11, 0x15))
USD = bytes(18) + b"\x03\x48"
NOBODY = bytes(20)
NOW = 1_000_000

Said = dict[tuple[bytes, bytes], Answer]


def said(to: bytes, view: Function, value: object, *of: bytes) -> Said:
    return {(to, view.calldata(*of)): Answer("returned", encode(view._results, [value]))}


def scout(answers: Said, declared: Mapping[bytes, Declared] | None = None) -> Scout:
    reads = Reads({Read(7, ETH_CALL, to, calldata): answer for (to, calldata), answer in answers.items()})
    return Scout(reads, 7, declared or {}, {VAULT: WETH})


def adapter(at: bytes = ADAPTER, base: bytes = WETH, quote: bytes = USD, feed: bytes = FEED) -> Said:
    return (
        said(at, ev.NAME, "ChainlinkOracle") | said(at, ev.BASE, base) | said(at, ev.QUOTE, quote)
        | said(at, ev.FEED, feed) | said(at, ev.MAX_STALENESS, 3_600) | said(feed, DECIMALS, 8) | DECIMAL_PLACES
    )  # fmt: skip


DECIMAL_PLACES = (
    said(WETH, DECIMALS, 18) | said(USDC, DECIMALS, 6) | {(USD, DECIMALS.calldata()): Answer("returned", b"")}
)


def routed(*configured: tuple[bytes, bytes, bytes], vaults: Mapping[bytes, bytes] | None = None) -> Said:
    found = said(ROUTER, ev.NAME, "EulerRouter") | said(ROUTER, ev.FALLBACK_ORACLE, NOBODY)
    for token in (WETH, USDC, VAULT, STRANGER):
        found |= said(ROUTER, ev.CONFIGURED_ORACLE, NOBODY, token, USD)
        found |= said(ROUTER, ev.RESOLVED_VAULT, (vaults or {}).get(token, NOBODY), token)
    for base, quote, source in configured:
        found |= said(ROUTER, ev.CONFIGURED_ORACLE, source, base, quote)
    return found


def snapshot(answer: int = 2_000 * 10**8, *, age: int = 60, since: int = 5) -> VenueSnapshot:
    phase = {"aggregator": "0x" + AGGREGATOR.hex(), "problem": None, "fault": ""}
    venue = VenueSpec(id="v", protocol="euler-v2", chain_id="eip155:1", address=b"\x99" * 20, start_block=0)
    return VenueSnapshot(
        venue=venue,
        at=Block(number=9, hash=b"", parent_hash=b"", time=NOW),
        markets={},
        feeds={feed: json.dumps(phase) for feed in (FEED, OTHER_FEED)},
        answers={AGGREGATOR: PriceAnswer(answer, 1, NOW - age, since)},
    )


def value(way: Node, amount: int, at: VenueSnapshot | None = None) -> Quote | Reason:
    return quoted(way, amount, at or snapshot(), lambda _, shares: 2 * shares)


def known(way: Node, amount: int, at: VenueSnapshot | None = None) -> Quote:
    found = value(way, amount, at)
    assert isinstance(found, Quote), found
    return found


def test_an_adapter_scales_by_the_decimals_of_both_tokens_and_of_the_feed() -> None:
    way = scout(routed((WETH, USD, ADAPTER)) | adapter()).route(ROUTER, WETH, USD)

    quote = known(way, 3 * 10**17)

    assert quote[:3] == (600 * 10**18,) * 3
    assert quote.origin[:3] == (FEED, NOW - 60, 5)
    assert list(feeds_of(way)) == [FEED]


def test_an_adapter_works_both_ways_and_rounds_down() -> None:
    way = scout(adapter()).route(ADAPTER, USD, WETH)

    assert known(way, 6_000 * 10**18).mid == 3 * 10**18
    assert known(way, 10**18, snapshot(3 * 10**8)).mid == 333_333_333_333_333_333


def test_shares_of_a_resolved_vault_are_turned_into_assets_first() -> None:
    way = scout(routed((WETH, USD, ADAPTER), vaults={VAULT: WETH}) | adapter()).route(ROUTER, VAULT, USD)

    assert known(way, 10**18).mid == 4_000 * 10**18


def test_a_cross_adapter_chains_two_sources_in_either_direction() -> None:
    cross = (
        said(SECOND, ev.NAME, "CrossAdapter") | said(SECOND, ev.BASE, USDC) | said(SECOND, ev.CROSS, WETH)
        | said(SECOND, ev.QUOTE, USD) | said(SECOND, ev.BASE_CROSS, b"\x21" * 20) | said(SECOND, ev.CROSS_QUOTE, ADAPTER)
    )  # fmt: skip
    fixed = (
        said(b"\x21" * 20, ev.NAME, "FixedRateOracle") | said(b"\x21" * 20, ev.BASE, USDC)
        | said(b"\x21" * 20, ev.QUOTE, WETH) | said(b"\x21" * 20, ev.RATE, 5 * 10**14)
    )  # fmt: skip
    answers = cross | fixed | adapter()

    forth, back = scout(answers).route(SECOND, USDC, USD), scout(answers).route(SECOND, USD, USDC)

    assert known(forth, 1_000 * 10**6).mid == 1_000 * 10**18  # 1,000 USDC · 0.0005 WETH · 2,000 USD
    assert known(back, 1_000 * 10**18).mid == 1_000 * 10**6


def test_a_declared_source_has_a_bid_and_an_ask() -> None:
    rule = {ROUTER: Declared(feeds={WETH: FEED}, bid=9_990, ask=10_010)}
    search = scout(DECIMAL_PLACES, rule)

    assert known(search.route(ROUTER, WETH, USD), 10**18)[:3] == (2_000 * 10**18, 1_998 * 10**18, 2_002 * 10**18)
    assert known(search.route(ROUTER, VAULT, USD), 10**18).mid == 4_000 * 10**18
    assert value(search.route(ROUTER, USDC, USD), 1) == Reason(
        "no_price_source", "0x" + USDC.hex(), f"the rule of 0x{ROUTER.hex()} names no feed for this token"
    )


def test_what_is_its_own_unit_of_account_needs_no_source() -> None:
    assert known(scout({}).route(ROUTER, USD, USD), 5)[:3] == (5, 5, 5)


@pytest.mark.parametrize(
    "answers, code",
    [
        (routed(), "no_price_source"),
        (routed((WETH, USD, ADAPTER)) | said(ADAPTER, ev.NAME, "PythOracle"), "price_source_not_plain"),
        (routed((WETH, USD, ADAPTER)) | adapter(base=USDC), "no_price_source"),
        (routed(vaults={WETH: USDC}), "vault_not_followed"),
        ({(ROUTER, ev.NAME.calldata()): Answer("reverted", b"")}, "price_source_not_plain"),
    ],
)
def test_what_is_not_plain_is_unknown_and_named(answers: Said, code: str) -> None:
    found = value(scout(answers).route(ROUTER, WETH, USD), 10**18)

    assert isinstance(found, Reason)
    assert found.code == code


def test_a_source_that_is_its_own_source_is_unknown() -> None:
    found = value(scout(routed((WETH, USD, ROUTER))).route(ROUTER, WETH, USD), 1)

    assert isinstance(found, Reason)
    assert found.code == "price_source_not_plain"


@pytest.mark.parametrize(
    "at, code",
    [
        (snapshot(0), "price_not_positive"),
        (snapshot(-1), "price_not_positive"),
        (snapshot(age=3_601), "price_stale"),
        (snapshot(age=-1), "price_from_the_future"),
    ],
)
def test_what_an_adapter_refuses_is_unknown(at: VenueSnapshot, code: str) -> None:
    found = value(scout(adapter()).route(ADAPTER, WETH, USD), 10**18, at)

    assert isinstance(found, Reason)
    assert found.code == code


def test_an_answer_as_old_as_allowed_is_taken() -> None:
    assert known(scout(adapter()).route(ADAPTER, WETH, USD), 10**18, snapshot(age=3_600)).mid == 2_000 * 10**18


def test_nothing_is_asked_on_a_guess() -> None:
    search = scout({})

    with pytest.raises(NotYet):
        search.route(ROUTER, WETH, USD)

    assert search.reads.missing == {Read(7, ETH_CALL, ROUTER, ev.NAME.calldata())}


def test_the_tokens_and_routers_on_the_way_are_told() -> None:
    search = scout(routed((WETH, USD, ADAPTER), vaults={VAULT: WETH}) | adapter())

    search.route(ROUTER, VAULT, USD)

    assert (search.path, search.routers) == ({VAULT, WETH}, {ROUTER})


def test_a_quote_that_no_word_holds_is_unknown() -> None:
    way: dict[str, Any] = scout(adapter()).route(ADAPTER, WETH, USD)

    found = value(way, 2**255)

    assert isinstance(found, Reason)
    assert found.code == "quote_too_large"
