"""Which spans of a chain are complete, and by which proof: spans with one proof that touch are one row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from chains.ports import Batch, Covered
from indexer.store.errors import StepRefused
from indexer.store.session import Con, insert
from indexer.store.statements import statement


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
    after = merged([*before, *batch.covered])
    for span in before:
        if span not in after:
            con.execute(statement("coverage_delete"), {"chain_id": batch.chain_id, **asdict(span)})
    for span in after:
        if span not in before:
            insert(con, "coverage", [batch.chain_id, span.interest, span.first, span.last, span.level, span.evidence])


def merged(spans: Iterable[Covered]) -> list[Covered]:
    """The same blocks in the fewest spans, by interest, level and evidence; spans of another proof are left apart."""
    result: list[Covered] = []
    for span in sorted(spans, key=lambda s: (s.interest, s.level, s.evidence, s.first, s.last)):
        held = result[-1] if result else None
        if held and proof(held) == proof(span) and span.first <= held.last + 1:
            result[-1] = widened(held, max(held.last, span.last))
        else:
            result.append(span)
    return result


def proof(span: Covered) -> tuple[str, str, str]:
    return span.interest, span.level, span.evidence


def widened(span: Covered, last: int) -> Covered:
    return Covered(interest=span.interest, first=span.first, last=last, level=span.level, evidence=span.evidence)
