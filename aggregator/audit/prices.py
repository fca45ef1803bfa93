"""What proves the prices of a book, as a table of a snapshot: lines that `verify_prices.py` checks by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import pyarrow as pa

from aggregator.audit import price_verifier
from aggregator.audit.lines import Row
from aggregator.margin.inputs import Cut
from aggregator.oracle.mark import Observation
from chains.identifiers import EVM, PYTH, format_hash, hexed, namespace_of
from chains.model import PriceAnswer, VenueSnapshot
from chains.price_proofs import PriceProof, first_by_chance

PRICES = price_verifier.PRICES
MARK, VENUES = price_verifier.MARK, price_verifier.VENUES
TEXT, INTEGER = pa.string(), pa.int64()
SCHEMA: Mapping[str, pa.DataType] = {
    "place": TEXT,
    "chain_id": TEXT,
    "name": TEXT,
    "source": TEXT,
    "block": INTEGER,
    "answer_raw": TEXT,
    "confidence_raw": TEXT,
    "updated_at": INTEGER,
    "outcome": TEXT,
    "detail": TEXT,
    "evidence": TEXT,
}
ADDRESS = 20


class Told(NamedTuple):
    """An answer that a book rests on: `place` is `mark`, and `name` the feed, or `venues`, and `name` the source."""

    place: str
    chain_id: str
    name: str
    answer: PriceAnswer


class Proven(NamedTuple):
    """An answer and what proves it."""

    told: Told
    proof: PriceProof


def told(
    observations: Iterable[Observation], venues: Iterable[VenueSnapshot], cuts: Mapping[str, Cut], count: int | None
) -> list[Told]:
    """Choose so many answers of each chain that marks rest on, and that venues take for prices, by the hash of the cut; `None`: all."""
    named: dict[tuple[str, str], dict[str, PriceAnswer]] = {}
    for each in observations:
        if each.reading is not None and each.heartbeat_s is not None and namespace_of(each.chain_id) in {EVM, PYTH}:
            read = each.reading
            answer = PriceAnswer(read.answer_raw, 0, read.updated_at, read.block, read.confidence_raw)
            named.setdefault((MARK, each.chain_id), {})[hexed(each.feed)] = answer
    for venue in venues:
        if namespace_of(venue.venue.chain_id) == EVM:
            own = {hexed(source): answer for source, answer in venue.answers.items() if len(source) == ADDRESS}
            named.setdefault((VENUES, venue.venue.chain_id), {}).update(own)
    return [
        Told(place, chain_id, name, answer)
        for (place, chain_id), answers in sorted(named.items())
        if chain_id in cuts
        for name, answer in first_by_chance(
            format_hash(chain_id, cuts[chain_id].block.hash), place, answers.items(), count
        )
    ]


def rows(proven: Iterable[Proven]) -> Iterator[Row]:
    """Write what was proven, a row an answer."""
    for (place, chain_id, name, answer), proof in proven:
        yield {
            "place": place,
            "chain_id": chain_id,
            "name": name,
            "source": hexed(proof.source),
            "block": answer.block,
            "answer_raw": str(answer.answer_raw),
            "confidence_raw": None if answer.confidence_raw is None else str(answer.confidence_raw),
            "updated_at": answer.updated_at,
            "outcome": proof.outcome.value,
            "detail": proof.detail or None,
            "evidence": proof.evidence or None,
        }
