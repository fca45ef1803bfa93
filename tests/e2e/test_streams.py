"""Events of a followed chain over HTTP: bands as the recorded story goes, filters, resuming, and who may read."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from crossmargin.client import Busy, Client, Event, NotFound, Usage
from crossmargin.service_file import read
from tests.e2e.test_api_keys import bearer, made
from tests.e2e.test_service import get, until
from tests.support.recorded import Nodes, configure, crossmargin, recorded, service

PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
DESK = "https://desk.example"
KEEP = '[events]\nkeep = "30000d"\nstreams_per_key = 3\n\n[webhooks]\nloopback = true\n\n[server]\norigins = ["https://desk.example"]\n'


@pytest.fixture(scope="module")
def served(nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A service that followed the recorded story of one chain, most of it at once and the rest in two steps."""
    folder = tmp_path_factory.mktemp("streams")
    north = nodes.start(recorded()[0], head=150)
    configure(folder, [north], lambda text: text.replace("[server]\n", KEEP, 1))
    with service(folder, "run") as (url, _):
        for head in (150, 175, north.recording.last):
            north.set_head(head)
            taken(url, head)
        yield url, folder


def taken(url: str, head: int) -> None:
    """Wait for the book of a block; a first one compiles its kernel, and the next is taken three times as long after it."""
    shown = f'crossmargin_book_block{{chain="eip155:31337"}} {head}.0'
    until(lambda: shown in get(url + "/metrics").body, seconds=150)


async def stream(url: str, count: int, headers: dict[str, str] | None = None, seconds: float = 20) -> list[Any]:
    """So many events of a stream, or as many as come."""
    found: list[Any] = []
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers or {}) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["Content-Type"] == "text/event-stream"
        try:
            async with asyncio.timeout(seconds):
                async for line in answer.content:
                    if line.startswith(b"data: "):
                        found.append(json.loads(line[6:]))
                        if len(found) == count:
                            break
        except TimeoutError:
            pass
    return found


async def everything(url: str, query: str = "") -> list[Any]:
    return await stream(f"{url}/v1/stream?after=0{query}", 10_000, seconds=3)


async def test_what_was_told_names_accounts_as_their_documents_do(served: tuple[str, Path]) -> None:
    url, _ = served
    told = await everything(url)
    last: dict[str, Any] = {}
    for event in told:
        if event["kind"] == "health_band" and event["scope"] == "account":
            assert (
                event["before"]["band"] == last.get(event["account"], {"after": {"band": "healthy"}})["after"]["band"]
            )
            last[event["account"]] = event

    assert last
    for account, event in list(last.items())[:4]:
        document = json.loads(get(f"{url}/v1/accounts/{account}/health").body)
        calm = {"no_debt": "healthy"}.get(document["status"], document["status"])
        assert event["after"]["band"] == calm or event["after"]["status"] != event["after"]["band"]
    assert [int(event["id"]) for event in told] == sorted({int(event["id"]) for event in told})


async def test_liquidations_are_told_once_each(served: tuple[str, Path]) -> None:
    url, folder = served
    told = await everything(url, "&kinds=liquidation")
    done = crossmargin(
        folder,
        "sql",
        "SELECT count(*) AS n FROM public.lending_event WHERE transaction_type = 'liquidation'",
        "--format",
        "json",
    )

    assert len(told) == json.loads(done.stdout)[0]["n"] > 0 if done.stdout.startswith("[") else len(told) > 0
    assert {event["kind"] for event in told} == {"liquidation"}
    assert all(event["block"]["hash"].startswith("0x") for event in told)


async def test_filters_choose(served: tuple[str, Path]) -> None:
    url, _ = served
    told = await everything(url)
    bands = [event for event in told if event["kind"] == "health_band"]
    owner = bands[0]["owners"][0]

    of_owner = await everything(url, f"&owners={owner.rpartition(':')[2].lower()}&kinds=health_band,liquidation")
    bad = await everything(url, "&kinds=health_band&min_band=liquidatable")

    assert of_owner == [e for e in told if owner in e["owners"] and e["kind"] in {"health_band", "liquidation"}]
    assert bad == [e for e in bands if {e["before"]["band"], e["after"]["band"]} & {"liquidatable", "unknown"}]


async def test_a_stream_goes_on_behind_the_last_id(served: tuple[str, Path]) -> None:
    url, _ = served
    told = await everything(url)

    rest = await stream(f"{url}/v1/stream", 10_000, {"Last-Event-ID": told[1]["id"]}, seconds=3)

    assert rest == told[2:]


@pytest.mark.parametrize(
    "query, status, code, words",
    [
        ("?after=x", 400, "usage", "after"),
        ("?after=900000000000000000", 400, "usage", "no event has had the id"),
        ("?kinds=gossip", 400, "usage", "is no kind of event"),
        ("?min_band=fine", 400, "usage", "is no band"),
        ("?venues=nowhere", 404, "not-found", 'there is no venue "nowhere"'),
        ("?owners=nobody", 404, "not-found", 'there is no margin account "nobody"'),
        ("?assets=USDC", 400, "usage", "USDC"),
    ],
)
def test_what_cannot_be_streamed_is_refused(
    served: tuple[str, Path], query: str, status: int, code: str, words: str
) -> None:
    """Among that names of which no event can be: who misspelt one would wait for ever."""
    answer = get(f"{served[0]}/v1/stream{query}")

    assert (answer.status, json.loads(answer.body)["code"]) == (status, code)
    assert words in json.loads(answer.body)["detail"]


async def test_a_websocket_tells_the_same(served: tuple[str, Path]) -> None:
    url, _ = served
    told = await everything(url)
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/v1/ws") as socket, asyncio.timeout(20):
        await socket.send_json({"op": "subscribe", "id": "bands", "kinds": ["health_band"], "after": "0"})
        await socket.send_json({"op": "subscribe", "id": "bands"})
        await socket.send_json({"op": "subscribe", "id": "odd", "kinds": ["gossip"]})
        await socket.send_json({"op": "subscribe", "id": "lost", "venues": ["nowhere"]})
        await socket.send_str("[]")
        await socket.send_json({"op": "ping", "id": "p"})
        wanted = [event for event in told if event["kind"] == "health_band"]
        frames: list[Any] = []
        while len([f for f in frames if f["op"] == "event"]) < len(wanted) or frames[-1]["op"] == "pong":
            frames.append(json.loads((await socket.receive()).data))
        await socket.send_json({"op": "unsubscribe", "id": "bands"})
        while frames[-1]["op"] != "unsubscribed":
            frames.append(json.loads((await socket.receive()).data))

    assert [frame["event"] for frame in frames if frame["op"] == "event"] == wanted
    assert [frame["problem"]["code"] for frame in frames if frame["op"] == "error"] == [
        "usage",
        "usage",
        "not-found",
        "usage",
    ]
    assert {"op": "pong", "id": "p"} in frames


async def test_pages_of_other_sites_may_not_open_a_websocket(served: tuple[str, Path]) -> None:
    url, _ = served

    async def opened(origin: str) -> int:
        async with aiohttp.ClientSession() as session:
            try:
                async with session.ws_connect(f"{url}/v1/ws", headers={"Origin": origin}):
                    return 101
            except aiohttp.WSServerHandshakeError as error:
                return error.status

    assert [await opened(origin) for origin in ("https://evil.example", DESK, url)] == [403, 101, 101]


async def test_a_listed_origin_may_read_a_stream(served: tuple[str, Path]) -> None:
    url, _ = served
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/v1/stream", headers={"Origin": DESK}) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == DESK
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        async with session.get(f"{url}/v1/stream", headers={"Origin": "https://evil.example"}) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_key_has_so_many_streams_and_none_when_it_is_revoked(served: tuple[str, Path]) -> None:
    url, folder = served
    key, sql = made(folder, "reader"), made(folder, "analyst", "--scope", "sql")
    async with aiohttp.ClientSession(headers=bearer(key["key"])) as session:
        async with AsyncExitStack() as stack:
            *few, fourth = [await stack.enter_async_context(session.get(f"{url}/v1/stream")) for _ in range(4)]
            assert [answer.status for answer in few] == [200] * 3
            assert fourth.status == 429
            assert "3 streams open" in (await fourth.json(content_type=None))["detail"]
        assert crossmargin(folder, "keys", "api", "revoke", key["id"]).returncode == 0
        async with session.get(f"{url}/v1/stream") as answer:
            assert answer.status == 401
    assert get(f"{url}/v1/stream", headers=bearer(sql["key"])).status == 403


async def test_webhooks_are_managed_by_commands_and_sent_to(served: tuple[str, Path]) -> None:
    _, folder = served
    got: list[tuple[Any, bytes]] = []

    async def take(request: web.Request) -> web.Response:
        got.append((request.headers, await request.read()))
        return web.Response()

    async def command(*words: str) -> Any:
        done = await asyncio.to_thread(crossmargin, folder, "webhooks", *words, "--json")
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr

    app = web.Application()
    app.router.add_post("/hook", take)
    async with TestServer(app) as receiver:
        url = str(receiver.make_url("/hook"))
        made = await command("add", url, "--kind", "health_band", "--min-band", "danger")
        listed, tried = await command("list"), await command("test", made["id"])
        refused = await command("add", "https://169.254.169.254/latest")
        log, gone = await command("log", made["id"]), await command("remove", made["id"])

    assert (tried["delivered"], gone["state"]) == (True, "removed")
    ((headers, body),) = got
    assert headers["webhook-signature"] == signed(
        made["secret"], headers["webhook-id"], headers["webhook-timestamp"], body
    )
    assert json.loads(body)["type"] == "test"
    assert made["secret"] not in json.dumps(listed)
    assert listed["webhooks"][0]["kinds"] == ["health_band"]
    assert log["deliveries"] == []
    assert "no address of the public internet" in refused
    assert not list((folder / "webhook-secrets").iterdir())
    stored = (folder / "crossmargin.duckdb").read_bytes() + (folder / "service.log").read_bytes()
    assert made["secret"].removeprefix("whsec_").encode() not in stored


def signed(secret: str, name: str, time: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(key, f"{name}.{time}.".encode() + body, "sha256")).decode()


async def test_the_client_asks_streams_and_refuses_by_type(served: tuple[str, Path]) -> None:
    url, _ = served
    told = await everything(url)
    name = next(event["account"] for event in told if event["kind"] == "health_band")
    async with Client(url) as client:
        health, positions, ladder = await client.health(name), await client.positions(name), await client.ladder(name)
        both = await client.healths([name, "nobody-here"])
        history = [event async for event in client.history(name)]
        found: list[Event] = []
        async for event in client.stream(after="0"):
            found.append(event)
            if len(found) == len(told):
                break
        with pytest.raises(NotFound) as refused:
            await client.health("nobody-here")
        with pytest.raises(Usage):
            await anext(client.stream(kinds="gossip"))

    assert [event.document for event in found] == told
    assert (health["account"], positions["account"], ladder["account"]) == (name, name, name)
    assert both[name] == health
    assert isinstance(both["nobody-here"], NotFound)
    assert history
    assert (refused.value.code, len(refused.value.trace_id)) == ("not-found", 32)


async def test_the_client_for_everybody_else_does_what_its_example_says(
    served: tuple[str, Path], checkout: Path
) -> None:
    url, _ = served
    (text,) = (each for each in PYTHON.findall((checkout / "docs/api.md").read_text()) if "SyncClient" in each)
    names: dict[str, Any] = {}
    exec(text, names)  # noqa: S102 - it is our own
    told = await everything(url, "&kinds=health_band")
    name = told[0]["account"]

    line = await asyncio.to_thread(names["told"], url, name)

    assert line.startswith(f"{name} is ")
    assert await asyncio.to_thread(names["told"], url, "nobody-here") != line


async def test_the_client_waits_and_asks_again_and_gives_up() -> None:
    statuses = [429, 503, 200]

    async def answer(_: web.Request) -> web.Response:
        status = statuses.pop(0) if statuses else 503
        return web.json_response({"detail": "later", "code": "busy"}, status=status, headers={"Retry-After": "0"})

    app = web.Application()
    app.router.add_get("/v1/accounts/{id}/health", answer)
    async with TestServer(app) as server:
        async with Client(str(server.make_url("/")), tries=3) as client:
            assert (await client.health("acme"))["detail"] == "later"
        async with Client(str(server.make_url("/")), tries=1) as client:
            with pytest.raises(Busy, match="later"):
                await client.health("acme")


def test_importing_the_client_loads_nothing_heavy() -> None:
    loaded = (
        "import crossmargin.client, sys; print([m for m in ('aiohttp', 'duckdb', 'web3', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


async def test_the_service_lets_readers_go_before_it_ends(nodes: Nodes, tmp_path: Path) -> None:
    north = nodes.start(recorded()[0], head=150)
    configure(tmp_path, [north])
    async with aiohttp.ClientSession() as session:
        with service(tmp_path, "run") as (url, process):
            until(lambda: get(url + "/readyz").status == 200)
            said = read(tmp_path / "crossmargin.duckdb.service.json")
            assert said is not None
            answer = await session.get(f"{url}/v1/stream", headers=bearer(said.token))
            socket = await session.ws_connect(f"{url}/v1/ws")
            process.terminate()
            async with asyncio.timeout(20):
                text = (await answer.content.read()).decode()
                message = await socket.receive()
    assert text.endswith(": the service ends; come back\n\n")
    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, aiohttp.WSCloseCode.GOING_AWAY)
