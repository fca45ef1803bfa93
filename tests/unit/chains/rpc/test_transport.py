"""Bytes there and back: compressed, bounded, broken off; every trouble has its type and tells no address."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib

import pytest
from aiohttp import web

from chains.errors import ChainError, NodeBusy, NodeLimits, NodeWrong, RangeTooWide
from chains.rpc.transport import BrokenOff, TimedOut
from chains.rpc.wire import retry_after_s
from tests.unit.chains.rpc.nodes import SECRET, Scripted, Serve, bench, saying


async def trouble(serve: Serve, method: str = "eth_gasPrice", **settings: float) -> ChainError:
    """What becomes of a call to a single node."""
    async with bench(Scripted(serve=serve), tries=1, **settings) as asked:
        with pytest.raises(ChainError) as caught:
            await asked.call(method)
        told = [str(error) + repr(error) for _, error in asked.heard.errors]
    assert SECRET not in str(caught.value) + repr(caught.value) + repr(caught.value.__cause__) + "".join(told)
    return caught.value


def packed(body: bytes, how: str, **headers: str) -> Serve:
    async def serve(_request: web.Request, node: Scripted) -> web.StreamResponse:
        said = body or json.dumps(node.reply(node.calls[-1])).encode()
        data = gzip.compress(said) if how == "gzip" else zlib.compress(said)
        return web.Response(body=data, headers={"Content-Encoding": how, **headers})

    return serve


@pytest.mark.parametrize("how", ["gzip", "deflate"])
async def test_compressed_answers_are_asked_for_unpacked_and_counted_as_they_came(how: str) -> None:
    node = Scripted(answers={"eth_getCode": lambda _: "0x" + "00" * 200_000}, serve=packed(b"", how))
    async with bench(node) as asked:
        code = await asked.call("eth_getCode")

    assert code == "0x" + "00" * 200_000
    assert node.headers[0]["Accept-Encoding"] == "gzip"
    assert 400 < asked.heard.exchanges[-1].received < 4_000


async def test_large_compressed_answers_are_unpacked_beside_the_loop() -> None:
    words = "".join(f"{n * 2654435761 % 2**64:016x}" for n in range(60_000))
    node = Scripted(answers={"eth_getCode": lambda _: "0x" + words}, serve=packed(b"", "gzip"))
    async with bench(node) as asked:
        assert await asked.call("eth_getCode") == "0x" + words
        assert asked.heard.exchanges[-1].received > 1 << 18


async def test_plain_answers_are_counted_by_their_length() -> None:
    async with bench(Scripted()) as asked:
        await asked.call()

    assert asked.heard.exchanges[-1].received == len('{"jsonrpc": "2.0", "id": 1, "result": "0x2a"}')


async def test_a_connection_is_kept() -> None:
    ports = set()

    async def serve(request: web.Request, node: Scripted) -> web.StreamResponse:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        return web.json_response(node.reply(node.calls[-1]))

    async with bench(Scripted(serve=serve)) as asked:
        for _ in range(5):
            await asked.call()

    assert len(ports) == 1


async def test_an_answer_beyond_the_bound_is_not_read_whether_or_not_its_length_is_told() -> None:
    async def endless(request: web.Request, _node: Scripted) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(1_000):
            await answer.write(b" " * 65_536)
        return answer

    for serve in (saying(200, "x" * 20_000), endless, packed(b" " * 20_000, "gzip")):
        error = await trouble(serve, most_bytes=10_000)
        assert isinstance(error, NodeWrong)
        assert "answers with more than 10000 bytes" in str(error)


async def test_logs_beyond_the_bound_are_too_wide_a_range() -> None:
    async with bench(Scripted(answers={"eth_getLogs": lambda _: ["x" * 20_000]}), most_bytes=10_000) as asked:
        with pytest.raises(RangeTooWide) as caught:
            await asked.call("eth_getLogs", {"fromBlock": "0x0", "toBlock": "0x9"})

    assert (caught.value.limit, caught.value.lasting) == (None, False)


async def test_a_batch_beyond_the_bound_is_asked_in_parts() -> None:
    node = Scripted(answers={"eth_getCode": lambda _: "0x" + "00" * 1_000})
    async with bench(node, most_bytes=10_000) as asked:
        codes = await asked.pool.batch([("eth_getCode", ())] * 16, str)

    assert len(codes) == 16
    assert node.sizes[:4] == [1, 16, 8, 4], "2,000 characters each"


async def test_half_an_answer_is_broken_off() -> None:
    async def halved(request: web.Request, node: Scripted) -> web.StreamResponse:
        said = json.dumps(node.reply(node.calls[-1])).encode()
        answer = web.StreamResponse(headers={"Content-Length": str(len(said) + 10)})
        await answer.prepare(request)
        await answer.write(said)
        assert request.transport is not None
        request.transport.close()
        return answer

    async def reset(request: web.Request, _node: Scripted) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def half_packed(_request: web.Request, node: Scripted) -> web.StreamResponse:
        data = gzip.compress(json.dumps(node.reply(node.calls[-1])).encode())
        return web.Response(body=data[:-12], headers={"Content-Encoding": "gzip"})

    for serve in (halved, reset, half_packed):
        error = await trouble(serve)
        assert isinstance(error, BrokenOff), serve
        assert "broke off its answer" in str(error)


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "body",
    [
        "", "garbage", "<html>", '{"jsonrpc"', "[]", "null", "[1]", '"text"', "{}",
        f'{{"id":1,"result":{DEEP}}}', f'{{"more":{DEEP}}}',
    ],
    ids=map(str, range(11)),
)  # fmt: skip
async def test_garbage_is_wrong(body: str) -> None:
    assert isinstance(await trouble(saying(200, body)), NodeWrong)


async def test_what_is_not_compressed_as_it_says_is_wrong() -> None:
    async def serve(_request: web.Request, _node: Scripted) -> web.StreamResponse:
        return web.Response(body=b"plain", headers={"Content-Encoding": "gzip"})

    assert "not compressed as it says" in str(await trouble(serve))


async def test_text_that_is_no_unicode_is_wrong() -> None:
    async def serve(_request: web.Request, _node: Scripted) -> web.StreamResponse:
        return web.Response(body=b'{"id": 0, "result": "\xff"}')

    assert isinstance(await trouble(serve), NodeWrong)


async def test_silence_is_waited_for_no_longer_than_allowed() -> None:
    async def serve(_request: web.Request, _node: Scripted) -> web.StreamResponse:
        await asyncio.sleep(1)
        return web.Response()

    error = await trouble(serve, timeout_s=0.02)
    assert isinstance(error, TimedOut)
    assert "did not answer within 0.02 s" in str(error)


@pytest.mark.parametrize(
    "status, kind",
    [(301, NodeWrong), (401, NodeWrong), (403, NodeWrong), (404, NodeWrong), (429, NodeLimits), (500, NodeBusy), (503, NodeBusy)],
)  # fmt: skip
async def test_statuses_have_their_kinds(status: int, kind: type[ChainError]) -> None:
    error = await trouble(saying(status, "no", Location=f"http://127.0.0.1:9/{SECRET}"))

    assert isinstance(error, kind)


async def test_a_server_error_that_explains_itself_is_understood() -> None:
    async def serve(_request: web.Request, node: Scripted) -> web.StreamResponse:
        call = node.calls[-1]
        said = {"code": -32000, "message": "block range is too wide (maximum 1024)"}
        good = (
            {"id": call["id"], "result": "0x1"}
            if call["method"] != "eth_getLogs"
            else {"id": call["id"], "error": said}
        )
        return web.json_response(good, status=200 if "result" in good else 500)

    async with bench(Scripted(serve=serve), tries=1) as asked:
        with pytest.raises(RangeTooWide) as caught:
            await asked.call("eth_getLogs")

    assert caught.value.limit == 1024


async def test_a_server_error_in_vague_words_is_a_server_error() -> None:
    async def serve(_request: web.Request, node: Scripted) -> web.StreamResponse:
        said = {"id": node.calls[-1]["id"], "error": {"code": -32603, "message": "Internal error"}}
        return web.json_response(said, status=500)

    error = await trouble(serve)
    assert isinstance(error, NodeBusy)
    assert "HTTP 500: Internal error" in str(error)


@pytest.mark.parametrize(
    "said, seconds",
    [
        ("7", 7), ("0.5", 0.5), ("-3", 0), ("soon", None), ("", None), ("nan", None), ("inf", None), ("9999999", 3_600),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
    ],
)  # fmt: skip
def test_a_wish_for_a_pause_is_read_in_seconds_or_as_a_date(said: str, seconds: float | None) -> None:
    assert retry_after_s({"Retry-After": said}) == seconds
