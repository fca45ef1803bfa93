"""Questions for logs: cut where a node minds, put together again in chain order, asked twice where absence is an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pytest

from chains.errors import NodeBusy, NodeWrong, RangeTooWide, TooManyAddresses
from chains.evm.questions import Questions
from chains.evm.ranges import Ranges
from chains.evm.sought import Sought
from tests.unit.chains.rpc.nodes import CHAIN, Call, Error, Scripted, bench, saying

TOPIC = b"\x07" * 32
HOMES = [bytes([n]) * 20 for n in range(1, 9)]


def log(block: int, index: int, address: bytes = HOMES[0], **other: Any) -> dict[str, Any]:
    return {
        "address": "0x" + address.hex(),
        "topics": ["0x" + TOPIC.hex()],
        "data": "0x",
        "blockNumber": hex(block),
        "blockHash": "0x" + block.to_bytes(32).hex(),
        "transactionHash": "0x" + bytes(32).hex(),
        "transactionIndex": "0x0",
        "logIndex": hex(index),
        "removed": False,
    } | other


def holding(
    logs: Sequence[dict[str, Any]], *, addresses: int = 1_000, results: int = 1_000, blocks: int = 1_000
) -> Callable[[Call], object]:
    """Answer `eth_getLogs` of a chain that holds some logs, within limits."""

    def answer(call: Call) -> object:
        asked = call["params"][0]
        first, last = int(asked["fromBlock"], 16), int(asked["toBlock"], 16)
        if len(asked.get("address", [])) > addresses:
            raise Error(-32602, "exceed max addresses or topics per search position")
        if last - first + 1 > blocks:
            raise Error(-32000, f"exceed maximum block range: {blocks}")
        found = [
            each
            for each in logs
            if first <= int(each["blockNumber"], 16) <= last
            and each["address"] in asked.get("address", [each["address"]])
        ]
        if len(found) > results:
            raise Error(-32005, f"query returned more than {results} results")
        return found

    return answer


LOGS = [log(block, index, HOMES[index]) for block in range(1, 6) for index in range(8)]


def places(table: pa.Table) -> list[tuple[int, int]]:
    return list(zip(table["block_number"].to_pylist(), table["log_index"].to_pylist(), strict=True))


ALL = [(block, index) for block in range(1, 6) for index in range(8)]


async def test_more_addresses_than_a_node_takes_are_asked_for_in_halves_and_merged_in_chain_order() -> None:
    node = Scripted({"eth_getLogs": holding(LOGS, addresses=3)})
    async with bench(node) as asked:
        questions, ranges = Questions(CHAIN, asked.pool), Ranges()
        table = await questions.logs(ranges, Sought.of(HOMES, [[TOPIC]]), 0, 9)
        first = node.asked("eth_getLogs")
        again = await questions.logs(ranges, Sought.of(HOMES, [[TOPIC]]), 0, 9)

    assert places(table) == places(again) == ALL
    assert node.asked("eth_getLogs") - first == 4, "eight in fours were refused; two by two is remembered"


async def test_a_node_that_refuses_a_single_address_ends_it() -> None:
    async with bench(Scripted({"eth_getLogs": holding(LOGS, addresses=0)})) as asked:
        with pytest.raises(TooManyAddresses):
            await Questions(CHAIN, asked.pool).logs(Ranges(), Sought.of(HOMES, [[TOPIC]]), 0, 9)


async def test_too_wide_a_range_is_the_callers_to_narrow_and_noted() -> None:
    ranges = Ranges(start=2_000)
    async with bench(Scripted({"eth_getLogs": holding(LOGS, blocks=50)}, height=5_000)) as asked:
        with pytest.raises(RangeTooWide):
            await Questions(CHAIN, asked.pool).logs(ranges, Sought.of(HOMES, [[TOPIC]]), 0, 1_999)
        label = asked.labels[0]

    assert ranges.width() == 50
    assert ranges.unfit(51) == {label}
    assert ranges.unfit(50) == set()


async def test_one_block_with_more_logs_than_a_node_gives_is_asked_for_address_by_address() -> None:
    async with bench(Scripted({"eth_getLogs": holding(LOGS, results=2)})) as asked:
        table = await Questions(CHAIN, asked.pool).logs(Ranges(), Sought.of(HOMES, [[TOPIC]]), 3, 3)

    assert places(table) == [(3, index) for index in range(8)]


async def test_logs_of_other_blocks_are_wrong_and_the_node_is_left_for_another() -> None:
    lying = Scripted({"eth_getLogs": lambda _: [log(99, 0)]})
    async with bench(lying, Scripted({"eth_getLogs": holding(LOGS)})) as asked:
        questions, sought = Questions(CHAIN, asked.pool), Sought.of(HOMES, [[TOPIC]])
        with pytest.raises(NodeWrong, match=r"gave logs outside blocks 0\.\.9"):
            await questions.logs(Ranges(), sought, 0, 9)
        assert places(await questions.logs(Ranges(), sought, 0, 9)) == ALL


async def test_a_refusal_in_a_nodes_own_words_is_wrong() -> None:
    def refuse(_call: Call) -> object:
        raise Error(-32603, "Internal error")

    async with bench(Scripted({"eth_getLogs": refuse})) as asked:
        with pytest.raises(NodeWrong, match=r"^chain eip155:1: node 1 .* refuses eth_getLogs: Internal error"):
            await Questions(CHAIN, asked.pool).logs(Ranges(), Sought.of(HOMES, [[TOPIC]]), 0, 9)


@pytest.mark.parametrize("forgetful", [0, 1])
async def test_a_log_that_one_of_two_nodes_leaves_out_is_found_by_a_look(forgetful: int) -> None:
    whole, less = Scripted({"eth_getLogs": holding(LOGS)}), Scripted({"eth_getLogs": holding(LOGS[:-3])})
    nodes = [less, whole] if forgetful == 0 else [whole, less]
    async with bench(*nodes) as asked:
        table = await Questions(CHAIN, asked.pool).look(Ranges(), Sought.of(HOMES, [[TOPIC]]), 0, 9)

    assert table is not None
    assert places(table) == ALL
    assert [node.asked("eth_getLogs") for node in nodes] == [1, 1]


async def test_where_there_is_one_node_a_look_asks_it_twice() -> None:
    node = Scripted({"eth_getLogs": holding(LOGS)})
    async with bench(node) as asked:
        table = await Questions(CHAIN, asked.pool).look(Ranges(), Sought.of(None, [[TOPIC]]), 0, 9)

    assert table is not None
    assert node.asked("eth_getLogs") == 2


async def test_a_second_answer_is_waited_for_while_its_node_may_come_back_and_no_longer() -> None:
    less, away = Scripted({"eth_getLogs": holding(LOGS[:-3])}), Scripted(serve=saying(503))
    async with bench(less, away) as asked:
        questions, sought = Questions(CHAIN, asked.pool), Sought.of(HOMES, [[TOPIC]])
        refusals, table = 0, None
        while table is None:
            try:
                table = await questions.look(Ranges(), sought, 0, 9)
            except NodeBusy:
                refusals += 1
                asked.clock.now += 20

    assert refusals == 4, "set aside for 1, 2, 4 and 8 seconds; when it is 16, one answer has to do"


async def test_a_look_that_is_too_wide_gives_nothing_and_the_next_is_narrower() -> None:
    ranges = Ranges(start=2_000)
    async with bench(Scripted({"eth_getLogs": holding(LOGS, blocks=50)}, height=5_000)) as asked:
        questions, sought = Questions(CHAIN, asked.pool), Sought.of(None, [[TOPIC]])
        assert await questions.look(ranges, sought, 0, 1_999) is None
        table = await questions.look(ranges, sought, 0, ranges.width() - 1)

    assert table is not None
    assert places(table) == ALL


async def test_two_nodes_that_contradict_each_other_are_wrong() -> None:
    other = [log(1, 0, HOMES[3])]
    async with bench(
        Scripted({"eth_getLogs": holding([log(1, 0)])}), Scripted({"eth_getLogs": holding(other)})
    ) as asked:
        with pytest.raises(NodeWrong, match="the same log twice"):
            await Questions(CHAIN, asked.pool).look(Ranges(), Sought.of(None, [[TOPIC]]), 0, 9)


def test_halves_ask_for_everything_once() -> None:
    topics = [[bytes([n]) * 32 for n in range(5)], None, [TOPIC]]
    whole = Sought.of(HOMES[:3], topics)
    halves = whole.halves()

    assert halves is not None
    assert [half.addresses for half in halves] == [whole.addresses] * 2, "the longest list is cut"
    assert [len(half.topics[0] or ()) for half in halves] == [2, 3]
    assert (halves[0].topics[0] or ()) + (halves[1].topics[0] or ()) == whole.topics[0]
    assert Sought.of(HOMES[:1], [[TOPIC]]).halves() is None
    assert Sought.of(None, []).halves() is None


def test_the_same_question_is_the_same_bytes() -> None:
    one = Sought.of(HOMES, [[TOPIC, bytes(32)]]).query(1, 2)
    other = Sought.of(HOMES[::-1], [[bytes(32), TOPIC]]).query(1, 2)

    assert one == other
    assert one["fromBlock"] == "0x1"
    assert "address" not in Sought.of(None, []).query(1, 2)
