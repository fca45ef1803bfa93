"""Where an EVM chain's facts come from: its nodes, or the raw rows that were stored of them (`stored.py`)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec
import pyarrow as pa

from chains.errors import ChainError, NodeWrong
from chains.evm.calls import Calls
from chains.evm.changes import changed_at_the_end, found_by_asking
from chains.evm.dialect import BLOCK
from chains.evm.evidence.filters import Filters
from chains.evm.logs import unhex
from chains.evm.ports import (
    BALANCE,
    CODE_BEFORE,
    ETH_CALL,
    FIRST_LOG,
    LAST_LOG,
    STATE,
    Answer,
    Check,
    Look,
    Read,
    Sight,
    Sighted,
)
from chains.evm.questions import Questions
from chains.evm.ranges import Ranges
from chains.evm.sought import Sought, Topics
from chains.model import Block, ChainSpec, Finality
from chains.ports import Head
from chains.rpc import NodePool, Outcome, RpcFault

LOOK_BACK = 500_000
"""How many blocks a search for a feed's last answer goes back."""

READS_AT_ONCE = 10
OF_STATE = frozenset({ETH_CALL, STATE, BALANCE})
"""Questions about the state after one block, which may be asked in one request."""

_TAGS = {"latest": Finality.LATEST, "safe": Finality.SAFE, "finalized": Finality.FINALIZED}


class EvmSource(Protocol):
    """Facts of one EVM chain, always as of named blocks."""

    @property
    def ranges(self) -> Ranges:
        """How many blocks one request for logs of contracts spans: ask for the width, and tell what a span held."""
        ...

    async def head(self) -> Head:
        """Return the newest block and the newest settled one."""
        ...

    async def blocks(self, numbers: Collection[int]) -> dict[int, Block]:
        """Return those of the blocks that exist."""
        ...

    async def logs(self, addresses: Collection[bytes] | None, topics: Topics, first: int, last: int) -> pa.Table:
        """Return matching logs of blocks `first`..`last` in chain order; raises `RangeTooWide` for too wide a span."""
        ...

    async def read(self, reads: Collection[Read], blocks: Mapping[int, Block]) -> dict[Read, Answer]:
        """Answer questions, each pinned to the hash of its block."""
        ...

    async def check(self, checks: Mapping[Read, Check], blocks: Mapping[int, Block]) -> dict[Read, bytes]:
        """Return what each check, by the name that it is stored under, found wrong; empty for nothing."""
        ...

    def doubts(self, first: int, last: int) -> Mapping[Read, bytes]:
        """Return what checks are known to have found in a span, by where that began, before anything is asked."""
        ...

    async def changes(self, looks: Collection[Look], blocks: Mapping[int, Block]) -> dict[Look, int | None]:
        """Return the block of the first change that each looks for, `None` where there is none."""
        ...

    async def sights(self, sights: Collection[Sight], blocks: Mapping[int, Block]) -> dict[Sight, Sighted]:
        """Return what contracts answered wherever they were looked at."""
        ...

    async def has_code(self, address: bytes) -> bool:
        """Tell whether a contract is deployed at an address now."""
        ...

    def doubt(self, error: ChainError) -> None:
        """Turn to another node: what the one that spoke last of blocks or logs cannot be right."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class _Header(msgspec.Struct, rename="camel"):
    number: str
    hash: str
    parent_hash: str
    timestamp: str
    logs_bloom: str = ""
    receipts_root: str = ""


OptionalHeader: Any = _Header | None


class NodeSource:
    """Facts from nodes, through a pool; `filters` remembers what the newest headers say of logs."""

    def __init__(self, spec: ChainSpec, pool: NodePool, filters: Filters | None = None) -> None:
        self._spec = spec
        self._pool = pool
        self._filters = filters or Filters()
        self._calls = Calls(spec.id, pool)
        self._slots = asyncio.Semaphore(READS_AT_ONCE)
        self._ranges = Ranges()
        self._looks = Ranges(most=LOOK_BACK)
        self._anywhere = Ranges(most=LOOK_BACK)
        self._questions = Questions(spec.id, pool)
        self._speaker = ""

    @property
    def ranges(self) -> Ranges:
        """How many blocks one request for logs of contracts spans."""
        return self._ranges

    async def head(self) -> Head:
        """Return the newest block and the newest settled one under the chain's finality rule, as one node knows them."""
        rule, _, depth = self._spec.finality.partition(":")
        tags = ["latest"] if rule in {"latest", "confirmations"} else ["latest", rule]
        latest, *settled = await self._tagged(tags)
        if rule == "confirmations":
            return Head(latest=latest, settled=max(latest.number - int(depth), -1), finality=Finality.CONFIRMED)
        lowest = min(block.number for block in (latest, *settled))
        return Head(latest=latest, settled=lowest, finality=_TAGS[rule])

    async def _tagged(self, tags: Sequence[str]) -> list[Block]:
        answer = await self._pool.answered([(BLOCK, (tag, False)) for tag in tags])
        with self._believing(answer.node):
            return [self._at_tag(tag, outcome) for tag, outcome in zip(tags, answer.outcomes, strict=True)]

    def _at_tag(self, tag: str, outcome: Outcome) -> Block:
        if isinstance(outcome, RpcFault):
            message = f"chain {self._spec.id}: {outcome}; set `finality` to a rule that this node knows"
            raise NodeWrong(message) from outcome
        header = self._pool.decoded(BLOCK, outcome, OptionalHeader)
        if header is None:
            raise NodeWrong(f"chain {self._spec.id}: the node has no block for the tag {tag!r} yet")
        return _block(header)

    @contextmanager
    def _believing(self, node: str) -> Iterator[None]:
        """Read what a node said, and turn to another where that cannot be right."""
        self._speaker = node
        try:
            yield
        except NodeWrong as error:
            self._pool.doubt(node, error)
            raise

    def doubt(self, error: ChainError) -> None:
        """Turn to another node than the one that spoke last."""
        self._pool.doubt(self._speaker, error)

    async def blocks(self, numbers: Collection[int]) -> dict[int, Block]:
        """Return those of the blocks that exist; raises `NodeWrong` when a node answers with another block."""
        wanted = sorted(numbers)
        found: dict[int, Block] = {}
        for start in range(0, len(wanted), self._pool.batch_size):
            part = wanted[start : start + self._pool.batch_size]
            answer = await self._pool.answered([(BLOCK, (hex(number), False)) for number in part])
            with self._believing(answer.node):
                found |= self._blocks(part, answer.outcomes)
        return found

    def _blocks(self, numbers: Sequence[int], outcomes: Sequence[Outcome]) -> dict[int, Block]:
        found: dict[int, Block] = {}
        for number, outcome in zip(numbers, outcomes, strict=True):
            if isinstance(outcome, RpcFault):
                raise NodeWrong(f"chain {self._spec.id}: {outcome}; check the node") from outcome
            header = self._pool.decoded(BLOCK, outcome, OptionalHeader)
            if header is None:
                continue
            block = self._noted(header)
            if block.number != number:
                raise NodeWrong(f"chain {self._spec.id}: asked for block {number}, the node gave {block.number}")
            found[number] = block
        return found

    def _noted(self, header: _Header) -> Block:
        block = _block(header)
        self._filters.note(block.hash, header.logs_bloom, header.receipts_root)
        return block

    async def logs(self, addresses: Collection[bytes] | None, topics: Topics, first: int, last: int) -> pa.Table:
        """Return matching logs in chain order; more addresses or topics than a node takes are asked for in several questions."""
        ranges = self._anywhere if addresses is None else self._ranges
        table = await self._questions.logs(ranges, Sought.of(addresses, topics), first, last)
        self._speaker = self._questions.speaker
        return table

    async def read(self, reads: Collection[Read], blocks: Mapping[int, Block]) -> dict[Read, Answer]:
        """Answer questions, each pinned to the hash of its block; raises `HistoryGone` where no node has the state."""
        views: dict[tuple[str, int], list[Read]] = {}
        for read in sorted(reads):
            if read.method in OF_STATE:
                views.setdefault((read.method, read.block), []).append(read)
        others = [read for read in sorted(reads) if read.method not in OF_STATE]
        found = await asyncio.gather(
            *(self._called(method, some, blocks[block]) for (method, block), some in views.items()),
            *map(self._answer, others),
        )
        return {read: answer for answers in found for read, answer in answers.items()}

    async def _called(self, method: str, views: Sequence[Read], block: Block) -> dict[Read, Answer]:
        ask = self._calls.answers if method == ETH_CALL else self._calls.states
        async with self._slots:
            return dict(zip(views, await ask(views, block), strict=True))

    async def changes(self, looks: Collection[Look], blocks: Mapping[int, Block]) -> dict[Look, int | None]:
        """Ask the node at the ends of all looks, and find each change by bisection."""
        changed = await changed_at_the_end(self, sorted(looks), blocks)
        found = await asyncio.gather(*(found_by_asking(self, look, blocks) for look in changed))
        return dict.fromkeys(looks) | dict(zip(changed, found, strict=True))

    async def _answer(self, read: Read) -> dict[Read, Answer]:
        ask = {LAST_LOG: self._last_log, FIRST_LOG: self._first_log, CODE_BEFORE: self._code_before}[read.method]
        async with self._slots:
            return {read: await ask(read)}

    async def _last_log(self, read: Read) -> Answer:
        sought = Sought.of([read.address], [[read.input]])
        last, lowest = read.block - 1, max(0, read.block - LOOK_BACK)
        while last >= lowest:
            first = max(lowest, last - self._looks.width() + 1)
            table = await self._questions.look(self._looks, sought, first, last)
            if table is None:
                continue
            if table.num_rows:
                return Answer("returned", _log_json(table.slice(table.num_rows - 1)))
            last = first - 1
        return Answer("absent", b"")

    async def _first_log(self, read: Read) -> Answer:
        """Find the first log with topic0 `input` and `address` as its second indexed argument, from the block on."""
        sought = Sought.of(None, [[read.input], None, [bytes(12) + read.address]])
        head, first = (await self.head()).latest.number, read.block
        while first <= head:
            last = min(head, first + self._anywhere.width() - 1)
            table = await self._questions.look(self._anywhere, sought, first, last)
            if table is None:
                continue
            if table.num_rows:
                return Answer("returned", _log_json(table.slice(0, 1)))
            first = last + 1
        return Answer("absent", b"")

    async def _code_before(self, read: Read) -> Answer:
        if not await self.has_code(read.address):
            return Answer("absent", b"")
        return Answer("returned", await self._code(read.address, hex(read.block - 1)) if read.block else b"")

    async def sights(self, sights: Collection[Sight], blocks: Mapping[int, Block]) -> dict[Sight, Sighted]:
        """Ask the node, after the last block of each."""
        asked = {sight: Read(sight.last, STATE, sight.address, sight.input) for sight in sights}
        answers = await self.read(set(asked.values()), blocks)
        return {sight: ((read.block, answers[read]),) for sight, read in asked.items()}

    async def check(self, checks: Mapping[Read, Check], blocks: Mapping[int, Block]) -> dict[Read, bytes]:
        """Ask the node and judge its answers."""
        answers = await self.read({check.asked for check in checks.values()}, blocks)
        return {name: check.judge(answers[check.asked]) for name, check in checks.items()}

    def doubts(self, first: int, last: int) -> Mapping[Read, bytes]:
        """Return nothing: a node knows of no check."""
        del first, last
        return {}

    async def has_code(self, address: bytes) -> bool:
        """Tell whether a contract is deployed at an address now."""
        return len(await self._code(address, "latest")) > 0

    async def code_at(self, address: bytes, number: int) -> bytes:
        """Return the code at an address after a block; raises `HistoryGone` where no node has the state."""
        return await self._code(address, hex(number))

    async def _code(self, address: bytes, block: str) -> bytes:
        try:
            return unhex(await self._pool.call("eth_getCode", ("0x" + address.hex(), block), str))
        except (RpcFault, ValueError) as error:
            raise NodeWrong(f"chain {self._spec.id}: eth_getCode at {block}: {error}; check the node") from error

    async def aclose(self) -> None:
        """Close connections."""
        await self._pool.aclose()


def _block(header: _Header) -> Block:
    try:
        return Block(
            number=int(header.number, 16),
            hash=unhex(header.hash),
            parent_hash=unhex(header.parent_hash),
            time=int(header.timestamp, 16),
        )
    except ValueError as error:
        raise NodeWrong(f"eth_getBlockByNumber: a malformed header ({error})") from error


def _log_json(table: pa.Table) -> bytes:
    (row,) = table.to_pylist()
    topics = [row[f"topic{i}"] for i in range(4)]
    said = {
        "address": "0x" + row["address"].hex(),
        "topics": ["0x" + topic.hex() for topic in topics if topic is not None],
        "data": "0x" + row["data"].hex(),
        "blockNumber": row["block_number"],
        "blockHash": "0x" + row["block_hash"].hex(),
        "transactionHash": "0x" + row["tx_hash"].hex(),
        "logIndex": row["log_index"],
    }
    return json.dumps(said, separators=(",", ":")).encode()
