"""Whatever happens to a chain on the way into the store, the tables tell the chain and not the way.

S1, S2, S3 and S5 are of both kinds of chains: one with a block at every height, and one whose slots may hold none.

S1 append-then-rewind is the identity on every table
S2 any cut into batches, and any moment of finalizing, gives the same tables
S3 tips are the journals' last rows
S4 a block as of later is what the tips were when it was the last one
S5 a branch that was taken in and left leaves no trace
S6 no amount is lost: what is not in a journal is in quarantine, exactly
S7 merged spans cover the same blocks, and no two of them touch
S8 an account is the last row that is stored of it: at the tips all of them, in a rebuild those that are derived
S9 SQL writes bytes in base 58 exactly as Python does
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chains.identifiers import base58
from chains.model import (
    END_OF_BLOCK,
    START_OF_BLOCK,
    AccountBytes,
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
from tests.unit.store.slots import account, closed, slot_batch

# A property here is some dozen transactions an example: a quarter of the profile's examples takes as long as elsewhere all.
fewer = settings(max_examples=max(10, settings.default.max_examples // 4) if settings.default else 25)

LAST = 6
TOO_WIDE = 10**38
NUMBERS = count()

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
    (number, ordinal), confidence = draw(places), draw(st.one_of(st.none(), amounts))
    return price(number, draw(amounts), ordinal=ordinal, source=draw(addresses), confidence_raw=confidence)


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


@dataclass(frozen=True)
class Network:
    """A kind of chain, and which of its heights hold no block: none of an EVM chain's."""

    solana: bool = False
    skipped: frozenset[int] = frozenset()

    def chain(self) -> str:
        """The name of one more chain of this kind."""
        return f"{'solana' if self.solana else 'test'}:{next(NUMBERS)}"

    def floor(self, number: int) -> int:
        """The newest block at or below a height; 0, below all of them, if there is none."""
        return max(set(range(number + 1)) - self.skipped)

    def cut(self, starts: Sequence[int]) -> list[int]:
        """Those beginnings of batches that have a block before them: a batch ends with a block."""
        return [start for start in starts if self.floor(start - 1) == start - 1]


EVM = Network()
networks = st.one_of(st.just(EVM), st.builds(Network, st.just(value=True), st.frozensets(st.integers(1, LAST - 1))))


def between(history: Rows, numbers: Sequence[int]) -> Rows:
    def part(rows: Sequence[Any]) -> list[Any]:
        return [row for row in rows if row.block in numbers]

    fields: dict[str, Any] = {journal.field: part(getattr(history, journal.field)) for journal in DERIVED}
    return Rows(**fields)


def span(
    history: Rows, logs: frozenset[int], first: int, last: int, chain_id: str, *, network: Network = EVM, fork: str = ""
) -> Batch:
    """The batch of these blocks; of a branch that begins with the first of them if it has a name."""
    numbers = [number for number in range(first, last + 1) if number not in network.skipped]
    rows = between(history, numbers)
    places = [(number, index) for number in numbers if number in logs for index in range(2)]
    reads = [number for number in numbers if number % 3 == 0]
    if not network.solana:
        return batch(first, last, rows, logs=places, reads=reads, fork=fork, forked_at=first, chain_id=chain_id)
    return slot_batch(
        first,
        last,
        rows,
        skipped=network.skipped,
        transactions=places,
        accounts=[seen(number, fork) for number in numbers if number in logs or number % 2 == 0],
        reads=reads,
        fork=fork,
        forked_at=first,
        chain_id=chain_id,
    )


def seen(number: int, fork: str = "") -> tuple[bytes, AccountBytes]:
    """What changed in a slot: one of two accounts, which is sometimes closed."""
    state = closed(number) if number % 4 == 0 else account(number, f"{number}{fork}".encode(), lamports=number)
    return ACCOUNTS[number // 2 % 2], state


ACCOUNTS = (b"\x01" * 32, b"\x02" * 32)


def index(
    store: Store, history: Rows, logs: frozenset[int], starts: Sequence[int], network: Network = EVM, *, final: int = 0
) -> str:
    """Take a history into a chain of its own in these batches, finalizing behind each, and return the chain."""
    chain_id = network.chain()
    for first, behind in pairwise(network.cut(starts)):
        append(store, span(history, logs, first, behind - 1, chain_id, network=network))
        if final:
            finalize(store, min(final, behind - 1), chain_id)
    return chain_id


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with Store.open(MEMORY) as opened:
        yield opened


@fewer
@given(history=histories(), logs=blocks_with_logs, starts=cuts, fork=st.integers(0, LAST - 1), network=networks)
def test_append_then_rewind_is_the_identity(
    store: Store, *, history: Rows, logs: frozenset[int], starts: list[int], fork: int, network: Network
) -> None:
    """Property S1."""
    fork = network.floor(fork)
    upto = sorted({start for start in starts if start <= fork} | {1, fork + 1})
    chain_id = index(store, history, logs, upto, network)
    before = content_of(store, chain_id)
    for first, behind in pairwise(network.cut(sorted({fork + 1} | {start for start in starts if start > fork}))):
        append(store, span(history, logs, first, behind - 1, chain_id, network=network))

    rewind(store, fork or None, chain_id)

    assert content_of(store, chain_id) == before


@fewer
@given(history=histories(), logs=blocks_with_logs, one=cuts, two=cuts, final=st.integers(0, LAST), network=networks)
def test_the_cut_into_batches_leaves_no_trace(
    store: Store,
    *,
    history: Rows,
    logs: frozenset[int],
    one: list[int],
    two: list[int],
    final: int,
    network: Network,
) -> None:
    """Property S2."""
    first, second = (index(store, history, logs, starts, network, final=final) for starts in (one, two))

    assert content_of(store, first) == content_of(store, second)


@fewer
@given(history=histories(), starts=cuts, fork=st.integers(1, LAST), network=networks)
def test_tips_are_the_last_rows_of_the_journals(
    store: Store, history: Rows, starts: list[int], fork: int, network: Network
) -> None:
    """Property S3, after appending and after rewinding."""
    chain_id = index(store, history, frozenset(), starts, network)
    for _ in range(2):
        found = content_of(store, chain_id)
        assert {tip: found[tip] for tip in last_rows(found)} == last_rows(found)
        rewind(store, network.floor(fork) or None, chain_id)


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
    chain_id = EVM.chain()
    then: dict[int, object] = {}
    for first, behind in pairwise(starts):
        append(store, span(history, frozenset(), first, behind - 1, chain_id))
        then[behind - 1] = snapshots(store, chain_id, behind - 1, tips=True)
        assert then[behind - 1] == snapshots(store, chain_id, behind - 1, tips=False)

    assert {number: snapshots(store, chain_id, number, tips=True) for number in then} == then


def snapshots(
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
    network=networks,
    skipped_there=st.frozensets(st.integers(1, LAST)),
)
def test_a_branch_that_was_left_leaves_no_trace(
    store: Store,
    *,
    history: Rows,
    other: Rows,
    logs: frozenset[int],
    starts: list[int],
    branch: tuple[int, int],
    network: Network,
    skipped_there: frozenset[int],
) -> None:
    """Property S5; the branch may hold blocks in other slots."""
    first, last = sorted(branch)
    parent = network.floor(first - 1)
    there = replace(network, skipped=skipped_there - {last}) if network.solana else network
    straight = index(store, history, logs, starts, network)
    chain_id = index(store, history, logs, sorted({1, parent + 1}), network)
    append(store, span(other, logs, parent + 1, last, chain_id, network=there, fork="b"))
    rewind(store, parent or None, chain_id)
    append(store, span(history, logs, parent + 1, LAST, chain_id, network=network))

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


@fewer
@given(logs=blocks_with_logs, starts=cuts, fork=st.integers(1, LAST), skipped=st.frozensets(st.integers(1, LAST - 1)))
def test_an_account_is_the_last_row_that_is_stored_of_it(
    store: Store, *, logs: frozenset[int], starts: list[int], fork: int, skipped: frozenset[int]
) -> None:
    """Property S8, after appending, while it is derived again, and after rewinding."""
    network = Network(solana=True, skipped=skipped)
    chain_id = index(store, Rows(), logs, starts, network)
    assert store.state(chain_id).account_bytes(ACCOUNTS) == last_seen(logs, LAST, network)

    with store.rebuilding(chain_id) as target:
        for first, behind in pairwise(network.cut(starts)):
            assert target.state.account_bytes(ACCOUNTS) == last_seen(logs, first - 1, network)
            target.apply(span(Rows(), logs, first, behind - 1, chain_id, network=network))

    rewind(store, network.floor(fork) or None, chain_id)
    assert store.state(chain_id).account_bytes(ACCOUNTS) == last_seen(logs, fork, network)


def last_seen(logs: frozenset[int], upto: int, network: Network) -> dict[bytes, AccountBytes]:
    """Each account as the last slot until then left it, computed here and not in SQL."""
    changed = [number for number in range(1, upto + 1) if number in logs or number % 2 == 0]
    return dict(seen(number) for number in changed if number not in network.skipped)


@given(st.lists(st.builds(lambda zeros, rest: bytes(zeros) + rest, st.integers(0, 40), st.binary(max_size=64))))
def test_sql_writes_base_58_as_python_does(store: Store, raws: list[bytes]) -> None:
    """Property S9: of any length; an address has 32 bytes, a signature 64."""
    with store.reading() as reader:
        table = reader._con.sql("SELECT unnest(CAST($raws AS BLOB[])) AS raw", params={"raws": raws})
        found = table.project("base58(raw)").fetchall()

    assert [text for (text,) in found] == [base58(raw) for raw in raws]
