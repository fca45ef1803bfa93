"""What proves the prices of a cut, asked for when a snapshot is made: of logs by nodes, of signed prices by the updates that were kept.

A chain is asked once for each block of a cut; what was said, or that nothing was, is stored with the block's hash and is what the snapshot
rests on, however often it is made.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import aclosing

from aggregator.audit.prices import MARK, Proven, Told, told
from aggregator.book import BookInputs
from chains.auditing import Reply
from chains.identifiers import PYTH, format_address, namespace_of, unhexed
from chains.model import Block, PriceAnswer, Reason
from chains.ports import Chain
from chains.price_proofs import PriceProof, PriceProving
from chains.proving import Proved
from chains.registry import signed_price
from crossmargin.watch import Clock
from indexer.store import Reader, Store
from indexer.store.controls import PRICES, Findings, Look

PATIENCE_S = 120.0
"""How long the nodes of a chain are asked."""

DIFFERS = "price_differs"
COMPUTED = "it is computed of what other sources said"
ELSEWHERE = "its chain is followed by another service, which has the nodes"

Sourced = tuple[Told, bytes, PriceAnswer]
"""An answer, the source that gave it, and the same answer as the journals have it."""


class PriceProofs:
    """Has answers proven: so many of each chain that marks rest on, and as many that venues take for prices; `None`: all.

    Those of chains that are followed `elsewhere` stay unanswered.
    """

    def __init__(
        self,
        store: Store,
        connect: Callable[[str], Chain],
        clock: Clock,
        *,
        count: int | None = 0,
        elsewhere: Collection[str] = (),
    ) -> None:
        self._elsewhere = elsewhere
        self._store = store
        self._connect = connect
        self._clock = clock
        self._count = count

    def prove(self, reader: Reader, inputs: BookInputs) -> tuple[Proven, ...]:
        """Return what proves those answers a book rests on that the blocks of its cut choose; raises `StoreError`."""
        if self._count == 0:
            return ()
        cuts, venues = inputs.cuts, [venue.snapshot for venue in inputs.venues]
        chosen = told(inputs.observations, venues, cuts, self._count)
        return tuple(
            proven
            for chain_id in sorted({each.chain_id for each in chosen})
            for proven in self._of_chain(
                reader, chain_id, cuts[chain_id].block, [each for each in chosen if each.chain_id == chain_id]
            )
        )

    def _of_chain(self, reader: Reader, chain_id: str, at: Block, chosen: Sequence[Told]) -> Iterator[Proven]:
        if chain_id in self._elsewhere:
            for each in chosen:
                yield Proven(each, PriceProof(unhexed(each.name), each.answer, Proved.UNANSWERED, ELSEWHERE, ""))
            return
        if namespace_of(chain_id) == PYTH:
            for each in chosen:
                bodies = reader.updates(chain_id, each.answer.block)
                yield Proven(each, signed_price(unhexed(each.name), each.answer, bodies))
            return
        sourced = list(_sourced(reader, chain_id, at, chosen))
        answers = list(dict.fromkeys((source, answer) for _, source, answer in sourced if source))
        proofs = {(proof.source, proof.answer): proof for proof in self._proven(reader, chain_id, at, answers)}
        for each, source, answer in sourced:
            computed = PriceProof(unhexed(each.name), answer, Proved.UNKNOWN, COMPUTED, "")
            yield Proven(each, proofs[source, answer] if source else computed)

    def _proven(
        self, reader: Reader, chain_id: str, at: Block, answers: Sequence[tuple[bytes, PriceAnswer]]
    ) -> tuple[PriceProof, ...]:
        look = Look(
            chain_id=chain_id,
            checked_at=int(self._clock()),
            block_number=at.number,
            block_hash=at.hash,
            venue_id=PRICES,
        )
        known = reader.replies(look)
        proofs, replies = asyncio.run(_asked(self._connect(chain_id), at, answers, known))
        if known is None:
            self._store.add_look(look, Findings(), replies)
        return proofs


def doubts(proven: Sequence[Proven]) -> tuple[Reason, ...]:
    """Say of which chains nothing is believed: the block that is said to have told a price has told another, or none."""
    wrong = {each.told.chain_id: each for each in reversed(proven) if each.proof.outcome is Proved.DIFFERENT}
    return tuple(
        Reason(
            DIFFERS,
            chain_id,
            f"{format_address(chain_id, each.proof.source)}: {each.proof.detail}; `crossmargin restate` mends what is stored",
        )
        for chain_id, each in sorted(wrong.items())
    )


def _sourced(reader: Reader, chain_id: str, at: Block, chosen: Sequence[Told]) -> Iterator[Sourced]:
    """Find who gave each answer; nobody (`b""`) where it is computed of others."""
    phases, answers = reader.feeds(chain_id, at), reader.answers(chain_id, at)
    for each in chosen:
        source = unhexed(each.name)
        if each.place == MARK:
            phase = json.loads(phases[source])
            source = b"" if phase.get("rule") else unhexed(phase["aggregator"])
        held = answers.get(source)
        if held is None or (held.answer_raw, held.block) != (each.answer.answer_raw, each.answer.block):
            yield each, b"", each.answer
        else:
            yield each, source, held


async def _asked(
    chain: Chain, at: Block, answers: Sequence[tuple[bytes, PriceAnswer]], known: Sequence[Reply] | None
) -> tuple[tuple[PriceProof, ...], tuple[Reply, ...]]:
    async with aclosing(chain):
        if not isinstance(chain, PriceProving):
            return (), ()
        if known is not None:
            return await chain.prove_prices(at, answers, known)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await chain.prove_prices(at, answers)
        except TimeoutError:
            return await chain.prove_prices(at, answers, [])
