"""A chain is believed while a node answers, its follower lives, and the store is near the head."""

from __future__ import annotations

from dataclasses import replace

from chains.errors import DeepFork, NodeBusy
from chains.model import Block, ChainSpec, Finality, Reason
from chains.ports import Head
from crossmargin.settings import ChainSettings
from crossmargin.watch import Heard, Watch
from indexer.loop import Progress

CHAIN = "eip155:1"
LIMIT_S = 60.0


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_chain_is_doubted_until_a_node_answered() -> None:
    watch, _ = followed()

    assert code(watch, block(5)) == "chain_stale"


def test_a_chain_at_its_head_is_believed() -> None:
    watch, _ = followed()

    watch.polled(CHAIN, head(block(5)))

    assert watch.doubt(CHAIN, block(5)) is None


def test_a_chain_whose_nodes_are_silent_for_too_long_is_doubted() -> None:
    watch, clock = followed()
    watch.polled(CHAIN, head(block(5)))

    clock.now += LIMIT_S
    assert watch.doubt(CHAIN, block(5)) is None

    clock.now += 1
    assert code(watch, block(5)) == "chain_stale"


def test_reorganisations_are_remembered_the_newest_first_and_not_for_ever() -> None:
    watch, clock = followed()
    for depth in range(1, 251):
        clock.now += 1
        watch.rewound(CHAIN, depth, 1_000 - depth)

    assert len(watch.reorgs) == 200
    assert (watch.reorgs[0].depth, watch.reorgs[0].to, watch.reorgs[0].seen_at) == (250, 750, 1_250.0)
    assert watch.reorgs[-1].depth == 51


def test_the_words_of_a_doubt_do_not_change_while_nothing_else_does() -> None:
    """Health inputs hold them: a digest of the same state must stay the same."""
    watch, clock = followed()
    watch.polled(CHAIN, head(block(5)))
    clock.now += 100
    first = watch.doubts({CHAIN: block(5)})
    clock.now += 100

    assert first == watch.doubts({CHAIN: block(5)}) != ()


def test_failures_alone_do_not_make_a_chain_doubted() -> None:
    watch, _ = followed()
    watch.polled(CHAIN, head(block(5)))

    watch.failed(CHAIN, NodeBusy("busy"), 1.0)

    assert watch.doubt(CHAIN, block(5)) is None
    assert watch.sight(CHAIN).fault == "busy"


def test_an_answer_ends_a_fault() -> None:
    watch, _ = followed()
    watch.failed(CHAIN, NodeBusy("busy"), 1.0)

    watch.polled(CHAIN, head(block(5)))

    assert watch.sight(CHAIN).fault is None


def test_a_store_far_behind_the_head_is_doubted() -> None:
    watch, _ = followed()
    watch.polled(CHAIN, head(block(500)))

    assert code(watch, block(5)) == "chain_behind"
    assert code(watch, None) == "chain_stale"


def test_a_follower_that_ended_is_doubted_for_good() -> None:
    watch, _ = followed()
    watch.polled(CHAIN, head(block(5)))
    watch.stopped(CHAIN, DeepFork("left"))

    watch.polled(CHAIN, head(block(5)))

    assert code(watch, block(5)) == "chain_stopped"


def test_a_follower_that_broke_off_is_doubted_until_a_whole_step_was_made() -> None:
    watch, _ = followed()
    watch.polled(CHAIN, head(block(5)))
    watch.broke(CHAIN, KeyError("x"))

    assert code(watch, block(5)) == "chain_broken"
    assert watch.sight(CHAIN).fault == "unexpected KeyError: 'x'"
    watch.polled(CHAIN, head(block(5)))
    watch.failed(CHAIN, NodeBusy("busy"), 1.0)
    watch.polled(CHAIN, head(block(5)))
    assert code(watch, block(5)) == "chain_broken", "no step was made yet"
    watch.polled(CHAIN, head(block(5)))
    assert watch.doubt(CHAIN, block(5)) is None
    assert watch.sight(CHAIN).fault is None


def test_a_chain_that_an_indexer_follows_is_as_fresh_as_its_nodes_made_it() -> None:
    """That the indexer answers makes nothing fresh."""
    watch, clock = followed()
    watch.heard(CHAIN, heard(polled_at=clock.now - LIMIT_S))
    assert watch.doubt(CHAIN, block(5)) is None

    clock.now += 1
    watch.heard(CHAIN, heard(polled_at=clock.now - LIMIT_S - 1))
    assert code(watch, block(5)) == "chain_stale"

    watch.heard(CHAIN, heard(polled_at=None))
    assert code(watch, block(5)) == "chain_stale"


def test_what_an_indexer_doubts_is_doubted_here() -> None:
    watch, clock = followed()

    watch.heard(CHAIN, heard(polled_at=clock.now, doubt=Reason("chain_behind", CHAIN, "far behind")))
    assert code(watch, block(5)) == "chain_behind"

    watch.heard(CHAIN, heard(polled_at=clock.now, stopped=True))
    assert code(watch, block(5)) == "chain_stopped"

    watch.heard(CHAIN, heard(polled_at=clock.now))
    assert watch.doubt(CHAIN, block(5)) is None


def heard(*, polled_at: float | None, doubt: Reason | None = None, stopped: bool = False) -> Heard:
    return Heard(
        head=head(block(5)), polled_at=polled_at, fault=None, stopped=stopped, broken=False, doubt=doubt, by="north"
    )


def test_a_batch_shows_that_a_follower_has_gone_on() -> None:
    watch, _ = followed()
    watch.broke(CHAIN, KeyError("x"))
    watch.polled(CHAIN, head(block(5)))

    watch.appended(Progress(chain_id=CHAIN, first=1, indexed=5, target=5, records=0, rows=0, seconds={}))

    assert watch.doubt(CHAIN, block(5)) is None


def test_a_chain_is_past_a_moment_when_its_head_was_seen_well_after_it() -> None:
    watch, clock = followed()
    watch.polled(CHAIN, head(block(5)))

    assert watch.at_head_after(CHAIN, int(clock.now) - 61, block(5))
    assert not watch.at_head_after(CHAIN, int(clock.now) - 59, block(5))
    assert not watch.at_head_after(CHAIN, int(clock.now) - 61, block(4))


def test_a_chain_that_went_with_the_clock_and_stands_still_is_doubted() -> None:
    # Blocks came every 12 s: after 20 such pauses, 240 s, which are more than twice the 60 s of `stale_after`.
    watch, clock = followed()
    last = goes_on(watch, clock, blocks=51)

    clock.now += 240
    watch.polled(CHAIN, head(last))
    assert watch.doubt(CHAIN, last) is None
    clock.now += 1
    watch.polled(CHAIN, head(last))
    found = watch.doubt(CHAIN, last)
    assert found == Reason(
        "chain_halted", CHAIN, "its nodes answer, and its newest block is still that of 1970-01-01T00:26:52Z"
    )
    clock.now += 100
    watch.polled(CHAIN, head(last))
    assert watch.doubt(CHAIN, last) == found

    watch.polled(CHAIN, head(late := at(last.number + 1, clock.now)))
    assert watch.doubt(CHAIN, late) is None


def test_a_chain_that_never_went_with_the_clock_does_not_stand_still() -> None:
    """A replay: its blocks are old whenever they come; and of too few blocks nothing is concluded."""
    for young, blocks in ((False, 200), (True, 50)):
        watch, clock = followed()
        last = goes_on(watch, clock, blocks=blocks, age_s=0 if young else LIMIT_S + 1)

        clock.now += 10_000
        watch.polled(CHAIN, head(last))

        assert watch.doubt(CHAIN, last) is None


def test_a_chain_that_is_away_for_a_while_is_not_a_slow_one() -> None:
    watch, clock = followed()
    last = goes_on(watch, clock, blocks=30)
    clock.now += 12_000
    watch.polled(CHAIN, head(last := at(last.number + 1_000, clock.now)))
    last = goes_on(watch, clock, blocks=30, first=last.number + 1)

    clock.now += 241
    watch.polled(CHAIN, head(last))

    assert code(watch, last) == "chain_halted"


def test_where_somebody_says_how_long_a_chain_may_rest_that_stands_from_the_first_look() -> None:
    for limit_s, age_s, is_halted in ((300.0, 300, False), (300.0, 301, True), (1e9, 10_000, False)):
        watch, clock = followed(halted_after_s=limit_s)
        goes_on(watch, clock, blocks=100)
        watch.polled(CHAIN, head(last := at(10_000, clock.now - age_s)))

        found = watch.doubt(CHAIN, last)

        assert (found is not None and found.code == "chain_halted") == is_halted


def goes_on(watch: Watch, clock: Clock, *, blocks: int, age_s: float = 0, first: int = 1) -> Block:
    """Let a block come every 12 s, so old as it comes; return the last."""
    last = at(first - 1, clock.now - age_s)
    for number in range(first, first + blocks):
        clock.now += 12
        watch.polled(CHAIN, head(last := at(number, clock.now - age_s)))
    return last


def at(number: int, time: float) -> Block:
    return replace(block(number), time=int(time))


def followed(*, halted_after_s: float | None = None) -> tuple[Watch, Clock]:
    clock = Clock()
    spec = ChainSpec(id=CHAIN, name="x", rpc=("http://x",), finality="finalized", start_block=0)
    chain = ChainSettings(spec=spec, poll_s=1, stale_after_s=LIMIT_S, halted_after_s=halted_after_s)
    return Watch([chain], clock), clock


def code(watch: Watch, indexed: Block | None) -> str:
    reason = watch.doubt(CHAIN, indexed)
    assert reason is not None
    return reason.code


def block(number: int) -> Block:
    """Blocks come every 12 s."""
    return Block(number=number, hash=bytes([number % 256]) * 32, parent_hash=bytes(32), time=12 * number)


def head(latest: Block) -> Head:
    return Head(latest=latest, settled=latest.number, finality=Finality.FINALIZED)
