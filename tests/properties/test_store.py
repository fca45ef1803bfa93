"""Whatever happens to a chain on the way into the store, the tables tell the chain and not the way.

S1 append-then-rewind is the identity on every table
S2 any cut into batches, and any moment of finalizing, gives the same tables
S3 tips are the journals' last rows
S4 a block as of later is what the tips were when it was the last one
S5 a branch that was taken in and left leaves no trace
S6 no amount is lost: what is not in a journal is in quarantine, exactly
S7 merged spans cover the same blocks, and no two of them touch
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chains.model import (
    END_OF_BLOCK,
    START_OF_BLOCK,
    AccountChange,
    MarketChange,
    PositionChange,
    PriceObservation,
    Rows,
    Side,
    UnitSnapshot,
    VenueSnapshot,
    VenueSpec,
)
from chains.ports import Batch, Covered
from indexer.store import MEMORY, Store
from indexer.store.asof import as_of, unit_snapshots, venue_snapshot
from indexer.store.coverage import merged
from indexer.store.journals import DERIVED, JOURNALS, word
from tests.unit.store.builders import (
    VENUE,
    Content,
    append,
    batch,
    block,
    content_of,
    event,
    finalize,
    market,
    position,
    price,
    rewind,
    setting,
)

# A property here is some dozen transactions an example: a quarter of the profile's examples takes as long as elsewhere all.
fewer = settings(max_examples=max(10, settings.default.max_examples // 4) if settings.default else 25)

LAST = 6
TOO_WIDE = 10**38
NAMES = (f"test:{number}" for number in count())

addresses = st.sampled_from([b"\x01" * 20, b"\x02" * 20])
places = st.tuples(st.integers(1, LAST), st.sampled_from([START_OF_BLOCK, 0, 1, 7, END_OF_BLOCK]))
amounts = st.one_of(
    st.integers(-5, 5), st.sampled_from([TOO_WIDE - 1, TOO_WIDE, 1 - TOO_WIDE, -TOO_WIDE, 2**256 - 1, -(2**255)])
)


@st.composite
def positions(draw: st.DrawFn) -> PositionChange:
    (number, ordinal), owner, held = draw(places), draw(addresses), draw(addresses)
    row = position(number, draw(amounts), ordinal=ordinal, owner=owner, market=held, side=draw(st.sampled_from(Side)))
    return row._replace(unit_id=draw(st.sampled_from([owner, b"\x09" * 20])))


@st.composite
def markets(draw: st.DrawFn) -> MarketChange:
    (number, ordinal), aspect = draw(places), draw(st.sampled_from(["reserve", "terms"]))
    return market(number, draw(st.text(max_size=3)), ordinal=ordinal, aspect=aspect, market=draw(addresses))


@st.composite
def accounts(draw: st.DrawFn) -> AccountChange:
    (number, ordinal), state = draw(places), draw(st.sampled_from(["true", "false"]))
    return setting(number, state, ordinal=ordinal, owner=draw(addresses), market=draw(addresses))


@st.composite
def prices(draw: st.DrawFn) -> PriceObservation:
    number, ordinal = draw(places)
    return price(number, draw(amounts), ordinal=ordinal, source=draw(addresses))


@st.composite
def histories(draw: st.DrawFn) -> Rows:
    """Rows of blocks 1 to `LAST`, in any order, some of them several times at one instant."""
    return Rows(
        positions=draw(st.lists(positions(), max_size=12)),
        markets=draw(st.lists(markets(), max_size=6)),
        accounts=draw(st.lists(accounts(), max_size=6)),
        prices=draw(st.lists(prices(), max_size=6)),
        events=[
            event(number, draw(amounts), ordinal=i) for i, (number, _) in enumerate(draw(st.lists(places, max_size=4)))
        ],
    )


blocks_with_logs = st.frozensets(st.integers(1, LAST), max_size=LAST)
cuts = st.frozensets(st.integers(2, LAST), max_size=LAST).map(lambda inner: sorted({1, LAST + 1, *inner}))
"""Where batches begin, and the block behind the last one."""


def between(history: Rows, first: int, last: int) -> Rows:
    def part(rows: Sequence[Any]) -> list[Any]:
        return [row for row in rows if first <= row.block <= last]

    fields = {journal.field: part(getattr(history, journal.field)) for journal in DERIVED}
    return Rows(**fields)


def span(history: Rows, logs: frozenset[int], first: int, last: int, chain_id: str, *, fork: str = "") -> Batch:
    """The batch of these blocks; of a branch that begins with the first of them if it has a name."""
    rows = between(history, first, last)
    with_rows = sorted(number for number in logs if first <= number <= last)
    return batch(
        first,
        last,
        rows,
        logs=[(number, index) for number in with_rows for index in range(2)],
        reads=[number for number in range(first, last + 1) if number % 3 == 0],
        fork=fork,
        forked_at=first,
        chain_id=chain_id,
    )


def index(store: Store, history: Rows, logs: frozenset[int], starts: Sequence[int], *, final: int = 0) -> str:
    """Take a history into a chain of its own in these batches, finalizing behind each, and return the chain."""
    chain_id = next(NAMES)
    for first, behind in pairwise(starts):
        append(store, span(history, logs, first, behind - 1, chain_id))
        if final:
            finalize(store, min(final, behind - 1), chain_id)
    return chain_id


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with Store.open(MEMORY) as opened:
        yield opened


@fewer
@given(history=histories(), logs=blocks_with_logs, starts=cuts, fork=st.integers(0, LAST - 1))
def test_append_then_rewind_is_the_identity(
    store: Store, history: Rows, logs: frozenset[int], starts: list[int], fork: int
) -> None:
    """Property S1."""
    upto = sorted({start for start in starts if start <= fork} | {1, fork + 1})
    chain_id = index(store, history, logs, upto)
    before = content_of(store, chain_id)
    for first, behind in pairwise(sorted({fork + 1} | {start for start in starts if start > fork})):
        append(store, span(history, logs, first, behind - 1, chain_id))

    rewind(store, fork or None, chain_id)

    assert content_of(store, chain_id) == before


@fewer
@given(history=histories(), logs=blocks_with_logs, one=cuts, two=cuts, final=st.integers(0, LAST))
def test_the_cut_into_batches_leaves_no_trace(
    store: Store, *, history: Rows, logs: frozenset[int], one: list[int], two: list[int], final: int
) -> None:
    """Property S2."""
    first, second = (index(store, history, logs, starts, final=final) for starts in (one, two))

    assert content_of(store, first) == content_of(store, second)


@fewer
@given(history=histories(), starts=cuts, fork=st.integers(1, LAST))
def test_tips_are_the_last_rows_of_the_journals(store: Store, history: Rows, starts: list[int], fork: int) -> None:
    """Property S3, after appending and after rewinding."""
    chain_id = index(store, history, frozenset(), starts)
    for _ in range(2):
        found = content_of(store, chain_id)
        assert {tip: found[tip] for tip in last_rows(found)} == last_rows(found)
        rewind(store, fork, chain_id)


def last_rows(found: Content) -> Content:
    """The last row of every key by block and ordinal, computed here and not in SQL."""
    result: Content = {}
    for journal in JOURNALS:
        if journal.tip:
            key = journal.fields(*journal.key)
            rows = sorted(found[journal.name], key=lambda row: (row[0], row[2]))
            result[journal.tip] = sorted({tuple(row[i] for i in key): row for row in rows}.values(), key=repr)
    return result


@fewer
@given(history=histories(), starts=cuts)
def test_a_block_as_of_later_is_what_the_tips_were(store: Store, history: Rows, starts: list[int]) -> None:
    """Property S4; at the cursor the answers from tips and from journals are compared as well."""
    chain_id = next(NAMES)
    then: dict[int, object] = {}
    for first, behind in pairwise(starts):
        append(store, span(history, frozenset(), first, behind - 1, chain_id))
        then[behind - 1] = seen(store, chain_id, behind - 1, tips=True)
        assert then[behind - 1] == seen(store, chain_id, behind - 1, tips=False)

    assert {number: seen(store, chain_id, number, tips=True) for number in then} == then


def seen(
    store: Store, chain_id: str, number: int, *, tips: bool
) -> tuple[VenueSnapshot, list[UnitSnapshot], list[list[UnitSnapshot]]]:
    venue = VenueSpec(id=VENUE, protocol="aave-v3", chain_id=chain_id, address=b"", start_block=1)
    with store.reading() as reader:
        at = as_of(reader._con, chain_id, block(number), tips=tips)
        units = unit_snapshots(at, VENUE)
        of_each = [unit_snapshots(at, VENUE, owner=owner) for owner in (b"\x01" * 20, b"\x02" * 20)]
        assert sorted(unit.unit_id for part in of_each for unit in part) == [unit.unit_id for unit in units]
        return venue_snapshot(at, venue, block(number)), units, of_each


@fewer
@given(
    history=histories(),
    other=histories(),
    logs=blocks_with_logs,
    starts=cuts,
    branch=st.tuples(*[st.integers(1, LAST)] * 2),
)
def test_a_branch_that_was_left_leaves_no_trace(
    store: Store, *, history: Rows, other: Rows, logs: frozenset[int], starts: list[int], branch: tuple[int, int]
) -> None:
    """Property S5."""
    first, last = sorted(branch)
    straight = index(store, history, logs, starts)
    chain_id = index(store, history, logs, sorted({1, first}))
    append(store, span(other, logs, first, last, chain_id, fork="b"))
    rewind(store, first - 1 or None, chain_id)
    append(store, span(history, logs, first, LAST, chain_id))

    assert content_of(store, chain_id) == content_of(store, straight)


@fewer
@given(history=histories(), starts=cuts)
def test_no_amount_is_lost(store: Store, history: Rows, starts: list[int]) -> None:
    """Property S6: of every instant's last value, and of every event."""
    found = content_of(store, index(store, history, frozenset(), starts))

    asked = {(row.block, row.ordinal, row.unit_id, row.market, row.side): row.amount_raw for row in history.positions}
    kept = [int(row[9]) for row in found["position_change"]]
    exact = [row[5] for row in found["quarantine"] if row[4] == "exceeds_decimal38:position_change"]
    assert sorted(kept) == sorted(amount for amount in asked.values() if abs(amount) < TOO_WIDE)
    assert sorted(exact) == sorted(word(amount) for amount in asked.values() if abs(amount) >= TOO_WIDE)

    told = [row.amount_raw for row in history.events]
    kept = [int(row[10]) for row in found["lending_event"]]
    exact = [row[5] for row in found["quarantine"] if row[4] == "exceeds_decimal38:lending_event"]
    assert sorted(kept) == sorted(amount for amount in told if abs(amount) < TOO_WIDE)
    assert sorted(exact) == sorted(word(amount) for amount in told if abs(amount) >= TOO_WIDE)


@given(st.integers(-(2**300), 2**300))
def test_a_word_is_the_amount(amount: int) -> None:
    """Property S6: nothing is lost on the way into a word either."""
    assert int.from_bytes(word(amount), signed=amount < 0) == amount
    assert len(word(amount)) in (32, 64)


proofs = st.sampled_from([("logs", "bloom", "a"), ("logs", "bloom", "b"), ("reads", "node", "")])


@st.composite
def spans(draw: st.DrawFn) -> Covered:
    interest, level, evidence = draw(proofs)
    first = draw(st.integers(0, 30))
    return Covered(interest=interest, level=level, evidence=evidence, first=first, last=first + draw(st.integers(0, 9)))


@given(st.lists(spans()))
def test_merged_spans_cover_the_same_blocks_in_the_fewest_rows(given_spans: list[Covered]) -> None:
    """Property S7."""
    result = merged(given_spans)

    assert covered_blocks(result) == covered_blocks(given_spans)
    for before, after in pairwise(result):
        apart = after.first > before.last + 1
        assert apart or replace(after, first=0, last=0) != replace(before, first=0, last=0)
    assert merged(reversed(given_spans)) == result == merged(result)


def covered_blocks(of: Sequence[Covered]) -> set[tuple[str, str, str, int]]:
    return {(s.interest, s.level, s.evidence, number) for s in of for number in range(s.first, s.last + 1)}
