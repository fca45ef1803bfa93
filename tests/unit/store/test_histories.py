"""What feeds said by days is told from their answers alone, and what was imported is never changed."""

from __future__ import annotations

import json
from datetime import date

import pytest

from chains.model import FEEDS, MarketChange, PriceObservation, Rows
from indexer.store import FeedDay, ImportedDay, ImportedLiquidity, Store
from indexer.store.histories import HistoryLedger
from tests.unit.store.builders import CHAIN, append, batch, block, market, price

PROXY, OLD, NEW = (bytes([n]) * 20 for n in (0xF0, 0xA0, 0xB0))
HOUR = 3600
DAY = 20_000
"""Of days since 1970."""


def phase(number: int, source: bytes, **more: object) -> MarketChange:
    state = {"aggregator": f"0x{source.hex()}", "decimals": 2, "fault": "", "problem": "", **more}
    return market(number, json.dumps(state), aspect="phase", venue_id=FEEDS, market=PROXY)


def answer(number: int, usd: float, hours: float, source: bytes = OLD, day: int = DAY) -> PriceObservation:
    """An answer in a block, so many hours into a day."""
    return price(number, round(100 * usd), source=source)._replace(updated_at=int(day * 24 * HOUR + hours * HOUR))


def days(store: Store, *rows: MarketChange | PriceObservation, last: int = 30) -> list[FeedDay]:
    given = Rows(
        markets=[row for row in rows if isinstance(row, MarketChange)],
        prices=[row for row in rows if isinstance(row, PriceObservation)],
    )
    append(store, batch(1, 30, given))
    with store.reading() as reader:
        return reader.feed_days(CHAIN, block(last), [PROXY])


def test_a_day_has_its_last_price_its_extremes_and_how_long_it_was_silent(store: Store) -> None:
    found = days(
        store, phase(1, OLD), answer(2, 90, 23, day=DAY - 1), answer(3, 100, 1), answer(4, 80, 5), answer(5, 95, 6)
    )

    assert found[1:] == [
        FeedDay(
            feed=PROXY,
            day=DAY,
            close=95.0,
            low=80.0,
            high=100.0,
            last_at=(DAY * 24 + 6) * HOUR,
            first_gap_s=2 * HOUR,
            longest_gap_s=4 * HOUR,
            first_block=3,
            last_block=5,
        )
    ]
    assert (found[0].first_gap_s, found[0].longest_gap_s) == (None, None)


def test_what_stood_when_the_day_began_is_among_its_extremes(store: Store) -> None:
    found = days(store, phase(1, OLD), answer(2, 50, 23, day=DAY - 1), answer(3, 100, 1))

    assert (found[1].low, found[1].high) == (50.0, 100.0)


def test_each_block_is_asked_of_the_source_that_the_feed_pointed_to(store: Store) -> None:
    found = days(
        store,
        phase(1, OLD),
        phase(5, NEW, decimals=3),
        answer(2, 100, 1),
        answer(4, 999, 2, source=NEW),
        answer(6, 7770, 3, source=NEW),
        answer(7, 1, 4, source=OLD),
    )

    assert [(day.low, day.high, day.close) for day in found] == [(100.0, 777.0, 777.0)]


@pytest.mark.parametrize("state", [{"fault": "says otherwise"}, {"rule": {"kind": "product"}}, {"decimals": None}])
def test_what_is_in_doubt_computed_or_without_decimals_tells_no_days(store: Store, state: dict[str, object]) -> None:
    assert days(store, phase(1, OLD, **state), answer(2, 100, 1)) == []


def test_only_positive_answers_up_to_the_block_count(store: Store) -> None:
    rows = phase(1, OLD), answer(2, 100, 1), answer(3, 0, 2), answer(4, -5, 3), answer(20, 50, 4)

    found = days(store, *rows, last=10)

    assert [(day.low, day.close) for day in found] == [(100.0, 100.0)]


def test_a_rate_is_of_the_day_of_its_block(store: Store) -> None:
    append(
        store,
        batch(1, 30, Rows(prices=[price(2, 105, source=OLD), price(9, 106, source=OLD), price(9, 1, source=NEW)])),
    )

    with store.reading() as reader:
        assert reader.rate_days(CHAIN, block(30), [OLD]) == [(OLD, 0, 106.0)]
        assert reader.rate_days(CHAIN, block(8), [OLD]) == [(OLD, 0, 105.0)]


def imported(close: float, day: int = 1, source: str = "desk") -> ImportedDay:
    return ImportedDay("ETH", date(2024, 1, day), close, None, close, source, 1_700_000_000, "sha256:00")


def test_the_last_import_of_a_day_counts_and_those_before_stay(store: Store) -> None:
    with store.histories() as ledger:
        ledger.add_days([imported(1.0), imported(2.0, 2)])
    with store.histories() as ledger:
        ledger.add_days([imported(3.0)])
        ledger.add_days([])

    with store.reading() as reader:
        assert reader.newest_import() == 2
        assert reader.imported_days() == [imported(3.0)._replace(corrections=1), imported(2.0, 2)]
        assert reader.imported_days("BTC") == []
    kept = store.query("SELECT close FROM price_day ORDER BY import_number, day", timeout_s=9, max_rows=9).rows
    assert [close for (close,) in kept] == [1.0, 2.0, 3.0]


def test_an_import_that_fails_leaves_nothing(store: Store) -> None:
    def fail(ledger: HistoryLedger) -> None:
        ledger.add_days([imported(1.0)])
        raise RuntimeError

    with pytest.raises(RuntimeError), store.histories() as opened:
        fail(opened)

    with store.reading() as reader:
        assert reader.imported_days() == []


def test_liquidity_counts_by_identity_and_day(store: Store) -> None:
    said = ImportedLiquidity("ETH", date(2024, 1, 1), 1e9, 0.001, 0.0005, "desk", 1_700_000_000, "sha256:00")
    with store.histories() as ledger:
        ledger.add_liquidity([said, said._replace(as_of=date(2024, 1, 2))])
        ledger.add_liquidity([said._replace(daily_volume_usd=5e8)])

    with store.reading() as reader:
        found = reader.imported_liquidity()
    assert [(row.as_of.day, row.daily_volume_usd, row.corrections) for row in found] == [(1, 5e8, 1), (2, 1e9, 0)]
