"""Events reach a webhook at least once under one name, signed, over failures and restarts; and none is sent to where it must not go."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from chains.redaction import Redactor
from crossmargin.errors import NoSuchThing, UsageError
from crossmargin.logs import logger
from crossmargin.server.webhook_metrics import WebhookMetrics
from crossmargin.webhooks import courier as module
from crossmargin.webhooks import sending
from crossmargin.webhooks.courier import PAUSES_S, Courier
from crossmargin.webhooks.guard import Refused, Resolver, check_url, is_open
from crossmargin.webhooks.register import Webhooks
from crossmargin.webhooks.sending import Letter, send, sessions
from crossmargin.webhooks.signing import SecretFolder, signed_headers
from indexer.store import MEMORY, Store

NOTHING: dict[str, list[str]] = {"owners": [], "venues": [], "assets": []}


class Receiver:
    """Answers as it is told to, at last with 200, and checks every signature."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: list[tuple[str, Any]] = []
        self.secret = ""
        self.asked, self.hold = asyncio.Event(), asyncio.Event()
        self.hold.set()

    async def other(self, _: web.Request) -> web.Response:
        return web.Response()

    async def take(self, request: web.Request) -> web.Response:
        body, name, time = await request.read(), request.headers["webhook-id"], request.headers["webhook-timestamp"]
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        mark = base64.b64encode(hmac.new(key, f"{name}.{time}.".encode() + body, hashlib.sha256).digest()).decode()
        assert request.headers["webhook-signature"] == f"v1,{mark}"
        self.got.append((name, json.loads(body)))
        self.asked.set()
        await self.hold.wait()
        status = self.answers.pop(0) if self.answers else 200
        return web.Response(status=status, headers={"Location": "/hook"} if status == 302 else {})


class House:
    """A store, its webhooks and a receiver; `now` moves only when a test says so."""

    def __init__(self, store: Store, folder: Path, url: str, receiver: Receiver) -> None:
        self.store, self.url, self.receiver = store, url, receiver
        self.now = 1_000_000.0
        self.webhooks = Webhooks(store, SecretFolder(folder, {}), lambda: self.now, loopback=True)
        self.metrics = WebhookMetrics(CollectorRegistry())

    def add(self, **wanted: Any) -> str:
        made = self.webhooks.add(self.url, wanted, who="a test")
        self.receiver.secret = made["secret"]
        return str(made["id"])

    def tell(self, count: int, kind: str = "mark") -> None:
        with self.store.events(self.now) as ledger:
            ledger.tell([(kind, {**NOTHING, "number": number}) for number in range(count)])

    def courier(self) -> Courier:
        """Another courier, as after a restart."""
        log = logger(Redactor(), quiet=True)
        webhooks = Webhooks(self.store, self.webhooks.secrets, lambda: self.now, loopback=True)
        self.webhooks = webhooks
        return Courier(self.store, webhooks, self.metrics, log, clock=lambda: self.now, keep_s=86_400)

    def log(self, webhook_id: str) -> list[Any]:
        return list(self.webhooks.log(webhook_id)["deliveries"])

    async def until(self, webhook_id: str, state: str, count: int, attempts: int = 0) -> list[Any]:
        async with asyncio.timeout(30):
            while True:
                log = await asyncio.to_thread(self.log, webhook_id)
                if len([e for e in log if e["state"] == state and e["attempts"] >= attempts]) == count:
                    return log
                await asyncio.sleep(0.02)


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.02)
    receiver, app = Receiver(), web.Application()
    app.router.add_post("/hook", receiver.take)
    app.router.add_post("/other", receiver.other)
    async with TestServer(app) as server:
        with Store.open(MEMORY) as store:
            yield House(store, tmp_path / "secrets", str(server.make_url("/hook")), receiver)


async def test_what_comes_after_it_was_added_is_delivered_once_and_signed(house: House) -> None:
    house.tell(2)
    hook = house.add()
    house.now += 1
    house.tell(3)
    async with house.courier().at_work():
        log = await house.until(hook, "delivered", 3)

    assert sorted(name for name, _ in house.receiver.got) == sorted(f"msg_{each['event']}" for each in log)
    assert {body["type"] for _, body in house.receiver.got} == {"mark"}
    assert sorted(body["data"]["number"] for _, body in house.receiver.got) == [0, 1, 2]


async def test_only_what_is_wanted_is_delivered(house: House) -> None:
    hook = house.add(kinds=["liquidation"])
    house.tell(2)
    house.now += 1
    house.tell(1, "liquidation")
    async with house.courier().at_work():
        await house.until(hook, "delivered", 1)

    assert [body["type"] for _, body in house.receiver.got] == ["liquidation"]
    assert len(house.log(hook)) == 1


async def test_what_fails_is_tried_again_under_the_same_name_also_after_a_restart(house: House) -> None:
    hook = house.add()
    house.receiver.answers = [500, 302]
    house.tell(1)
    async with house.courier().at_work():
        await house.until(hook, "pending", 1, attempts=1)
    house.now += 2 * PAUSES_S[0]
    async with house.courier().at_work():
        (tried,) = await house.until(hook, "pending", 1, attempts=2)
        assert "redirects are not followed" in tried["answer"]
        house.now += 2 * PAUSES_S[1]
        (done,) = await house.until(hook, "delivered", 1)

    assert done["attempts"] == 3
    assert len({name for name, _ in house.receiver.got}) == 1
    assert len(house.receiver.got) == 3


async def test_one_that_fails_for_hours_is_disabled_and_a_test_that_is_taken_mends_it(house: House) -> None:
    hook = house.add()
    house.receiver.answers = [503] * (len(PAUSES_S) + 1)
    house.tell(1)
    async with house.courier().at_work():
        for attempts, pause in enumerate(PAUSES_S, 1):
            await house.until(hook, "pending", 1, attempts=attempts)
            house.now += 2 * pause
        await house.until(hook, "failed", 1)
    (line,) = house.webhooks.listing()["webhooks"]
    assert (line["state"], "failed 10 times: 503" in line["reason"]) == ("disabled", True)

    tried = await asyncio.to_thread(house.webhooks.try_out, hook)

    assert tried["delivered"] is True
    assert house.webhooks.listing()["webhooks"][0]["state"] == "active"


async def test_it_ends_also_where_a_delivery_ends_in_the_same_moment(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 3600)
    house.add()
    courier = house.courier()
    async with asyncio.timeout(30):
        async with courier.at_work():
            await asyncio.sleep(0.2)  # by now it waits, for an hour or a delivery that ends
            courier._settled.set()  # as the end of a delivery does


async def test_one_that_says_that_it_is_gone_is_disabled_at_once(house: House) -> None:
    hook = house.add()
    house.receiver.answers = [410]
    house.tell(1)
    async with house.courier().at_work():
        await house.until(hook, "failed", 1)

    assert house.webhooks.listing()["webhooks"][0]["state"] == "disabled"


def test_a_secret_is_its_owners_alone(tmp_path: Path) -> None:
    folder = SecretFolder(tmp_path / "secrets", {"CROSSMARGIN_WEBHOOK_SECRET_AB": "whsec_QUJD"})
    secret = folder.create("cd")
    path = tmp_path / "secrets" / "cd.secret"

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (folder.secret("cd"), folder.secret("ab")) == (secret, "whsec_QUJD")
    path.chmod(0o644)
    with pytest.raises(UsageError, match="others can read"):
        folder.secret("cd")
    folder.remove("cd")
    with pytest.raises(UsageError, match="cannot be read"):
        folder.secret("cd")


def test_a_signature_is_that_of_the_specification() -> None:
    """The example of the Standard Webhooks reference implementations."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'

    found = signed_headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - it is refused
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "ff02::1",
        "fec0::1",
        "feff::1",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
        "192.88.99.1",
    ],
)
def test_no_address_but_the_public_internets_is_open(address: str) -> None:
    assert not is_open(address, loopback=False)


def test_public_addresses_are_open_and_this_machines_own_where_that_is_let_through() -> None:
    assert is_open("93.184.215.14", loopback=False)
    assert is_open("2606:2800:21f:cb07:6820:80da:af6b:8b2c", loopback=False)
    assert is_open("127.0.0.1", loopback=True)
    assert not is_open("10.0.0.1", loopback=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "ftp://example.com",
        "https://",
        "https://user:word@example.com/",
        "https://example.com/#x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/",
        "https://example.com:99999/",
        "https://exa mple.com/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://127.1/",
        "https://127.0.0.1./",
        "http://localhost/",
    ],
)
def test_a_webhook_goes_over_tls_to_the_public_internet(url: str) -> None:
    with pytest.raises(UsageError):
        check_url(url, loopback=False)


async def test_a_name_that_leads_inside_is_refused_after_it_is_resolved() -> None:
    """`localhost` is a name like any other; the connection that would follow is never made."""
    with pytest.raises(Refused, match="leads to"):
        await Resolver(loopback=False).resolve("localhost", 443, socket.AF_INET)
    async with sessions(loopback=False) as session:
        letter = Letter(url="https://localhost:1/", secret="whsec_QUJD", name="msg_1", body=b"{}")
        outcome = await send(session, letter, 1, loopback=False)

    assert not outcome.taken
    assert "no address of the public internet" in outcome.answer


def test_an_id_that_nobody_has_is_not_found(tmp_path: Path) -> None:
    with Store.open(MEMORY) as store:
        webhooks = Webhooks(store, SecretFolder(tmp_path), lambda: 0.0, loopback=False)
        with pytest.raises(NoSuchThing, match="webhooks list"):
            webhooks.log("nobody")


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "a..example"])
async def test_whatever_sending_comes_to_is_an_outcome(host: str) -> None:
    """A name that cannot be asked for is no fault of the program, and is not tried again at every look."""
    async with sessions(loopback=False) as session:
        letter = Letter(url=f"https://{host}/", secret="whsec_QUJD", name="msg_1", body=b"{}")
        outcome = await send(session, letter, 1, loopback=False)

    assert (outcome.taken, "label" in outcome.answer) == (False, True)


async def test_one_that_answers_late_is_told_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TIMEOUT_S", 0.05)
    house.receiver.hold.clear()
    hook = house.add()
    house.tell(1)
    async with house.courier().at_work():
        (tried,) = await house.until(hook, "pending", 1, attempts=1)
        house.receiver.hold.set()

    assert "no answer within 0.05 s" in tried["answer"]


async def test_one_that_is_removed_while_something_is_sent_stays_removed(house: House) -> None:
    hook = house.add()
    house.receiver.answers = [410]
    house.receiver.hold.clear()
    house.tell(1)
    async with house.courier().at_work():
        async with asyncio.timeout(30):
            await house.receiver.asked.wait()
        await asyncio.to_thread(house.webhooks.remove, hook)
        house.receiver.hold.set()
        await asyncio.sleep(0.1)

    assert house.webhooks.listing()["webhooks"] == []
    with house.store.reading() as reader:
        assert reader.webhook_deliveries(hook, 10) == []


async def test_one_that_never_answers_holds_up_nobody_else(house: House) -> None:
    stuck = house.add()
    house.tell(200)
    house.receiver.hold.clear()
    async with house.courier().at_work():
        async with asyncio.timeout(30):
            await house.receiver.asked.wait()
        url = house.url.replace("/hook", "/other")
        other = str((await asyncio.to_thread(house.webhooks.add, url, {}, who="a test"))["id"])
        house.now += 1
        await asyncio.to_thread(house.tell, 20)
        await house.until(other, "delivered", 20)
        house.receiver.hold.set()

    assert not [each for each in house.log(stuck) if each["state"] == "delivered" and each["attempts"] > 1]


async def test_a_place_that_was_read_before_makes_nothing_twice(house: House) -> None:
    hook = house.add()
    house.tell(2)
    with house.store.reading() as reader:
        ids = [event.id for event in reader.events_after(0, 10)]
        (before,) = reader.webhooks()
    for _ in range(2):
        with house.store.webhooks() as ledger:
            ledger.advance(before, ids[-1], ids, 1)

    assert [int(each["event"]) for each in house.log(hook)] == ids[::-1]
