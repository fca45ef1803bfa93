"""A chain is taken in up to a target, followed, and left where its nodes have left it; whatever they do, this ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import monotonic

import pytest

from chains.errors import ChainError, DeepFork, NodeBusy, NodeWrong
from chains.model import Block, ChainSpec, Side
from chains.ports import Batch, Chain, Examined, Records, StateReader
from indexer import loop
from indexer.follow import Known
from indexer.loop import SHORTEST_WAIT_S, Progress, Until, follow, index, rebuild
from indexer.store import MEMORY, Cursor, Store
from tests.support.indexing import Heard
from tests.unit.indexer.fakes import FakeChain
from tests.unit.store.builders import CHAIN, MARKET, OWNER, VENUE, Content, content
from tests.unit.store.slots import CLUSTER, slot_block

pytestmark = pytest.mark.timeout(60)

KEY = (OWNER, MARKET, Side.SUPPLY)


async def taken_in(chain: FakeChain, store: Store, until: Until = "latest") -> Heard:
    heard = Heard()
    await index(chain, store, until=until, listener=heard)
    return heard


async def straight(chain: FakeChain) -> Content:
    """The tables of a store that never saw anything else."""
    with Store.open(MEMORY) as other:
        await taken_in(replace(chain, late={}, failing=[]), other)
        return content(other)


def height(store: Store, chain_id: str = CLUSTER) -> int:
    held = store.cursor(chain_id)
    return held.block.number if held else 0


async def test_a_chain_is_taken_in_up_to_its_newest_block(store: Store) -> None:
    chain = FakeChain(tip=10, skipped=frozenset({4, 5, 10}), settled=6)

    heard = await taken_in(chain, store)

    assert store.cursor(CLUSTER) == Cursor(block=slot_block(9, skipped={4, 5}), finalized=6)
    assert [(p.first, p.indexed, p.target) for p in heard.appended_] == [(1, 3, 9), (4, 7, 9), (8, 9, 9)]
    assert [(p.records, p.rows) for p in heard.appended_] == [(2, 3), (2, 2), (2, 2)]
    assert store.state(CLUSTER).positions(VENUE, [KEY]) == {KEY: 90}


async def test_the_records_of_an_evm_chain_are_its_logs(store: Store) -> None:
    heard = await taken_in(FakeChain(tip=6, evm=True), store)

    assert [(p.first, p.indexed, p.records) for p in heard.appended_] == [(1, 4, 2), (5, 6, 1)]


@pytest.mark.parametrize(
    "until, reached, floors",
    [(3, 3, [3]), (6, 4, [6]), (7, 7, [7]), (9, 9, [9]), (99, 9, [9]), ("finalized", 4, [5]), ("latest", 9, [])],
)
async def test_a_target_that_holds_no_block_is_the_block_below(
    store: Store, until: Until, reached: int, floors: list[int]
) -> None:
    chain = FakeChain(tip=9, skipped=frozenset({5, 6}), settled=5)

    await taken_in(chain, store, until)

    assert height(store) == reached
    assert chain.floors == floors


async def test_nothing_is_done_twice_for_a_target_that_is_reached(store: Store) -> None:
    chain = FakeChain(tip=9, skipped=frozenset({5, 6}))
    await taken_in(chain, store, 6)

    heard = await taken_in(chain, store, 5)
    heard_again = await taken_in(chain, store, 3)

    assert heard.appended_ == heard_again.appended_ == []
    assert height(store) == 4
    assert chain.floors == [6, 5]


async def test_nothing_is_taken_in_while_there_is_no_block_from_the_first_slot_on(store: Store) -> None:
    chain = FakeChain(tip=9, skipped=frozenset({3, 4, 5}), start=3)

    assert (await taken_in(chain, store, 5)).appended_ == []
    assert (await taken_in(chain, store, 2)).appended_ == []
    assert store.cursor(CLUSTER) is None
    assert chain.floors == [5]


async def test_a_tip_whose_slot_was_skipped_after_all_is_left(store: Store) -> None:
    await taken_in(FakeChain(tip=8, settled=3), store)
    chain = FakeChain(tip=12, skipped=frozenset({7, 8}), settled=3, fork="b", forked_at=9)

    heard = await taken_in(chain, store)

    assert heard.rewound_ == [(CLUSTER, 2, 6)]
    assert store.window(CLUSTER)[-1] == chain.at(12)
    assert content(store) == await straight(chain)


@pytest.mark.parametrize("evm", [False, True])
@pytest.mark.parametrize("forked_at", [4, 5, 6, 7, 8])
async def test_a_branch_is_left_at_the_block_that_is_shared(store: Store, forked_at: int, *, evm: bool) -> None:
    await taken_in(FakeChain(tip=8, settled=3, evm=evm), store)
    chain = FakeChain(tip=9, settled=3, fork="b", forked_at=forked_at, evm=evm)

    heard = await taken_in(chain, store)

    assert heard.rewound_ == [(chain.spec.id, 9 - forked_at, forked_at - 1)]
    assert content(store) == await straight(chain)


@pytest.mark.parametrize("tip", [5, 6, 7])
async def test_a_shorter_branch_is_followed_though_its_nodes_know_nothing_above_it(store: Store, tip: int) -> None:
    """A development node that was rolled back, or a cluster that was started again."""
    await taken_in(FakeChain(tip=8, settled=3, evm=True), store)
    chain = FakeChain(tip=tip, settled=3, fork="b", forked_at=5, evm=True)

    heard = await taken_in(chain, store)

    assert heard.rewound_ == [(CHAIN, 4, 4)]
    assert max(chain.asked) <= tip
    assert content(store) == await straight(chain)


async def test_nodes_that_are_behind_are_waited_for(store: Store) -> None:
    await taken_in(FakeChain(tip=8, settled=3), store)
    before = content(store)

    heard = await taken_in(FakeChain(tip=6, settled=3), store)

    assert heard.rewound_ == []
    assert heard.failed_ == []
    assert content(store) == before


async def test_nodes_that_are_behind_in_a_slot_that_is_empty_here_are_compared_below_it(store: Store) -> None:
    empty = frozenset({5, 6})
    await taken_in(FakeChain(tip=8, settled=2, skipped=empty), store)
    before = content(store)

    waited = await taken_in(FakeChain(tip=6, settled=2, skipped=frozenset({5})), store)
    assert waited.rewound_ == []
    assert content(store) == before

    left = await taken_in(FakeChain(tip=6, settled=2, skipped=frozenset({5}), fork="b", forked_at=4), store)
    assert left.rewound_ == [(CLUSTER, 5, 3)]


async def test_nodes_below_the_final_block_are_waited_for(store: Store) -> None:
    await taken_in(FakeChain(tip=8, settled=6), store)
    before = content(store)

    chain = FakeChain(tip=3)
    assert (await taken_in(chain, store)).rewound_ == []
    assert content(store) == before


async def test_a_block_that_is_not_given_now_is_asked_for_again(store: Store) -> None:
    """It is no disagreement: else far more would be forgotten than the chain left."""
    await taken_in(FakeChain(tip=16, settled=1), store)
    chain = FakeChain(tip=17, settled=1, fork="b", forked_at=16, late={12: 1, 14: 1})

    heard = await taken_in(chain, store)

    assert heard.rewound_ == [(CLUSTER, 1, 15)]
    assert [str(error) for error in heard.failed_] == [
        f"chain {CLUSTER}: the nodes are past block {number} and do not give it now; where the chain changed is not known yet"
        for number in (12, 14)
    ]
    assert content(store) == await straight(chain)


async def test_a_block_that_is_never_given_leaves_everything_as_it_is(store: Store) -> None:
    await taken_in(FakeChain(tip=8, settled=3), store)
    before = content(store)
    chain = FakeChain(tip=9, settled=3, fork="b", forked_at=7, late={5: 99})

    with pytest.raises(NodeWrong, match="past block 5 and do not give it now"):
        await taken_in(chain, store)

    assert content(store) == before


async def test_a_tip_that_is_not_known_yet_is_not_left(store: Store) -> None:
    await taken_in(FakeChain(tip=8, settled=3), store)
    chain = FakeChain(tip=9, settled=3, late={8: 1})

    heard = await taken_in(chain, store)

    assert heard.rewound_ == []
    assert heard.failed_ == []
    assert height(store) == 9


@pytest.mark.parametrize("skipped", [frozenset({5}), frozenset[int]()])
async def test_a_fork_below_the_final_block_ends_it(store: Store, skipped: frozenset[int]) -> None:
    await taken_in(FakeChain(tip=8, settled=5), store)
    before = content(store)
    chain = FakeChain(tip=9, settled=5, skipped=skipped, fork="b", forked_at=5)

    with pytest.raises(DeepFork, match="block 5 is not the one that was final here"):
        await taken_in(chain, store)

    assert content(store) == before


async def test_one_answer_below_the_final_block_does_not_end_it(store: Store) -> None:
    """A node that names a forgotten block once, and the right one when it is asked again, is asked again for all."""

    class Hasty(FakeChain):
        wrong: int = 0

        async def block(self, number: int) -> Known | None:
            known = await FakeChain.block(self, number)
            if number == 5 and isinstance(known, Block) and self.wrong > 0:
                self.wrong -= 1
                return replace(known, hash=b"\x66" * 32)
            return known

    await taken_in(FakeChain(tip=8, settled=5), store)
    chain = Hasty(tip=9, settled=5, fork="b", forked_at=6)
    chain.wrong = 1

    heard = await taken_in(chain, store)

    assert [str(error) for error in heard.failed_] == [
        f"chain {CLUSTER}: a node named another block 5 than the one that is final, and takes it back"
    ]
    assert height(store) == 9


async def test_a_chain_without_a_final_block_may_be_left_whole(store: Store) -> None:
    await taken_in(FakeChain(tip=5), store)
    chain = FakeChain(tip=6, skipped=frozenset({1, 3}), fork="b")

    heard = await taken_in(chain, store)

    assert heard.rewound_ == [(CLUSTER, 5, -1)]
    assert content(store) == await straight(chain)


class Moving(FakeChain):
    """Nodes whose answers are of two branches: the first batches follow another block than they should."""

    wrong: int = 0

    async def advance(self, first: int, last: int, settled: int, state: StateReader) -> Batch:
        given = await FakeChain.advance(self, first, last, settled, state)
        self.wrong -= 1
        return replace(given, parent_hash=b"\x66" * 32) if self.wrong >= 0 else given


async def test_a_batch_that_does_not_follow_is_fetched_again(store: Store) -> None:
    await taken_in(FakeChain(tip=5), store)
    chain = Moving(tip=8)
    chain.wrong = 2

    heard = await taken_in(chain, store)

    assert {str(error) for error in heard.failed_} == {
        f"chain {CLUSTER}: what comes from block 6 on does not follow the stored block 5; it moved"
    }
    assert len(heard.failed_) == 2
    assert height(store) == 8


async def test_a_batch_whose_first_block_was_not_fetched_is_believed(store: Store) -> None:
    class Sparse(FakeChain):
        async def advance(self, first: int, last: int, settled: int, state: StateReader) -> Batch:
            return replace(await FakeChain.advance(self, first, last, settled, state), parent_hash=None)

    await taken_in(Sparse(tip=8), store)

    assert height(store) == 8


async def test_three_failures_in_a_row_end_it_and_a_success_between_them_does_not(store: Store) -> None:
    failing: list[ChainError] = [NodeBusy("1"), NodeBusy("2")]
    heard = await taken_in(FakeChain(tip=3, failing=failing), store)
    assert [str(error) for error in heard.failed_] == ["1", "2"]

    with pytest.raises(NodeBusy, match="3"):
        await taken_in(FakeChain(tip=3, failing=[NodeBusy("1"), NodeBusy("2"), NodeBusy("3")]), store)


async def test_a_batch_is_told_of_though_no_evidence_can_be_looked_for_yet(store: Store) -> None:
    class Doubtful(FakeChain):
        async def attest(self, first: int, last: int, state: StateReader, records: Records) -> Examined:
            if not self.attested:
                self.attested.append((first, last))
                raise NodeBusy("too many requests")
            return await super().attest(first, last, state, records)

    heard = await taken_in(Doubtful(tip=3, settled=3), store)

    assert [str(error) for error in heard.failed_] == ["too many requests"]
    assert [(p.first, p.indexed) for p in heard.appended_] == [(1, 3)]


class Following(Heard):
    """A follower at work, to be stopped."""

    def __init__(self, chain: Chain, store: Store, poll_s: float) -> None:
        super().__init__()
        self.stop = asyncio.Event()
        self.indexed: asyncio.Queue[int] = asyncio.Queue()
        self.task = asyncio.create_task(follow(chain, store, listener=self, stop=self.stop, poll_s=poll_s))

    def appended(self, progress: Progress) -> None:
        self.indexed.put_nowait(progress.indexed)

    async def reach(self, number: int) -> None:
        async with asyncio.timeout(60):
            while await self.indexed.get() < number:
                pass

    async def end(self) -> None:
        self.stop.set()
        await asyncio.wait_for(self.task, 60)


async def test_news_ends_the_wait(store: Store) -> None:
    told = asyncio.Event()

    async def says(_: float) -> None:
        await told.wait()
        told.clear()

    chain = FakeChain(tip=3, says=says)
    following = Following(chain, store, poll_s=600)
    await following.reach(3)

    chain.tip = 5
    told.set()
    await following.reach(5)
    await following.end()

    assert set(chain.listened) == {600}
    assert chain.polls == 2


async def test_without_news_the_nodes_are_asked_at_intervals(store: Store) -> None:
    chain = FakeChain(tip=3)
    following = Following(chain, store, poll_s=0.06)
    await following.reach(3)

    chain.tip = 5
    await following.reach(5)
    await following.end()


async def test_news_without_end_keeps_nobody_busy(store: Store) -> None:
    async def says(_: float) -> None:
        pass

    chain = FakeChain(tip=3, says=says)
    began = monotonic()
    following = Following(chain, store, poll_s=600)
    await asyncio.sleep(10 * SHORTEST_WAIT_S)
    await following.end()

    assert 2 <= chain.polls <= 1 + (monotonic() - began) / SHORTEST_WAIT_S


async def test_news_that_never_ends_is_not_waited_for_longer(store: Store) -> None:
    async def says(_: float) -> None:
        await asyncio.Event().wait()

    chain = FakeChain(tip=3, says=says)
    following = Following(chain, store, poll_s=0.06)
    await following.reach(3)

    chain.tip = 5
    await following.reach(5)
    await following.end()
    assert chain.listening == 0


async def test_a_stop_ends_the_wait_and_nobody_listens_any_more(store: Store) -> None:
    chain = FakeChain(tip=3)
    following = Following(chain, store, poll_s=600)
    await asyncio.wait_for(chain.listens.wait(), 60)

    await following.end()

    assert chain.listening == 0
    assert chain.polls == 1


async def test_after_a_failure_there_is_a_pause_and_no_listening(store: Store) -> None:
    chain = FakeChain(tip=3, failing=[NodeBusy("down"), NodeWrong("odd"), NodeBusy("down"), NodeBusy("down")])
    following = Following(chain, store, poll_s=600)
    await following.reach(3)
    await following.end()

    assert [str(error) for error in following.failed_] == ["down", "odd", "down", "down"]
    assert len(chain.listened) <= 1


async def test_after_a_rewind_the_nodes_are_asked_again_at_once(store: Store) -> None:
    await taken_in(FakeChain(tip=8, settled=3), store)
    chain = FakeChain(tip=9, settled=3, fork="b", forked_at=6)
    following = Following(chain, store, poll_s=600)
    await following.reach(9)
    await following.end()

    assert following.rewound_ == [(CLUSTER, 3, 5)]
    assert chain.polls == 2


async def test_news_that_fails_is_not_kept_quiet(store: Store) -> None:
    """It must never fail: a follower that asked in vain, over and over, would be worse."""

    async def says(_: float) -> None:
        raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError, match="a fault of ours"):
        await asyncio.wait_for(Following(FakeChain(tip=3, says=says), store, poll_s=600).task, 60)


async def test_what_no_retry_mends_ends_the_follower(store: Store) -> None:
    await taken_in(FakeChain(tip=8, settled=5), store)

    with pytest.raises(DeepFork):
        await asyncio.wait_for(
            Following(FakeChain(tip=9, settled=5, fork="b", forked_at=4), store, poll_s=600).task, 60
        )


@pytest.mark.parametrize("evm", [False, True])
async def test_a_rebuild_is_made_from_what_is_stored(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, evm: bool
) -> None:
    chain = FakeChain(tip=9, skipped=frozenset() if evm else frozenset({4, 5}), evm=evm, settled=6)
    await taken_in(chain, store)
    before = content(store)
    made: list[tuple[str, Block]] = []

    def connect(spec: ChainSpec, *_: object, stored: object, cursor: Block) -> FakeChain:
        made.append((spec.id, cursor))
        return replace(chain, span=3)

    monkeypatch.setattr(loop, "connect", connect)
    heard = Heard()
    await rebuild(chain.spec, [], [], store, listener=heard)

    assert made == [(chain.spec.id, chain.at(9))]
    assert [p.indexed for p in heard.appended_] == [3, 6, 9]
    assert content(store) == before


async def test_a_chain_without_blocks_has_nothing_to_rebuild(store: Store) -> None:
    heard = Heard()

    await rebuild(FakeChain(tip=3).spec, [], [], store, listener=heard)

    assert heard.appended_ == []
