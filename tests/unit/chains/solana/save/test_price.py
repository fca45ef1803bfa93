"""Which prices the program takes, and why it takes none."""

from __future__ import annotations

import pytest

from chains.model import AccountBytes
from chains.solana.save.price import Now, Refused, price_at, price_state, unchecked_price
from tests.support.save_accounts import SLOT, TIME, WAD, aggregator, feed, gone, legacy, pyth, seen_of

NOW = Now(SLOT, TIME)
OLD = Now(SLOT + 240, TIME + 121)


@pytest.mark.parametrize(
    "account, price, smoothed",
    [
        (pyth(12_345_678_901, ema=12_000_000_000), 123_456_789_010_000_000_000, 120 * WAD),
        (pyth(7, exponent=2), 700 * WAD, 700 * WAD),
        (pyth(100 * 10**8, confidence=10 * 10**8), 100 * WAD, 100 * WAD),
        (legacy(ema_price=9_900_000_000), 100 * WAD, 99 * WAD),
        (legacy(status=0, previous_price=5 * 10**8, previous_slot=SLOT), 5 * WAD, 100 * WAD),
        (legacy(slot=SLOT - 241, previous_price=5 * 10**8, previous_slot=SLOT), 5 * WAD, 100 * WAD),
        (feed(value=3 * WAD + 1), 3 * WAD + 1, None),
        (feed(range=10 * WAD), 100 * WAD, None),
        (aggregator(mantissa=1_234_567, scale=6), 1_234_567 * 10**12, None),
        (aggregator(num_success=0, resolution_mode=1), 100 * WAD, None),
    ],
)
def test_a_price_is_taken_as_a_wad(account: AccountBytes, price: int, smoothed: int | None) -> None:
    taken = price_at(price_state(account), NOW)

    assert (taken.price, taken.smoothed) == (price, smoothed)


@pytest.mark.parametrize(
    "account, code",
    [
        (pyth(-1), "price_negative"),
        (pyth(1, ema=-1), "price_negative"),
        (pyth(100, confidence=11), "price_uncertain"),
        (pyth(2**62, confidence=2**63), "price_uncertain"),
        (pyth(100, level=b"\x00\x05"), "price_not_verified"),
        (pyth(100, exponent=-20), "math_overflow"),
        (legacy(confidence=11 * 10**8), "price_uncertain"),
        (legacy(status=0), "price_stale"),
        (legacy(version=1), "price_unreadable"),
        (feed(value=-1), "price_negative"),
        (feed(range=-1), "price_negative"),
        (feed(range=10 * WAD + 1), "price_uncertain"),
        (feed(value=6_278 * WAD), "math_overflow"),  # 6 278 · 10^18 · 10^36 is more than 2^192
        (feed(slot=SLOT + 1), "math_overflow"),
        (feed(slot=0), "price_unreadable"),
        (aggregator(num_success=2), "price_uncertain"),
        (aggregator(mantissa=-1), "price_negative"),
        (gone(), "price_unreadable"),
        (seen_of(b"\x66" * 32, bytes(134)), "price_unreadable"),
        (seen_of(pyth(1).owner, bytes(134)), "price_unreadable"),
    ],
)
def test_a_price_that_the_program_refuses_says_why(account: AccountBytes, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        price_at(price_state(account), NOW)

    assert refusal.value.code == code


@pytest.mark.parametrize(
    "account, last",
    [
        (pyth(100), Now(SLOT + 10_000, TIME + 120)),
        (legacy(), Now(SLOT + 240, TIME + 10_000)),
        (feed(), Now(SLOT + 239, TIME + 10_000)),
        (aggregator(), Now(SLOT + 239, TIME + 10_000)),
    ],
)
def test_a_price_is_good_until_its_kinds_age(account: AccountBytes, last: Now) -> None:
    state = price_state(account)
    assert price_at(state, last).price > 0

    with pytest.raises(Refused) as refusal:
        price_at(state, Now(last.slot + 1, last.time + 1))
    assert refusal.value.code == "price_stale"


def test_an_extra_price_may_be_old_and_uncertain_but_not_from_a_pull_feed() -> None:
    assert unchecked_price(price_state(pyth(10**8, confidence=10**8, level=b"\x00\x01")), OLD).price == WAD
    assert unchecked_price(price_state(legacy(confidence=10**12)), Now(SLOT + 10_000, TIME)).price == 100 * WAD
    assert unchecked_price(price_state(legacy(status=0, previous_price=10**8)), OLD).price == WAD
    assert unchecked_price(price_state(aggregator()), Now(SLOT + 10_000, TIME)).price == 100 * WAD
    for account in (feed(slot=SLOT), pyth(-1), aggregator(num_success=1), gone()):
        with pytest.raises(Refused):
            unchecked_price(price_state(account), Now(SLOT + 240, TIME))


def test_a_price_says_when_it_is_of() -> None:
    assert price_at(price_state(pyth(1, time=TIME - 7)), NOW)[2:] == (SLOT, TIME - 7)
    assert price_at(price_state(legacy(time=TIME - 7)), NOW)[2:] == (SLOT, TIME - 7)
    assert price_at(price_state(feed(slot=SLOT - 3)), NOW)[2:] == (SLOT - 3, TIME)
