"""Chains that stand still: nodes answer, and no block comes. Told by the blocks of a cut alone, so that it is so whenever it is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from aggregator.margin.inputs import Cut
from chains.model import Reason
from crossmargin.documents import moment
from crossmargin.settings import ChainSettings
from indexer.store import Reader

HALTED = "chain_halted"


def halted(reader: Reader, cuts: Mapping[str, Cut], chains: Iterable[ChainSettings]) -> Iterator[Reason]:
    """Say which chains at a cut are behind another one by more than their `halted_after`.

    Only where the cut is the last block that is stored: of the past, final blocks in which nothing happened are not, so that a chain
    that went on cannot be told there from one that did not. A set of a lake knows that its chains went on behind its cut-off.
    """
    newest = max((cut.block.time for cut in cuts.values()), default=0)
    for chain in chains:
        cut, held = cuts.get(chain.spec.id), reader.cursor(chain.spec.id)
        if chain.halted_after_s is None or cut is None or held is None or held.block.number > cut.block.number:
            continue
        if cut.until is not None:
            continue
        if newest - cut.block.time > chain.halted_after_s:
            since = moment(cut.block.time)
            yield Reason(HALTED, chain.spec.id, f"it has no block since {since}, while another chain went on")
