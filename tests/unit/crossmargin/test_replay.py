"""A replayed node answers as the recorded one did, and refuses as a node does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from crossmargin.demo.recording import Recording
from crossmargin.demo.replay import ReplayNode

PAIR, OTHER = "0x" + "aa" * 20, "0x" + "bb" * 20
WITHOUT_TRANSACTIONS = False
TOPICS = ["0x" + "01" * 32, "0x" + "02" * 32]
REVERTED = {"error": {"code": 3, "message": "execution reverted", "data": "0x08c379a0"}}


def header(number: int) -> dict[str, str]:
    return {
        "number": hex(number),
        "hash": f"0x{number + 1:064x}",
        "parentHash": f"0x{number:064x}",
        "timestamp": hex(12 * number),
    }


def log(block: int, index: int, address: str, topic: str) -> dict[str, Any]:
    return {"blockNumber": hex(block), "logIndex": hex(index), "address": address, "topics": [topic], "data": "0x"}


RECORDING = Recording(
    label="toy",
    chain_number=7,
    blocks={number: header(number) for number in range(101)},
    logs=[log(5, 0, PAIR, TOPICS[0]), log(5, 1, OTHER, TOPICS[1]), log(90, 0, PAIR, TOPICS[1])],
    calls={(PAIR, "0x01"): [(3, "0x03"), (50, REVERTED)]},
    code={PAIR: 3},
    market={},
    story={},
    expected=[],
)


@pytest.fixture
async def node() -> AsyncIterator[ReplayNode]:
    async with ReplayNode(RECORDING, head=99) as node:
        yield node


async def test_it_knows_blocks_by_number_tag_and_hash_up_to_its_head(node: ReplayNode) -> None:
    numbers = [await number_of(node, tag) for tag in ("latest", "safe", "finalized", "earliest", "0x5", "0x64")]

    assert numbers == [99, 67, 35, 0, 5, None]
    assert (await result(node, "eth_getBlockByHash", header(5)["hash"], WITHOUT_TRANSACTIONS))["number"] == "0x5"
    assert await result(node, "eth_getBlockByHash", header(100)["hash"], WITHOUT_TRANSACTIONS) is None
    assert await result(node, "eth_blockNumber") == hex(99)
    assert await result(node, "eth_chainId") == "0x7"


async def test_its_head_can_be_moved(node: ReplayNode) -> None:
    node.set_head(100)

    assert await number_of(node, "latest") == 100
    with pytest.raises(ValueError, match="has no block 101"):
        node.set_head(101)


@pytest.mark.parametrize(
    "query, found",
    [
        ({"fromBlock": "0x0", "toBlock": "0x63"}, 3),
        ({"fromBlock": "0x0", "toBlock": "0xffff"}, 3),
        ({"fromBlock": "0x6", "toBlock": "0x63"}, 1),
        ({"fromBlock": "0x0", "toBlock": "0x63", "address": PAIR.upper().replace("X", "x")}, 2),
        ({"fromBlock": "0x0", "toBlock": "0x63", "address": [PAIR, OTHER]}, 3),
        ({"fromBlock": "0x0", "toBlock": "0x63", "topics": [TOPICS]}, 3),
        ({"fromBlock": "0x0", "toBlock": "0x63", "topics": [TOPICS[1]], "address": PAIR}, 1),
        ({"fromBlock": "0x0", "toBlock": "0x63", "topics": [None, TOPICS[0]]}, 0),
        ({"blockHash": header(5)["hash"]}, 2),
    ],
)
async def test_it_filters_logs(node: ReplayNode, query: dict[str, Any], found: int) -> None:
    assert len(await result(node, "eth_getLogs", query)) == found


@pytest.mark.parametrize(
    "block", ["0x31", header(49)["hash"], {"blockHash": header(49)["hash"]}, {"blockNumber": "0x31"}]
)
async def test_it_answers_calls_as_of_a_block(node: ReplayNode, block: object) -> None:
    assert await result(node, "eth_call", {"to": PAIR, "data": "0x01"}, block) == "0x03"


async def test_it_reverts_as_the_recorded_contract_did(node: ReplayNode) -> None:
    assert await error(node, "eth_call", {"to": PAIR, "data": "0x01"}, "0x32") == REVERTED["error"]


async def test_it_has_code_from_the_first_block_on(node: ReplayNode) -> None:
    assert await result(node, "eth_getCode", PAIR, "0x2") == "0x"
    assert await result(node, "eth_getCode", PAIR, "latest") == "0xfe"
    assert await result(node, "eth_getCode", OTHER, "latest") == "0x"


@pytest.mark.parametrize(
    "method, params, code, words",
    [
        ("eth_sendTransaction", [{}], -32601, "does not exist"),
        ("eth_getLogs", [{"fromBlock": "0x64", "toBlock": "0x64"}], -32602, "beyond current head"),
        ("eth_getLogs", [{"fromBlock": "0x5", "toBlock": "0x4"}], -32602, "invalid block range"),
        ("eth_getLogs", [{"blockHash": header(100)["hash"]}], -32000, "unknown block"),
        ("eth_getLogs", [{"blockHash": header(5)["hash"], "fromBlock": "0x0"}], -32602, "exclude each other"),
        ("eth_getLogs", [], -32602, "invalid params"),
        ("eth_getBlockByNumber", ["5", False], -32602, "is no quantity"),
        ("eth_call", [{"to": PAIR, "data": "0x01"}, "0x64"], -32000, "header not found"),
        ("eth_call", [{"to": PAIR, "data": "0x02"}, "0x5"], 3, "execution reverted"),
        ("eth_call", [{"to": PAIR, "data": "0x01"}, "0x2"], -32000, "the recording has no answer"),
    ],
)
async def test_it_refuses_what_a_node_refuses(
    node: ReplayNode, method: str, params: list[Any], code: int, words: str
) -> None:
    refusal = await error(node, method, *params)

    assert refusal["code"] == code
    assert words in refusal["message"]


async def test_a_batch_is_answered_in_order(node: ReplayNode) -> None:
    asked = [{"jsonrpc": "2.0", "id": i, "method": name} for i, name in enumerate(("eth_chainId", "no"))]

    first, second = await post(node, asked)

    assert (first["id"], first["result"]) == (0, "0x7")
    assert (second["id"], second["error"]["code"]) == (1, -32601)


async def test_what_is_no_request_is_told_so(node: ReplayNode) -> None:
    assert (await post(node, "{"))["error"]["code"] == -32700
    assert (await post(node, 5))["error"]["code"] == -32600


async def number_of(node: ReplayNode, tag: str) -> int | None:
    block = await result(node, "eth_getBlockByNumber", tag, WITHOUT_TRANSACTIONS)
    return None if block is None else int(block["number"], 16)


async def result(node: ReplayNode, method: str, *params: object) -> Any:
    answer = await post(node, {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    assert "error" not in answer, answer
    return answer["result"]


async def error(node: ReplayNode, method: str, *params: object) -> Any:
    return (await post(node, {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}))["error"]


async def post(node: ReplayNode, body: object) -> Any:
    given: Any = {"data": body} if isinstance(body, str) else {"json": body}
    async with aiohttp.ClientSession() as session, session.post(node.url, **given) as answer:
        return await answer.json()
