"""Views of contracts, asked of nodes many at a time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import msgspec
from eth_utils.address import to_checksum_address

from chains.errors import HistoryGone, NodeWrong
from chains.evm.logs import unhex
from chains.evm.ports import BALANCE, ETH_CALL, UNAVAILABLE, Answer, Read
from chains.evm.reverts import plain_revert
from chains.model import Block
from chains.rpc import NodePool, Outcome, RpcFault

_HALTED = re.compile(
    r"revert|opcode|out of gas|gas uint64|EVM error|stack (under|over)flow|stack limit|invalid jump|out of bounds",
    re.IGNORECASE,
)
"""What a node says when a contract itself could not answer: no fault of the node, whoever wrote the contract."""


GET_BALANCE = "eth_getBalance"
_WORD = 32


class Calls:
    """Asks views of contracts, and what addresses hold, over a chain's nodes."""

    def __init__(self, chain_id: str, pool: NodePool) -> None:
        self._chain_id = chain_id
        self._pool = pool

    async def answers(self, reads: Sequence[Read], block: Block) -> list[Answer]:
        """Answer questions about the state after one block, in their order; raises `HistoryGone` where no node has the state."""
        pinned, answers = "0x" + block.hash.hex(), list[Answer]()
        for start in range(0, len(reads), self._pool.batch_size):
            part = reads[start : start + self._pool.batch_size]
            requests = [_request(read, pinned) for read in part]
            outcomes = await self._pool.outcomes(requests, block=block.number)
            answers += await asyncio.gather(*map(self._answer, part, outcomes))
        return answers

    async def states(self, reads: Sequence[Read], block: Block) -> list[Answer]:
        """Answer likewise, with `UNAVAILABLE` where no node has the state: one question may need more of it than another."""
        try:
            return await self.answers(reads, block)
        except HistoryGone:
            if len(reads) == 1:
                return [UNAVAILABLE]
        return [(await self.states([read], block))[0] for read in reads]

    async def _answer(self, read: Read, outcome: Outcome) -> Answer:
        if read.method == BALANCE:
            return self._balance(read, outcome)
        if not isinstance(outcome, RpcFault):
            return Answer("returned", self._output(outcome))
        said = plain_revert(outcome)
        if said is None:
            from chains.evm.provider import revert_of  # noqa: PLC0415 - web3 takes a second to import

            said = await revert_of(outcome, _call(read))
        if said is not None:
            return Answer("reverted", said)
        if _HALTED.search(outcome.text):
            return Answer("reverted", b"")
        message = f"chain {self._chain_id}: the node refuses an eth_call at block {read.block}"
        raise NodeWrong(message) from outcome

    def _balance(self, read: Read, outcome: Outcome) -> Answer:
        try:
            if isinstance(outcome, RpcFault):
                raise outcome
            amount = int(self._pool.decoded(GET_BALANCE, outcome, str), 16)
            return Answer("returned", amount.to_bytes(_WORD))
        except (RpcFault, ValueError, OverflowError) as error:
            message = f"chain {self._chain_id}: {GET_BALANCE} at block {read.block}: {error}; check the node"
            raise NodeWrong(message) from error

    def _output(self, outcome: msgspec.Raw) -> bytes:
        try:
            return unhex(self._pool.decoded(ETH_CALL, outcome, str))
        except ValueError as error:
            raise NodeWrong(f"chain {self._chain_id}: eth_call gave no hexadecimal digits; check the node") from error


def _request(read: Read, pinned: str) -> tuple[str, tuple[object, ...]]:
    if read.method == BALANCE:
        return GET_BALANCE, (to_checksum_address(read.address), pinned)
    return ETH_CALL, (_call(read), pinned)


def _call(read: Read) -> dict[str, str]:
    return {"to": to_checksum_address(read.address), "data": "0x" + read.input.hex()}
