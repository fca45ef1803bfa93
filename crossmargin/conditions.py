"""What of the stored chains may not be believed, at a cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aggregator.gather import Catalogue, Condition
from aggregator.margin.inputs import Cut
from chains.model import Reason
from crossmargin.doubts import doubted_units, doubted_venues, shortfalls
from crossmargin.gaps import gaps_at
from crossmargin.halts import halted
from crossmargin.outdated import outdated
from crossmargin.settings import ChainSettings
from crossmargin.watch import Watch
from indexer.store import Reader


def condition_at(
    reader: Reader,
    cuts: Mapping[str, Cut],
    catalogue: Catalogue,
    chains: Sequence[ChainSettings],
    watch: Watch | None,
) -> Condition:
    """Say what may not be believed; an answer as of the past rests on what is stored alone, and has no watch."""
    stale: tuple[Reason, ...] = ()
    if watch is not None:
        stale = watch.doubts({chain_id: cut.block for chain_id, cut in cuts.items()})
    stale += tuple(halted(reader, cuts, chains))
    numbers = {chain_id: cut.block.number for chain_id, cut in cuts.items()}
    gaps = (
        *gaps_at(reader, cuts, catalogue.venues),
        *doubted_venues(reader, numbers),
        *(each.reason for each in outdated(reader, catalogue.venues, catalogue.feeds) if each.chain_id in cuts),
    )
    return Condition(
        stale_chains=stale,
        gaps=gaps,
        units=doubted_units(reader, numbers),
        shortfalls=shortfalls(reader, numbers),
    )
