"""Chains that stand still: nodes answer, and no block comes.

Told by the blocks of a cut alone, so that it is so whenever it is asked; and of a chain that is followed by this machine's clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from aggregator.margin.inputs import Cut
from chains.model import Block, Reason
from crossmargin.documents import moment
from crossmargin.settings import ChainSettings
from indexer.store import Reader

HALTED = "chain_halted"

SURE = 50
"""So many new blocks, each young as it was seen, show that a chain goes with the clock; a replay's are old."""

STALE_TIMES, PAUSES = 2, 20
"""Such a chain stands still after so many times its `stale_after`, and so many of the longest pause between its blocks."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """How a chain's blocks come: `young` were young by this machine's clock as they were seen, `pause_s` apart at most."""

    young: int = 0
    pause_s: float = 0.0

    def after(self, before: Block, seen: Block, now: float, chain: ChainSettings) -> Pulse:
        """Return what a look makes of it; between two looks that are far apart blocks came evenly."""
        came = seen.number - before.number
        if came <= 0 or abs(now - seen.time) > chain.stale_after_s:
            return self
        return Pulse(self.young + 1, max(self.pause_s, (seen.time - before.time) / came))

    def halted(self, head: Block, now: float, chain: ChainSettings) -> Reason | None:
        """Say that a chain whose nodes answer stands still: by what its `halted_after` says, else by how its blocks came until now."""
        limit_s = chain.halted_after_s
        if limit_s is None and self.young >= SURE:
            limit_s = max(STALE_TIMES * chain.stale_after_s, PAUSES * self.pause_s)
        if limit_s is None or now - head.time <= limit_s:
            return None
        return Reason(
            HALTED, chain.spec.id, f"its nodes answer, and its newest block is still that of {moment(head.time)}"
        )


UNSEEN = Pulse()


def halted(reader: Reader, cuts: Mapping[str, Cut], chains: Iterable[ChainSettings]) -> Iterator[Reason]:
    """Say which chains at a cut are behind another one by more than their `halted_after`.

    Only where the cut is the last block that is stored: of the past, final blocks in which nothing happened are not, so that a chain
    that went on cannot be told there from one that did not. A set of a lake knows that its chains went on behind its cut-off.
    """
    newest = max((cut.now for cut in cuts.values()), default=0)
    for chain in chains:
        cut, held = cuts.get(chain.spec.id), reader.cursor(chain.spec.id)
        if chain.halted_after_s is None or cut is None or held is None or held.block.number > cut.block.number:
            continue
        if cut.until is not None:
            continue
        if newest - cut.block.time > chain.halted_after_s:
            since = moment(cut.block.time)
            yield Reason(HALTED, chain.spec.id, f"it has no block since {since}, while another chain went on")
