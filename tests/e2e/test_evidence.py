"""A node that leaves logs out of its answers is found out at every level that can, and what is stored is right in the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

import pytest

from chains.errors import Contradicted
from chains.evm.aave_v3 import events as ev
from chains.evm.abi import Event
from chains.evm.oracles.chainlink.events import ANSWER_UPDATED
from chains.model import ChainSpec
from chains.registry import connect
from indexer.loop import index
from indexer.store import MEMORY, Store
from tests.devnet.evm import aave
from tests.devnet.evm.chain import Devnet, build
from tests.support.indexing import Heard, chain_of, feeds_of, take_in, venue_of
from tests.support.omitting import Place, omitting
from tests.unit.store.builders import Content, content

UNSETTLED = "confirmations:500"
"""A rule by which no block of the run is settled."""

TOKEN_EVENTS = (ev.MINT, ev.BURN, ev.BALANCE_TRANSFER)
SETTINGS = (ev.COLLATERAL_ENABLED, ev.COLLATERAL_DISABLED, ev.USER_EMODE_SET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    place: Place
    address: bytes
    topic0: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A devnet, what an honest node makes of it at each finality, and all its logs that are taken in."""

    net: Devnet
    calm: dict[str, Content]
    logs: Sequence[Log]

    def of(self, *events: Event) -> list[Log]:
        topics = {event.topic0 for event in events}
        return [log for log in self.logs if log.topic0 in topics]

    def twins(self) -> list[Log]:
        """Logs that have another of the same contract and topic in their block."""
        pairs = [(log.place.block, log.address, log.topic0) for log in self.logs]
        return [log for log, pair in zip(self.logs, pairs, strict=True) if pairs.count(pair) > 1]


def spec_of(net: Devnet, completeness: str, finality: str, *urls: str) -> ChainSpec:
    return replace(chain_of(net, finality=finality), completeness=completeness, rpc=urls or (net.url,))


async def indexed(net: Devnet, spec: ChainSpec, store: Store) -> Heard:
    return await take_in(connect(spec, [venue_of(net)], feeds_of(net)), store)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(MEMORY) as opened:
        yield opened


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    with build(seed=9, actions=50, users=8, crowding=3) as net:
        calm, logs = {}, []
        for finality in ("latest", UNSETTLED):
            with Store.open(MEMORY) as store:
                asyncio.run(indexed(net, spec_of(net, "none", finality), store))
                calm[finality] = facts(store)
                table = store.records(f"eip155:{net.chain_id}").table("evm_log", 0, net.node.height())
                logs = [
                    Log(
                        place=Place(row["block_number"], row["log_index"]), address=row["address"], topic0=row["topic0"]
                    )
                    for row in table.to_pylist()
                ]
        yield Run(net=net, calm=calm, logs=logs)


def facts(store: Store) -> Content:
    """Every table apart from what is said of its completeness."""
    found = content(store)
    del found["coverage"], found["finding"]
    return found


def levels(store: Store, net: Devnet) -> set[tuple[str, str]]:
    """Which evidence the final blocks have."""
    with store.reading() as reader:
        cursor = reader.cursor(f"eip155:{net.chain_id}")
        assert cursor is not None
        return {(s.interest, s.level) for s in reader.coverage(f"eip155:{net.chain_id}") if s.first <= cursor.finalized}


async def taken_in_without(
    run: Run, store: Store, completeness: str, *places: Place, finality: str = "latest", without: Sequence[str] = ()
) -> Heard:
    """Index over a node that always leaves out some logs; at level second-node an honest one stands beside it."""
    async with omitting(run.net.url, places, without=without) as node:
        urls = (node.url, run.net.url) if completeness == "second-node" else (node.url,)
        return await indexed(run.net, spec_of(run.net, completeness, finality, *urls), store)


def contradictions(heard: Heard) -> list[str]:
    return [str(error) for error in heard.failed_ if isinstance(error, Contradicted)]


async def test_with_the_check_off_a_missing_log_is_found_by_nobody(run: Run, store: Store) -> None:
    log = run.of(*SETTINGS)[-1]

    heard = await taken_in_without(run, store, "none", log.place)

    assert heard.failed_ == []
    assert facts(store) != run.calm["latest"]


@pytest.mark.parametrize("completeness", ["receipts", "second-node"])
async def test_any_missing_log_is_found_and_taken_in(run: Run, store: Store, completeness: str) -> None:
    kinds = [run.of(event)[-1] for event in (*TOKEN_EVENTS, ANSWER_UPDATED, ev.RESERVE_DATA_UPDATED)]
    places = [log.place for log in (*kinds, run.of(*SETTINGS)[-1], run.twins()[0], run.twins()[-1])]

    heard = await taken_in_without(run, store, completeness, *places)

    assert facts(store) == run.calm["latest"]
    assert "lacks log" in contradictions(heard)[0]
    assert {level for _, level in levels(store, run.net)} == {"proven" if completeness == "receipts" else "agreed"}


@pytest.mark.parametrize("event", [ev.MINT, ev.BURN], ids=lambda event: event.name)
@pytest.mark.parametrize("late", [True, False])
async def test_totals_find_every_missing_log_that_changes_one(
    run: Run, store: Store, event: Event, *, late: bool
) -> None:
    """An early one makes a later balance negative: then the span is cut, and the part before is attested by itself."""
    log = run.of(event)[-1 if late else len(run.of(event)) // 3]

    heard = await taken_in_without(run, store, "totals", log.place)

    assert facts(store) == run.calm["latest"]
    assert (f"venue:{venue_of(run.net).id}", "totals") in levels(store, run.net)
    assert any(f"log {log.place.log_index} of block {log.place.block}" in text for text in contradictions(heard))


@pytest.mark.parametrize("events", [SETTINGS, (ev.BALANCE_TRANSFER,)], ids=["settings", "transfers"])
async def test_totals_do_not_see_what_changes_none(run: Run, store: Store, events: Sequence[Event]) -> None:
    heard = await taken_in_without(run, store, "totals", run.of(*events)[-1].place)

    assert contradictions(heard) == []
    assert facts(store) != run.calm["latest"]


async def test_totals_are_traced_to_a_log_without_receipts_too(run: Run, store: Store) -> None:
    log = run.of(ev.MINT)[-1]
    async with omitting(run.net.url, [log.place], without=["eth_getBlockReceipts"]) as node:
        spec = spec_of(run.net, "totals", "latest", node.url, run.net.url)
        heard = await indexed(run.net, spec, store)

    assert facts(store) == run.calm["latest"]
    assert "eth_getLogs by blockHash" in contradictions(heard)[0]


async def test_a_total_that_nothing_explains_is_final_in_the_end_and_known_to_be_wrong(run: Run, store: Store) -> None:
    log = run.of(ev.MINT)[-1]

    heard = await taken_in_without(run, store, "totals", log.place, without=["eth_getBlockReceipts"])

    assert len(contradictions(heard)) == 2
    with store.reading() as reader:
        (finding,) = reader.findings(f"eip155:{run.net.chain_id}")
    assert (finding.kind, finding.block, finding.address) == ("unbalanced", log.place.block, log.address)


@pytest.mark.parametrize("event", [ev.MINT, ANSWER_UPDATED, ev.COLLATERAL_ENABLED], ids=lambda event: event.name)
async def test_near_the_head_a_header_gives_a_missing_log_away_before_it_is_stored(
    run: Run, store: Store, event: Event
) -> None:
    """At any level: headers are there anyway, and what they give away is asked of another node."""
    twins = {log.place for log in run.twins()}
    log = next(log for log in reversed(run.of(event)) if log.place not in twins)
    async with omitting(run.net.url, [log.place]) as node:
        spec = spec_of(run.net, "totals", UNSETTLED, node.url, run.net.url)
        heard = await indexed(run.net, spec, store)

    assert heard.failed_ == []
    assert facts(store) == run.calm[UNSETTLED]


async def test_near_the_head_receipts_find_one_of_two_logs_alike_and_are_not_asked_for_again(run: Run) -> None:
    twin = run.twins()[0].place
    async with omitting(run.net.url, [twin]) as node:
        spec = spec_of(run.net, "receipts", UNSETTLED, node.url)
        async with aclosing(connect(spec, [venue_of(run.net)], feeds_of(run.net))) as chain:
            with Store.open(MEMORY) as store:
                heard = Heard()
                await index(chain, store, until="latest", listener=heard)

                assert heard.failed_ == []
                assert facts(store) == run.calm[UNSETTLED]
                before = Counter(node.asked)
                examined = await chain.attest(0, run.net.node.height(), store.state(spec.id), store.records(spec.id))

    assert {span.level for span in examined.covered} == {"proven"}
    assert (node.asked - before)["eth_getBlockReceipts"] == 0


@pytest.mark.parametrize("late", [True, False])
async def test_an_answer_of_a_feed_that_was_left_out_is_found_by_asking_the_feed(
    run: Run, store: Store, *, late: bool
) -> None:
    """At any level, as long as it is the feed's last in a span: its own word is asked for at the end, and must be what it emitted."""
    answers = run.of(ANSWER_UPDATED)
    last = [log for n, log in enumerate(answers) if all(log.address != other.address for other in answers[n + 1 :])]

    heard = await taken_in_without(run, store, "totals", last[-1 if late else 0].place)

    assert heard.failed_ == []
    assert facts(store) == run.calm["latest"]


EXTRA = {
    "none": {},
    "bloom": {},
    "totals": {},
    "second-node": {"eth_getLogs": 2},
    "receipts": {"eth_getBlockByNumber": 1},
}
"""What docs/completeness.md states that a block costs in which nothing happens: requests beyond those of indexing itself."""


async def test_a_chain_on_which_nothing_happens_costs_what_is_stated_and_no_more() -> None:
    blocks = 6
    asked: dict[str, Counter[str]] = {}
    with build(seed=3, actions=12, users=4, slots_in_an_epoch=1) as net:
        for completeness in EXTRA:
            asked[completeness] = await idle(net, completeness, blocks)

    for completeness, extra in EXTRA.items():
        more = {m: n - asked["none"][m] for m, n in asked[completeness].items() if m in COUNTED}
        assert {m: n for m, n in more.items() if n} == {m: n * blocks for m, n in extra.items()}, completeness


COUNTED = {"eth_getLogs", "eth_getBlockByNumber", "eth_getBlockReceipts", "eth_call"}


async def idle(net: Devnet, completeness: str, blocks: int) -> Counter[str]:
    """How often each method is asked while blocks come in which nothing happens that is followed: a foreign log at most."""
    token, owner = net.market.reserves[0].asset, net.users[0]
    async with omitting(net.url) as node:
        spec = spec_of(net, completeness, "finalized", node.url, node.url)
        async with aclosing(connect(spec, [venue_of(net)], feeds_of(net))) as chain:
            with Store.open(MEMORY) as store:
                await index(chain, store, until="latest", listener=Heard())
                before = Counter(node.asked)
                for number in range(blocks):
                    net.ledger.do(*([aave.mint(token, owner, 1)] if number % 2 else []))
                    await index(chain, store, until="latest", listener=Heard())
                assert contents(store, net) == net.node.height()
    return node.asked - before


def contents(store: Store, net: Devnet) -> int:
    """How far a store is final, and two blocks more."""
    cursor = store.cursor(f"eip155:{net.chain_id}")
    assert cursor is not None
    return cursor.finalized + 2
