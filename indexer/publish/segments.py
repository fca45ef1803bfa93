"""Which files hold a chain's final rows: those that still say what the store says are kept, the others are made."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import duckdb

from indexer.publish.facts import FACTS, POSITIONS, Fact
from indexer.publish.manifest import Manifest, Segment
from indexer.store.migrate import newest_schema
from indexer.store.session import Con
from indexer.store.statements import statement

SEGMENTS = "segments"
CHUNK = 1 << 20
POSITION_JOURNAL = Fact(
    view=POSITIONS, journal="position_change", chain="chain_id", order="owner_address", named_by="market"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Blocks of a chain, both ends included; `open`: more rows may join."""

    first: int
    last: int
    open: bool


class Writer:
    """Makes the segments of one set below `folder` from one state of a store; `rows`: how many a closed segment holds at least.

    `facts`: what is made segments of, besides the positions; `keeps`: whether a segment that was made before is still where it was put.
    """

    def __init__(
        self,
        con: Con,
        folder: Path,
        held: Manifest,
        *,
        rows: int,
        facts: Sequence[Fact] = FACTS,
        keeps: Callable[[Segment], bool] | None = None,
    ) -> None:
        self._con = con
        self._folder = folder
        self._held = held
        self._rows = rows
        self._facts = facts
        self._keeps = keeps or (lambda segment: (folder / segment.path).exists())

    def of_chain(self, chain_id: str, last: int) -> Iterator[Segment]:
        """Yield every segment of a chain up to its final block."""
        for fact in self._facts:
            for span, kept in self._spans(fact, chain_id, last):
                yield kept or self._made(fact, chain_id, span, "publish_segment")
        yield self._positions(chain_id, last)

    def _spans(self, fact: Fact, chain_id: str, last: int) -> Iterator[tuple[Span, Segment | None]]:
        """The spans of a view: closed ones stay where they are while they say what the store says; behind them, new ones."""
        first = 0
        for segment in self._held.of(fact.view, chain_id):
            if segment.first != first or segment.last > last or (segment.open and segment.last < last):
                break
            same = self._made_of(fact, chain_id, segment.first, segment.last) == segment.made_of
            span = Span(first=segment.first, last=segment.last, open=segment.open)
            yield span, segment if same and self._keeps(segment) else None
            first = segment.last + 1
        for span in self._new(fact, chain_id, first, last):
            yield span, None

    def _new(self, fact: Fact, chain_id: str, first: int, last: int) -> Iterator[Span]:
        values = {"chain_id": chain_id, "first": first, "last": last, "rows": self._rows}
        ends = [end for (end,) in self._con.execute(statement("publish_ends", journal=fact.journal), values).fetchall()]
        for end in ends[:-1]:
            yield Span(first=first, last=end, open=False)
            first = end + 1
        if first <= last:
            yield Span(first=first, last=last, open=True)

    def _positions(self, chain_id: str, last: int) -> Segment:
        """The positions after the final block; they are the same as long as their journal up to it is."""
        made_of = self._made_of(POSITION_JOURNAL, chain_id, 0, last)
        for kept in self._held.of(POSITIONS, chain_id):
            if kept.made_of == made_of and self._keeps(kept):
                return replace(kept, last=last)
        return self._made(POSITION_JOURNAL, chain_id, Span(first=0, last=last, open=True), "publish_positions")

    def _made(self, fact: Fact, chain_id: str, span: Span, how: str) -> Segment:
        made_of = self._made_of(fact, chain_id, span.first, span.last)
        place = Path(SEGMENTS, fact.view, chain_id.replace(":", "-"))
        name = f"{span.first:012d}-{span.last:012d}.{made_of[:16]}.parquet"
        draft = self._folder / place / f".{name}.{os.getpid()}"
        draft.parent.mkdir(parents=True, exist_ok=True)
        names = {"rows": fact.rows, "chain": fact.chain, "order": fact.order}
        text = statement(how, **names) if how == "publish_segment" else statement(how)
        bound = {"chain_id": chain_id, "last": span.last, "path": str(draft)}
        first = {"first": span.first} if how == "publish_segment" else {}
        ((rows,),) = self._con.execute(text, bound | first).fetchall()
        digest, size = settled(draft)
        draft.rename(self._folder / place / name)
        return Segment(
            view=fact.view,
            chain_id=chain_id,
            first=span.first,
            last=span.last,
            rows=rows,
            open=span.open,
            made_of=made_of,
            path=str(place / name),
            sha256=digest,
            bytes=size,
        )

    def _made_of(self, fact: Fact, chain_id: str, first: int, last: int) -> str:
        """A fingerprint of all that decides the rows of a span: stored rows, what they name, the view's text, the program that writes."""
        values = {"chain_id": chain_id, "first": first, "last": last}
        said = [self._one(statement("publish_fingerprint", journal=fact.journal), values), self._definition(fact)]
        if fact.named_by is not None:
            named = statement("publish_named", journal=fact.journal, named_by=fact.named_by)
            said.append(self._one(named, values))
        return hashlib.sha256(repr(said).encode()).hexdigest()

    def _definition(self, fact: Fact) -> tuple[object, ...]:
        if fact.source is not None:
            return (fact.source, duckdb.__version__, newest_schema())
        return self._views[fact.view]

    @cached_property
    def _views(self) -> Mapping[str, tuple[object, ...]]:
        """The text of every public view, and the version of the program that says it: to ask for one is to have all written."""
        ask = "SELECT view_name, sql, version() FROM duckdb_views() WHERE schema_name = 'public'"
        return {str(view): (text, version) for view, text, version in self._con.execute(ask).fetchall()}

    def _one(self, text: str, values: Mapping[str, object]) -> tuple[object, ...]:
        rows: Sequence[tuple[object, ...]] = self._con.execute(text, values).fetchall()
        return rows[0]


def settled(path: Path) -> tuple[str, int]:
    """Let a file's bytes reach the disk, and return their hash and how many they are."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
        os.fsync(file.fileno())
    return digest.hexdigest(), path.stat().st_size
