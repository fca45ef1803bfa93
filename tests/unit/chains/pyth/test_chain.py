"""Looks at a Hermes server in a real store: what is kept, what is refused by name, and what a rebuild makes of it without the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Any

import pytest

from chains.errors import ChainError, NodeBusy, NodeLimits, NodeWrong, Unsupported
from chains.model import FEEDS, ChainSpec, FeedSpec, GuardianSet, VenueSpec
from chains.pyth.chain import connect
from chains.pyth.clock import block_of
from chains.pyth.endpoints import updates_in
from chains.rpc.transport import Received
from indexer.loop import rebuild
from indexer.remote import RemoteChain
from indexer.store import Store
from tests.support.hermes import GUARDIANS, OTHERS, Price, Served, encoded, hermes, signing
from tests.support.indexing import Heard, take_in

SOL, ETH, DOGE = (name.ljust(32, b".") for name in (b"SOL", b"ETH", b"DOGE"))
CHAIN = "pyth:mainnet"
T = 1_700_000_000


@dataclass(slots=True)
class Stand:
    """One chain over some servers, at a time that the test sets, and its store."""

    store: Store
    urls: Sequence[str]
    served: Served
    other: Served
    now: int = T + 10
    wanted: Sequence[bytes] = (SOL, ETH)
    sets: tuple[GuardianSet, ...] = (GUARDIANS,)
    heard: Heard = field(default_factory=Heard)

    @property
    def spec(self) -> ChainSpec:
        return ChainSpec(
            id=CHAIN, name="pyth", rpc=tuple(self.urls), finality="finalized", start_block=0, guardian_sets=self.sets
        )

    @property
    def feeds(self) -> list[FeedSpec]:
        return [
            FeedSpec(
                asset=f"eip155:1/slip44:{at}",
                kind="pyth-hermes",
                chain_id=CHAIN,
                address=feed_id,
                heartbeat_s=60,
                deviation=0.0,
            )
            for at, feed_id in enumerate(self.wanted)
        ]

    def says(self, *prices: Price, slot: int, **wrong: Any) -> None:
        spoil = wrong.pop("spoil", None)
        body = encoded(prices, slot=slot, signing=signing(**wrong), spoil=spoil)
        self.served.updates = lambda _: [body]

    def look(self) -> None:
        adapter = connect(self.spec, [], self.feeds, clock=lambda: self.now, observer=self.observer)
        asyncio.run(take_in(adapter, self.store))

    def glance(self) -> None:
        """Look once, without the patience of whoever follows a chain."""

        async def head() -> None:
            async with aclosing(connect(self.spec, [], self.feeds, clock=lambda: self.now)) as adapter:
                await adapter.head()

        asyncio.run(head())

    @property
    def observer(self) -> Any:
        stand = self

        class Watching:
            def exchanged(self, exchange: object) -> None: ...

            def failed(self, node: str, error: ChainError) -> None:
                stand.heard.failed(CHAIN, error, 0)

            def turned(self, node: str, state: str) -> None: ...

        return Watching()

    @property
    def looks(self) -> list[int]:
        return [row["fetched_at"] for row in self.store.raw(CHAIN).table("observation", 0, 2**40).to_pylist()]

    def phase(self, feed_id: bytes) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.store.state(CHAIN).markets(FEEDS)[feed_id, "phase"])
        return said

    def message(self, feed_id: bytes) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.store.state(CHAIN).markets(FEEDS)[feed_id, "message"])
        return said

    def answer(self, feed_id: bytes, second: int | None = None) -> tuple[int, int, int | None] | None:
        with self.store.reading() as reader:
            found = reader.answers(CHAIN, block_of(CHAIN, self.now if second is None else second)).get(feed_id)
        return None if found is None else (found.answer_raw, found.updated_at, found.confidence_raw)


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    served, other = Served(lambda _: []), Served(lambda _: [])
    with hermes(served) as url, Store.open(tmp_path / "store.duckdb") as store:
        yield Stand(store, [url], served, other)


def sol(price: int, publish_time: int = T, **more: Any) -> Price:
    return Price(feed_id=SOL, price=price, publish_time=publish_time, **more)


def eth(price: int, publish_time: int = T, **more: Any) -> Price:
    return Price(feed_id=ETH, price=price, publish_time=publish_time, **more)


def test_a_look_is_a_block_and_its_signed_bytes_are_kept(stand: Stand) -> None:
    stand.says(sol(15_000, confidence=7, ema_price=14_900, ema_confidence=9), eth(300_000), slot=5)
    stand.look()

    assert stand.looks == [T + 10]
    assert stand.answer(SOL) == (15_000, T, 7)
    assert stand.phase(SOL) == {
        "aggregator": "0x" + SOL.hex(), "decimals": 8, "fault": None, "problem": None, "caveat": None,
    }  # fmt: skip
    said = stand.message(SOL)
    assert (said["publish_time"], said["slot"], said["ema_price"], said["ema_confidence"]) == (T, 5, "14900", "9")
    assert (said["guardian_set"], said["signatures"], said["exponent"]) == (7, 13, -8)
    assert SOL.hex() in stand.served.asked[0]


def test_an_answer_as_of_a_second_is_the_last_one_before_it(stand: Stand) -> None:
    stand.says(sol(100), eth(1), slot=5)
    stand.look()
    stand.now += 10
    stand.says(sol(200, T + 9), eth(1, T + 9), slot=30)
    stand.look()

    assert [stand.answer(SOL, T + at) for at in (9, 10, 19, 20)] == [
        None, (100, T, 1_000_000), (100, T, 1_000_000), (200, T + 9, 1_000_000),
    ]  # fmt: skip


def test_what_brings_no_news_moves_the_chain_and_is_not_kept(stand: Stand) -> None:
    stand.says(sol(100), eth(1), slot=5)
    stand.look()
    stand.now += 10
    stand.look()

    cursor = stand.store.cursor(CHAIN)
    assert stand.looks == [T + 10]
    assert cursor is not None
    assert (cursor.block, cursor.finalized) == (block_of(CHAIN, T + 20), T + 20)


def test_a_rebuild_needs_no_server_and_makes_the_same_rows(stand: Stand) -> None:
    for at, price in enumerate((100, 101, 99)):
        stand.says(sol(price, T + at), eth(price * 7, T + at), slot=5 + at)
        stand.look()
        stand.now += 1
    before = journals(stand.store)

    stand.served.status = 500
    asyncio.run(rebuild(stand.spec, [], stand.feeds, stand.store, listener=stand.heard))

    assert journals(stand.store) == before
    assert len(before[0]) == 6


def journals(store: Store) -> tuple[list[Any], ...]:
    with store.reading() as reader:
        return tuple(
            reader._con.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall()  # noqa: S608 - two names of this test
            for name in ("price_observation", "market_change")
        )


def test_a_rebuild_under_other_guardians_believes_none_of_it(stand: Stand) -> None:
    stand.says(sol(100), eth(1), slot=5)
    stand.look()
    stand.sets = (GUARDIANS._replace(number=8),)
    asyncio.run(rebuild(stand.spec, [], stand.feeds, stand.store, listener=stand.heard))

    assert stand.answer(SOL) is None
    assert stand.phase(SOL)["problem"] == "wrong_guardian_set: guardian set 7 signed it, configured is 8"


def test_without_guardians_a_price_says_that_it_is_unverified(stand: Stand) -> None:
    stand.sets = ()
    stand.says(sol(100), eth(1), slot=5, keys=tuple(OTHERS))
    stand.look()

    assert stand.answer(SOL) == (100, T, 1_000_000)
    assert stand.phase(SOL)["caveat"].startswith("unverified: no guardian_sets are configured")
    assert stand.message(SOL)["signatures"] is None


@pytest.mark.parametrize(
    "wrong, named",
    [
        ({"keys": tuple(OTHERS)}, "wrong_signature"),
        ({"guardian_set": 3}, "wrong_guardian_set"),
        ({"places": tuple(range(12))}, "no_quorum"),
        ({"emitter": bytes(32)}, "wrong_emitter"),
        ({"spoil": 1}, "broken_merkle_path"),
    ],
)
def test_an_update_that_is_not_believed_is_refused_by_name_and_nowhere_kept(
    stand: Stand, wrong: dict[str, Any], named: str
) -> None:
    stand.says(sol(100), eth(1), slot=5, **wrong)

    with pytest.raises(NodeWrong, match=named):
        stand.glance()
    assert stand.looks == []
    assert stand.store.cursor(CHAIN) is None


def test_a_price_that_nobody_asked_for_is_refused(stand: Stand) -> None:
    stand.says(sol(100), eth(1), Price(feed_id=DOGE, price=1, publish_time=T), slot=5)

    with pytest.raises(NodeWrong, match=f"wrong_feed: .* gave a price of feed {DOGE.hex()}"):
        stand.glance()


def test_a_price_of_the_future_is_refused(stand: Stand) -> None:
    stand.says(sol(100, T + 11), eth(1), slot=5)

    with pytest.raises(NodeBusy, match=r"from_the_future: .* 1 s ahead of this machine's clock"):
        stand.glance()


def test_an_old_update_that_is_given_again_changes_nothing_after_a_restart_and_is_refused_before(stand: Stand) -> None:
    old = encoded([sol(100), eth(1)], slot=5)
    stand.says(sol(200, T + 5), eth(1, T + 5), slot=20)
    stand.look()
    stand.now += 10
    stand.served.updates = lambda _: [old]
    stand.look()

    assert stand.answer(SOL) == (200, T + 5, 1_000_000)
    assert stand.looks == [T + 10]
    with pytest.raises(NodeBusy, match=r"replayed: .* repeats old prices"):
        asyncio.run(twice(stand, old))


async def twice(stand: Stand, old: bytes) -> None:
    """Look with one adapter at a new update and then at an old one."""
    async with aclosing(connect(stand.spec, [], stand.feeds, clock=lambda: stand.now)) as adapter:
        stand.says(sol(300, T + 8), eth(1, T + 8), slot=40)
        await adapter.head()
        stand.served.updates = lambda _: [old]
        await adapter.head()


def test_of_two_prices_of_one_second_the_one_of_the_later_slot_stands(stand: Stand) -> None:
    stand.says(sol(200), eth(1), slot=6)
    stand.look()
    stand.now += 1
    stand.says(sol(100), eth(1), slot=5)
    stand.look()
    assert stand.answer(SOL) == (200, T, 1_000_000)

    stand.now += 1
    stand.says(sol(300), eth(1), slot=7)
    stand.look()
    assert stand.answer(SOL) == (300, T, 1_000_000)


def test_a_price_as_old_that_says_something_else_changes_nothing(stand: Stand) -> None:
    stand.sets = ()
    stand.says(sol(15_000), eth(1), slot=5)
    stand.look()
    stand.now += 1
    stand.says(sol(15_000, exponent=-6), eth(1), slot=5)
    stand.look()

    assert (stand.answer(SOL), stand.phase(SOL)["decimals"]) == ((15_000, T, 1_000_000), 8)


def test_guardians_vouch_for_no_price_that_was_believed_without_them(stand: Stand) -> None:
    stand.sets = ()
    stand.says(sol(666), eth(1), slot=5, keys=tuple(OTHERS))
    stand.look()
    stand.sets = (GUARDIANS,)
    stand.now += 1
    stand.says(sol(100), eth(1), slot=5)
    stand.look()

    assert stand.answer(SOL) == (100, T, 1_000_000)
    assert (stand.phase(SOL)["caveat"], stand.message(SOL)["guardian_set"]) == (None, 7)


def test_a_feed_that_is_missing_has_no_price_until_it_is_told_again(stand: Stand) -> None:
    stand.says(sol(100), eth(1), slot=5)
    stand.look()
    stand.now += 1
    stand.says(eth(2, T + 1), slot=6)
    stand.look()
    assert stand.phase(SOL)["aggregator"] is None
    assert stand.phase(SOL)["problem"].startswith("missing_feed")

    stand.now += 1
    stand.says(sol(100), eth(1), slot=5)
    stand.look()
    assert (stand.phase(SOL)["problem"], stand.phase(SOL)["decimals"]) == (None, 8)


def test_an_answer_without_any_update_is_kept_as_such(stand: Stand) -> None:
    stand.look()
    before = journals(stand.store)
    asyncio.run(rebuild(stand.spec, [], stand.feeds, stand.store, listener=stand.heard))

    assert stand.looks == [T + 10]
    assert journals(stand.store) == before
    assert stand.phase(ETH)["problem"].startswith("missing_feed")


def test_the_next_endpoint_is_asked_where_the_first_is_wrong(stand: Stand) -> None:
    with hermes(stand.other) as second:
        stand.urls = [*stand.urls, second]
        stand.says(sol(1), eth(1), slot=9, spoil=0)
        right = encoded([sol(100), eth(1)], slot=5)
        stand.other.updates = lambda _: [right]
        stand.look()

    assert stand.answer(SOL) == (100, T, 1_000_000)
    assert [type(error) for error in stand.heard.failed_] == [NodeWrong]


def test_the_next_endpoint_is_asked_where_the_first_has_no_price_at_all(stand: Stand) -> None:
    with hermes(stand.other) as second:
        stand.urls = [*stand.urls, second]
        right = encoded([sol(100), eth(1)], slot=5)
        stand.other.updates = lambda _: [right]
        stand.look()

    assert stand.answer(SOL) == (100, T, 1_000_000)
    assert "missing_feed: hermes 1 (127.0.0.1) gave no price of any feed" in str(stand.heard.failed_[0])


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b'{"binary":{"encoding":"base64","data":["@"]}}', b'{"binary":{"encoding":"hex","data":["Q"]}}',
        b'{"parsed":' + b"[" * 100_000,
    ],
    ids=map(str, range(5)),
)  # fmt: skip
def test_an_answer_that_is_none_is_the_endpoints_fault(body: bytes) -> None:
    with pytest.raises(NodeWrong, match="hermes 1 gave a malformed answer"):
        updates_in("hermes 1", Received(status=200, headers={}, body=body, wire_bytes=len(body)))


@pytest.mark.parametrize("status, kind", [(429, NodeLimits), (500, NodeBusy), (404, NodeWrong), (302, NodeWrong)])
def test_what_a_server_means_by_its_status(stand: Stand, status: int, kind: type[ChainError]) -> None:
    stand.served.status = status

    with pytest.raises(kind) as raised:
        stand.glance()
    assert "127.0.0.1:" not in str(raised.value)


def test_a_positive_exponent_is_multiplied_out(stand: Stand) -> None:
    stand.says(sol(15, exponent=2, confidence=1), eth(1), slot=5)
    stand.look()

    assert (stand.answer(SOL), stand.phase(SOL)["decimals"]) == ((1_500, T, 100), 0)


@pytest.mark.parametrize(
    "wrong, named",
    [
        ({"price": 10**18, "exponent": 25}, "more than 38 digits"),
        ({"price": 1, "confidence": 10**18, "exponent": 25}, "more than 38 digits"),
        ({"price": 1, "exponent": 31}, "the exponent 31"),
    ],
)
def test_a_price_that_cannot_be_kept_takes_the_one_before_it_along(
    stand: Stand, wrong: dict[str, Any], named: str
) -> None:
    stand.says(sol(100), eth(1), slot=5)
    stand.look()
    stand.now += 10
    stand.says(Price(feed_id=SOL, publish_time=T + 9, **wrong), eth(1, T + 9), slot=30)
    stand.look()

    assert stand.phase(SOL)["aggregator"] is None
    assert stand.phase(SOL)["problem"].startswith("malformed: ")
    assert named in stand.phase(SOL)["problem"]


def test_a_price_of_a_time_before_all_dates_is_none(stand: Stand) -> None:
    old = encoded([eth(1), sol(5, -(2**62))], slot=5)
    stand.served.updates = lambda _: [old]
    stand.look()

    assert "has no date" in stand.phase(SOL)["problem"]
    assert len(stand.store.query("SELECT * FROM public.fct_price", timeout_s=10, max_rows=5).rows) == 1


def test_more_feeds_than_fit_one_address_are_asked_for_in_several(stand: Stand) -> None:
    many = [bytes([at]).rjust(32, b"\1") for at in range(150)]
    stand.wanted = many
    stand.served.updates = answering(lambda feed_id: Price(feed_id=feed_id, price=feed_id[-1] + 1, publish_time=T))
    stand.look()

    assert len(stand.served.asked) == 2
    assert [stand.answer(feed_id) for feed_id in many] == [(at + 1, T, 1_000_000) for at in range(150)]


def answering(price: Callable[[bytes], Price]) -> Callable[[list[str]], list[bytes]]:
    return lambda ids: [encoded([price(bytes.fromhex(each)) for each in ids], slot=5)]


def test_a_feed_that_comes_later_is_known_from_then_on(stand: Stand) -> None:
    stand.wanted = (SOL,)
    stand.says(sol(100), slot=5)
    stand.look()
    stand.wanted = (SOL, ETH)
    stand.now += 10
    stand.says(sol(101, T + 9), eth(7, T + 9), slot=30)
    stand.look()

    assert [stand.answer(ETH, T + at) for at in (10, 19, 20)] == [None, None, (7, T + 9, 1_000_000)]
    assert [stand.answer(SOL, T + at) for at in (10, 20)] == [(100, T, 1_000_000), (101, T + 9, 1_000_000)]


def test_the_chain_has_no_venues() -> None:
    spec = ChainSpec(id=CHAIN, name="pyth", rpc=("http://127.0.0.1:1",), finality="finalized", start_block=0)
    venue = VenueSpec(id="v", protocol="escrow", chain_id=CHAIN, address=b"", start_block=0)

    with pytest.raises(Unsupported, match="tells prices, and has no venues"):
        connect(spec, [venue], [])


def test_a_process_of_its_own_looks_with_the_same_guardians(stand: Stand) -> None:
    """Its clock is the machine's, so that the prices are of now; what it says of another guardian set is refused there."""
    now = int(time())
    stand.says(sol(100, now - 1), eth(1, now - 1), slot=5)
    asyncio.run(take_in(RemoteChain(stand.spec, [], stand.feeds), stand.store))
    assert stand.store.state(CHAIN).answers() == {SOL: 100, ETH: 1}
    assert stand.message(SOL)["guardian_set"] == 7

    stand.sets = (GUARDIANS._replace(number=8),)

    async def head() -> None:
        async with aclosing(RemoteChain(stand.spec, [], stand.feeds)) as chain:
            await chain.head()

    with pytest.raises(NodeWrong, match="wrong_guardian_set"):
        asyncio.run(head())
