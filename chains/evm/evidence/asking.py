"""What evidence is asked of nodes: headers, receipts, and the same logs once more."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from chains.errors import NodeWrong
from chains.evm.evidence.headers import Header, header_of
from chains.evm.evidence.receipts import Receipt
from chains.evm.logs import logs_of
from chains.rpc import NodePool, Outcome, Request, RpcFault

RECEIPTS_AT_ONCE = 8
"""Blocks whose receipts come in one answer: a busy one has a megabyte of them."""

HEADERS_AT_ONCE = 200
LOGS_AT_ONCE = 50
BOTH = 2

OptionalHeader: Any = dict[str, Any] | None
OptionalReceipts: Any = list[Receipt] | None


class Again(NamedTuple):
    """Logs of blocks `first`..`last` that were asked for once more, and the node that gave them."""

    first: int
    last: int
    node: str
    logs: pa.Table


class Nodes(Protocol):
    """The nodes of a chain, as far as evidence needs them."""

    async def headers(self, first: int, last: int) -> list[Header]:
        """Return the headers of a span, ascending; raises `NodeWrong` where one is not there."""
        ...

    async def receipts(self, numbers: Sequence[int]) -> list[list[Receipt] | None]:
        """Return the receipts of blocks, in their order; `None` where the nodes do not serve them."""
        ...

    async def block_logs(
        self, hashes: Sequence[bytes], addresses: Collection[bytes], topics: Collection[bytes]
    ) -> list[pa.Table | None]:
        """Return matching logs of single blocks by their hashes, of another node where there is one; `None` for a refusal."""
        ...

    async def logs_twice(
        self, addresses: Collection[bytes], topics: Collection[bytes], first: int, last: int
    ) -> list[Again]:
        """Return matching logs of a span as each of two nodes gives them; nothing where there is one node alone."""
        ...


class PooledNodes:
    """`Nodes` over a pool."""

    def __init__(self, chain_id: str, pool: NodePool) -> None:
        self._chain_id = chain_id
        self._pool = pool

    async def headers(self, first: int, last: int) -> list[Header]:
        requests: list[Request] = [("eth_getBlockByNumber", (hex(number), False)) for number in range(first, last + 1)]
        headers: list[Header] = []
        for start in range(0, len(requests), HEADERS_AT_ONCE):
            answer = await self._pool.answered(requests[start : start + HEADERS_AT_ONCE])
            with self._believing(answer.node):
                headers += [self._header(first + start + i, each) for i, each in enumerate(answer.outcomes)]
        return headers

    def _header(self, number: int, outcome: Outcome) -> Header:
        if isinstance(outcome, RpcFault):
            raise NodeWrong(f"chain {self._chain_id}: {outcome}; check the node") from outcome
        said = self._pool.decoded("eth_getBlockByNumber", outcome, OptionalHeader)
        if said is None:
            raise NodeWrong(f"chain {self._chain_id}: the node has no block {number}; ask another")
        header = header_of(said)
        if header.number != number:
            raise NodeWrong(f"chain {self._chain_id}: asked for block {number}, the node gave {header.number}")
        return header

    async def receipts(self, numbers: Sequence[int]) -> list[list[Receipt] | None]:
        requests: list[Request] = [("eth_getBlockReceipts", (hex(number),)) for number in numbers]
        found: list[list[Receipt] | None] = []
        for start in range(0, len(requests), RECEIPTS_AT_ONCE):
            answer = await self._pool.answered(requests[start : start + RECEIPTS_AT_ONCE])
            with self._believing(answer.node):
                found += [self._receipts(outcome) for outcome in answer.outcomes]
        return found

    def _receipts(self, outcome: Outcome) -> list[Receipt] | None:
        if isinstance(outcome, RpcFault):
            return None
        said: list[Receipt] | None = self._pool.decoded("eth_getBlockReceipts", outcome, OptionalReceipts)
        return said

    async def block_logs(
        self, hashes: Sequence[bytes], addresses: Collection[bytes], topics: Collection[bytes]
    ) -> list[pa.Table | None]:
        requests: list[Request] = [
            ("eth_getLogs", ({"blockHash": "0x" + digest.hex(), **query(addresses, topics)},)) for digest in hashes
        ]
        usual = [self._pool.nodes[0].label]
        found: list[pa.Table | None] = []
        for start in range(0, len(requests), LOGS_AT_ONCE):
            answer = await self._pool.answered(requests[start : start + LOGS_AT_ONCE], unfit=usual)
            with self._believing(answer.node):
                found += [None if isinstance(each, RpcFault) else logs_of(each) for each in answer.outcomes]
        return found

    async def logs_twice(
        self, addresses: Collection[bytes], topics: Collection[bytes], first: int, last: int
    ) -> list[Again]:
        if len(self._pool.nodes) < BOTH:
            return []
        asked: Request = "eth_getLogs", ({"fromBlock": hex(first), "toBlock": hex(last), **query(addresses, topics)},)
        again: list[Again] = []
        for _ in range(BOTH):
            (outcome,), node = await self._pool.answered([asked], block=last, avoid=[each.node for each in again])
            if isinstance(outcome, RpcFault):
                raise NodeWrong(f"chain {self._chain_id}: {outcome}; check the node") from outcome
            with self._believing(node):
                again.append(Again(first, last, node, logs_of(outcome)))
        return again

    @contextmanager
    def _believing(self, node: str) -> Iterator[None]:
        """Read what a node said, and turn to another where that cannot be right."""
        try:
            yield
        except NodeWrong as error:
            self._pool.doubt(node, error)
            raise


def query(addresses: Collection[bytes], topics: Collection[bytes]) -> dict[str, object]:
    """Return the part of a question for logs that says which."""
    return {
        "address": ["0x" + address.hex() for address in sorted(addresses)],
        "topics": [["0x" + topic.hex() for topic in sorted(topics)]],
    }
