"""An amount that fits no column is kept exactly, named, and never wrapped or rounded."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import pytest

from chains.columns import joined
from chains.model import FEEDS, AccountChange, Basis, MarketChange, Quarantined, Rows, Side
from indexer.store import Store
from indexer.store.journals import word
from tests.unit.store.builders import (
    CHAIN,
    MARKET,
    OWNER,
    VENUE,
    append,
    batch,
    block,
    content,
    event,
    position,
    price,
    rewind,
)

KEY = (OWNER, MARKET, Side.SUPPLY)
WIDEST = 10**38 - 1
MAX_UINT256 = 2**256 - 1
MIN_INT256 = -(2**255)


def quarantined(store: Store) -> list[Quarantined]:
    with store.reading() as reader:
        return reader.quarantined(CHAIN, block(9))


@pytest.mark.parametrize("amount", [WIDEST, -WIDEST, 0])
def test_the_widest_amounts_that_fit_are_stored_as_they_are(store: Store, amount: int) -> None:
    append(store, batch(1, 9, Rows(positions=[position(2, amount)], prices=[price(2, amount)])))

    assert store.state(CHAIN).positions(VENUE, [KEY]) == {KEY: amount}
    assert content(store)["price_observation"][0][5] == Decimal(amount)
    assert quarantined(store) == []


@pytest.mark.parametrize(
    "amount, exact",
    [
        (10**38, "000000000000000000000000000000004b3b4ca85a86c47a098a224000000000"),
        (MAX_UINT256, "ff" * 32),
        (-(10**38), "ffffffffffffffffffffffffffffffffb4c4b357a5793b85f675ddc000000000"),
        (MIN_INT256, "80" + "00" * 31),
    ],
)
def test_a_wider_amount_is_kept_as_its_word(store: Store, amount: int, exact: str) -> None:
    append(store, batch(1, 9, Rows(positions=[position(2, amount, ordinal=4)], events=[event(3, amount)])))

    assert quarantined(store) == [
        Quarantined(2, 0, 4, VENUE, "exceeds_decimal38:position_change", bytes.fromhex(exact)),
        Quarantined(3, 0, 0, VENUE, "exceeds_decimal38:lending_event", bytes.fromhex(exact)),
    ]
    assert content(store)["position_change"] == content(store)["lending_event"] == []
    assert store.state(CHAIN).positions(VENUE, [KEY]) == {}


def test_a_price_that_is_too_wide_belongs_to_the_feeds(store: Store) -> None:
    append(store, batch(1, 9, Rows(prices=[price(2, 10**40)])))

    assert quarantined(store) == [Quarantined(2, 0, 0, FEEDS, "exceeds_decimal38:price_observation", word(10**40))]


def test_a_confidence_that_is_too_wide_takes_its_answer_along(store: Store) -> None:
    prices = [price(2, 7, confidence_raw=WIDEST), price(3, 8, confidence_raw=10**38), price(4, 9)]
    append(store, batch(1, 9, Rows(prices=prices)))

    assert quarantined(store) == [Quarantined(3, 0, 0, FEEDS, "exceeds_decimal38:price_observation", word(10**38))]
    assert [(row[1], row[-1]) for row in content(store)["price_observation"]] == [(2, Decimal(WIDEST)), (4, None)]


def test_whoever_has_an_amount_that_his_unit_remembers_makes_nobody_else_doubtful(store: Store) -> None:
    wide = position(2, 10**38, ordinal=4)
    remembered = AccountChange(2, 0, 4, VENUE, OWNER, OWNER, MARKET, "wide_amount:supply", '"1"', "1", Basis.EXACT)
    append(store, batch(1, 9, Rows(positions=[wide], accounts=[remembered], events=[event(2, 10**38)])))

    assert len(quarantined(store)) == 2
    assert doubtful(store, 9) == []


@pytest.mark.parametrize(
    "rows, venues",
    [
        (Rows(events=[event(2, 10**38)], quarantined=[Quarantined(2, 1, 3, VENUE, "event_too_wide:supply", b"1")]), []),
        (Rows(positions=[position(2, 10**38)]), [VENUE]),
        (Rows(prices=[price(2, 10**40)]), [FEEDS]),
        (Rows(quarantined=[Quarantined(2, 1, 3, VENUE, "malformed_event:Supply", b"")]), [VENUE]),
    ],
    ids=["history decides no number", "an amount that nobody remembers", "a price", "what was not understood"],
)
def test_what_may_have_changed_a_number_makes_its_venue_doubtful(store: Store, rows: Rows, venues: list[str]) -> None:
    append(store, batch(1, 5, rows))

    assert (doubtful(store, 1), doubtful(store, 5)) == ([], venues)
    assert (store.records(CHAIN).sums(VENUE, 5) is None) == (VENUE in venues)


def test_a_source_that_says_what_cannot_be_kept_has_no_answer_until_its_next_and_makes_nobody_else_doubtful(
    store: Store,
) -> None:
    strange, calm = VENUE.encode(), b"\x0f" * 20
    prices = [price(2, 5, source=strange), price(2, 6, source=calm), price(4, 10**40, ordinal=1, source=strange)]
    later = [price(7, 8, ordinal=2, source=strange)]
    odd = Quarantined(8, 0, 3, FEEDS, "malformed_event:AnswerUpdated", b"\x01")
    append(store, batch(1, 9, Rows(prices=[*prices, *later], quarantined=[odd]), logs=[(2, 0), (4, 1), (7, 2), (8, 3)]))

    def answers(number: int) -> dict[bytes, int]:
        with store.reading() as reader:
            return {name: said.answer_raw for name, said in reader.answers(CHAIN, block(number)).items()}

    assert [answers(number).get(strange) for number in (3, 4, 6, 7, 8, 9)] == [5, None, None, 8, None, None]
    assert {answers(number)[calm] for number in range(2, 10)} == {6}
    assert doubtful(store, 9) == []


def test_a_source_of_which_a_change_could_not_be_read_is_not_followed_any_more(store: Store) -> None:
    phases = [
        MarketChange(2, -1, 0, FEEDS, proxy, "phase", '{"aggregator":null}', "1", Basis.SETTLED)
        for proxy in (VENUE.encode(), b"\x0f" * 20)
    ]
    odd = Quarantined(5, 0, 1, FEEDS, "malformed_event:CapParametersUpdated", b"\x01")
    append(store, batch(1, 9, Rows(markets=phases, quarantined=[odd]), logs=[(5, 1)]))

    with store.reading() as reader:
        assert [len(reader.feeds(CHAIN, block(number))) for number in (4, 5, 9)] == [2, 1, 1]
    assert doubtful(store, 9) == []


def doubtful(store: Store, number: int) -> list[str]:
    with store.reading() as reader:
        return reader.doubtful(CHAIN, block(number))


def test_later_values_that_fit_are_stored(store: Store) -> None:
    append(store, batch(1, 9, Rows(positions=[position(2, 5), position(3, MAX_UINT256), position(4, 6)])))

    assert [row[10] for row in content(store)["position_change"]] == [5, 6]
    assert store.state(CHAIN).positions(VENUE, [KEY]) == {KEY: 6}


def test_what_a_fold_could_not_read_is_kept_beside_it(store: Store) -> None:
    odd = Quarantined(2, 1, 3, VENUE, "malformed_event:Supply", b"\x01\x02")
    append(store, batch(1, 9, Rows(positions=[position(3, MAX_UINT256)], quarantined=[odd])))

    assert [row.reason for row in quarantined(store)] == ["malformed_event:Supply", "exceeds_decimal38:position_change"]
    assert quarantined(store)[0] == odd


def test_a_rewind_takes_the_quarantine_along(store: Store) -> None:
    append(store, batch(1, 9, Rows(positions=[position(2, MAX_UINT256), position(7, MAX_UINT256)])))

    rewind(store, 5)

    assert [row[1] for row in content(store)["quarantine"]] == [2]


def test_a_number_wider_than_a_word_takes_a_second_one() -> None:
    assert word(2**256) == (1).to_bytes(32) + bytes(32)
    assert word(MIN_INT256 - 1) == b"\xff" * 32 + b"\x7f" + b"\xff" * 31


def test_a_sum_that_does_not_fit_raises_instead_of_wrapping(store: Store) -> None:
    """DuckDB below 2.0 wrapped here without a word."""
    rows = [position(2, 9 * 10**37, owner=bytes([n]) * 20) for n in range(2)]
    append(store, batch(1, 9, Rows(positions=rows)))

    with store.reading() as reader, pytest.raises(duckdb.OutOfRangeException):
        reader._con.execute("SELECT sum(amount_raw) FROM position_change").fetchall()


def test_rows_given_as_columns_are_stored_like_rows_given_one_by_one(store: Store) -> None:
    one_by_one = Rows(
        positions=[position(2, 5), position(3, 7)],
        quarantined=[Quarantined(4, 0, 1, VENUE, "malformed_event:Mint", b"x")],
    )
    columns = {
        name: [joined(name, rows, ())]
        for name, rows in (("positions", one_by_one.positions), ("quarantined", one_by_one.quarantined))
    }

    append(store, batch(1, 9, Rows(columns=columns)))

    assert len(Rows(columns=columns)) == 3
    assert store.state(CHAIN).positions(VENUE, [KEY]) == {KEY: 7}
    assert quarantined(store) == one_by_one.quarantined
