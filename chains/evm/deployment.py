"""The block in which a contract was deployed: found by asking for its code at ever older blocks, as each node keeps them."""

from __future__ import annotations

from typing import Protocol

from chains.errors import HistoryGone, NoContract
from chains.evm.dialect import EvmDialect
from chains.evm.source import NodeSource
from chains.identifiers import format_address
from chains.model import ChainSpec
from chains.ports import Head, Observer, Start
from chains.rpc import EXPLORE, NodePool

FIRST_LOOK = 4_096
GROWTH = 8
"""The first block that is asked for below the head, and how much farther each next one is: young contracts need no old state."""


class CodeSource(Protocol):
    """What is asked of a chain to find a deployment."""

    async def head(self) -> Head:
        """Return the newest block and the newest settled one."""
        ...

    async def code_at(self, address: bytes, number: int) -> bytes:
        """Return the code at an address after a block; raises `HistoryGone` where no node has the state."""
        ...


async def find_start(spec: ChainSpec, address: bytes, observer: Observer | None = None) -> Start:
    """Ask the nodes of a chain; raises `NoContract` where the block cannot be found, and `ChainError`."""
    number = int(spec.id.partition(":")[2])
    source = NodeSource(spec, NodePool(spec.id, EvmDialect(number), spec.rpc, explore=EXPLORE, observer=observer))
    try:
        return await Deployment(spec.id, address, source).find()
    finally:
        await source.aclose()


class Deployment:
    """Looks for the deployment of one contract."""

    def __init__(self, chain_id: str, address: bytes, source: CodeSource) -> None:
        self._chain_id = chain_id
        self._address = address
        self._source = source

    async def find(self) -> Start:
        """Return the first block with code; the block behind the settled ones for a contract that only newer ones have."""
        head = await self._source.head()
        settled = await self._has_code(head.settled)
        if settled is None:
            raise NoContract(self._unknown(head.latest.number))
        if not settled:
            if not await self._has_code(head.latest.number):
                raise NoContract(f"{self._name()} has no code; check `address` and `chain` of this [[venue]]")
            return Start(head.settled + 1, f"eth_getCode: no code at block {head.settled}, the last that is settled")
        return await self._between(head.settled)

    async def _between(self, there: int) -> Start:
        """Find the edge below a block with code; what no node has the state of any more counts as older than the edge."""
        lower, back = -1, FIRST_LOOK
        has: bool | None = False
        while (number := there - back) > lower:
            has = await self._has_code(number)
            if not has:
                lower = number
                break
            there, back = number, back * GROWTH
        while there - lower > 1:
            middle = (there + lower) // 2
            answer = await self._has_code(middle)
            if answer:
                there = middle
            else:
                lower, has = middle, answer
        if has is None:
            raise NoContract(self._unknown(there))
        said = "it is the first" if lower < 0 else f"none at block {lower}"
        return Start(there, f"eth_getCode: code at block {there}, {said}")

    async def _has_code(self, number: int) -> bool | None:
        """Tell whether there is code after a block, `None` where no node has the state any more."""
        if number < 0:
            return False
        try:
            return bool(await self._source.code_at(self._address, number))
        except HistoryGone:
            return None

    def _unknown(self, there: int) -> str:
        return (
            f'start_block = "auto": {self._name()} was deployed in block {there} or before, and no node has the state of'
            " earlier blocks; add an archive node to `rpc`, or write the block in which it was deployed, as explorers name it"
            " (0 is always right, and slower)"
        )

    def _name(self) -> str:
        return f"{format_address(self._chain_id, self._address)} on {self._chain_id}"
