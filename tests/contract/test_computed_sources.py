"""Price sources that compute: what is recomputed here is what the contracts say, at every block, to the last unit."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from aggregator.observations import FeedsAt, observation_of
from chains.evm.oracles.chainlink import current_answer
from chains.model import Block, ChainSpec, FeedSpec, PriceAnswer, Reason
from chains.registry import connect, redemption_question
from indexer.loop import rebuild
from indexer.store import Reader, Store
from tests.devnet.evm import feeds
from tests.devnet.evm.abi import calldata
from tests.devnet.evm.artifacts import own_bytecode
from tests.devnet.evm.computed import Sources, build
from tests.support.indexing import Heard, Narrow, raw, take_in
from tests.support.tables import assert_same_tables, tables_of

RESTLESS = {"own make", "fast vault oracle"}


@dataclass(frozen=True)
class At:
    """What the store says of prices at a block."""

    at: Block
    feeds: dict[bytes, str]
    answers: dict[bytes, PriceAnswer]


def chain_of(on: Sources) -> ChainSpec:
    return ChainSpec(id="eip155:31337", name="devnet", rpc=(on.node.url,), finality="latest", start_block=0)


def feeds_of(on: Sources) -> list[FeedSpec]:
    return [
        FeedSpec(
            asset=f"eip155:31337/erc20:{address}", kind="chainlink", chain_id="eip155:31337", address=raw(address),
            heartbeat_s=3_600, deviation=0.005,
        )
        for address in on.sources.values()
    ]  # fmt: skip


def indexed(on: Sources, path: Path, *, span: int = 10_000) -> None:
    chain = Narrow(connect(chain_of(on), [], feeds_of(on)), span)
    with Store.open(path) as store:
        asyncio.run(take_in(chain, store))


def at(reader: Reader, on: Sources, number: int) -> At:
    header = on.node.header(number)
    block = Block(
        number=number,
        hash=raw(header["hash"]),
        parent_hash=raw(header["parentHash"]),
        time=int(header["timestamp"], 16),
    )
    return At(block, dict(reader.feeds("eip155:31337", block)), dict(reader.answers("eip155:31337", block)))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_price_is_what_its_source_says_at_every_block(seed: int, tmp_path: Path) -> None:
    path, counted = tmp_path / "store.duckdb", Counter[str]()
    with build(seed=seed) as on:
        indexed(on, path)
        head = on.node.height()
        by_address = {feed.address: feed for feed in feeds_of(on)}
        with Store.open(path) as store, store.reading() as reader:
            for number in range(on.first + 1, head + 1):
                moment = at(reader, on, number)
                for name, address in on.sources.items():
                    ours, said = current_answer(moment, raw(address)), on.said(name, number)
                    if name in RESTLESS and number < head and isinstance(ours, Reason):
                        assert ours.code == "not_read_at_block"
                        said_of = FeedsAt(at=moment.at, feeds=moment.feeds, answers=moment.answers)
                        assert observation_of(by_address[raw(address)], said_of).reading is None, (
                            "never an older look's"
                        )
                        counted[f"unread {name}"] += 1
                        continue
                    if said is None:
                        assert isinstance(ours, Reason)
                        assert ours.code == "source_reverts"
                    else:
                        assert not isinstance(ours, Reason), (name, number, ours)
                        assert ours.answer_raw == said, (name, number)
                    counted[name] += 1

    assert min(counted[name] for name in on.sources if name not in RESTLESS) == head - on.first
    assert counted["own make"] == 1, "read at the head alone"
    assert min(counted[f"unread {name}"] for name in RESTLESS) > 20


def test_any_cut_and_a_rebuild_give_the_same_rows(tmp_path: Path) -> None:
    paths = [tmp_path / f"{span}.duckdb" for span in (10_000, 1, 7)]
    with build(seed=4, blocks=25) as on:
        on.sources = {name: address for name, address in on.sources.items() if name not in RESTLESS}
        for path, span in zip(paths, (10_000, 1, 7), strict=True):
            indexed(on, path, span=span)
        counts = [assert_same_tables(paths[0], path) for path in paths[1:]]
        before = tables_of(paths[1])
        with Store.open(paths[1]) as store:
            asyncio.run(rebuild(chain_of(on), [], feeds_of(on), store, listener=Heard()))

    assert min(counts) > 500
    assert tables_of(paths[1]) == before


def test_what_was_looked_at_is_there_again_after_a_rebuild_and_nowhere_else(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=5, blocks=25) as on:
        indexed(on, path, span=5)
        before = tables_of(path)
        with Store.open(path) as store:
            asyncio.run(rebuild(chain_of(on), [], feeds_of(on), store, listener=Heard()))

    assert tables_of(path) == before


def test_a_source_that_comes_to_say_something_else_is_in_doubt_from_that_very_block(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=6, blocks=3) as on:
        address = on.sources["stable cap"]
        on.ledger.do(feeds.transmit(on.node, on.feeds["USDC"], 102 * 10**6))
        on.ledger.do(on.do(address, "setPriceCap(int256)", 104 * 10**6))
        (changed,) = on.ledger.do(on.do(address, "setSilently(int256)", 101 * 10**6))
        on.ledger.idle(5)
        indexed(on, path)
        (told,) = on.ledger.do(on.do(address, "setPriceCap(int256)", 103 * 10**6))
        indexed(on, path)
        with Store.open(path) as store, store.reading() as reader:
            answers = {
                number: current_answer(at(reader, on, number), raw(address))
                for number in range(changed.block - 1, told.block + 1)
            }

        on.ledger.idle(2)
        indexed(on, path)
        before = tables_of(path)
        with Store.open(path) as store:
            asyncio.run(rebuild(chain_of(on), [], feeds_of(on), store, listener=Heard()))

    doubtful = {number: answer.code for number, answer in answers.items() if isinstance(answer, Reason)}
    assert doubtful == dict.fromkeys(range(changed.block, told.block), "feed_in_doubt")
    assert tables_of(path) == before, "what is derived again is what was derived"


def test_an_oracle_that_agreed_with_its_feeds_and_says_something_else_later_is_in_doubt(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=7, blocks=3) as on:
        address = on.sources["vault oracle"]
        on.ledger.idle(4)
        (bent,) = on.ledger.do(on.do(address, "bend(uint256)", 2))
        on.ledger.idle(4)
        indexed(on, path)
        with Store.open(path) as store, store.reading() as reader:
            before, then = (
                current_answer(at(reader, on, number), raw(address)) for number in (bent.block - 1, bent.block)
            )
        assert isinstance(before, PriceAnswer)
        assert before.answer_raw == on.said("vault oracle", bent.block - 1)

    assert then == Reason(
        "feed_in_doubt", address.lower(), "the source says something else than what its parts make it"
    )


def test_a_redemption_rate_is_followed_as_a_feed_of_the_house(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=8, blocks=2) as on:
        specs = [*feeds_of(on), *(rate_of(on, name, view) for name, view in RATES)]
        first = on.node.height()
        on.ledger.idle(3)
        (moved,) = on.ledger.do(on.do(on.rates["slow"], "set(uint256,uint256)", 12 * 10**17, 0))
        on.ledger.idle(10)
        head = on.node.height()
        with Store.open(path) as store:
            asyncio.run(take_in(connect(chain_of(on), [], specs), store))
            asyncio.run(rebuild(chain_of(on), [], specs, store, listener=Heard()))
            with store.reading() as reader:
                told = {
                    number: told_at(reader, on, specs[-len(RATES) :], number) for number in (first, moved.block, head)
                }
        fast = int(on.node.eth_call(on.rates["fast"], calldata("rate()"), head), 16)

    assert told[first][0] == told[first][1] == 11 * 10**17
    assert told[moved.block] == [12 * 10**17, 12 * 10**17, None]
    assert told[head] == [12 * 10**17, 12 * 10**17, fast]


RATES = (("slow", "stEthPerToken"), ("slow", "convertToAssets"), ("fast", "getRate"))


def rate_of(on: Sources, name: str, view: str) -> FeedSpec:
    return FeedSpec(
        asset=f"eip155:31337/erc20:{on.rates[name]}", kind="redemption-rate", chain_id="eip155:31337",
        address=raw(on.rates[name]), heartbeat_s=0, deviation=0.0, feed_id=redemption_question(view, 18),
        of=f"eip155:31337/erc20:{on.sources['plain']}", unit_raw=10**18,
    )  # fmt: skip


def told_at(reader: Reader, on: Sources, specs: list[FeedSpec], number: int) -> list[int | None]:
    """What the house hears of rates at a block."""
    moment = at(reader, on, number)
    said = FeedsAt(at=moment.at, feeds=moment.feeds, answers=moment.answers)
    readings = [observation_of(spec, said).reading for spec in specs]
    return [None if reading is None else reading.answer_raw for reading in readings]


def test_a_feed_that_is_shown_late_is_known_where_it_is_settled_or_was_looked_at(tmp_path: Path) -> None:
    narrow, wide, counted = tmp_path / "narrow.duckdb", tmp_path / "wide.duckdb", Counter[str]()
    with build(seed=9, blocks=1) as on:
        late, other = delaying(on)
        on.sources = {"late": late, "other": other}
        first = on.node.height()
        rng = on.rng
        aggregator = aggregator_behind(on, late)
        for _ in range(45):
            txs = {
                0: [on.do(aggregator, "transmit(int256)", rng.randint(10**8, 2 * 10**8))],
                1: [on.do(aggregator, "transmitEarly(int256)", rng.randint(10**8, 2 * 10**8))],
                2: [on.do(aggregator, "reveal()")],
            }.get(rng.randint(0, 5), [])
            on.ledger.mine(*txs, seconds=rng.choice((1, 2, 5, 12, 12, 400)))
        indexed(on, narrow, span=1)
        indexed(on, wide)
        for path in (narrow, wide):
            with Store.open(path) as store, store.reading() as reader:
                for number in range(first + 1, on.node.height() + 1):
                    for name, address in on.sources.items():
                        ours, said = current_answer(at(reader, on, number), raw(address)), on.said(name, number)
                        if isinstance(ours, Reason):
                            assert (path, ours.code) == (wide, "not_read_at_block")
                            counted["unread"] += 1
                        else:
                            assert ours.answer_raw == said, (name, number)
                            counted[f"{path.stem} {ours.basis.value}"] += 1

    assert min(counted[kind] for kind in ("unread", "narrow observed", "narrow exact", "wide exact")) > 5, counted


def delaying(on: Sources) -> tuple[str, str]:
    """Two proxies of an aggregator that shows the first its answers late."""
    aggregator = on.ledger.deploy(on.admin, own_bytecode("DelayingAggregator"), ["uint256"], [10])
    late, other = (on.ledger.deploy(on.admin, own_bytecode("FeedProxy"), ["address"], [aggregator]) for _ in range(2))
    on.ledger.do(on.do(aggregator, "setReader(address)", late), on.do(aggregator, "transmitEarly(int256)", 10**8))
    on.ledger.mine(seconds=1_000)
    return late, other


def aggregator_behind(on: Sources, proxy: str) -> str:
    return "0x" + on.node.eth_call(proxy, calldata("aggregator()"))[-40:]
