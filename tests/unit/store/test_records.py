"""Sums and aspects as of any block, exactly, whatever was stored since."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chains.auditing import Sizes
from chains.model import PositionChange, Quarantined, Rows, Side
from indexer.store import MEMORY, Store
from tests.unit.store.builders import CHAIN, MARKET, VENUE, append, batch, market, position

OWNERS = [bytes([n]) * 20 for n in range(1, 5)]
MARKETS = [MARKET, b"\x0d" * 20]
BLOCKS = 7
WIDEST = 10**38 - 1


@st.composite
def histories(draw: st.DrawFn) -> list[PositionChange]:
    """Changes of a few positions over some blocks, as wide as a column and as narrow as one unit, several in one block."""
    amounts = st.one_of(st.integers(-WIDEST, WIDEST), st.integers(0, 3))
    places = draw(st.lists(st.tuples(st.integers(1, BLOCKS), st.integers(0, 3)), unique=True, max_size=30))
    return [
        position(
            number,
            draw(amounts),
            ordinal=ordinal,
            owner=draw(st.sampled_from(OWNERS)),
            market=draw(st.sampled_from(MARKETS)),
            side=draw(st.sampled_from(list(Side))),
        )
        for number, ordinal in sorted(places)
    ]


def summed(rows: list[PositionChange], number: int) -> dict[tuple[bytes, Side], int]:
    last = {(row.unit_id, row.market, row.side): row.amount_raw for row in rows if row.block <= number}
    sums: dict[tuple[bytes, Side], int] = defaultdict(int)
    for (_, held, side), amount_raw in last.items():
        sums[held, side] += amount_raw
    return dict(sums)


@pytest.fixture(scope="module")
def fresh_chains() -> Iterator[Iterator[tuple[Store, str]]]:
    """One store, and in it as many empty chains as are asked for."""
    with Store.open(MEMORY) as store:
        yield ((store, f"eip155:{number}") for number in count(1))


@settings(max_examples=15)
@given(rows=histories(), cuts=st.sets(st.integers(1, BLOCKS - 1)))
def test_sums_after_any_block_are_those_of_its_last_rows_to_the_unit(
    fresh_chains: Iterator[tuple[Store, str]], rows: list[PositionChange], cuts: set[int]
) -> None:
    store, chain_id = next(fresh_chains)
    ends = [*sorted(cuts), BLOCKS]
    for first, last in zip([1, *(end + 1 for end in ends)], ends, strict=False):
        between = Rows(positions=[row for row in rows if first <= row.block <= last])
        append(store, batch(first, last, between, chain_id=chain_id))

    records = store.records(chain_id)
    assert [records.sums(VENUE, number) for number in range(BLOCKS + 1)] == [
        summed(rows, number) for number in range(BLOCKS + 1)
    ]


def test_another_venue_has_sums_of_its_own(store: Store) -> None:
    append(store, batch(1, 3, Rows(positions=[position(1, 7), position(2, 5, venue_id="other")])))

    records = store.records(CHAIN)
    assert records.sums(VENUE, 3) == {(MARKET, Side.SUPPLY): 7}
    assert records.sums("other", 1) == {}
    assert records.sums("other", 2) == {(MARKET, Side.SUPPLY): 5}


def test_there_is_no_sum_once_a_row_is_in_quarantine(store: Store) -> None:
    odd = Quarantined(2, 0, 0, VENUE, "malformed_event:Mint", b"\x01")
    append(store, batch(1, 3, Rows(positions=[position(1, 7)], quarantined=[odd])))

    records = store.records(CHAIN)
    assert records.sums(VENUE, 1) == {(MARKET, Side.SUPPLY): 7}
    assert records.sums(VENUE, 2) is None
    assert records.sums("other", 3) == {}


def test_there_is_no_sum_once_an_amount_fits_no_column(store: Store) -> None:
    append(store, batch(1, 3, Rows(positions=[position(1, 7), position(3, 10**38)])))

    records = store.records(CHAIN)
    assert records.sums(VENUE, 2) == {(MARKET, Side.SUPPLY): 7}
    assert records.sums(VENUE, 3) is None


def test_aspects_are_what_they_were_after_a_block(store: Store) -> None:
    append(store, batch(1, 3, Rows(markets=[market(1, "a"), market(2, "b"), market(2, "c", ordinal=1)])))
    append(store, batch(4, 6, Rows(markets=[market(5, "d"), market(6, "x", aspect="terms")])))

    records = store.records(CHAIN)
    assert [records.markets_at(VENUE, number) for number in (0, 1, 2, 4, 5)] == [
        {},
        {(MARKET, "reserve"): "a"},
        {(MARKET, "reserve"): "c"},
        {(MARKET, "reserve"): "c"},
        {(MARKET, "reserve"): "d"},
    ]
    assert records.markets_at(VENUE, 6) == {(MARKET, "reserve"): "d", (MARKET, "terms"): "x"}


def test_the_sizes_of_a_market_are_the_highest_of_all_rows_up_to_a_block_and_its_first_state() -> None:
    wide = 2**128 - 1
    states = [
        (2, '{"a":"5","b":"7"}'),
        (3, f'{{"a":"9","b":"{wide}"}}'),
        (4, '{"problem":"x"}'),
        (5, '{"a":"1","b":"2"}'),
    ]
    rows = [market(number, state, aspect="size") for number, state in states]
    other = market(3, '{"a":"100","b":"100"}', aspect="other")
    with Store.open(MEMORY) as store:
        append(store, batch(1, 9, Rows(markets=[*rows, other])))
        records = store.records(CHAIN)

        assert records.sizes_at(VENUE, 9, "size", ("a", "b")) == {
            MARKET: Sizes('{"a":"5","b":"7"}', {"a": 9, "b": wide})
        }
        assert records.sizes_at(VENUE, 2, "size", ("a",)) == {MARKET: Sizes('{"a":"5","b":"7"}', {"a": 5})}
        assert records.sizes_at(VENUE, 1, "size", ("a",)) == {}
