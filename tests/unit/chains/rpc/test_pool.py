"""Several nodes of one chain: one that fails, lags, limits or lies is passed over, and the first one is come back to."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from chains.errors import (
    ChainError,
    HistoryGone,
    NodeBehind,
    NodeBusy,
    NodeLimits,
    NodeWrong,
    NoOtherNode,
    RangeTooWide,
    WrongChain,
)
from chains.rpc import RpcFault
from tests.unit.chains.rpc.nodes import CHAIN, SECRET, Bench, Error, Scripted, Serve, bench, fails, saying

BROKEN = saying(503)
HEADER = (False,)
"""No transactions."""


def logs_to(last: int) -> dict[str, str]:
    return {"fromBlock": "0x0", "toBlock": hex(last)}


async def fail_three_times(asked: Bench) -> None:
    """Have the first node set aside."""
    for _ in range(3):
        await asked.call()
    assert asked.heard.turns == [(asked.labels[0], "set_aside")]


async def test_a_fault_at_one_node_is_mended_by_the_next_without_a_pause() -> None:
    async with bench(Scripted(serve=BROKEN), Scripted()) as asked:
        assert await asked.call() == "0x2a"

    assert asked.clock.naps == []
    assert asked.kinds() == ["NodeBusy"]


async def test_a_node_that_keeps_failing_is_not_asked_until_its_time_has_come() -> None:
    async with bench(Scripted(serve=BROKEN), Scripted()) as asked:
        await fail_three_times(asked)
        before = len(asked.nodes[0].calls)
        for _ in range(20):
            await asked.call()

        assert len(asked.nodes[0].calls) == before


async def test_the_first_node_is_come_back_to_after_a_trial_that_holds_nobody_up() -> None:
    async with bench(Scripted(serve=BROKEN), Scripted()) as asked:
        await fail_three_times(asked)
        asked.nodes[0].serve = None
        asked.clock.now += 1.5
        assert await asked.call() == "0x2a"
        assert asked.nodes[0].asked("eth_gasPrice") == 0, "the question went to the second while the first was on trial"
        await asked.settle()
        for _ in range(10):
            await asked.call()

    assert asked.heard.turns[1:] == [(asked.labels[0], "on_trial"), (asked.labels[0], "in_use")]
    assert asked.nodes[0].asked("eth_gasPrice") == 10
    assert asked.nodes[0].methods()[-12:-10] == ["eth_chainId", "eth_blockNumber"]


async def test_a_trial_that_fails_is_made_again_later_and_costs_nobody_anything() -> None:
    async with bench(Scripted(serve=BROKEN), Scripted()) as asked:
        await fail_three_times(asked)
        for _ in range(4):
            asked.clock.now += 70
            assert await asked.call() == "0x2a"
            await asked.settle()

    assert [state for _, state in asked.heard.turns[1:]] == ["on_trial", "set_aside"] * 4


async def test_a_node_that_hangs_on_trial_is_waited_for_by_nobody() -> None:
    hanging = asyncio.Event()

    async def hang(_request: web.Request, _node: Scripted) -> web.StreamResponse:
        await hanging.wait()
        return web.Response(status=500)

    async with bench(Scripted(serve=BROKEN), Scripted()) as asked:
        await fail_three_times(asked)
        asked.nodes[0].serve = hang
        asked.clock.now += 2
        async with asyncio.timeout(4):  # a trial may take five seconds
            for _ in range(5):
                await asked.call()
        hanging.set()


async def test_while_all_nodes_are_aside_they_are_still_asked() -> None:
    async with bench(Scripted(serve=BROKEN), Scripted(serve=BROKEN), tries=6) as asked:
        for _ in range(2):
            with pytest.raises(NodeBusy):
                await asked.call()
        for node in asked.nodes:
            node.serve = None

        assert await asked.call() == "0x2a"


async def test_pauses_grow_while_all_nodes_fail_and_the_last_word_says_how_often_it_was_tried() -> None:
    async with bench(Scripted(serve=BROKEN), tries=5) as asked:
        with pytest.raises(NodeBusy, match=r"HTTP 503 \(5 tries over 1 node\); check the node and its address$"):
            await asked.call()

    assert len(asked.clock.naps) == 4
    for nap, longest in zip(asked.clock.naps, (0.2, 0.4, 0.8, 1.6), strict=True):
        assert longest / 2 <= nap <= longest


async def test_an_answer_of_another_shape_is_asked_of_another_node() -> None:
    async with bench(Scripted({"eth_gasPrice": lambda _: {"no": "text"}}), Scripted()) as asked:
        assert await asked.pool.call("eth_gasPrice", (), str) == "0x2a"

    assert "wrong shape" in str(asked.heard.errors[0][1])


async def test_a_node_whose_answers_turn_out_wrong_is_left_for_a_moment() -> None:
    async with bench(Scripted(), Scripted()) as asked:
        first = (await asked.pool.answered([("eth_gasPrice", ())])).node
        asked.pool.doubt(first, NodeWrong("that cannot be"))
        second = (await asked.pool.answered([("eth_gasPrice", ())])).node
        asked.clock.now += 2
        await asked.call()
        await asked.settle()
        third = (await asked.pool.answered([("eth_gasPrice", ())])).node

    assert [first, second, third] == [asked.labels[0], asked.labels[1], asked.labels[0]]


# Which chain


async def test_another_chain_stops_even_where_a_second_node_serves_the_right_one() -> None:
    async with bench(Scripted(chain="0x89"), Scripted()) as asked:
        with pytest.raises(WrongChain, match="serves chain id 137, the configuration says 1"):
            await asked.call()


async def test_a_node_that_changes_its_chain_is_left_and_the_others_go_on() -> None:
    async with bench(Scripted(), Scripted()) as asked:
        await asked.call()
        asked.nodes[0].chain = "0x89"
        asked.nodes[0].answers["eth_gasPrice"] = fails(Error(-32000, "x"))
        asked.pool.nodes[0].verified = False
        assert await asked.call() == "0x2a"

    assert "it did serve this chain before" in str(asked.heard.errors[0][1])


async def test_many_questions_at_once_ask_only_once_which_chain_it_is() -> None:
    async with bench(Scripted()) as asked:
        await asyncio.gather(*(asked.call() for _ in range(12)))

    assert asked.nodes[0].asked("eth_chainId") == 1


async def test_a_node_that_cannot_say_which_chain_it_serves_is_wrong() -> None:
    for answer in (fails(*[Error(-32601, "no")] * 9), lambda _: "abc", lambda _: 1, lambda _: None):
        async with bench(Scripted({"eth_chainId": answer})) as asked:
            with pytest.raises(NodeWrong):
                await asked.call()


# How often


async def test_a_node_that_limits_is_passed_over_for_as_long_as_it_wishes() -> None:
    limit, nodes = [True], [Scripted(), Scripted()]

    async def serve(_request: web.Request, node: Scripted) -> web.StreamResponse:
        if node.calls[-1]["method"] == "eth_gasPrice" and limit and limit.pop():
            return web.Response(status=429, headers={"Retry-After": "5"})
        return web.json_response(node.reply(node.calls[-1]))

    nodes[0].serve = serve
    async with bench(*nodes) as asked:
        await asked.call()
        for _ in range(5):
            await asked.call()
            asked.clock.now += 0.9
        assert (nodes[0].asked("eth_gasPrice"), nodes[1].asked("eth_gasPrice")) == (1, 6)
        asked.clock.now += 1
        await asked.call()

    assert nodes[0].asked("eth_gasPrice") == 2
    assert asked.heard.turns == [], "to limit is no failure"
    assert asked.clock.naps == []


async def test_a_single_node_that_limits_is_waited_for_as_long_as_it_wishes() -> None:
    left = [429, 429]

    async def serve(_request: web.Request, node: Scripted) -> web.StreamResponse:
        if node.calls[-1]["method"] == "eth_gasPrice" and left:
            return web.Response(status=left.pop(), headers={"Retry-After": "7"})
        return web.json_response(node.reply(node.calls[-1]))

    async with bench(Scripted(serve=serve), tries=3) as asked:
        assert await asked.call() == "0x2a"

    assert [nap for nap in asked.clock.naps if nap] == [7, 7]
    assert asked.nodes[0].asked("eth_chainId") == 1, "a node that limits is not asked again who it is"


async def test_nobody_waits_for_a_pause_of_hours_and_no_request_is_made_meanwhile() -> None:
    async with bench(Scripted(serve=saying(429, Retry_After="3000")), tries=3) as asked:
        for _ in range(3):
            with pytest.raises(NodeLimits, match=r"wants a pause of 3000 s|limits the request rate") as caught:
                await asked.call()
            assert caught.value.retry_after == 3_000

    assert len(asked.nodes[0].calls) == 1


@pytest.mark.parametrize(
    "error",
    [
        Error(-32005, "daily request count exceeded, request rate limited"),
        Error(429, "Your app has exceeded its compute units per second capacity"),
        Error(-32000, "Too many requests, please slow down"),
        Error(-32029, "limit"),
    ],
    ids=str,
)
async def test_a_node_that_limits_in_its_own_words_is_asked_more_slowly(error: Error) -> None:
    async with bench(Scripted({"eth_gasPrice": fails(error)})) as asked:
        for _ in range(10):
            await asked.call()
        pace = asked.pool.nodes[0].pace.per_s

    assert asked.kinds() == ["NodeLimits"]
    assert 10 <= pace <= 30


async def test_time_outs_let_fewer_requests_go_at_once() -> None:
    async def serve(_request: web.Request, node: Scripted) -> web.StreamResponse:
        if node.calls[-1]["method"] != "eth_chainId":
            await asyncio.sleep(1)
        return web.json_response(node.reply(node.calls[-1]))

    async with bench(Scripted(serve=serve), timeout_s=0.02, tries=1) as asked:
        for _ in range(2):
            with pytest.raises(NodeBusy, match="did not answer within"):
                await asked.call()

        assert int(asked.pool.nodes[0].gate._limit) == 4, "16, 8, 4"


async def test_a_full_node_leaves_the_rest_to_others() -> None:
    ends = asyncio.Event()

    async def slow(_request: web.Request, node: Scripted) -> web.StreamResponse:
        call = node.calls[-1]
        if call["method"] == "eth_gasPrice":
            await ends.wait()
        return web.json_response(node.reply(call))

    async with bench(Scripted(), Scripted(), timeout_s=240.0) as asked:
        await asyncio.gather(asked.call(), asked.call(avoid=[asked.labels[0]]))
        asked.nodes[0].serve = slow
        going = [asyncio.create_task(asked.call()) for _ in range(16)]
        while asked.nodes[0].asked("eth_gasPrice") < 1 + len(going):  # noqa: ASYNC110 - a counter tells nobody that it moved
            await asyncio.sleep(0.01)
        assert await asyncio.wait_for(asked.call(), 60) == "0x2a"
        ends.set()
        await asyncio.gather(*going)

    assert asked.nodes[1].asked("eth_gasPrice") == 2


# How far


async def test_a_question_that_names_a_block_goes_to_a_node_that_has_it() -> None:
    async with bench(Scripted(height=99), Scripted(height=100)) as asked:
        await asked.call("eth_blockNumber", avoid=[asked.labels[0]])
        await asked.call("eth_blockNumber", avoid=[asked.labels[1]])
        for method, params in (
            ("eth_getLogs", (logs_to(100),)),
            ("eth_getBlockByNumber", ("0x64", *HEADER)),
            ("eth_call", ({}, "0x64")),
            ("eth_call", ({}, {"blockNumber": "0x64"})),
            ("eth_getBlockReceipts", ("0x64",)),
        ):
            assert (await asked.pool.answered([(method, params)])).node == asked.labels[1], method
        lower = await asked.pool.answered([("eth_getLogs", (logs_to(99),))])
        hashed = await asked.pool.answered([("eth_call", ({}, "0x" + "00" * 32))], block=100)

    assert lower.node == asked.labels[0]
    assert hashed.node == asked.labels[1], "named by the caller, since a hash does not tell"


async def test_nobody_is_asked_for_logs_who_may_leave_out_the_end() -> None:
    async with bench(Scripted(height=99), Scripted(height=100)) as asked:
        answer = await asked.pool.answered([("eth_getLogs", (logs_to(100),))])

    assert answer.node == asked.labels[1]
    assert asked.nodes[0].methods() == ["eth_chainId", "eth_blockNumber"]
    assert isinstance(asked.heard.errors[0][1], NodeBehind)


async def test_a_single_node_that_has_not_reached_a_block_is_behind() -> None:
    async with bench(Scripted(height=99)) as asked:
        with pytest.raises(NodeBehind, match="is at block 99, and block 100 is asked for"):
            await asked.call("eth_getLogs", logs_to(100))

    assert asked.nodes[0].asked("eth_getLogs") == 0
    assert asked.heard.turns == []


async def test_a_block_that_another_node_has_is_asked_of_it() -> None:
    stale = Scripted({"eth_getBlockByNumber": lambda _: None})
    async with bench(stale, Scripted()) as asked:
        await asked.call("eth_blockNumber")
        await asked.call("eth_blockNumber", avoid=[asked.labels[0]])
        assert await asked.call("eth_getBlockByNumber", "0x64", *HEADER) == "0x2a"
        assert asked.pool.nodes[0].heights.newest == 99
        assert await asked.call("eth_getBlockByNumber", "0x65", *HEADER) is None, "nobody claims to have it"


async def test_a_node_that_does_not_know_a_block_is_behind_and_not_broken() -> None:
    behind = Scripted({"eth_call": fails(*[Error(-32000, "header not found")] * 9)})
    async with bench(behind, Scripted()) as asked:
        for _ in range(5):
            assert await asked.call("eth_call", {}, "0x" + "00" * 32) == "0x2a"

    assert set(asked.kinds()) == {"NodeBehind"}
    assert asked.heard.turns == []


async def test_a_node_that_lags_for_long_is_set_aside_by_name() -> None:
    async with bench(Scripted(height=100), Scripted(height=110)) as asked:
        await asked.call("eth_blockNumber", avoid=[asked.labels[0]])
        assert await asked.call("eth_blockNumber") == "0x64", "it may be a moment"
        asked.clock.now += 11
        assert await asked.call("eth_blockNumber") == "0x6e"

    assert asked.heard.turns == [(asked.labels[0], "set_aside")]
    assert "stays at block 100, while another node is at 110" in str(asked.heard.errors[0][1])


async def test_a_lagging_node_comes_back_when_it_has_caught_up() -> None:
    async with bench(Scripted(height=100), Scripted(height=110)) as asked:
        await asked.call("eth_blockNumber", avoid=[asked.labels[0]])
        asked.clock.now += 11
        await asked.call("eth_blockNumber")
        for height, state in ((105, "set_aside"), (110, "in_use")):
            asked.nodes[0].height = height
            asked.clock.now += 11
            await asked.call()
            await asked.settle()
            assert asked.heard.turns[-1] == (asked.labels[0], state)


async def test_a_node_that_goes_back_while_others_do_not_is_set_aside_at_once() -> None:
    async with bench(Scripted(height=100), Scripted(height=100)) as asked:
        await asked.call("eth_blockNumber")
        await asked.call("eth_blockNumber", avoid=[asked.labels[0]])
        asked.nodes[0].height = 90
        assert await asked.call("eth_blockNumber") == "0x64"

    assert "went back to block 90, while another node is at 100" in str(asked.heard.errors[0][1])


async def test_a_chain_that_goes_back_is_followed() -> None:
    async with bench(Scripted(height=100), Scripted(height=100)) as asked:
        await asked.call("eth_blockNumber")
        await asked.call("eth_blockNumber", avoid=[asked.labels[0]])
        for node in asked.nodes:
            node.height = 90
        assert await asked.call("eth_blockNumber") == "0x5a", (
            "the second says the same, and nobody is left who says otherwise"
        )


async def test_a_single_node_may_go_back() -> None:
    async with bench(Scripted(height=100)) as asked:
        await asked.call("eth_blockNumber")
        asked.nodes[0].height = 50
        asked.clock.now += 100
        assert await asked.call("eth_blockNumber") == "0x32"

    assert asked.heard.errors == []


# Second opinions


async def test_a_second_opinion_is_another_nodes() -> None:
    async with bench(Scripted(), Scripted(), Scripted()) as asked:
        first = await asked.pool.answered([("eth_gasPrice", ())])
        second = await asked.pool.answered([("eth_gasPrice", ())], avoid=[first.node])
        third = await asked.pool.answered([("eth_gasPrice", ())], avoid=[first.node, second.node])

        assert {first.node, second.node, third.node} == set(asked.labels)
        with pytest.raises(NoOtherNode, match=r"^chain eip155:1: there is no node but node 1"):
            await asked.call(avoid=asked.labels)


async def test_a_second_opinion_is_not_replaced_by_the_first_when_its_node_fails() -> None:
    async with bench(Scripted(), Scripted(serve=BROKEN)) as asked:
        with pytest.raises(NodeBusy, match="HTTP 503"):
            await asked.call(avoid=[asked.labels[0]])

    assert asked.nodes[0].calls == []


async def test_a_node_that_would_refuse_is_asked_last() -> None:
    async with bench(Scripted(), Scripted()) as asked:
        request = [("eth_gasPrice", ())]
        assert (await asked.pool.answered(request, unfit=[asked.labels[0]])).node == asked.labels[1]
        assert (await asked.pool.answered(request, unfit=asked.labels)).node == asked.labels[0]


# Refusals


async def test_history_is_gone_only_when_no_node_has_it() -> None:
    gone = Error(-32000, "missing trie node abc (path )")
    answers = {"eth_call": fails(*[gone] * 9)}
    async with bench(Scripted(answers), Scripted()) as asked:
        assert await asked.call("eth_call", {}, "0x5") == "0x2a"
        before = len(asked.nodes[0].calls)
        assert await asked.call("eth_call", {}, "0x4") == "0x2a"
        assert len(asked.nodes[0].calls) == before, "who forgot block 5 forgot block 4"
    async with bench(Scripted({"eth_call": fails(*[gone] * 9)}), Scripted({"eth_call": fails(*[gone] * 9)})) as asked:
        with pytest.raises(HistoryGone, match="use an archive node"):
            await asked.call("eth_call", {}, "0x5")
        assert len(asked.heard.errors) == 2


async def test_history_is_not_gone_while_a_node_that_may_have_it_cannot_be_asked() -> None:
    gone = Scripted({"eth_call": fails(*[Error(-32000, "missing trie node abc")] * 9)})
    async with bench(gone, Scripted(serve=BROKEN)) as asked:
        with pytest.raises(NodeBusy, match="HTTP 503"):
            await asked.call("eth_call", {}, "0x5")


async def test_what_a_contract_says_is_never_taken_for_a_trouble_of_the_node() -> None:
    for text in ("execution reverted: missing trie node", "execution reverted: rate limit", "VM Exception: revert"):
        async with bench(Scripted({"eth_call": fails(Error(-32000, text), Error(3, "header not found"))})) as asked:
            with pytest.raises(RpcFault):
                await asked.call("eth_call", {}, "0x5")
            with pytest.raises(RpcFault):
                await asked.call("eth_call", {}, "0x5")
            assert asked.heard.errors == []


async def test_too_wide_a_range_is_told_at_once_with_the_node_that_minds() -> None:
    refusal = Error(-32602, "query returned more than 10000 results. Try with this block range [0x0, 0x9].")
    async with bench(Scripted({"eth_getLogs": fails(refusal)}), Scripted()) as asked:
        with pytest.raises(RangeTooWide) as caught:
            await asked.call("eth_getLogs", logs_to(50))

    found = caught.value
    assert (found.limit, found.results, found.lasting, found.node) == (10, 10_000, False, asked.labels[0])
    assert asked.heard.turns == []


# What is told


async def test_every_exchange_is_told_with_its_outcome_time_and_length() -> None:
    answers = {"eth_gasPrice": fails(Error(-32601, "no such method"), Error(-32005, "too many requests"))}
    async with bench(Scripted(answers)) as asked:
        with pytest.raises(RpcFault):
            await asked.call()
        await asked.call()
        await asked.pool.batch([("eth_call", ())] * 3, object)
    told = [(each.method, each.requests, each.outcome) for each in asked.heard.exchanges]

    assert told == [
        ("eth_chainId", 1, "answered"),
        ("eth_gasPrice", 1, "refused"),
        ("eth_gasPrice", 1, "NodeLimits"),
        ("eth_gasPrice", 1, "answered"),
        ("eth_call", 3, "answered"),
    ]
    assert all(each.received > 30 and each.seconds >= 0 for each in asked.heard.exchanges)


@pytest.mark.parametrize(
    "serve",
    [BROKEN, saying(200, f"<a href='http://x/{SECRET}'>"), saying(403, SECRET), saying(429)],
    ids=["broken", "garbage", "forbidden", "limited"],
)
async def test_no_error_or_label_tells_an_address(serve: Serve) -> None:
    async with bench(Scripted(serve=serve), Scripted(serve=serve)) as asked:
        with pytest.raises(ChainError) as caught:
            await asked.call()

    told = [caught.value, *(error for _, error in asked.heard.errors)]
    assert SECRET not in " ".join([*map(str, told), *map(repr, told), *asked.labels, repr(asked.pool.nodes[0])])


@pytest.mark.parametrize(
    "said", ["is not available to key {}, upgrade", "{}" + " of no use" * 40, " of no use" * 29 + "{}"]
)
@pytest.mark.parametrize("code, data", [(-32000, "{}"), (-32601, None), (-32005, "{}")])
async def test_no_refusal_tells_the_key_that_it_names(said: str, code: int, data: str | None) -> None:
    """Alone and in a batch; also where its words are cut in the middle of the key."""
    error = Error(code, said.format(SECRET), None if data is None else data.format(SECRET))
    answers = {"eth_gasPrice": fails(*[error] * 99), "eth_call": fails(*[error] * 99)}
    async with bench(Scripted(answers)) as asked:
        with pytest.raises((ChainError, RpcFault)) as alone:
            await asked.call()
        with pytest.raises((ChainError, RpcFault)) as several:
            await asked.pool.batch([("eth_call", ())] * 3, object)

    for caught in (alone.value, several.value):
        told = [str(caught), repr(caught), *map(repr, vars(caught).values())]
        assert SECRET[:8] not in " ".join([*told, *(str(each) for _, each in asked.heard.errors)])


async def test_nothing_is_under_way_after_a_pool_is_closed() -> None:
    hanging = asyncio.Event()

    async def hang(_request: web.Request, _node: Scripted) -> web.StreamResponse:
        await hanging.wait()
        return web.Response()

    async with bench(Scripted(serve=BROKEN), Scripted()) as asked:
        await fail_three_times(asked)
        asked.nodes[0].serve = hang
        asked.clock.now += 2
        await asked.call()
        await asyncio.sleep(0.01)
        await asked.pool.aclose()
        assert asked.pool._tasks == set()
        hanging.set()
    assert asked.pool.chain == CHAIN
