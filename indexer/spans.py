"""Which blocks are covered: arithmetic of spans, both ends included. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise

from chains.completeness import rank
from chains.model import VenueSpec
from chains.ports import Covered


def names_of(venue_id: str) -> tuple[str, str]:
    """Return what coverage may call the interest in a venue: chain families differ."""
    return venue_id, f"venue:{venue_id}"


def gap_of(spans: Iterable[Covered], venue: VenueSpec, last: int) -> int | None:
    """Return the first block up to `last` of which a venue is not covered, `None` where nothing is missing."""
    return gap(spans, names_of(venue.id), venue.start_block, last)


def gap(spans: Iterable[Covered], names: Collection[str], first: int, last: int) -> int | None:
    """Return the first of the blocks `first`..`last` that no span of an interest covers, `None` where each is covered."""
    for span in sorted((span for span in spans if span.interest in names), key=lambda span: span.first):
        if span.first > first:
            break
        first = max(first, span.last + 1)
    return first if first <= last else None


def before(spans: Iterable[Covered], block: int) -> list[Covered]:
    """Return what spans cover below a block."""
    return [between(span, span.first, min(span.last, block - 1)) for span in spans if span.first < block]


def since(spans: Iterable[Covered], block: int) -> list[Covered]:
    """Return what spans cover from a block on."""
    return [between(span, max(span.first, block), span.last) for span in spans if span.last >= block]


def both(ours: Sequence[Covered], theirs: Sequence[Covered]) -> Iterator[Covered]:
    """Yield what spans of one interest that stand for different contracts cover: where both do, with the weaker evidence."""
    edges = sorted({edge for span in (*ours, *theirs) for edge in (span.first, span.last + 1)})
    for first, after in pairwise(edges):
        known = [span for span in (strongest(ours, first), strongest(theirs, first)) if span is not None]
        if known:
            yield between(min(known, key=strength), first, after - 1)


def strongest(spans: Iterable[Covered], block: int) -> Covered | None:
    """Return the best evidence for a block."""
    return max((span for span in spans if span.first <= block <= span.last), key=strength, default=None)


def strength(span: Covered) -> int:
    """Return the rank of the span's evidence, the higher the stronger."""
    return rank(span.level)


def between(span: Covered, first: int, last: int) -> Covered:
    """Return a part of a span, from `first` to `last`, with its evidence."""
    return Covered(interest=span.interest, first=first, last=last, level=span.level, evidence=span.evidence)
