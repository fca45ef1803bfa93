"""A node that misbehaves: every fault has its type, its message, and no secret in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from chains.errors import ChainError, HistoryGone, NodeBusy, NodeWrong, RangeTooWide, WrongChain
from chains.evm.dialect import EvmDialect
from chains.rpc import NodePool

SECRET = "canary-secret-key"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def at_once(_seconds: float) -> None:
    """Sleep no time at all."""
    await asyncio.sleep(0)


@asynccontextmanager
async def pool_over(*handlers: Handler, chain_number: int = 1) -> AsyncIterator[NodePool]:
    runners, urls = [], []
    for handler in handlers:
        app = web.Application()
        app.router.add_post("/{key}", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        runners.append(runner)
        urls.append(f"http://127.0.0.1:{port}/{SECRET}")
    pool = NodePool("eip155:1", EvmDialect(chain_number), urls, timeout_s=0.3, tries=3, sleep=at_once)
    try:
        yield pool
    finally:
        await pool.aclose()
        for runner in runners:
            await runner.cleanup()


def answering(result: object, *, chain: str = "0x1") -> Handler:
    async def handle(request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        if isinstance(body, list):
            return web.json_response([{"id": one["id"], "result": result} for one in reversed(body)])
        return web.json_response({"id": body["id"], "result": chain if body["method"] == "eth_chainId" else result})

    return handle


def refusing(code: int, text: str) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        if body["method"] == "eth_chainId":
            return web.json_response({"id": body["id"], "result": "0x1"})
        return web.json_response({"id": body["id"], "error": {"code": code, "message": text}})

    return handle


def saying(status: int, body: str) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=status, text=body)

    return handle


async def fault(*handlers: Handler, method: str = "eth_getLogs") -> ChainError:
    async with pool_over(*handlers) as pool:
        with pytest.raises(ChainError) as caught:
            await pool.call(method, [], str)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)
    return caught.value


async def test_batches_are_put_back_in_order() -> None:
    async with pool_over(answering("0x2a")) as pool:
        assert await pool.batch([("eth_call", ())] * 3, str) == ["0x2a"] * 3


async def test_another_chain_is_refused_by_name() -> None:
    error = await fault(answering("0x0", chain="0x89"))

    assert isinstance(error, WrongChain)
    assert "serves chain id 137, the configuration says 1" in str(error)


async def test_malformed_answers_are_wrong_and_not_taken() -> None:
    for body in ("not json", "{", '{"id":0}', "[]", '{"id": 7, "result": "0x1"}'):
        assert isinstance(await fault(saying(200, body)), NodeWrong), body


async def test_an_answer_of_another_shape_is_wrong() -> None:
    async with pool_over(answering({"no": "text"})) as pool:
        with pytest.raises(NodeWrong, match="wrong shape"):
            await pool.call("eth_getCode", [], str)


async def test_rate_limits_and_broken_servers_are_busy() -> None:
    for handler in (saying(429, ""), saying(503, ""), refusing(-32005, "rate limited")):
        assert isinstance(await fault(handler), NodeBusy)


async def test_a_refused_connection_is_busy_and_names_only_host_and_port() -> None:
    pool = NodePool("eip155:1", EvmDialect(1), [f"http://user:{SECRET}@127.0.0.1:9/{SECRET}"], tries=2, sleep=at_once)

    with pytest.raises(NodeBusy, match=r"node 1 \(127.0.0.1:9\) cannot be reached") as caught:
        await pool.call("eth_blockNumber", [], str)

    await pool.aclose()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "query returned more than 10000 results",
        "eth_getLogs is limited to a 10,000 range",
        "block range is too wide",
        "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range",
        "exceed maximum block range: 5000",
    ],
)
async def test_providers_words_for_too_wide_a_range_are_understood(text: str) -> None:
    assert isinstance(await fault(refusing(-32000, text)), RangeTooWide)


async def test_missing_state_says_that_an_archive_node_is_needed() -> None:
    error = await fault(refusing(-32000, "missing trie node abc"), method="eth_call")

    assert isinstance(error, HistoryGone)
    assert "archive node" in str(error)


async def test_a_fault_at_one_node_is_mended_by_the_next() -> None:
    async with pool_over(saying(503, ""), answering("0x2a")) as pool:
        assert await pool.call("eth_blockNumber", [], str) == "0x2a"


async def test_addresses_in_a_nodes_words_are_left_out() -> None:
    error = await fault(refusing(-32000, f"upgrade at https://provider.example/{SECRET} today"), method="eth_call")

    assert "<address>" in str(error)
