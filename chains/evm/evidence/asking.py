"""What evidence is asked of nodes: headers, receipts, and the same logs once more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
import pyarrow as pa

from chains.errors import NodeWrong
from chains.evm.evidence.headers import Header, header_of
from chains.evm.evidence.receipts import Receipt
from chains.evm.logs import logs_of
from chains.rpc import NodePool, Outcome, RpcFault

RECEIPTS_AT_ONCE = 8
"""Blocks whose receipts come in one answer: a busy one has a megabyte of them."""

LOGS_AT_ONCE = 50

Request = tuple[str, Sequence[object]]

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

    async def logs_elsewhere(
        self, addresses: Collection[bytes], topics: Collection[bytes], first: int, last: int
    ) -> Again | None:
        """Return matching logs of a span as a second node gives them; `None` where there is no second node."""
        ...


class PooledNodes:
    """`Nodes` over a pool."""

    def __init__(self, chain_id: str, pool: NodePool) -> None:
        self._chain_id = chain_id
        self._pool = pool

    async def headers(self, first: int, last: int) -> list[Header]:
        requests: list[Request] = [("eth_getBlockByNumber", (hex(number), False)) for number in range(first, last + 1)]
        said = await self._pool.batch(requests, OptionalHeader)
        if None in said:
            raise NodeWrong(f"chain {self._chain_id}: the node has no block {first + said.index(None)}; ask another")
        headers = [header_of(header) for header in said]
        wrong = next((n for n, header in enumerate(headers, first) if header.number != n), None)
        if wrong is not None:
            raise NodeWrong(f"chain {self._chain_id}: asked for block {wrong}, the node gave another")
        return headers

    async def receipts(self, numbers: Sequence[int]) -> list[list[Receipt] | None]:
        requests: list[Request] = [("eth_getBlockReceipts", (hex(number),)) for number in numbers]
        found: list[list[Receipt] | None] = []
        for start in range(0, len(requests), RECEIPTS_AT_ONCE):
            outcomes = await self._pool.outcomes(requests[start : start + RECEIPTS_AT_ONCE])
            found += [self._receipts(outcome) for outcome in outcomes]
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
        found: list[pa.Table | None] = []
        for start in range(0, len(requests), LOGS_AT_ONCE):
            outcomes = await self._pool.outcomes(requests[start : start + LOGS_AT_ONCE])
            found += [None if isinstance(outcome, RpcFault) else logs_of(outcome) for outcome in outcomes]
        return found

    async def logs_elsewhere(
        self, addresses: Collection[bytes], topics: Collection[bytes], first: int, last: int
    ) -> Again | None:
        asked = {"fromBlock": hex(first), "toBlock": hex(last), **query(addresses, topics)}
        if len(self._pool.nodes) < 2:  # noqa: PLR2004 - a second one
            return None
        raw = await self._pool.call("eth_getLogs", (asked,), msgspec.Raw)
        return Again(first, last, "", logs_of(raw))


def query(addresses: Collection[bytes], topics: Collection[bytes]) -> dict[str, object]:
    """Return the part of a question for logs that says which."""
    return {
        "address": ["0x" + address.hex() for address in sorted(addresses)],
        "topics": [["0x" + topic.hex() for topic in sorted(topics)]],
    }
