"""Batches: each request has one answer, whatever the order; what a node refuses as a batch is asked in smaller ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from chains.errors import NodeBusy, NodeLimits, NodeWrong, RangeTooWide
from chains.redaction import Redactor
from chains.rpc.transport import Received
from chains.rpc.wire import replies
from tests.unit.chains.rpc.nodes import Call, Error, Scripted, Serve, bench, fails

ECHO = {"echo": lambda call: call["params"][0]}
Twist = Callable[[list[Call]], Any]


def twisted(twist: Twist) -> Serve:
    """Answer well, and change the answers to batches."""

    async def serve(_request: web.Request, node: Scripted) -> web.StreamResponse:
        calls = node.calls[-node.sizes[-1] :]
        said = [node.reply(call) for call in calls]
        return web.json_response(twist(said) if len(said) > 1 else said[0])

    return serve


def echo(count: int) -> list[tuple[str, list[object]]]:
    return [("echo", [number]) for number in range(count)]


@pytest.mark.parametrize(
    "twist", [lambda said: said[::-1], lambda said: said[3:] + said[:3]], ids=["reversed", "rotated"]
)
async def test_answers_are_put_back_in_order(twist: Twist) -> None:
    async with bench(Scripted(ECHO, serve=twisted(twist))) as asked:
        assert await asked.pool.batch(echo(10), int) == list(range(10))


@pytest.mark.parametrize(
    "twist, words",
    [
        (lambda said: [*said, said[0]], "answered one request of a batch twice"),
        (lambda said: [said[0], said[0], *said[2:]], "answered one request of a batch twice"),
        (lambda said: said[1:], "left requests of a batch unanswered"),
        (lambda said: [said[0] | {"id": 999_999}, *said[1:]], "gave an answer to another request than was made"),
        (lambda said: [said[0] | {"id": None}, *said[1:]], "gave an answer to another request than was made"),
        (lambda said: [said[0] | {"id": str(said[0]["id"])}, *said[1:]], "gave an answer to another request"),
        (lambda said: [{"id": said[0]["id"]}, *said[1:]], "with neither result nor error"),
    ],
    ids=["one more", "one for another", "one less", "a wrong id", "no id", "an id of another type", "an empty one"],
)
async def test_answers_that_do_not_fit_the_requests_are_wrong_and_another_node_is_asked(
    twist: Twist, words: str
) -> None:
    wrong, right = Scripted(ECHO, serve=twisted(twist)), Scripted(ECHO)
    async with bench(wrong, right) as asked:
        assert await asked.pool.batch(echo(4), int) == [0, 1, 2, 3]

    assert words in str(asked.heard.errors[0][1])
    assert asked.heard.errors[0][0] == asked.labels[0]


async def test_the_answer_to_an_earlier_request_does_not_pass_for_that_to_this_one() -> None:
    kept: list[Call] = []

    async def serve(_request: web.Request, node: Scripted) -> web.StreamResponse:
        said = node.reply(node.calls[-1])
        if node.calls[-1]["method"] == "echo":
            kept.append(said)
            said = kept[0]
        return web.json_response(said)

    async with bench(Scripted(ECHO, serve=serve), tries=1) as asked:
        assert await asked.call("echo", 1) == 1
        with pytest.raises(NodeWrong, match="another request"):
            await asked.call("echo", 2)


def refusing(most: int, refusal: Callable[[list[Call]], Any], status: int = 200) -> Serve:
    """Refuse batches of more than `most`."""

    async def serve(_request: web.Request, node: Scripted) -> web.StreamResponse:
        said = [node.reply(call) for call in node.calls[-node.sizes[-1] :]]
        if len(said) > most:
            return web.json_response(refusal(said), status=status)
        return web.json_response(said if len(said) > 1 else said[0])

    return serve


def error(code: int, message: str, number: int | None = None) -> Call:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}}


REFUSALS: dict[str, tuple[int, Callable[[list[Call]], Any], int]] = {
    "geth": (100, lambda said: [error(-32600, "batch too large", said[0]["id"])], 200),
    "geth, too long": (100, lambda said: [*said[:5], *(error(-32003, "response too large", s["id"]) for s in said[5:])], 200),
    "erigon": (100, lambda said: error(-32000, f"batch limit 100 exceeded: {len(said)} requests given"), 200),
    "besu": (50, lambda _: error(-32005, "Number of requests exceeds max batch size"), 200),
    "drpc": (3, lambda _: error(31, "Batch of more than 3 requests are not allowed on free tier"), 200),
    "none at all": (1, lambda _: error(-32600, "batch requests are not supported"), 200),
    "an array of one": (10, lambda _: [error(-32000, "too many requests in batch, maximum 10")], 200),
    "by status": (64, lambda _: "too large", 413),
    "in no words": (32, lambda _: error(-32600, "Invalid Request"), 400),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS)
async def test_a_refused_batch_is_asked_in_smaller_ones_and_the_size_is_remembered(
    case: tuple[int, Callable[[list[Call]], Any], int],
) -> None:
    most, refusal, status = case
    node = Scripted(ECHO, serve=refusing(most, refusal, status))
    async with bench(node, tries=1) as asked:
        assert await asked.pool.batch(echo(300), int) == list(range(300))
        first = len(node.sizes)
        assert await asked.pool.batch(echo(300), int) == list(range(300))
        refused = [size for size in node.sizes[first:] if size > most]

    assert len(refused) <= 2, "a limit that was not named is still closed in on"
    assert asked.kinds() == []


@pytest.mark.parametrize("name", ["erigon", "drpc"])
async def test_a_size_that_a_node_names_is_met_at_once(name: str) -> None:
    most, refusal, status = REFUSALS[name]
    node = Scripted(ECHO, serve=refusing(most, refusal, status))
    async with bench(node) as asked:
        await asked.pool.batch(echo(300), int)

    assert [size for size in node.sizes if size > most] == [300]
    assert node.sizes.count(most) == 300 // most


async def test_a_whole_batch_that_is_refused_for_its_rate_is_no_smaller_batch() -> None:
    node = Scripted(
        ECHO, serve=refusing(1, lambda _: error(-32005, "daily request count exceeded, request rate limited"))
    )
    async with bench(node, tries=1) as asked:
        with pytest.raises(NodeLimits):
            await asked.pool.batch(echo(10), int)

    assert node.sizes == [1, 10]


async def test_a_single_request_that_is_refused_as_a_batch_ends() -> None:
    async def serve(_request: web.Request, node: Scripted) -> web.StreamResponse:
        call = node.calls[-1]
        good = call["method"] == "eth_chainId"
        return web.json_response(node.reply(call) if good else {}, status=200 if good else 413)

    async with bench(Scripted(ECHO, serve=serve), tries=1) as asked:
        with pytest.raises(NodeWrong):
            await asked.pool.batch(echo(4), int)


async def test_what_one_request_of_a_batch_means_holds_for_all() -> None:
    answers = {"eth_getLogs": fails(None, Error(-32602, "query exceeds max block range 500"))}
    async with bench(Scripted(answers)) as asked:
        with pytest.raises(RangeTooWide) as caught:
            await asked.pool.batch([("eth_getLogs", ())] * 3, object)

    assert (caught.value.limit, caught.value.lasting, caught.value.node) == (500, True, asked.labels[0])


async def test_a_batch_in_parts_goes_on_when_a_part_is_limited() -> None:
    answers = {"echo": lambda call: call["params"][0]}
    limited = [False, True, False, True]

    async def serve(_request: web.Request, node: Scripted) -> web.StreamResponse:
        said = [node.reply(call) for call in node.calls[-node.sizes[-1] :]]
        if len(said) > 1 and limited and limited.pop(0):
            return web.Response(status=429)
        return web.json_response(said if len(said) > 1 else said[0])

    node = Scripted(answers, serve=serve)
    async with bench(node, tries=1) as asked:
        asked.pool.nodes[0].batch.refused(20, 10)
        assert await asked.pool.batch(echo(60), int) == list(range(60))

    assert limited == []


async def test_batches_are_no_larger_than_what_a_node_bears_in_a_second() -> None:
    node = Scripted(ECHO)
    async with bench(node) as asked:
        asked.pool.nodes[0].pace.per_s = 25.0
        assert await asked.pool.batch(echo(100), int) == list(range(100))

    assert max(node.sizes) <= 50
    assert sum(asked.clock.naps) > 2, "100 requests at 25 or a little more a second, one second of them at once"


async def test_more_than_a_dialect_allows_is_never_sent_at_once() -> None:
    node = Scripted(ECHO)
    async with bench(node) as asked:
        assert await asked.pool.batch(echo(1_200), int) == list(range(1_200))

    assert node.sizes == [1, 500, 500, 200]


async def test_a_batch_that_breaks_off_is_tried_in_half_where_none_went_well_before() -> None:
    async def serve(request: web.Request, node: Scripted) -> web.StreamResponse:
        said = [node.reply(call) for call in node.calls[-node.sizes[-1] :]]
        if len(said) > 100:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(said if len(said) > 1 else said[0])

    node = Scripted(ECHO, serve=serve)
    async with bench(node, tries=4) as asked:
        assert await asked.pool.batch(echo(200), int) == list(range(200))

    assert [size for size in node.sizes if size > 1][:2] == [200, 100]
    assert set(asked.kinds()) == {"BrokenOff"}
    assert issubclass(type(asked.heard.errors[0][1]), NodeBusy)


def test_what_a_contract_returned_is_no_word_of_the_node() -> None:
    """Bytes that happen to be those of a part of the address stay; words beside them do not tell it."""
    data, redactor = "0x08c379a0" + "abcdef" * 4, Redactor(["http://node.example/rpc?network=abcdef"])
    fault = {"code": 3, "message": "reverted at abcdef", "data": data}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "error": fault}).encode()
    received = Received(status=200, headers={}, body=body, wire_bytes=len(body))

    (reply,) = replies("node 1", received, 1, 1, redactor)

    assert reply.error is not None
    assert (reply.error.message, reply.error.data) == ("reverted at •••", data)
