"""Nodes asked for proofs of what contracts store: each is verified when it comes, and what none proves is refused by name.

A block is named by its hash, and by its number where a node knows no proof by hash: the header decides which block was meant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from chains.auditing import Reply
from chains.errors import ChainError, NodeWrong
from chains.evm.logs import unhex
from chains.evm.parity import Contracts, audit
from chains.evm.proofs.faults import BadProof
from chains.evm.proofs.judging import (
    DIFFERENT,
    EQUAL,
    GET_PROOF,
    REFUSED,
    RETURNED,
    VIEWS,
    Ask,
    Plan,
    Proof,
    different,
    judged,
    plan_of,
    words_of,
)
from chains.evm.proofs.layout import OpenSlots
from chains.evm.proofs.states import WORD, header_of, state_root
from chains.model import Block, UnitSnapshot, VenueSnapshot
from chains.ports import Outcome
from chains.proving import StateProof
from chains.registry import open_slots
from chains.rpc import NodePool, Request, RpcFault

HEADER_BY_HASH = "eth_getBlockByHash"
TRIES = 2
AT_ONCE = 8
LONGEST = 400
"""How much of what a node says of its refusal is kept."""


class _Slot(msgspec.Struct):
    key: str
    proof: list[str]


class _Proof(msgspec.Struct, rename="camel"):
    account_proof: list[str]
    storage_proof: list[_Slot]


class Prover:
    """Asks a chain's nodes for proofs."""

    def __init__(self, chain_id: str, pool: NodePool, contracts: Contracts) -> None:
        self._chain_id = chain_id
        self._pool = pool
        self._contracts = contracts
        self._places = asyncio.Semaphore(AT_ONCE)

    async def prove(
        self, snapshot: VenueSnapshot, units: Sequence[UnitSnapshot]
    ) -> tuple[tuple[StateProof, ...], tuple[Reply, ...]]:
        """Prove what a venue's contracts store of units; see `chains.auditing.Provable`."""
        plan = plan_for(snapshot, units)
        asks = plan.asks()
        replies = await self._replies(plan, asks) if asks else []
        replies += await self._views(snapshot, different(plan, replies))
        return tuple(judged(plan, replies)), tuple(replies)

    async def _replies(self, plan: Plan, asks: Sequence[Ask]) -> list[Reply]:
        """Ask for the header, for one proof, and for all others if that came: a node that has none has no other either."""
        header = await self._header(plan)
        if header.outcome != RETURNED:
            return [header]
        root = state_root(header.output, plan.snapshot.at)
        first = await self._proof(asks[0], plan.snapshot.at, root)
        if first.outcome != RETURNED:
            return [header, first, *(Reply(*ask.key, REFUSED, first.output) for ask in asks[1:])]
        others = await asyncio.gather(*(self._proof(ask, plan.snapshot.at, root) for ask in asks[1:]))
        return [header, first, *others]

    async def _header(self, plan: Plan) -> Reply:
        at = plan.snapshot.at
        try:
            answer = await self._pool.answered([(HEADER_BY_HASH, ("0x" + at.hash.hex(), False))], block=at.number)
            (outcome,) = answer.outcomes
            if isinstance(outcome, RpcFault):
                raise outcome
            said = self._pool.decoded(HEADER_BY_HASH, outcome, cast("type[Mapping[str, Any]]", dict[str, Any]))
            raw = header_of(said, at.hash)
            state_root(raw, at)
        except (BadProof, ChainError, RpcFault) as error:
            return Reply(*plan.header, REFUSED, _told(error))
        return Reply(*plan.header, RETURNED, raw)

    async def _proof(self, ask: Ask, at: Block, root: bytes) -> Reply:
        """Ask for a proof; a node whose proof does not hold is doubted, and another asked."""
        refusal = b""
        async with self._places:
            for _ in range(TRIES):
                try:
                    proof, node = await self._asked(ask, at)
                except (ChainError, RpcFault) as error:
                    return Reply(*ask.key, REFUSED, _told(error))
                try:
                    words_of(ask, proof, root)
                    return Reply(*ask.key, RETURNED, proof.packed())
                except BadProof as error:
                    refusal = _told(error)
                    self._pool.doubt(node, NodeWrong(f"chain {self._chain_id}: {error}"))
        return Reply(*ask.key, REFUSED, refusal)

    async def _asked(self, ask: Ask, at: Block) -> tuple[Proof, str]:
        by_hash, by_number = ("0x" + at.hash.hex(), hex(at.number))
        answer = await self._pool.answered([_request(ask, by_hash)], block=at.number)
        if isinstance(answer.outcomes[0], RpcFault):
            answer = await self._pool.answered([_request(ask, by_number)], block=at.number)
        (outcome,) = answer.outcomes
        if isinstance(outcome, RpcFault):
            raise outcome
        return _read(ask, self._pool.decoded(GET_PROOF, outcome, _Proof)), answer.node

    async def _views(self, snapshot: VenueSnapshot, units: Sequence[UnitSnapshot]) -> list[Reply]:
        """Ask the contracts' own views of units whose storage says something else: then it is the layout that is not known."""
        found = []
        for unit in units:
            try:
                checks = await audit(self._contracts, snapshot, [unit])
            except ChainError:
                checks = []
            agreed = bool(checks) and all(check.outcome is Outcome.EQUAL for check in checks)
            found.append(Reply(snapshot.venue.address, VIEWS, unit.unit_id, EQUAL if agreed else DIFFERENT, b""))
        return found


def plan_for(snapshot: VenueSnapshot, units: Sequence[UnitSnapshot]) -> Plan:
    """Name what is to be proven of units of a venue, by its protocol's own layout."""
    return plan_of(snapshot, units, cast("OpenSlots | None", open_slots(snapshot.venue.protocol)))


def _request(ask: Ask, block: str) -> Request:
    return GET_PROOF, ("0x" + ask.contract.hex(), ["0x" + slot.hex() for slot in ask.slots], block)


def _read(ask: Ask, said: _Proof) -> Proof:
    """Read a node's answer, whose slots come in the order that was asked; raises `NodeWrong` for one that is malformed."""
    try:
        storage = {int(each.key, 16).to_bytes(WORD): tuple(map(unhex, each.proof)) for each in said.storage_proof}
        return Proof(tuple(map(unhex, said.account_proof)), storage)
    except (ValueError, OverflowError) as error:
        raise NodeWrong(f"{GET_PROOF} of 0x{ask.contract.hex()}: malformed ({error}); check the node") from error


def _told(error: Exception) -> bytes:
    return str(error)[:LONGEST].encode()
