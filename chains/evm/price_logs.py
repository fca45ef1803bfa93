"""Answers of price sources found again in the receipts of their blocks, which add up to the root that the header commits to."""

from __future__ import annotations

from collections.abc import Sequence

from chains.auditing import Carried
from chains.evm.evidence.asking import Nodes
from chains.evm.evidence.receipts import BlockLog, logs_in, unproven
from chains.evm.oracles.chainlink.events import ANSWER_UPDATED
from chains.model import PriceAnswer
from chains.ports import Outcome

NO_SHAPE = "the header does not hash to its hash: its shape is not known here"
NOT_SERVED = "the node does not serve eth_getBlockReceipts"
NOT_TOLD = "block {block} carries no answer of {source}: it was read there, or the block is another"
TOPICS, WORD = 3, 32


async def carried(nodes: Nodes, answers: Sequence[tuple[bytes, PriceAnswer]]) -> list[Carried]:
    """Look for each source's answer in the block that is said to carry it; raises `ChainError`."""
    blocks = sorted({answer.block for _, answer in answers})
    logs = {number: await _proven(nodes, number) for number in blocks}
    return [_found(source, answer, logs[answer.block]) for source, answer in answers]


async def _proven(nodes: Nodes, number: int) -> list[BlockLog] | str:
    """Return the logs of a block, or why they are not proven."""
    (header,) = await nodes.headers(number, number)
    if not header.hashed:
        return NO_SHAPE
    (receipts,) = await nodes.receipts([number])
    if receipts is None:
        return NOT_SERVED
    return unproven(receipts, header.receipts_root) or logs_in(receipts)


def _found(source: bytes, answer: PriceAnswer, logs: list[BlockLog] | str) -> Carried:
    if isinstance(logs, str):
        return Carried(Outcome.UNANSWERED, logs)
    told = [_told(log) for log in logs if log.address == source and _is_answer(log)]
    if (answer.answer_raw, answer.updated_at) in told:
        return Carried(Outcome.EQUAL, "")
    if not told:
        return Carried(Outcome.UNANSWERED, NOT_TOLD.format(block=answer.block, source="0x" + source.hex()))
    said = ", ".join(f"{number} of {time}" for number, time in told)
    return Carried(Outcome.DIFFERENT, f"the receipts of block {answer.block} have {said}")


def _is_answer(log: BlockLog) -> bool:
    return log.topics[:1] == (ANSWER_UPDATED.topic0,) and len(log.topics) == TOPICS and len(log.data) == WORD


def _told(log: BlockLog) -> tuple[int, int]:
    """Return the answer of a log and its time."""
    return int.from_bytes(log.topics[1], signed=True), int.from_bytes(log.data)
