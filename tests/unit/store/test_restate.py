"""A restatement is for the block at which the store stands, mends all of it or nothing, and is told of for ever."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from chains.model import Block, ChainSpec, Rows
from chains.ports import Covered
from indexer.forks import Branch, certain
from indexer.lacking import Configured
from indexer.spans import before, both, gap, since
from indexer.steps import Forget, Place, Restate
from indexer.store import MEMORY, Restatement, StepRefused, Store
from indexer.store.merged import MergedRaw
from tests.unit.store.builders import CHAIN, append, batch, block, content, finalize, position, price
from tests.unit.store.test_ledger import ROW

AT = 1_700_000_100
SPEC = ChainSpec(id=CHAIN, name="devnet", rpc=("one", "two"), finality="finalized", start_block=1)
LINE = Restatement(
    chain_id=CHAIN,
    interest="chain",
    from_block=5,
    to_block=9,
    cause="a fork",
    at=AT,
    logs_added=0,
    logs_removed=0,
    rows_before=2,
    rows_after=0,
    changed=True,
)
TWO = Configured(spec=SPEC, venues=(), feeds=())


def forget(cursor: Block, to: Block | None) -> Restate:
    return Restate(chain_id=CHAIN, cursor=cursor, cause="a fork", at=AT, change=Forget(to=to))


@pytest.fixture
def indexed(store: Store) -> Store:
    """Nine blocks, six of them final."""
    append(store, batch(1, 4, Rows(positions=[position(3, 7)], prices=[price(3, 20)]), logs=[(2, 0), (4, 0)]))
    append(store, batch(5, 9, Rows(positions=[position(5, 8)], prices=[price(6, 30)]), logs=[(5, 0)]))
    finalize(store, 6)
    return store


def test_what_is_final_is_forgotten_and_told_of(indexed: Store) -> None:
    indexed.apply(forget(block(9), block(4)))

    with Store.open(MEMORY) as straight:
        append(straight, batch(1, 4, Rows(positions=[position(3, 7)], prices=[price(3, 20)]), logs=[(2, 0), (4, 0)]))
        finalize(straight, 4)
        assert content(indexed) == content(straight)
    with indexed.reading() as reader:
        assert reader.restatements(CHAIN) == [LINE]


@pytest.mark.parametrize(
    "step, why",
    [
        (forget(block(8), block(4)), "the store stands at block 9"),
        (forget(block(9), block(4, fork="x", forked_at=1)), "is not stored, so nothing can be rewound to it"),
    ],
)
def test_a_restatement_for_another_state_changes_nothing(indexed: Store, step: Restate, why: str) -> None:
    held = content(indexed)

    with pytest.raises(StepRefused, match=why):
        indexed.apply(step)

    assert content(indexed) == held


@pytest.mark.parametrize("number, created_at, expected", [(5, AT - 1, True), (4, AT - 1, False), (5, AT + 1, False)])
def test_a_snapshot_is_restated_if_what_it_speaks_of_was_otherwise_later(
    indexed: Store, number: int, created_at: int, *, expected: bool
) -> None:
    cut = json.dumps({CHAIN: {"block": number}})
    indexed.add_snapshot(replace(ROW, state="done", cut=cut, created_at=created_at))

    indexed.apply(forget(block(9), block(4)))

    with indexed.reading() as reader:
        assert reader.restated_snapshots() == ({ROW.snapshot_id} if expected else set())


def test_what_was_read_again_counts_and_what_is_gone_does_not(indexed: Store) -> None:
    with Store.open(MEMORY) as read:
        append(read, batch(1, 9, logs=[(4, 0), (7, 1)]))
        merged = MergedRaw(indexed.raw(CHAIN), read.raw(CHAIN), [Place(2, 0)])

        logs = merged.table("evm_log", 1, 9)

        assert list(zip(logs["block_number"].to_pylist(), logs["log_index"].to_pylist(), strict=True)) == [
            (4, 0), (5, 0), (7, 1),
        ]  # fmt: skip
        assert [found.number for found in merged.blocks(1, 9)] == list(range(1, 10))


def span(first: int, last: int, level: str = "fetched") -> Covered:
    return Covered(interest="feeds", first=first, last=last, level=level, evidence=level)


def test_spans_are_cut_and_their_first_gap_is_found() -> None:
    spans = [span(1, 4), span(5, 6, "proven"), span(9, 12)]

    assert [gap(spans, ("feeds",), first, last) for first, last in ((1, 12), (1, 6), (0, 3), (9, 20))] == [
        7,
        None,
        0,
        13,
    ]
    assert before(spans, 6) == [span(1, 4), span(5, 5, "proven")]
    assert since(spans, 6) == [span(6, 6, "proven"), span(9, 12)]


def test_of_two_spans_for_other_contracts_the_weaker_evidence_counts() -> None:
    found = list(both([span(1, 9, "proven")], [span(4, 12)]))

    assert found == [span(1, 3, "proven"), span(4, 9), span(10, 12)]


def test_another_history_is_certain_when_every_one_of_several_nodes_calls_it_final() -> None:
    branch = Branch(to=block(4), final=b"x", settled=True)
    one = replace(SPEC, rpc=("one",))

    assert certain(TWO, [branch, branch]) == branch
    assert certain(TWO, [branch]) is None
    assert certain(TWO, [branch, None]) is None
    assert certain(TWO, [branch, replace(branch, final=b"y")]) is None
    assert certain(TWO, [replace(branch, settled=False)] * 2) is None
    assert certain(replace(TWO, spec=one), [branch]) is None
