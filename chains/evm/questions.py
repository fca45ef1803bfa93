"""Questions for logs to the nodes of a chain: cut to what nodes take, and asked twice where absence is an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pyarrow as pa

from chains.errors import NodeBusy, NodeWrong, RangeTooWide, TooManyAddresses
from chains.evm.dialect import LOGS
from chains.evm.logs import in_order, logs_of
from chains.evm.ranges import Ranges
from chains.evm.sought import Sought
from chains.rpc import NodePool, Outcome, RpcFault
from chains.rpc.limit import Limit

MOST_SOUGHT = 10_000
"""Addresses, or topics in one place, in one question, unless a node minds."""

IN_THREAD = 1 << 18
"""Bytes of an answer from which on it is decoded in a thread."""


class Questions:
    """Asks the nodes of one chain for logs; `speaker` is the label of the node that answered last."""

    def __init__(self, chain_id: str, pool: NodePool) -> None:
        self._where = f"chain {chain_id}"
        self._pool = pool
        self._most = Limit(start=MOST_SOUGHT, most=MOST_SOUGHT)
        self.speaker = ""

    async def logs(
        self,
        ranges: Ranges,
        sought: Sought,
        first: int,
        last: int,
        *,
        avoid: Collection[str] = (),
        heard: set[str] | None = None,
    ) -> pa.Table:
        """Return matching logs in chain order; more addresses or topics than a node takes are asked for in several questions.

        `heard` takes the labels of who answered. Raises `RangeTooWide` for more blocks than the node takes, which `ranges` then
        knows, and `NoOtherNode`.
        """
        halves = sought.halves()
        if halves is None or sought.most <= self._most.value:
            try:
                return await self._asked(ranges, sought, first, last, avoid=avoid, heard=heard)
            except TooManyAddresses:
                if halves is None:
                    raise
                self._most.refused(sought.most)
            except RangeTooWide as error:
                width, node = last - first + 1, error.node or None
                ranges.refused(width, error.limit, results=error.results, lasting=error.lasting, node=node)
                if width > 1 or halves is None:
                    raise
        parts = [await self.logs(ranges, half, first, last, avoid=avoid, heard=heard) for half in halves]
        return in_order(pa.concat_tables(parts))

    async def _asked(
        self,
        ranges: Ranges,
        sought: Sought,
        first: int,
        last: int,
        *,
        avoid: Collection[str],
        heard: set[str] | None,
    ) -> pa.Table:
        width, request = last - first + 1, (LOGS, (sought.query(first, last),))
        answer = await self._pool.answered([request], avoid=avoid, unfit=ranges.unfit(width))
        (outcome,), self.speaker = answer.outcomes, answer.node
        try:
            table = await self._read(outcome, first, last)
        except NodeWrong as error:
            self._pool.doubt(answer.node, error)
            raise
        ranges.taken(width, answer.node)
        self._most.succeeded(sought.most)
        if heard is not None:
            heard.add(answer.node)
        return table

    async def _read(self, outcome: Outcome, first: int, last: int) -> pa.Table:
        if isinstance(outcome, RpcFault):
            raise NodeWrong(f"{self._where}: {outcome}; check the node") from outcome
        table = (
            await asyncio.to_thread(logs_of, outcome) if memoryview(outcome).nbytes > IN_THREAD else logs_of(outcome)
        )
        self._must_be_within(table, first, last)
        return table

    def _must_be_within(self, table: pa.Table, first: int, last: int) -> None:
        numbers = table["block_number"]
        if table.num_rows and not (first <= numbers[0].as_py() <= numbers[-1].as_py() <= last):
            raise NodeWrong(f"{self._where}: eth_getLogs gave logs outside blocks {first}..{last}")

    async def look(self, ranges: Ranges, sought: Sought, first: int, last: int) -> pa.Table | None:
        """Return what two answers say together, of two nodes where there are: what one leaves out would pass for what never was.

        `None` for more blocks than a node takes, which `ranges` then knows.
        """
        try:
            heard: set[str] = set()
            once = await self.logs(ranges, sought, first, last, heard=heard)
            again = await self._again(ranges, sought, first, last, heard)
        except RangeTooWide:
            if first == last:
                raise
            return None
        table = once if once.equals(again) else _either(once, again)
        ranges.succeeded(last - first + 1, table.num_rows)
        return table

    async def _again(self, ranges: Ranges, sought: Sought, first: int, last: int, heard: set[str]) -> pa.Table:
        """Ask another node; the same one where there is no other, or none that answered for long."""
        try:
            return await self.logs(ranges, sought, first, last, avoid=heard)
        except RangeTooWide:
            raise
        except (NodeBusy, NodeWrong):
            if not self._pool.alone(heard):
                raise
            return await self.logs(ranges, sought, first, last)


def _either(once: pa.Table, again: pa.Table) -> pa.Table:
    both = pa.concat_tables([once, again])
    return in_order(both.group_by(both.column_names).aggregate([]).select(both.column_names))
