"""Asking a contract wallet at a block whether a signature is its own (EIP-1271)."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass

from aggregator.membership.envelope import Envelope
from aggregator.membership.proof import is_yes, question
from chains.auditing import Askable, Reply
from chains.errors import ChainError
from chains.model import Block
from chains.ports import Chain

PATIENCE_S = 60.0
UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A contract wallet that was asked about its signature after a block."""

    at: Block
    reply: Reply

    @property
    def valid(self) -> bool:
        return self.reply.outcome == "returned" and is_yes(self.reply.output)


def asked_of(chain: Chain, envelope: Envelope, at: Block) -> Asked:
    """Ask a contract after a block; raises `ChainError`, also where no node has its state."""
    wallet = envelope.message.wallet
    calldata = question(envelope.message, envelope.scheme, envelope.signature)
    reply = asyncio.run(_ask(chain, at, wallet.address, calldata))
    if reply.outcome == UNAVAILABLE:
        raise ChainError(f"chain {wallet.chain_id}: no node has the state of block {at.number}; add an archive node")
    return Asked(at=at, reply=reply)


def header_of(chain: Chain, number: int) -> Block | None:
    """Return a block as the chain's nodes have it; raises `ChainError`."""
    return asyncio.run(_header(chain, number))


async def _ask(chain: Chain, at: Block, contract: bytes, calldata: bytes) -> Reply:
    async with aclosing(chain):
        if not isinstance(chain, Askable):
            raise ChainError(f"contracts of chain {chain.spec.id} cannot be asked")
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await chain.ask(at, contract, calldata)
        except TimeoutError as error:
            raise ChainError(f"chain {chain.spec.id}: no node answered within {PATIENCE_S:.0f} s") from error


async def _header(chain: Chain, number: int) -> Block | None:
    async with aclosing(chain):
        block = await chain.block(number)
        return block if isinstance(block, Block) else None
