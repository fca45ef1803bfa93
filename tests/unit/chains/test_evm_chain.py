"""The EVM adapter over a source of no network: what it asks to find venues, and what it tells the loop."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, TypeVar, cast

import msgspec
import pyarrow as pa
import pytest

from chains.errors import ChainError, HistoryGone, NoContract, NodeWrong, Unsupported
from chains.evm.calls import _HALTED
from chains.evm.chain import EvmChain
from chains.evm.logs import empty_logs
from chains.evm.ports import CODE_BEFORE, Answer, Check, Look, Read, Sight, Sighted
from chains.evm.ranges import Ranges
from chains.evm.sought import Topics
from chains.evm.source import NodeSource
from chains.model import Block, ChainSpec, Finality, VenueSpec
from chains.ports import Batch, Head, StateReader
from chains.rpc import NodePool, RpcFault
from tests.support.state import Tips

T = TypeVar("T")
VAULT = b"\xaa" * 20
SPEC = ChainSpec(id="eip155:1", name="one", rpc=("http://127.0.0.1:9",), finality="finalized", start_block=0)
NEW = Answer("returned", b"")


def block(number: int) -> Block:
    return Block(number=number, hash=number.to_bytes(32), parent_hash=((number - 1) % 2**256).to_bytes(32), time=number)


def venue(start_block: int, *, name: str = "vault", protocol: str = "escrow", **options: str) -> VenueSpec:
    return VenueSpec(
        id=name, protocol=protocol, chain_id="eip155:1", address=VAULT, start_block=start_block, options=options
    )


@dataclass(slots=True)
class Silent:
    """A source of a chain on which nothing happens; it remembers what it was asked."""

    code_before: Answer = NEW
    code_now: bool = True
    asked: list[Read] = field(default_factory=list)
    topics: list[Topics] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    ranges: Ranges = field(default_factory=Ranges)

    async def head(self) -> Head:
        return Head(latest=block(1_000), settled=1_000, finality=Finality.FINALIZED)

    async def blocks(self, numbers: Collection[int]) -> dict[int, Block]:
        return {number: block(number) for number in numbers}

    async def logs(self, addresses: Collection[bytes] | None, topics: Topics, first: int, last: int) -> pa.Table:
        self.topics.append(topics)
        self.spans.append((first, last))
        return empty_logs()

    async def read(self, reads: Collection[Read], blocks: Mapping[int, Block]) -> dict[Read, Answer]:
        self.asked += reads
        return dict.fromkeys(reads, self.code_before)

    async def check(self, checks: Mapping[Read, Check], blocks: Mapping[int, Block]) -> dict[Read, bytes]:
        return dict.fromkeys(checks, b"")

    async def changes(self, looks: Collection[Look], blocks: Mapping[int, Block]) -> dict[Look, int | None]:
        return dict.fromkeys(looks)

    def doubts(self, first: int, last: int) -> dict[Read, bytes]:
        return {}

    async def sights(self, sights: Collection[Sight], blocks: Mapping[int, Block]) -> dict[Sight, Sighted]:
        return dict.fromkeys(sights, ())

    async def has_code(self, address: bytes) -> bool:
        return self.code_now

    def doubt(self, error: ChainError) -> None:
        pass

    async def aclose(self) -> None:
        pass


def reads_of(batch: Batch) -> list[tuple[int, str]]:
    return [(row["block_number"], row["method"]) for row in batch.raw["evm_read"].to_pylist()]


async def advance(chain: EvmChain, first: int, last: int, settled: int = 1_000) -> Batch:
    state: StateReader = Tips()
    return await chain.advance(first, last, settled, state)


async def test_a_vault_is_found_in_the_span_that_holds_its_first_block_and_the_answer_is_stored_there() -> None:
    source = Silent()
    chain = EvmChain(SPEC, source, [venue(50)], [])

    batches = [await advance(chain, first, last) for first, last in ((0, 49), (50, 50), (51, 99))]

    assert source.asked == [Read(50, CODE_BEFORE, VAULT, b"")]
    assert [reads_of(batch) for batch in batches] == [[], [(50, CODE_BEFORE)], []]


async def test_a_vault_is_found_anew_when_its_first_block_was_rewound() -> None:
    source = Silent()
    chain = EvmChain(SPEC, source, [venue(50)], [])

    for _ in range(2):
        batch = await advance(chain, 40, 60)
        assert reads_of(batch) == [(50, CODE_BEFORE)]

    assert len(source.asked) == 2


async def test_an_index_that_goes_on_later_does_not_ask_for_state_that_is_gone() -> None:
    source = Silent()

    await advance(EvmChain(SPEC, source, [venue(50)], []), 51, 99)

    assert source.asked == []


async def test_a_vault_that_is_older_than_its_first_block_is_refused() -> None:
    chain = EvmChain(SPEC, Silent(code_before=Answer("returned", b"\x60")), [venue(50)], [])

    with pytest.raises(NoContract, match=r"^venue vault: 0xaaaa\S* on eip155:1 was deployed before start_block 50, so"):
        await advance(chain, 0, 99)


@pytest.mark.parametrize("protocol", ["escrow", "aave-v3"])
async def test_an_address_without_code_is_refused(protocol: str) -> None:
    chain = EvmChain(SPEC, Silent(Answer("absent", b""), code_now=False), [venue(50, protocol=protocol)], [])

    with pytest.raises(NoContract, match=r"has no code; check `address` and `chain` of this \[\[venue\]\]$"):
        await advance(chain, 0, 99)


async def test_a_pool_that_no_provider_announced_is_refused() -> None:
    chain = EvmChain(SPEC, Silent(Answer("absent", b"")), [venue(50, protocol="aave-v3")], [])

    with pytest.raises(NoContract, match="was not announced by any addresses provider from block 50 on"):
        await advance(chain, 0, 99)


@pytest.mark.parametrize("protocol", ["spl-escrow", "compound"])
def test_a_protocol_of_another_family_is_refused(protocol: str) -> None:
    with pytest.raises(Unsupported, match=f"venue vault: protocol '{protocol}' is not an EVM protocol known here"):
        EvmChain(SPEC, Silent(), [venue(0, protocol=protocol)], [])


async def test_what_is_asked_for_does_not_depend_on_which_venues_have_begun() -> None:
    source = Silent()
    other = venue(500, name="later", deposit_event="event In(address account, address token, uint amount)")
    chain = EvmChain(SPEC, source, [venue(0), other], [])

    for first, last in ((0, 9), (490, 510), (511, 520)):
        await advance(chain, first, last)

    assert source.spans == [(0, 9), (490, 510), (511, 520)], "from the earliest block that any of them asks for"
    assert all(topics == source.topics[0] for topics in source.topics)
    assert [len(topic0 or ()) for topic0 in source.topics[0]] == [11], (
        "two events, another, upgrades, the feeds', and six of their caps"
    )


@pytest.mark.parametrize(
    "first, last, settled, parent",
    [(7, 9, 5, 6), (7, 7, 1_000, 6), (7, 9, 1_000, None)],
)
async def test_a_batch_names_its_parent_where_its_first_header_was_fetched(
    first: int, last: int, settled: int, parent: int | None
) -> None:
    batch = await advance(EvmChain(SPEC, Silent(), [], []), first, last, settled)

    assert batch.parent_hash == (None if parent is None else block(parent).hash)


async def test_every_height_holds_a_block_and_news_are_waited_for() -> None:
    chain = EvmChain(SPEC, Silent(), [], [])
    began = monotonic()

    assert await chain.floor(123) == 123
    await chain.news(0.05)
    assert monotonic() - began >= 0.05


@pytest.mark.parametrize(
    "text",
    [
        "execution reverted",
        "out of gas",
        "gas uint64 overflow",
        "invalid opcode: INVALID",
        "invalid jump destination",
        "stack underflow (0 <=> 1)",
        "stack limit reached 1024 (1023)",
        "return data out of bounds",
        "EVM error InvalidFEOpcode",
    ],
)
def test_a_contract_that_cannot_answer_is_no_fault_of_the_node(text: str) -> None:
    """Anybody can deploy a token that fails in any way, and deposit it."""
    assert _HALTED.search(text)


@pytest.mark.parametrize("text", ["header not found", "daily request count exceeded", "missing trie node ab"])
def test_a_node_that_cannot_answer_is_no_fault_of_the_contract(text: str) -> None:
    assert not _HALTED.search(text)


class Codes:
    """A pool that answers `eth_getCode` by block, or fails there."""

    def __init__(self, **codes: str | ChainError) -> None:
        self.codes = codes
        self.asked: list[tuple[str, ...]] = []

    async def call(self, method: str, params: tuple[str, ...], kind: type[T]) -> T:
        self.asked.append((method, *params))
        code = self.codes[params[1]]
        if isinstance(code, ChainError):
            raise code
        return msgspec.convert(code, kind)


async def code_before(pool: Codes, start_block: int) -> Answer:
    source = NodeSource(SPEC, cast("NodePool", pool))
    read = Read(start_block, CODE_BEFORE, VAULT, b"")
    return (await source.read([read], {}))[read]


@pytest.mark.parametrize(
    "codes, start_block, answer",
    [
        ({"latest": "0x60", "0x31": "0x"}, 50, NEW),
        ({"latest": "0x60", "0x31": "0x60"}, 50, Answer("returned", b"\x60")),
        ({"latest": "0x60"}, 0, NEW),
        ({"latest": "0x"}, 50, Answer("absent", b"")),
    ],
)
async def test_a_node_is_asked_for_code_before_the_first_block(
    codes: dict[str, Any], start_block: int, answer: Answer
) -> None:
    assert await code_before(Codes(**codes), start_block) == answer


@pytest.mark.parametrize(
    "said, error, message",
    [
        (HistoryGone("no state"), HistoryGone, "^no state$"),
        (RpcFault("node 1 refuses", code=-32601, text="", data=None), NodeWrong, "^chain eip155:1: eth_getCode at 0x31: node 1"),
        ("60", NodeWrong, "^chain eip155:1: eth_getCode at 0x31: expected 0x"),
    ],
)  # fmt: skip
async def test_a_node_that_cannot_say_it_is_no_evidence(
    said: str | ChainError, error: type[ChainError], message: str
) -> None:
    with pytest.raises(error, match=message):
        await code_before(Codes(**{"latest": "0x60", "0x31": said}), 50)
