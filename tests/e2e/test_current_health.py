"""Health out of memory: by the short way and by the long one the same, and judged again once something was written."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import shutil
import socket
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from time import monotonic
from typing import TypeVar
from urllib.parse import urlsplit

import pytest

from chains.model import Block, Reason
from crossmargin.app import opened, policy_of
from crossmargin.documents import Document
from crossmargin.local_desk import LocalDesk
from crossmargin.server import current
from crossmargin.server.current import BRIDGED_S, DOUBTED_S, HOT_PER_S, Current
from crossmargin.server.idempotency import LARGEST_KEPT
from crossmargin.server.workers import Workers
from crossmargin.settings import load
from crossmargin.watch import Watch
from indexer.store import Store
from tests.e2e.conftest import Indexed
from tests.e2e.test_service import get
from tests.support.recorded import CONFIGURATION, service

T = TypeVar("T")

HEALTH = "/v1/accounts/hedged/health"


@pytest.fixture(scope="module")
def url(indexed_once: Indexed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("current") / "indexed"
    shutil.copytree(indexed_once.folder, folder)
    with service(folder, "serve") as (address, _):
        yield address


def test_both_ways_give_the_same_answer(url: str) -> None:
    long = get(url + HEALTH, headers={"X-Other": "asks for the long way"})
    short = get(url + HEALTH)
    known = get(url + HEALTH, headers={"If-None-Match": short.headers["ETag"]})

    moving = {"Date", "X-Trace-Id"}
    assert short.body == long.body
    assert {n: v for n, v in short.headers.items() if n not in moving} == {
        n: v for n, v in long.headers.items() if n not in moving | {"Connection"}
    } | ({"Connection": "close"} if "Connection" in short.headers else {})
    assert (known.status, known.body, known.headers["ETag"]) == (304, "", short.headers["ETag"])


def test_answers_of_one_connection_come_in_the_order_of_its_questions(url: str) -> None:
    """Also where questions arrive in parts, several at once, or as the body of another one."""
    get(url + HEALTH)
    hosted = f"Host: {urlsplit(url).netloc}\r\n\r\n"
    health, there = f"GET {HEALTH} HTTP/1.1\r\n{hosted}", f"GET /healthz HTTP/1.1\r\n{hosted}"
    smuggled = f"POST /v1/keys HTTP/1.1\r\nContent-Length: {len(health)}\r\n{hosted}"

    assert statuses(url, health, there, health) == [200, 200, 200]
    assert statuses(url, there + health + there) == [200, 200, 200]
    assert statuses(url, health[:30], health[30:], health) == [200, 200]
    assert statuses(url, smuggled, health) == [401]


def test_a_batch_has_of_each_account_what_is_answered_of_it_alone(url: str) -> None:
    alone = json.loads(get(url + HEALTH).body)

    answer = get(url + "/v1/health:batch", body=b'{"accounts": ["hedged", "nobody", "hedged"]}')

    first, unknown, again = json.loads(answer.body)["results"]
    assert first == again == {"account": "hedged", "health": alone, "problem": None}
    assert (unknown["health"], unknown["problem"]["code"], unknown["problem"]["status"]) == (None, "not-found", 404)


def test_a_batch_of_megabytes_is_whole_also_where_it_travels_compressed(url: str) -> None:
    alone = json.loads(get(url + HEALTH).body)
    asked = json.dumps({"accounts": ["hedged", "nobody"] * 250}).encode()

    plain = get(url + "/v1/health:batch", body=asked)
    packing = urllib.request.Request(url + "/v1/health:batch", data=asked, headers={"Accept-Encoding": "gzip"})  # noqa: S310 - loopback
    with urllib.request.urlopen(packing, timeout=60) as answer:  # noqa: S310 - loopback
        coding, packed = answer.headers["Content-Encoding"], answer.read()

    assert len(plain.body) > LARGEST_KEPT
    assert [each["health"] for each in json.loads(plain.body)["results"]] == [alone, None] * 250
    assert (coding, gzip.decompress(packed)) == ("gzip", plain.body.encode())


@pytest.fixture(scope="module")
def stored(indexed_once: Indexed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalDesk, Store]]:
    folder = tmp_path_factory.mktemp("judged") / "indexed"
    shutil.copytree(indexed_once.folder, folder)
    with opened_desk(folder) as found:
        yield found


@contextmanager
def opened_desk(folder: Path) -> Iterator[tuple[LocalDesk, Store]]:
    settings = load(folder / CONFIGURATION, {})
    with opened(settings) as store:
        desk = Gated(settings, store, policy_of(settings))
        desk.begin_policy(accept=False)
        yield desk, store


class Gated(LocalDesk):
    """A desk that waits, once it has read a state and judged by it, until `go` is set."""

    go: Event | None = None
    reached = Event()

    def healths(self, accounts: Sequence[str], at: str | None) -> list[Document | Exception]:
        found = super().healths(accounts, at)
        if self.go is not None:
            self.reached.set()
            assert self.go.wait(30)
        return found


def everybody(desk: LocalDesk) -> list[str]:
    """Every configured account, every owner that the book has, and one that nobody is."""
    names = [account["account"] for account in desk.accounts()["accounts"]]
    return [*names, *(name for name in desk.take_book().order if name not in names), "0x" + "ab" * 20]


def test_accounts_judged_together_get_what_each_gets_alone(stored: tuple[LocalDesk, Store]) -> None:
    desk, _ = stored
    names = everybody(desk)

    together = desk.healths([*names, "no one", *names], None)

    some = [*range(5), *range(5, len(names), 12)]
    alone = [desk.health(names[place], None) for place in some]
    assert len(names) > 200
    assert together[: len(names)] == together[len(names) + 1 :]
    assert [together[place] for place in some] == alone
    assert str(together[len(names)]).startswith('there is no margin account "no one"')


def test_who_asks_after_something_was_written_waits_for_what_was_judged_behind_it(
    stored: tuple[LocalDesk, Store],
) -> None:
    desk, store = stored
    assert isinstance(desk, Gated)
    desk.go, desk.reached = Event(), Event()

    async def asked(kept: Current) -> tuple[int, int]:
        early = asyncio.create_task(kept.ask("hedged"))
        await asyncio.to_thread(desk.reached.wait, 30)
        with store.memberships():
            """Nothing is added, and the state of the store counts as another all the same."""
        kept.wrote()
        late = asyncio.create_task(kept.ask("hedged"))
        await asyncio.sleep(0)
        assert desk.go is not None
        desk.go.set()
        return (await early).edition, (await late).edition

    before = store.edition
    editions = on_current(desk, store, asked)
    desk.go = None

    assert editions == (before, before + 1)


def test_answers_take_no_more_memory_than_they_may(
    stored: tuple[LocalDesk, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, store = stored
    names = everybody(desk)
    sizes = [len(json.dumps(each)) for each in desk.healths(names, None)]
    monkeypatch.setattr(current, "MOST_BYTES", sum(sizes) // 2)

    async def asked(kept: Current) -> list[bool]:
        await kept.ask_all(names, "reader")
        assert kept.weight <= sum(sizes) // 2
        return [kept.peek(name) is not None for name in names]

    there = on_current(desk, store, asked)

    assert True in there
    assert there == sorted(there)  # those that were kept first are forgotten first


class Doubting(Watch):
    """A watch that doubts what it is told to."""

    told: tuple[Reason, ...] = ()

    def doubts(self, indexed: Mapping[str, Block | None]) -> tuple[Reason, ...]:
        del indexed
        return self.told


def test_what_is_asked_all_the_time_is_answered_while_a_chain_catches_up_and_no_longer_once_more_is_doubted(
    stored: tuple[LocalDesk, Store],
) -> None:
    desk, store = stored
    watch, now = Doubting({}, lambda: 0.0), [1000.0]

    async def asked(kept: Current) -> None:
        watch.told = (Reason("chain_behind", "eip155:1", "indexed to block 7, far behind the head"),)
        now[0] += 1
        first = await kept.ask("hedged")
        for _ in range(HOT_PER_S):
            assert kept.peek("hedged") is first
        watch.told = (Reason("chain_behind", "eip155:1", "indexed to block 9, far behind the head"),)
        now[0] += 2 * DOUBTED_S
        assert kept.peek("hedged") is first, "it is judged again meanwhile"
        watch.told = (Reason("chain_stale", "eip155:1", "no node has answered yet"),)
        now[0] += 2 * DOUBTED_S
        assert kept.peek("hedged") is None
        assert (await kept.ask("hedged")).doubts == watch.told

    on_current(desk, store, asked, watch, lambda: now[0])


def test_what_was_true_longer_than_a_second_ago_is_not_answered_however_often_it_was_asked(
    stored: tuple[LocalDesk, Store],
) -> None:
    desk, store = stored
    now = [1000.0]

    async def asked(kept: Current) -> None:
        first = await kept.ask("hedged")
        for _ in range(HOT_PER_S):
            assert kept.peek("hedged") is first
        with store.memberships():
            """The state of the store counts as another."""
        now[0] += BRIDGED_S + 0.5
        assert kept.peek("hedged") is None
        assert (await kept.ask("hedged")).edition == store.edition

    on_current(desk, store, asked, clock=lambda: now[0])


def test_what_was_asked_often_once_is_not_bridged_for_who_asks_now_and_then(stored: tuple[LocalDesk, Store]) -> None:
    desk, store = stored
    now = [1000.0]

    async def asked(kept: Current) -> None:
        first = await kept.ask("hedged")
        for _ in range(HOT_PER_S):
            assert kept.peek("hedged") is first
        for _ in range(3):
            now[0] += 0.9
            assert kept.peek("hedged") is first
        with store.memberships():
            """The state of the store counts as another."""
        now[0] += 0.1
        assert kept.peek("hedged") is None

    on_current(desk, store, asked, clock=lambda: now[0])


def on_current(
    desk: LocalDesk,
    store: Store,
    work: Callable[[Current], Awaitable[T]],
    watch: Watch | None = None,
    clock: Callable[[], float] = monotonic,
) -> T:
    """Let some work ask; returns what it gives."""

    async def run() -> T:
        workers = Workers()
        try:
            return await work(Current(desk, store, watch, workers, clock))
        finally:
            workers.close()

    return asyncio.run(run())


def statuses(url: str, *parts: str) -> list[int]:
    """Send parts one by one; the statuses of all answers until the connection is silent."""
    where = urlsplit(url)
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=10) as connection:
        said = b""
        for number, part in enumerate(parts, 1):
            connection.sendall(part.encode())
            connection.settimeout(2.5 if number == len(parts) else 0.3)
            try:
                while piece := connection.recv(65536):
                    said += piece
            except TimeoutError:
                pass
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", said)]
