"""Nodes as they are and as providers limit them: what is measured is what they do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from chains.evm.survey import survey
from chains.model import ChainSpec, VenueSpec
from chains.survey.facts import Ability, NodeSurvey
from chains.survey.wire import MOST_REQUESTS
from tests.devnet.evm.anvil import anvil
from tests.devnet.evm.node import Node

CHAIN = 31_337
HEIGHT = 300
KEPT = 40
KEY = "canary-secret-key"

Refusal = Callable[[dict[str, Any]], str | None]


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with anvil(chain_id=CHAIN) as running:
        running.call("anvil_mine", hex(HEIGHT))
        yield running


@pytest.fixture(scope="module")
def forgetful() -> Iterator[Node]:
    with anvil(chain_id=CHAIN, more=("--prune-history", str(KEPT))) as running:
        running.call("anvil_mine", hex(HEIGHT))
        yield running


@dataclass(slots=True)
class Provider:
    """A node behind a provider's limits; `busy`: so many requests are turned away first."""

    upstream: str
    refuses: Refusal = lambda _: None
    batch: int = 10_000
    busy: int = 0
    seen: list[int] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        each = body if isinstance(body, list) else [body]
        self.seen.append(len(each))
        if self.busy:
            self.busy -= 1
            return web.Response(status=429, headers={"Retry-After": "0"})
        if len(each) > self.batch:
            return web.json_response({"id": None, "error": {"code": -32600, "message": "batch too large"}}, status=400)
        for one in each:
            if (words := self.refuses(one)) is not None:
                return web.json_response({"id": one["id"], "error": {"code": -32000, "message": words}}, status=400)
        async with aiohttp.ClientSession() as session, session.post(self.upstream, json=body) as reply:
            answer = web.json_response(await reply.json())
            answer.enable_compression(web.ContentCoding.gzip)
            return answer


@asynccontextmanager
async def offered(provider: Provider) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/{key}", provider.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/{KEY}"
    finally:
        await runner.cleanup()


async def measured(*urls: str, ws: tuple[str, ...] = (), start: int = 0) -> list[NodeSurvey]:
    spec = ChainSpec(id=f"eip155:{CHAIN}", name="net", rpc=urls, finality="finalized", start_block=start, ws=ws)
    venue = VenueSpec(id="v", protocol="escrow", chain_id=spec.id, address=b"\xaa" * 20, start_block=start)
    return await survey(spec, [venue], [])


async def behind(provider: Provider) -> NodeSurvey:
    async with offered(provider) as url:
        (found,) = await measured(url)
    return found


def ranges_up_to(limit: int, words: str) -> Refusal:
    def refuses(one: dict[str, Any]) -> str | None:
        if one["method"] != "eth_getLogs":
            return None
        asked = one["params"][0]
        return words if int(asked["toBlock"], 16) - int(asked["fromBlock"], 16) + 1 > limit else None

    return refuses


async def test_a_node_with_everything_is_measured_whole(node: Node) -> None:
    (found,) = await measured(node.url)

    everything = Ability(value=1, whole=True)
    assert found.head is not None
    assert (found.served, found.problem, found.head.number) == (f"eip155:{CHAIN}", None, HEIGHT)
    assert found.client is not None
    assert found.client.startswith("anvil/")
    assert found.latency_s is not None
    assert found.latency_s > 0
    assert dict(found.abilities) == {
        "safe": Ability(value=HEIGHT - 32),
        "finalized": Ability(value=HEIGHT - 64),
        "state": everything,
        "logs": everything,
        "receipts": everything,
        "range": Ability(value=HEIGHT + 1, whole=True),
        "addresses": Ability(value=1_000, whole=True),
        "batch": Ability(value=500, whole=True),
        "proofs": Ability(value=True),
        "gzip": Ability(value=False),
        "websocket": Ability(value=True),
    }
    assert found.requests <= MOST_REQUESTS


async def test_a_node_that_forgets_old_state_is_told_to_the_block(forgetful: Node) -> None:
    (found,) = await measured(forgetful.url)

    state, logs = found.abilities["state"], found.abilities["logs"]
    assert state.value == HEIGHT - KEPT
    assert state.said is not None
    assert "BlockOutOfRange" in state.said
    assert logs == Ability(value=1, whole=True)


async def test_heads_of_several_nodes_are_told_side_by_side_with_one_that_is_dead(node: Node) -> None:
    first, dead = await measured(node.url, "http://127.0.0.1:9")

    assert first.head is not None
    assert dead.problem == "cannot be reached (ClientConnectorError)"
    assert (dead.served, dead.head, dict(dead.abilities)) == (None, None, {})


async def test_a_node_of_another_chain_is_asked_nothing_more(node: Node) -> None:
    spec = ChainSpec(id="eip155:1", name="one", rpc=(node.url,), finality="finalized", start_block=0)

    (found,) = await survey(spec, [], [])

    assert (found.served, found.problem, dict(found.abilities)) == (f"eip155:{CHAIN}", None, {})
    assert found.requests == 2


@pytest.mark.parametrize(
    "limit, words",
    [
        (100, "eth_getLogs is limited to a 100 range"),
        (123, "block range is too wide"),
        (57, "query exceeds max block range 57"),
        (1, "ranges are for subscribers"),
    ],
)
async def test_the_range_limit_is_measured_whatever_the_provider_says(node: Node, limit: int, words: str) -> None:
    found = await behind(Provider(node.url, ranges_up_to(limit, words)))

    assert found.abilities["range"] == Ability(value=limit, said=words)
    assert found.requests <= MOST_REQUESTS


async def test_a_provider_without_logs_is_said_so(node: Node) -> None:
    found = await behind(Provider(node.url, lambda one: "upgrade" if one["method"] == "eth_getLogs" else None))

    assert found.abilities["range"] == found.abilities["logs"] == Ability(value=False, said="upgrade")


async def test_what_a_provider_does_not_offer_is_refused_in_its_own_words(node: Node) -> None:
    missing = {"eth_getProof", "eth_getBlockReceipts", "web3_clientVersion"}
    found = await behind(Provider(node.url, lambda one: "not here" if one["method"] in missing else None))

    assert found.client is None
    assert found.abilities["proofs"] == found.abilities["receipts"] == Ability(value=False, said="not here")
    assert found.abilities["websocket"].value is False


async def test_a_tag_that_is_not_known_is_refused(node: Node) -> None:
    found = await behind(Provider(node.url, lambda one: "unknown tag" if "finalized" in one["params"] else None))

    assert found.abilities["finalized"] == Ability(value=False, said="unknown tag")
    assert found.abilities["safe"].value == HEIGHT - 32


async def test_batches_are_measured_by_size(node: Node) -> None:
    provider = Provider(node.url, batch=60)

    found = await behind(provider)

    assert found.abilities["batch"] == Ability(value=50, said="batch too large")
    assert [size for size in provider.seen if size > 1] == [2, 10, 50, 100]


async def test_a_provider_that_limits_the_rate_is_waited_for_and_counted(node: Node) -> None:
    found = await behind(Provider(node.url, busy=2))

    assert found.problem is None
    assert found.limited == 2
    assert found.abilities["state"].whole


async def test_compressed_answers_are_noticed(node: Node) -> None:
    found = await behind(Provider(node.url))

    assert found.abilities["gzip"] == Ability(value=True)


async def test_a_configured_websocket_of_the_same_host_is_tried(node: Node) -> None:
    async with offered(Provider(node.url)) as url:
        (found,) = await measured(url, ws=(node.url.replace("http", "ws"),))

    assert found.abilities["websocket"] == Ability(value=True)


async def test_no_word_of_a_node_brings_its_address_along(node: Node) -> None:
    said = f"upgrade {KEY} at https://provider.example/{KEY} today"
    found = await behind(Provider(node.url, lambda one: said if one["method"] == "eth_getProof" else None))

    assert found.abilities["proofs"].said == "upgrade ••• at <address> today"
    assert KEY not in repr(found)


@pytest.mark.parametrize(
    "body, status, problem",
    [
        ("<html>", 200, "gives no JSON-RPC answer"),
        ("<html>", 403, "answers HTTP 403"),
        ('{"id":0,"more":' + "[" * 100_000, 200, "gives no JSON-RPC answer"),
        ('{"id":0}', 200, "answers with neither result nor error"),
        ('{"id":0,"result":7}', 200, "answers in another shape (Expected `str`, got `int`)"),
        ('{"id":0,"result":"x"}', 200, "gives a number that is none"),
        ('{"id":0,"error":{"code":-32000,"message":"no key"}}', 401, "refuses: no key"),
    ],
)
async def test_an_answer_that_is_none_is_the_nodes_problem(body: str, status: int, problem: str) -> None:
    class Odd(Provider):
        async def answer(self, request: web.Request) -> web.Response:
            return web.Response(text=body, status=status)

    found = await behind(Odd(""))

    assert found.problem == problem
    assert found.requests == 2
