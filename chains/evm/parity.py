"""Units beside what their venue's own contracts answer about them: to the last unit, or different."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, cast

from chains.evm.ports import UNAVAILABLE, Answer, OpenViews, Read, View
from chains.model import Block, UnitSnapshot, VenueSnapshot
from chains.ports import Checked, Outcome
from chains.registry import open_book, open_views

_WORD = 32


class Contracts(Protocol):
    """Whoever answers for a chain's contracts; `chains.evm.source.EvmSource` does."""

    async def read(self, reads: Collection[Read], blocks: Mapping[int, Block]) -> dict[Read, Answer]:
        """Answer questions, each pinned to the hash of its block; raises `ChainError`."""
        ...


async def audit(contracts: Contracts, snapshot: VenueSnapshot, units: Sequence[UnitSnapshot]) -> list[Checked]:
    """Ask every view of these units at the snapshot's block, pinned to its hash; raises `ChainError`."""
    protocol = snapshot.venue.protocol
    views_of = cast("OpenViews | None", open_views(protocol))
    if views_of is None:
        return []
    value, views = open_book(protocol)(snapshot), views_of(snapshot)
    asked = [(unit, view) for unit in units for view in views(unit, value(unit))]
    reads = {view.read for _, view in asked if view.numbers is not None}
    answers = await contracts.read(reads, {snapshot.at.number: snapshot.at})
    return [judged(unit, view, answers.get(view.read)) for unit, view in asked]


def judged(unit: UnitSnapshot, view: View, answer: Answer | None) -> Checked:
    """Compare one answer; `None` for what was not asked."""
    theirs = None if answer is None or not answer.returned else _named(view, answer.output)
    return Checked(
        unit_id=unit.unit_id,
        view=view.name,
        contract=view.read.address,
        market=view.market,
        ours=view.numbers,
        theirs=theirs,
        outcome=_outcome(view, answer, theirs=theirs),
    )


def _named(view: View, output: bytes) -> dict[str, int] | None:
    """Return the first words of an answer under the names of ours; an answer of fewer words is none."""
    names = list(view.numbers or {})
    if len(output) < _WORD * len(names):
        return None
    words = (output[at : at + _WORD] for at in range(0, _WORD * len(names), _WORD))
    return dict(zip(names, (int.from_bytes(word, signed=view.signed) for word in words), strict=True))


def _outcome(view: View, answer: Answer | None, *, theirs: dict[str, int] | None) -> Outcome:
    if view.numbers is None or answer is None:
        return Outcome.UNKNOWN
    if answer == UNAVAILABLE:
        return Outcome.UNANSWERED
    return Outcome.EQUAL if theirs == dict(view.numbers) else Outcome.DIFFERENT
