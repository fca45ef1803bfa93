"""The devnet keeps its own promises: real time, real protocol, the same chain from the same seed."""

from collections.abc import Iterator
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from tests.devnet.evm import aave
from tests.devnet.evm.abi import calldata, decode, topic
from tests.devnet.evm.chain import CHAIN_ID, SECOND_CHAIN_ID, SEED, Devnet, build
from tests.devnet.evm.feeds import (
    aggregator_of,
    answer_of,
    change_aggregator,
    deploy_aggregator,
    set_reverting,
    set_updated_at,
    transmit,
)
from tests.devnet.evm.ledger import BLOCK_SECONDS, Disobedient, Reverted
from tests.devnet.evm.market import RAY
from tests.devnet.evm.node import Node, RpcError, header_request
from tests.devnet.evm.population import HOUR, KINDS
from tests.devnet.evm.record import EXPECTED_AT, record_story, write
from tests.devnet.evm.scenario import CHARACTERS, tell
from tests.devnet.evm.scene import WAD
from tests.devnet.evm.truth import truth_at

ROUND_DATA = ["uint80", "int256", "uint256", "uint256", "uint80"]


@pytest.fixture(scope="module")
def busy() -> Iterator[Devnet]:
    """A chain of default size, read by many tests and changed by none."""
    with build() as devnet:
        yield devnet


@pytest.fixture
def quiet() -> Iterator[Devnet]:
    """A market with two people and no history, to be changed by one test."""
    with build(users=2, actions=0) as devnet:
        yield devnet


def test_one_seed_makes_one_chain() -> None:
    first, second = (fingerprint(seed=5), fingerprint(seed=5))

    assert first == second


def test_another_seed_makes_another_chain() -> None:
    assert fingerprint(seed=5) != fingerprint(seed=6)


def test_every_kind_of_action_succeeds_with_the_default_seed(busy: Devnet) -> None:
    assert busy.tally.missing == frozenset()
    assert set(busy.tally.succeeded) == KINDS


def test_some_actions_are_mined_and_revert(busy: Devnet) -> None:
    reverted = [receipt for receipt in receipts(busy.node) if receipt["status"] == "0x0"]

    assert len(reverted) > 20
    assert busy.tally.reverted["borrow"] > 0


def test_blocks_hold_none_one_or_several_transactions(busy: Devnet) -> None:
    sizes = {len(block["transactions"]) for block in blocks(busy.node)}

    assert {0, 1, 2} < sizes


def test_time_moves_in_every_block_and_far_in_warps(busy: Devnet) -> None:
    times = [int(block["timestamp"], 16) for block in blocks(busy.node)]
    steps = [later - earlier for earlier, later in pairwise(times)]

    assert set(steps[: busy.market.start_block]) == {BLOCK_SECONDS}
    assert min(steps) == BLOCK_SECONDS
    assert sum(step > HOUR for step in steps) == busy.tally.succeeded["time_warp"]


def test_a_warp_accrues_interest(busy: Devnet) -> None:
    usdc = busy.market.reserve("USDC")
    question = calldata("getReserveNormalizedVariableDebt(address)", usdc.asset)

    assert int(busy.node.eth_call(busy.market.pool, question), 16) > RAY


def test_a_dropped_reserve_leaves_its_number_to_the_next(busy: Devnet) -> None:
    (dropped,) = busy.market.dropped

    assert (dropped.symbol, dropped.number) == ("GUSD", 3)
    assert busy.market.reserve("wstETH").number == 3


def test_the_market_begins_after_its_start_block(busy: Devnet) -> None:
    start = busy.market.start_block

    assert busy.node.call("eth_getLogs", {"fromBlock": "0x0", "toBlock": hex(start)}) == []
    assert len(busy.node.header(start + 1)["transactions"]) == 1


def test_kinds_of_action_can_be_left_out() -> None:
    without = frozenset({"replace_oracle", "liquidate_for_a_tokens", "time_warp"})
    with build(users=6, actions=200, without=without) as devnet:
        happened = devnet.tally.succeeded.keys() | devnet.tally.reverted.keys()

    assert "change_phase" in happened
    assert not without & happened


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no such kinds"), build(actions=0, without=frozenset({"nap"})):
        pass


def test_a_new_aggregator_takes_over_without_a_log(quiet: Devnet) -> None:
    feed, node = quiet.market.reserve("WETH").feed, quiet.node
    before = aggregator_of(node, feed)
    after = deploy_aggregator(quiet.ledger, feed.owner, feed.description, 123)
    block = quiet.ledger.do(*change_aggregator(feed, after))[0].block

    assert node.call("eth_getLogs", {"fromBlock": hex(block), "toBlock": hex(block)}) == []
    assert aggregator_of(node, feed) == after != before
    assert answer_of(node, feed) == 123
    assert round_data(node, feed.proxy)[0] == (2 << 64) + 1


def test_an_answer_is_told_by_the_aggregator(quiet: Devnet) -> None:
    feed, node = quiet.market.reserve("WBTC").feed, quiet.node
    (mined,) = quiet.ledger.do(transmit(node, feed, 77))
    logs = node.call("eth_getLogs", {"fromBlock": hex(mined.block), "toBlock": hex(mined.block)})
    time = int(node.header()["timestamp"], 16)

    assert {log["address"] for log in logs} == {aggregator_of(node, feed)}
    assert logs[-1]["topics"] == [topic("AnswerUpdated(int256,uint256,uint256)"), word(77), word(2)]
    assert int(logs[-1]["data"], 16) == time
    assert round_data(node, feed.proxy) == ((1 << 64) + 2, 77, time, time, (1 << 64) + 2)


def test_a_feed_can_be_stale(quiet: Devnet) -> None:
    feed, node = quiet.market.reserve("WBTC").feed, quiet.node
    quiet.ledger.do(transmit(node, feed, 77, updated_at=1_000))

    assert round_data(node, feed.proxy)[3] == 1_000

    quiet.ledger.do(set_updated_at(node, feed, 2_000))

    assert round_data(node, feed.proxy)[3] == 2_000


def test_a_feed_that_reverts_takes_the_accounts_with_it(quiet: Devnet) -> None:
    (user, _), weth = quiet.users, quiet.market.reserve("WETH")
    quiet.ledger.do(aave.supply(quiet.market, user, weth.asset, 10**18))
    quiet.ledger.do(set_reverting(quiet.node, weth.feed, reverting=True))
    down = truth_at(quiet.node, quiet.market, quiet.node.height(), [user])
    quiet.ledger.do(set_reverting(quiet.node, weth.feed, reverting=False))
    up = truth_at(quiet.node, quiet.market, quiet.node.height(), [user])

    assert (down.refused_accounts, down.refused_prices) == (frozenset({user}), frozenset({weth.asset}))
    assert up.accounts[user].total_collateral_base == 3_000 * 10**8
    assert (up.refused_accounts, up.refused_prices) == (frozenset(), frozenset())


def test_a_warp_lasts_to_the_second(quiet: Devnet) -> None:
    before = int(quiet.node.header()["timestamp"], 16)
    quiet.population.warp(1_234_567)

    assert int(quiet.node.header()["timestamp"], 16) == before + 1_234_567


def test_time_does_not_go_backwards(quiet: Devnet) -> None:
    with pytest.raises((RpcError, Disobedient)):
        quiet.ledger.mine(seconds=-100)


def test_what_must_succeed_says_so_when_it_reverts(quiet: Devnet) -> None:
    (user, _), usdc = quiet.users, quiet.market.reserve("USDC")

    with pytest.raises(Reverted):
        quiet.ledger.do(aave.borrow(quiet.market, user, usdc.asset, 1))


@pytest.mark.parametrize("share", [1.0, 0.7, 0.4])
def test_the_holders_own_everything(busy: Devnet, share: float) -> None:
    truth = truth_at(busy.node, busy.market, int(busy.node.height() * share))

    assert truth.scaled_totals == {token: sum(balances.values()) for token, balances in truth.scaled_balances.items()}
    assert len(truth.accounts) > 10


def test_the_treasury_is_a_holder(busy: Devnet) -> None:
    truth = truth_at(busy.node, busy.market, busy.node.height())

    assert truth.accounts[busy.market.treasury].total_collateral_base == 0
    assert any(balances[busy.market.treasury] for balances in truth.scaled_balances.values())


def test_two_chains_run_at_once_with_the_same_owners() -> None:
    with (
        build(chain_id=CHAIN_ID, users=4, actions=30) as north,
        build(chain_id=SECOND_CHAIN_ID, users=4, first_user=2, actions=30) as south,
    ):
        assert [int(devnet.node.call("eth_chainId"), 16) for devnet in (north, south)] == [31_337, 31_338]
        assert north.url != south.url
        assert north.users[2:] == south.users[:2]
        assert north.node.header()["hash"] != south.node.header()["hash"]


def test_the_node_ends_with_its_chain() -> None:
    with build(users=1, actions=0) as devnet:
        url = devnet.url

    with pytest.raises(ConnectionError), Node(url) as node:
        node.height()


def test_finality_comes_sooner_with_short_epochs() -> None:
    with build(users=1, actions=0, slots_in_an_epoch=1) as devnet:
        height = devnet.node.height()
        tags = [int(devnet.node.header(tag)["number"], 16) for tag in ("safe", "finalized")]

    assert tags == [height - 1, height - 2]


def test_a_story_crashes_and_leaves_weak_accounts_and_fresh_feeds() -> None:
    with tell(chain_id=CHAIN_ID, label="north", side=0, accounts=60, shared=20) as story:
        ends = [truth_at(story.node, story.market, int(story.events[name])) for name in EXPECTED_AT]
        weakest = [min(account.health_factor for account in end.accounts.values()) for end in ends]
        feed, height = story.market.reserve("WETH").feed, story.node.height()
        liquidations = story.node.call(
            "eth_getLogs",
            {
                "fromBlock": "0x0",
                "toBlock": hex(height),
                "topics": [topic("LiquidationCall(address,address,address,uint256,uint256,address,bool)")],
            },
        )
        fall = answer_of(story.node, feed, int(story.events["crash_block"])) / answer_of(
            story.node, feed, int(story.events["before_crash_block"])
        )
        age = int(story.node.header()["timestamp"], 16) - round_data(story.node, feed.proxy)[3]

    assert weakest[0] > WAD > weakest[2]
    assert liquidations
    assert fall == pytest.approx(0.65, abs=0.01)
    assert age < 300
    assert story.events.keys() >= CHARACTERS.keys()


def test_both_sides_of_a_story_share_owners_times_and_addresses(tmp_path: Any) -> None:
    recordings = []
    for side, chain_id in enumerate((CHAIN_ID, SECOND_CHAIN_ID)):
        with tell(chain_id=chain_id, label="x", side=side, accounts=20, shared=8) as story:
            recordings.append(record_story(story))
            assert_replays(story.node, recordings[-1])
            assert write(recordings[-1], tmp_path).name == f"chain-{chain_id}.json.gz"
    north, south = recordings
    owners = [set(recording["expected"][-1]["accounts"]) for recording in recordings]

    assert len(owners[0] & owners[1]) >= 8
    assert {north["events_of_story"][name] == south["events_of_story"][name] for name in CHARACTERS} == {True}
    assert "phase_change_block" in south["events_of_story"]


def assert_replays(node: Node, recording: dict[str, Any]) -> None:
    """Every recorded call answers, at some block, what the node answers there."""
    rng = Random(SEED)
    for call in recording["calls"]:
        block = rng.choice(call.get("asked_only_at") or range(len(recording["blocks"])))
        answer = [answer for first, answer in call["spans"] if first <= block][-1]
        assert answer == said_by(node, call["to"], call["data"], block)


def said_by(node: Node, to: str, data: str, block: int) -> Any:
    """What a node answers to a call, also where that is a refusal."""
    try:
        return node.eth_call(to, data, block)
    except RpcError as error:
        return {"error": error.error}


def fingerprint(*, seed: int) -> tuple[list[str], list[Any]]:
    """Every block's hash and every log of a small chain."""
    with build(seed=seed, users=6, actions=60) as devnet:
        everything = {"fromBlock": "0x0", "toBlock": hex(devnet.node.height())}
        return [block["hash"] for block in blocks(devnet.node)], devnet.node.call("eth_getLogs", everything)


def blocks(node: Node) -> list[dict[str, Any]]:
    return node.batch([header_request(number) for number in range(node.height() + 1)])


def receipts(node: Node) -> list[dict[str, Any]]:
    questions = [("eth_getBlockReceipts", (hex(number),)) for number in range(node.height() + 1)]
    return [receipt for block in node.batch(questions) for receipt in block]


def round_data(node: Node, feed: str) -> tuple[int, ...]:
    return decode(ROUND_DATA, node.eth_call(feed, calldata("latestRoundData()")))


def word(number: int) -> str:
    return f"0x{number:064x}"
