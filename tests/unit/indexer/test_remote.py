"""What crosses from one process to another arrives as it was: values, errors, questions, and the end of either."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pytest
from aiohttp import web

from chains import errors
from chains.errors import ChainError, NodeBusy, RangeTooWide, WrongChain
from chains.model import AccountBytes, ChainSpec, Rows, Side
from chains.ports import Batch, Examined, Exchange, PositionKey, Records, StateReader
from indexer.loop import index
from indexer.remote import ChildLost, RemoteChain
from indexer.remote.chain import ChildFault
from indexer.remote.messages import columnar, error_of, fault_of
from indexer.steps import Append
from indexer.store import Store, StoreError
from indexer.unstored import Unstored
from tests.support.indexing import Heard
from tests.support.observing import Overheard
from tests.support.remote import read_apart
from tests.support.state import column_of
from tests.unit.indexer.fakes import FakeChain
from tests.unit.store.builders import CHAIN, MARKET, OWNER, VENUE, batch, block, content, event, position, price

KEY: PositionKey = (OWNER, MARKET, Side.SUPPLY)
WIDE = 2**200
KEYS_OF_NODES = "canary-secret-key"


def everything() -> Batch:
    """A batch with rows of all kinds, amounts that fit no column, and two values of one instant."""
    rows = Rows(
        positions=[position(2, 5, ordinal=1), position(2, 7, ordinal=1), position(3, WIDE), position(4, -(10**37))],
        prices=[price(2, WIDE), price(3, 10**37)],
        events=[event(3, WIDE), event(4, 1)],
    )
    return batch(1, 9, rows, logs=[(2, 0), (3, 0), (4, 0)])


# Values


async def test_a_batch_arrives_as_columns_and_is_stored_as_it_would_have_been_here(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    async with read_apart(Made(everything())) as chain:
        arrived = await chain.advance(1, 9, 9, Nothing())

    assert [len(getattr(arrived.rows, name)) for name in ("positions", "events", "prices")] == [0, 0, 0]
    assert len(arrived.rows.quarantined) == 3
    with Store.open(here) as ours, Store.open(there) as theirs:
        ours.apply(Append(parent=None, batch=everything()))
        theirs.apply(Append(parent=None, batch=arrived))
        assert content(ours) == content(theirs)


def test_columns_of_a_batch_are_those_that_it_has_already() -> None:
    once = columnar(everything())

    assert columnar(once) == once


async def test_a_chain_tells_the_same_from_the_other_side(store: Store) -> None:
    straight, around = Heard(), Heard()
    await index(FakeChain(tip=30, settled=20, evm=True), store, until="latest", listener=straight)
    with Store.open(":memory:") as other:
        async with read_apart(FakeChain(tip=30, settled=20, evm=True)) as chain:
            await index(chain, other, until="latest", listener=around)
        assert content(other) == content(store)

    assert [p.indexed for p in around.appended_] == [p.indexed for p in straight.appended_]


async def test_an_empty_height_is_proven_from_the_other_side_too() -> None:
    fake = FakeChain(tip=9, skipped=frozenset({4}))
    async with read_apart(fake) as chain:
        heights = [await chain.block(number) for number in (3, 4, 10)]
        floor = await chain.floor(4)

    assert heights == [await fake.block(3), await fake.block(4), None]
    assert floor == 3


# Errors


@pytest.mark.parametrize(
    "error",
    [
        NodeBusy("busy", retry_after=2.5),
        RangeTooWide("too wide", limit=800, results=10_000, lasting=True, node="node 2"),
        *(kind("what, where, what to do") for kind in vars(errors).values() if isinstance(kind, type)),
    ],
)
def test_an_error_is_made_again_with_its_type_and_its_facts(error: ChainError) -> None:
    made = error_of(fault_of(error))

    assert type(made) is type(error)
    assert str(made) == str(error)
    assert vars(made) == vars(error)


async def test_an_error_of_an_adapters_own_is_its_nearest_known_type() -> None:
    class NotYet(NodeBusy):
        pass

    async with read_apart(FakeChain(tip=9, failing=[NotYet("not yet")])) as chain:
        with pytest.raises(NodeBusy, match=r"^not yet$"):
            await chain.head()


async def test_a_fault_of_the_program_comes_with_its_trace() -> None:
    async with read_apart(Made(everything(), fault=ZeroDivisionError("by zero"))) as chain:
        with pytest.raises(ChildFault, match=r"(?s)ZeroDivisionError: by zero.*in advance"):
            await chain.advance(1, 9, 9, Nothing())


# Questions


async def test_a_fold_there_reads_the_state_here(store: Store) -> None:
    store.apply(Append(parent=None, batch=everything()))
    asking = Asking(everything())
    async with read_apart(asking) as chain:
        await chain.advance(10, 10, 10, store.state(CHAIN))

    state = store.state(CHAIN)
    assert asking.heard == [
        state.positions(VENUE, [KEY]),
        state.markets(VENUE),
        state.accounts(VENUE, [(OWNER, MARKET, "flag")]),
        state.units(VENUE),
        state.answers(),
        state.account_bytes([OWNER]),
    ]
    assert asking.heard[0] == {KEY: -(10**37)}


async def test_what_a_state_raises_reaches_who_called(store: Store) -> None:
    state = store.state(CHAIN)
    store.close()
    async with read_apart(Asking(everything())) as chain:
        with pytest.raises(StoreError, match="is closed"):
            await chain.advance(10, 10, 10, state)


async def test_a_batch_that_is_not_stored_yet_is_known_there_and_not_asked_for_here() -> None:
    asking, state = Asking(everything()), Nothing()
    async with read_apart(asking) as chain:
        first = await chain.advance(1, 9, 9, state)
        second = await chain.advance(10, 10, 10, upon := Unstored(state, first))
        await chain.advance(11, 11, 11, Unstored(state, second, upon.kept()))

    assert asking.heard[0] == {}
    assert asking.heard[6] == asking.heard[12] == {KEY: -(10**37)}
    assert state.asked == [1]


async def test_a_batch_that_another_process_made_is_read_here() -> None:
    asking = Asking(everything())
    async with read_apart(asking) as chain:
        await chain.advance(10, 10, 10, Unstored(Nothing(), everything()))

    assert asking.heard[0] == {KEY: -(10**37)}


async def test_evidence_there_reads_the_records_here(store: Store) -> None:
    store.apply(Append(parent=None, batch=batch(1, 9, Rows(positions=[position(2, 10**30)]), logs=[(2, 0)])))
    records = store.records(CHAIN)
    witness = Witness(everything())
    async with read_apart(witness) as chain:
        seen = await chain.attest(1, 9, Nothing(), records)
        pieces = [piece async for piece in chain.examine(1, 9, Nothing(), records, level="bloom", venues=["v"])]

    assert seen == Examined(first=1, last=9)
    assert [(piece.first, piece.last) for piece in pieces] == [(9, 9), (8, 8), (7, 7)]
    assert witness.heard == [
        records.blocks(1, 9),
        records.table("evm_log", 1, 9),
        records.markets_at(VENUE, 9),
        {(MARKET, Side.SUPPLY): 10**30},
    ]


# Ends


async def test_who_waits_no_more_is_not_waited_for_there() -> None:
    fake = FakeChain(tip=9)
    async with read_apart(fake) as chain:
        waiting = asyncio.create_task(chain.news(60.0))
        await until(lambda: fake.listening == 1)
        waiting.cancel()
        await until(lambda: fake.listening == 0)

    assert fake.listened == [60.0]


async def test_what_passes_with_nodes_is_told_here() -> None:
    overheard = Overheard()
    async with served(chain_number=31_337) as url, running(url, overheard) as chain:
        head = await chain.head()
        await until(lambda: bool(overheard.exchanges))

    assert head.latest.number == 5
    assert isinstance(overheard.exchanges[0], Exchange)
    assert sum(exchange.requests for exchange in overheard.exchanges) >= 1


async def test_a_stop_is_a_stop_from_the_other_side() -> None:
    overheard = Overheard()
    async with served(chain_number=1) as url, running(url, overheard) as chain:
        with pytest.raises(WrongChain, match="serves chain id 1, the configuration says 31337"):
            await chain.head()


async def test_addresses_of_nodes_are_in_no_command_line_and_no_environment() -> None:
    async with served(chain_number=31_337) as url, running(url) as chain:
        await chain.head()
        place = Path(f"/proc/{chain.pid}")
        said = [await asyncio.to_thread((place / name).read_bytes) for name in ("cmdline", "environ")]

    assert not any(KEYS_OF_NODES.encode() in text for text in said)


async def test_a_killed_process_is_an_error_to_try_again_and_the_next_call_starts_another() -> None:
    overheard = Overheard()
    async with served(chain_number=31_337) as url, running(url, overheard) as chain:
        await chain.head()
        first = chain.pid
        assert first is not None
        waiting = asyncio.create_task(chain._call(type(None), "news", 600.0))
        await asyncio.sleep(0)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(ChildLost, match="was ended by SIGKILL; it is started again"):
            await waiting
        head = await chain.head()
        assert chain.pid not in {first, None}

    assert head.latest.number == 5
    assert [type(error) for node, error in overheard.errors if node == "its own process"] == [ChildLost]


def test_a_process_whose_parent_was_killed_ends_by_itself(checkout: Path) -> None:
    text = (
        "import asyncio, sys; from chains.model import AccountBytes, ChainSpec; from indexer.remote import RemoteChain\n"
        "async def main():\n"
        "    spec = ChainSpec(id='eip155:1', name='x', rpc=('http://127.0.0.1:9',), finality='latest', start_block=0)\n"
        "    chain = RemoteChain(spec, [], []); asyncio.ensure_future(chain.news(600)); await asyncio.sleep(0)\n"
        "    print(chain.pid, flush=True); await asyncio.sleep(600)\n"
        "asyncio.run(main())"
    )
    with subprocess.Popen([sys.executable, "-c", text], cwd=checkout, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert runs(child)
        parent.kill()

    asyncio.run(until(lambda: not runs(child)))


async def until(true: Callable[[], bool]) -> None:
    """Look again and again, for half a minute."""
    for _ in range(3_000):
        if true():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never came true")


def runs(process: int) -> bool:
    """Whether a process has not ended; one that nobody has buried has."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# What the other side is made of


@dataclass(slots=True)
class Nothing:
    """A state in which nothing is; it counts the questions for positions."""

    asked: list[int] = field(default_factory=list)

    def markets(self, venue_id: str) -> dict[tuple[bytes, str], str]:
        return {}

    def positions(self, venue_id: str, keys: Collection[PositionKey]) -> dict[PositionKey, int]:
        self.asked.append(len(keys))
        return {}

    def amounts(self, venue_id: str, keys: pa.Table) -> pa.Array:
        self.asked.append(keys.num_rows)
        return column_of(keys, {})

    def accounts(
        self, venue_id: str, keys: Collection[tuple[bytes, bytes, str]]
    ) -> dict[tuple[bytes, bytes, str], str]:
        return {}

    def units(self, venue_id: str) -> frozenset[bytes]:
        return frozenset()

    def answers(self) -> dict[bytes, int]:
        return {}

    def account_bytes(self, addresses: Collection[bytes]) -> dict[bytes, AccountBytes]:
        return {}


class Made(FakeChain):
    """A chain of one batch, or of a fault."""

    def __init__(self, made: Batch, fault: Exception | None = None) -> None:
        super().__init__(tip=9, evm=True)
        self.made = made
        self.fault = fault

    async def advance(self, first: int, last: int, settled: int, state: StateReader) -> Batch:
        if self.fault is not None:
            raise self.fault
        return replace(self.made, last=block(last))


class Asking(Made):
    """A chain whose fold asks everything."""

    def __init__(self, made: Batch) -> None:
        super().__init__(made)
        self.heard: list[object] = []

    async def advance(self, first: int, last: int, settled: int, state: StateReader) -> Batch:
        self.heard += [
            state.positions(VENUE, [KEY]),
            state.markets(VENUE),
            state.accounts(VENUE, [(OWNER, MARKET, "flag")]),
            state.units(VENUE),
            state.answers(),
            state.account_bytes([OWNER]),
        ]
        return await super().advance(first, last, settled, state)


class Witness(Made):
    """A chain whose evidence reads everything that is stored."""

    def __init__(self, made: Batch) -> None:
        super().__init__(made)
        self.heard: list[object] = []

    async def attest(self, first: int, last: int, state: StateReader, records: Records) -> Examined:
        self.heard += [
            records.blocks(first, last),
            records.table("evm_log", first, last),
            records.markets_at(VENUE, last),
            records.sums(VENUE, last),
        ]
        return Examined(first=first, last=last)

    async def examine(
        self, first: int, last: int, state: StateReader, records: Records, *, level: str, venues: Collection[str]
    ) -> AsyncIterator[Examined]:
        for number in range(last, last - 3, -1):
            yield Examined(first=number, last=number)


def running(url: str, observer: Overheard | None = None) -> Running:
    return Running(
        RemoteChain(
            ChainSpec(id="eip155:31337", name="x", rpc=(url,), finality="latest", start_block=0),
            [],
            [],
            observer=observer,
        )
    )


class Running:
    """A chain in a process of its own, ended with the block."""

    def __init__(self, chain: RemoteChain) -> None:
        self._chain = chain

    async def __aenter__(self) -> RemoteChain:
        return self._chain

    async def __aexit__(self, *exc: object) -> None:
        await self._chain.aclose()


class served:  # noqa: N801 - reads as a verb
    """A node of a chain at block 5."""

    def __init__(self, *, chain_number: int) -> None:
        self._chain_number = chain_number

    async def __aenter__(self) -> str:
        app = web.Application()
        app.router.add_post("/{key}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/{KEYS_OF_NODES}"

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        asked = await request.json()
        each = asked if isinstance(asked, list) else [asked]
        said = [{"jsonrpc": "2.0", "id": one["id"], "result": self._result(one["method"])} for one in each]
        return web.json_response(said if isinstance(asked, list) else said[0])

    def _result(self, method: str) -> object:
        if method == "eth_chainId":
            return hex(self._chain_number)
        quiet = {"number": "0x5", "hash": "0x" + "11" * 32, "parentHash": "0x" + "22" * 32, "timestamp": "0x1"}
        return quiet | {"logsBloom": "0x" + "00" * 256, "receiptsRoot": "0x" + "33" * 32}
