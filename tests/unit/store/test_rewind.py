"""A rewind forgets what is above a stored block, and nothing else; what is final stays."""

from __future__ import annotations

import pytest

from chains.model import Rows
from indexer.steps import Finalize, Rewind
from indexer.store import Cursor, StepRefused, Store
from tests.unit.store.builders import (
    CHAIN,
    append,
    batch,
    block,
    content,
    event,
    finalize,
    market,
    position,
    price,
    rewind,
    setting,
)


def full(first: int, last: int, amount: int) -> Rows:
    return Rows(
        positions=[position(n, amount + n) for n in range(first, last + 1)],
        markets=[market(last, f"{amount}")],
        accounts=[setting(last, f"{amount}")],
        prices=[price(last, amount)],
        events=[event(last, amount), event(last, 10**38, ordinal=1)],
    )


def test_a_rewind_restores_every_table(store: Store) -> None:
    append(store, batch(1, 5, full(1, 5, 100), logs=[(3, 0)], reads=[3]))
    before = content(store)
    append(store, batch(6, 9, full(6, 9, 200), logs=[(7, 0)], reads=[8]))

    rewind(store, 5)

    assert content(store) == before


def test_a_rewind_into_a_batch_restores_the_tips_of_that_block(store: Store) -> None:
    append(store, batch(1, 9, full(1, 9, 100)))

    rewind(store, 4)

    assert [row[10] for row in content(store)["position_current"]] == [104]
    assert content(store)["market_current"] == []
    assert content(store)["coverage"] == [(CHAIN, "aave-devnet:logs", 1, 4, "bloom", "every block's bloom")]


def test_tips_that_were_not_touched_stay(store: Store) -> None:
    other = b"\x0d" * 20
    append(store, batch(1, 9, Rows(positions=[position(2, 7, owner=other), position(3, 1), position(8, 2)])))

    rewind(store, 5)

    assert {row[5]: row[10] for row in content(store)["position_current"]} == {b"\x0c" * 20: 1, other: 7}


def test_a_rewind_to_nothing_forgets_the_chain_and_no_other(store: Store) -> None:
    append(store, batch(1, 5, full(1, 5, 100), chain_id="eip155:1"))
    before = content(store)
    append(store, batch(0, 5, full(0, 5, 100), logs=[(0, 0)], reads=[0]))

    rewind(store, None)

    assert content(store) == before
    assert store.cursor(CHAIN) is None


def test_a_rewind_to_the_cursor_changes_nothing(store: Store) -> None:
    append(store, batch(1, 5, full(1, 5, 100)))
    before = content(store)

    rewind(store, 5)

    assert content(store) == before


def test_nothing_can_be_rewound_twice_without_harm(store: Store) -> None:
    rewind(store, None)

    assert store.chains() == []


def test_a_rewind_below_the_final_block_is_refused(store: Store) -> None:
    append(store, batch(1, 9))
    finalize(store, 5)

    for to in (None, block(4)):
        with pytest.raises(StepRefused, match="block 5 is final here"):
            store.apply(Rewind(chain_id=CHAIN, to=to))
    rewind(store, 5)

    assert store.cursor(CHAIN) == Cursor(block=block(5), finalized=5)


@pytest.mark.parametrize("to", [block(12), block(4, fork="b", forked_at=4), block(0)])
def test_a_rewind_to_a_block_that_is_not_stored_is_refused(store: Store, to: object) -> None:
    append(store, batch(1, 9))
    before = content(store)

    with pytest.raises(StepRefused, match="is not stored, so nothing can be rewound to it"):
        store.apply(Rewind(chain_id=CHAIN, to=to))  # type: ignore[arg-type]

    assert content(store) == before


def test_a_rewind_of_an_unknown_chain_to_a_block_is_refused(store: Store) -> None:
    with pytest.raises(StepRefused, match="is not stored"):
        store.apply(Rewind(chain_id="eip155:1", to=block(1)))


def test_another_branch_takes_the_place_of_what_was_rewound(store: Store) -> None:
    append(store, batch(1, 9, full(1, 9, 100), logs=[(8, 0)]))
    rewind(store, 6)

    append(store, batch(7, 8, full(7, 8, 500), logs=[(8, 0)], fork="b", forked_at=7))

    assert store.window(CHAIN)[-1] == block(8, fork="b", forked_at=7)
    assert [row[10] for row in content(store)["position_current"]] == [508]
    assert store.raw(CHAIN).table("evm_log", 1, 9)["data"].to_pylist() == [b"b8/0"]


def test_finalizing_an_unknown_chain_is_nothing(store: Store) -> None:
    store.apply(Finalize(chain_id=CHAIN, number=9))

    assert store.cursor(CHAIN) is None
