"""A contract's own refusal is an answer; a node's trouble is none, whatever its words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from chains.errors import HistoryGone, NodeBehind, NodeWrong
from chains.evm.dialect import EvmDialect
from chains.evm.ports import ETH_CALL, STATE, UNAVAILABLE, Answer, Read
from chains.evm.source import NodeSource
from chains.model import Block, ChainSpec
from chains.rpc import NodePool

READ = Read(1, ETH_CALL, bytes(20), b"\x01")
BLOCKS = {1: Block(number=1, hash=bytes(32), parent_hash=bytes(32), time=1)}


@asynccontextmanager
async def source(error: dict[str, Any]) -> AsyncIterator[NodeSource]:
    async def handle(request: web.Request) -> web.Response:
        call = await request.json()
        said = {"result": "0x1"} if call["method"] == "eth_chainId" else {"error": error}
        return web.json_response({"jsonrpc": "2.0", "id": call["id"], **said})

    app = web.Application()
    app.router.add_post("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    spec = ChainSpec(id="eip155:1", name="one", rpc=(url,), finality="latest", start_block=0)
    made = NodeSource(spec, NodePool(spec.id, EvmDialect(1), spec.rpc, tries=1))
    yield made
    await made.aclose()
    await runner.cleanup()


@pytest.mark.parametrize(
    "error, output",
    [
        ({"code": 3, "message": "execution reverted: no", "data": "0x08c379a0"}, b"\x08\xc3\x79\xa0"),
        ({"code": 3, "message": "execution reverted"}, b""),
        ({"code": -32000, "message": "execution reverted", "data": None}, b""),
        ({"code": -32015, "message": "VM execution error.", "data": "Reverted 0x"}, b""),
        ({"code": -32000, "message": "invalid opcode: INVALID"}, b""),
        ({"code": -32000, "message": "out of gas", "data": None}, b""),
    ],
)
async def test_what_a_contract_refuses_is_its_answer(error: dict[str, Any], output: bytes) -> None:
    async with source(error) as asked:
        assert await asked.read([READ], BLOCKS) == {READ: Answer("reverted", output)}


@pytest.mark.parametrize("data", [{}, {"data": None}, {"data": {"reason": "overload"}}, {"data": "try again later"}])
@pytest.mark.parametrize("code, text", [(-32603, "internal error"), (-32001, "not here")])
async def test_what_a_node_cannot_do_is_no_answer_of_a_contract(code: int, text: str, data: dict[str, Any]) -> None:
    async with source({"code": code, "message": text, **data}) as asked:
        with pytest.raises(NodeWrong, match=r"^chain eip155:1: the node refuses an eth_call at block 1$"):
            await asked.read([READ], BLOCKS)


@pytest.mark.parametrize("data", [{}, {"data": None}, {"data": {"reason": "overload"}}, {"data": "try again later"}])
async def test_a_block_that_a_node_does_not_know_is_no_answer_of_a_contract(data: dict[str, Any]) -> None:
    async with source({"code": -32000, "message": "header not found", **data}) as asked:
        with pytest.raises(NodeBehind, match=r"does not know the block \(eth_call\): header not found"):
            await asked.read([READ], BLOCKS)


@pytest.mark.parametrize(
    "text",
    [
        "missing trie node 5d2e (path ) state 0x5d2e is not available",
        "historical state 5d2e is not available",
        "distance to target block exceeds maximum proof window",
    ],
)
async def test_state_that_is_gone_stops_a_call_and_answers_who_can_do_without(text: str) -> None:
    state = READ._replace(method=STATE)
    async with source({"code": -32000, "message": text}) as asked:
        with pytest.raises(HistoryGone, match="has no state for the block"):
            await asked.read([READ], BLOCKS)
        assert await asked.read([state], BLOCKS) == {state: UNAVAILABLE}
