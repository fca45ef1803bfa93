"""Which spans of a chain are complete, and by which proof: spans with one proof that touch are one row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, fields, replace
from itertools import pairwise

from chains.completeness import CONTRADICTED, Level, rank
from chains.ports import Batch, Covered, Finding
from indexer.store.errors import StepRefused
from indexer.store.session import Con, insert
from indexer.store.statements import statement

LAST_BLOCK = 2**63 - 1


def coverage(con: Con, chain_id: str) -> list[Covered]:
    """Every complete span of a chain, by interest, proof and block."""
    found = con.execute(statement("coverage"), {"chain_id": chain_id}).fetchall()
    return [
        Covered(interest=interest, level=level, evidence=evidence, first=first, last=last)
        for interest, level, evidence, first, last in found
    ]


def add_coverage(con: Con, batch: Batch) -> None:
    """Store a batch's spans, joined with those they touch; raises `StepRefused` for one that reaches out of the batch."""
    for span in batch.covered:
        if not batch.first <= span.first <= span.last <= batch.last.number:
            raise StepRefused(
                f"{batch.chain_id}: {span.interest} is said to cover {span.first} to {span.last}, "
                f"the batch goes from {batch.first} to {batch.last.number}"
            )
    before = coverage(con, batch.chain_id)
    put(con, batch.chain_id, before, merged([*before, *batch.covered]))


def raise_coverage(con: Con, chain_id: str, given: Sequence[Covered], found: Sequence[Finding]) -> None:
    """Let evidence that was found for stored blocks stand where it says more than what stood there, and keep what was found wrong."""
    before = coverage(con, chain_id)
    contradicted = [
        Covered(
            interest=f.interest, first=f.block, last=f.block, level=CONTRADICTED, evidence=f"{f.kind}: {f.evidence}"
        )
        for f in found
    ]
    put(con, chain_id, before, raised(raised(before, given), contradicted))
    for span in given:
        if span.level == Level.PROVEN:
            settle(con, chain_id, span.interest, span.first, span.last)
    for finding in found:
        identity = {name: getattr(finding, name) for name in ("interest", "kind", "block", "log_index", "address")}
        con.execute(statement("finding_again"), {"chain_id": chain_id, **identity})
        insert(con, "finding", [chain_id, *astuple(finding)])


def settle(con: Con, chain_id: str, interest: str, first: int, last: int) -> None:
    """Drop what was found wrong with an interest's blocks: it was mended, or is proven to be right now."""
    values = {"chain_id": chain_id, "interest": interest, "first": first, "last": last}
    con.execute(statement("finding_settled"), values)


def findings(con: Con, chain_id: str) -> list[Finding]:
    """What is known to be wrong with stored blocks of a chain, in order."""
    names = [column.name for column in fields(Finding)]
    rows = con.execute(statement("findings"), {"chain_id": chain_id}).fetchall()
    return [Finding(**dict(zip(names, row, strict=True))) for row in rows]


def put(con: Con, chain_id: str, before: Sequence[Covered], after: Sequence[Covered]) -> None:
    """Replace the rows that changed."""
    kept = set(before) & set(after)
    for span in before:
        if span not in kept:
            con.execute(statement("coverage_delete"), {"chain_id": chain_id, **asdict(span)})
    for span in after:
        if span not in kept:
            insert(con, "coverage", [chain_id, span.interest, span.first, span.last, span.level, span.evidence])


def merged(spans: Iterable[Covered]) -> list[Covered]:
    """The same blocks in the fewest spans, by interest, level and evidence; spans of another proof are left apart."""
    result: list[Covered] = []
    for span in sorted(spans, key=lambda s: (s.interest, s.level, s.evidence, s.first, s.last)):
        held = result[-1] if result else None
        if held and proof(held) == proof(span) and span.first <= held.last + 1:
            result[-1] = replace(held, last=max(held.last, span.last))
        else:
            result.append(span)
    return result


def raised(spans: Sequence[Covered], given: Sequence[Covered]) -> list[Covered]:
    """The same blocks, each with what says the most of it; nothing is covered that was not."""
    return merged(part for span in spans for part in _raised(span, [g for g in given if g.interest == span.interest]))


def _raised(span: Covered, given: Sequence[Covered]) -> Iterator[Covered]:
    ends = {edge for other in given for edge in (other.first, other.last + 1) if span.first < edge <= span.last}
    edges = [span.first, *sorted(ends), span.last + 1]
    for first, after in pairwise(edges):
        best = span
        for other in given:
            if other.first <= first <= other.last and says_more(other, best):
                best = other
        yield replace(best, first=first, last=after - 1)


def says_more(new: Covered, held: Covered) -> bool:
    """Whether evidence takes the place of other evidence: of what is known to be wrong only a proof does."""
    if new.level == CONTRADICTED:
        return True
    if held.level == CONTRADICTED:
        return new.level == Level.PROVEN
    return rank(new.level) >= rank(held.level)


def proof(span: Covered) -> tuple[str, str, str]:
    return span.interest, span.level, span.evidence
