"""What is known of the completeness of stored chains, in words for documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aggregator.margin.inputs import Cut
from chains.completeness import COMPLETENESS, SECOND_NODE, rank, weakest
from chains.identifiers import EVM, format_address, format_hash, namespace_of
from chains.model import ChainSpec, VenueSpec
from chains.ports import Covered, Finding
from indexer.store import Reader

OBSERVED = "observed"
"""What was read with the head from one node, on chains whose accounts are read."""

MOST_SPANS = 20
"""Unproven spans that a document lists of one interest, the newest."""


def coverage_document(
    spec: ChainSpec, covered: Sequence[Covered], findings: Sequence[Finding], final: int
) -> list[dict[str, Any]]:
    """Return, for each thing that is taken in, the final span that is covered, the weakest level in it, and what is less than asked for.

    `final` is the last final block, -1 for none: what can still change has no evidence yet.
    """
    names = sorted({span.interest for span in covered})
    return [
        _interest(
            spec,
            name,
            [replace(s, last=min(s.last, final)) for s in covered if s.interest == name and s.first <= final],
            [finding for finding in findings if finding.interest == name],
        )
        for name in names
    ]


def _interest(spec: ChainSpec, name: str, spans: Sequence[Covered], findings: Sequence[Finding]) -> dict[str, Any]:
    short = sorted((span for span in spans if is_short(spec, span)), key=lambda span: span.first)
    return {
        "interest": name,
        "first": min((span.first for span in spans), default=None),
        "last": max((span.last for span in spans), default=None),
        "weakest": weakest(span.level for span in spans) if spans else None,
        "unproven_blocks": sum(span.last - span.first + 1 for span in short),
        "unproven": [span_document(span) for span in short[-MOST_SPANS:]],
        "findings": [finding_document(spec.id, finding) for finding in findings],
    }


def level_of(reader: Reader, venue: VenueSpec, cuts: Mapping[str, Cut]) -> str | None:
    """Return the weakest evidence that nothing of a venue is missing up to the cut, `None` where there is none at all."""
    cut = cuts.get(venue.chain_id)
    covered = [] if cut is None else reader.coverage(venue.chain_id)
    levels = [span.level for span in covered if span.interest == venue.id and cut and span.first <= cut.block.number]
    return weakest(levels) if levels else None


def is_short(spec: ChainSpec, span: Covered) -> bool:
    """Tell whether a span has less evidence than the chain's configuration asks for."""
    if namespace_of(spec.id) != EVM:
        return spec.completeness == SECOND_NODE and span.level == OBSERVED
    return rank(span.level) < rank(COMPLETENESS[spec.completeness])


def span_document(span: Covered) -> dict[str, Any]:
    """Return a span with what speaks for it."""
    return {"first": span.first, "last": span.last, "level": span.level, "evidence": span.evidence}


def finding_document(chain_id: str, finding: Finding) -> dict[str, Any]:
    """Return what is wrong with a block; fields that a finding has no value for are `None`."""
    return {
        "kind": finding.kind,
        "interest": finding.interest,
        "block": finding.block,
        "block_hash": format_hash(chain_id, finding.block_hash) if finding.block_hash else None,
        "log_index": finding.log_index if finding.log_index >= 0 else None,
        "tx_hash": format_hash(chain_id, finding.tx_hash) if finding.tx_hash else None,
        "address": format_address(chain_id, finding.address),
        "topic0": format_hash(chain_id, finding.topic0) if finding.topic0 else None,
        "evidence": finding.evidence,
    }


def said(finding: dict[str, Any]) -> str:
    """Return one line about a finding's document."""
    where = f"block {finding['block']}, {finding['address']}"
    if finding["kind"] == "unbalanced":
        return f"{finding['interest']} does not add up from {where} on: {finding['evidence']}"
    what = "is missing" if finding["kind"] == "missing" else "should not be there"
    log = f"log {finding['log_index']} of {where}, topic {finding['topic0']}, transaction {finding['tx_hash']}"
    return f"{finding['interest']}: {log} {what} ({finding['evidence']})"
