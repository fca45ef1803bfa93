"""The blocks after which a Comet's state is known: those of its events, and those in which it changed without one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from chains.evm.compound_v3 import events as ev
from chains.evm.ports import PENDING, Answer, Look, Reads


class Instant(NamedTuple):
    """The end of a block, and what `totalsBasic` answers there; `silent`: the Comet emitted nothing in the block."""

    block: int
    silent: bool
    totals: Answer


def instants_of(reads: Reads, comet: bytes, blocks: Sequence[int], known: Answer | None) -> list[Instant]:
    """Return the instants of a span in order: its `blocks` with events, and what changed between them.

    `known`: what `totalsBasic` answered before, `None` before the Comet's first event. An accrual changes the time that `totalsBasic`
    tells, and time only grows, so that no accrual hides behind another.
    """
    said = {block: reads.state(block, comet, ev.TOTALS_BASIC.calldata()) for block in blocks}
    found: list[Instant] = []
    after = reads.first - 1
    for block in blocks:
        found += _silent(reads, comet, after, block - 1, known)
        found.append(Instant(block, silent=False, totals=said[block]))
        after, known = block, said[block]
    return [*found, *_silent(reads, comet, after, reads.last, known)]


def _silent(reads: Reads, comet: bytes, after: int, until: int, known: Answer | None) -> Iterator[Instant]:
    while known is not None and known is not PENDING and after < until:
        block = reads.first_change(Look(after, until, comet, ev.TOTALS_BASIC.calldata(), known))
        if block is None:
            return
        after, known = block, reads.state(block, comet, ev.TOTALS_BASIC.calldata())
        yield Instant(block, silent=True, totals=known)
