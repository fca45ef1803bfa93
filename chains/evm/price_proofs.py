"""Answers of price sources proven: the receipt that tells one, its way to the receipts root, the header, and that header's way to a block.

A header leads to a later block by the headers between, where these are few, or by the hash that the chain keeps of its past blocks in the
storage of a contract (EIP-2935); else that the block is of this chain is the word of whoever says so, which any node can confirm.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

import rfc8785
from eth_hash.auto import keccak

from chains.auditing import Reply
from chains.errors import ChainError
from chains.evm.evidence.asking import PooledNodes
from chains.evm.evidence.receipts import Receipt, logs_in, unproven, values_of
from chains.evm.evidence.trie import list_proof
from chains.evm.oracles.chainlink.events import ANSWER_UPDATED
from chains.evm.price_logs import NOT_SERVED, TOPICS, WORD
from chains.evm.proofs.faults import BadProof
from chains.evm.proofs.judging import GET_PROOF
from chains.evm.proofs.rlp import decode
from chains.evm.proofs.states import header_of, state_root, storage_root, word_at
from chains.identifiers import hexed
from chains.model import Basis, Block, PriceAnswer
from chains.price_proofs import PriceProof
from chains.proving import Proved
from chains.rpc import NodePool, RpcFault

METHOD = "receipt_proof"
LINKED_BY_HEADERS = 64
KEPT_HASHES = 8191
HASH_KEEPER = bytes.fromhex("0000f90827f1c53a10cb7a02335b175320002935")
"""The contract that keeps the hashes of past blocks, and how many (EIP-2935)."""

RECEIPTS_ROOT, NUMBER = 5, 8
LONGEST = 400
NO_LOG = "it came in no log: it was read at a block, or is computed of other sources"
NEVER_ASKED = "no node was asked"


class PriceProver:
    """Asks a chain's nodes for what proves answers."""

    def __init__(self, chain_id: str, pool: NodePool) -> None:
        self._chain_id = chain_id
        self._pool = pool
        self._nodes = PooledNodes(chain_id, pool)
        self._headers: dict[int, bytes] = {}

    async def prove(self, at: Block, answers: Sequence[tuple[bytes, PriceAnswer]]) -> list[Reply]:
        """Return what came of each answer that a log told, as it is kept; raises nothing for a node.

        Where no node answers about one, none is asked about the others.
        """
        found: list[Reply] = []
        silent = ""
        for source, answer in answers:
            if answer.basis is not Basis.EXACT:
                continue
            try:
                outcome, said = (Proved.UNANSWERED, silent) if silent else await self._evidence(at, source, answer)
            except ChainError as error:
                outcome, said = Proved.UNANSWERED, (silent := str(error)[:LONGEST])
            except (BadProof, RpcFault, ValueError) as error:
                outcome, said = Proved.UNANSWERED, str(error)[:LONGEST]
            found.append(Reply(source, METHOD, key_of(answer), outcome.value, said.encode()))
        return found

    async def _evidence(self, at: Block, source: bytes, answer: PriceAnswer) -> tuple[Proved, str]:
        header = await self._header(answer.block)
        (receipts,) = await self._nodes.receipts([answer.block])
        if receipts is None:
            return Proved.UNANSWERED, NOT_SERVED
        root = cast("list[bytes]", decode(header))[RECEIPTS_ROOT]
        values = values_of(receipts, root)
        if values is None:
            return Proved.UNANSWERED, unproven(receipts, root) or "the receipts cannot be encoded"
        told = places_of(receipts, source)
        if not told:
            return Proved.UNKNOWN, NO_LOG
        if (own := (answer.answer_raw, answer.updated_at)) not in told:
            said = ", ".join(f"{number} of {time}" for number, time in told)
            return Proved.DIFFERENT, f"the receipts of block {answer.block} have {said}"
        index, log = told[own]
        evidence: dict[str, Any] = {
            "header": hexed(header),
            "receipt": index,
            "log": log,
            "nodes": list(map(hexed, list_proof(values, index))),
            "link": await self._link(at, answer.block, header),
        }
        return Proved.PROVEN, rfc8785.dumps(evidence).decode()

    async def _header(self, number: int) -> bytes:
        if number not in self._headers:
            said = await self._said("eth_getBlockByNumber", (hex(number), False))
            raw = header_of(said, bytes.fromhex(str(said.get("hash", "0x"))[2:]))
            if int.from_bytes(cast("list[bytes]", decode(raw))[NUMBER]) != number:
                raise BadProof(f"asked for block {number}, the node gave another")
            self._headers[number] = raw
        return self._headers[number]

    async def _link(self, at: Block, number: int, header: bytes) -> dict[str, Any]:
        """Return how a header is shown to be of the chain that ends in a block."""
        if number == at.number:
            return {"by": "cut"}
        if at.number - number <= LINKED_BY_HEADERS:
            between = [await self._header(each) for each in range(number + 1, at.number + 1)]
            return {"by": "headers", "headers": list(map(hexed, between))}
        if at.number - number <= KEPT_HASHES:
            return await self._kept(at, number, header) or {"by": "word"}
        return {"by": "word"}

    async def _kept(self, at: Block, number: int, header: bytes) -> dict[str, Any] | None:
        slot, own = (number % KEPT_HASHES).to_bytes(WORD), await self._header(at.number)
        try:
            said = await self._said(GET_PROOF, (hexed(HASH_KEEPER), [hexed(slot)], hex(at.number)))
            account = [bytes.fromhex(node[2:]) for node in said["accountProof"]]
            nodes = [bytes.fromhex(node[2:]) for node in said["storageProof"][0]["proof"]]
            kept = word_at(storage_root(state_root(own, at), HASH_KEEPER, account), slot, nodes)
        except (BadProof, ChainError, RpcFault, KeyError, IndexError, TypeError, ValueError):
            return None
        if kept != int.from_bytes(keccak(header)):
            return None
        return {
            "by": "history",
            "header": hexed(own),
            "account_proof": list(map(hexed, account)),
            "nodes": list(map(hexed, nodes)),
        }

    async def _said(self, method: str, parameters: tuple[Any, ...]) -> dict[str, Any]:
        answer = await self._pool.answered([(method, parameters)])
        (outcome,) = answer.outcomes
        if isinstance(outcome, RpcFault):
            raise outcome
        return self._pool.decoded(method, outcome, cast("type[dict[str, Any]]", dict[str, Any]))


def places_of(receipts: Sequence[Receipt], source: bytes) -> dict[tuple[int, int], tuple[int, int]]:
    """Return what a source told, and when that was, with the receipt that has it and its place among the logs there."""
    first: dict[int, int] = {}
    found = {}
    for log in logs_in(receipts):
        first.setdefault(log.tx_index, log.log_index)
        is_answer = log.topics[:1] == (ANSWER_UPDATED.topic0,) and len(log.topics) == TOPICS and len(log.data) == WORD
        if log.address == source and is_answer:
            told = int.from_bytes(log.topics[1], signed=True), int.from_bytes(log.data)
            found[told] = log.tx_index, log.log_index - first[log.tx_index]
    return found


def judged(answers: Sequence[tuple[bytes, PriceAnswer]], replies: Sequence[Reply]) -> tuple[PriceProof, ...]:
    """Read what was said of answers."""
    said = {(reply.contract, reply.input): reply for reply in replies if reply.method == METHOD}
    return tuple(_judged(source, answer, said.get((source, key_of(answer)))) for source, answer in answers)


def _judged(source: bytes, answer: PriceAnswer, reply: Reply | None) -> PriceProof:
    if answer.basis is not Basis.EXACT:
        return PriceProof(source, answer, Proved.UNKNOWN, NO_LOG, "")
    if reply is None:
        return PriceProof(source, answer, Proved.UNANSWERED, NEVER_ASKED, "")
    outcome, text = Proved(reply.outcome), reply.output.decode()
    proven = outcome is Proved.PROVEN
    return PriceProof(source, answer, outcome, "" if proven else text, text if proven else "")


def key_of(answer: PriceAnswer) -> bytes:
    """Return what an answer is known by among what was said of its source."""
    return json.dumps([answer.block, str(answer.answer_raw), answer.updated_at]).encode()
