"""Why numbers that are stored are not believed: the contracts said otherwise, and have not agreed since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import groupby

from aggregator.gather import NODES_DIFFER, PROOF_DIFFERS, TOTAL_DIFFERS, DoubtedUnits
from aggregator.margin.inputs import Shortfall
from chains.agreeing import Agreement
from chains.identifiers import format_address
from chains.model import Reason, VenueSpec
from chains.proving import StateProof
from indexer.store import Reader
from indexer.store.controls import HoldingRow, ParityRow, TotalRow

UNIT_DIFFERS = "parity_differs"


def doubted_units(reader: Reader, numbers: Mapping[str, int]) -> DoubtedUnits:
    """Return why units are not believed at these blocks (chain → number): views of them answered something else."""
    rows = [row for chain_id, number in numbers.items() for row in reader.control_doubts(ParityRow, chain_id, number)]
    rows.sort(key=_unit_of)
    return {unit: _of_unit(list(found)) for unit, found in groupby(rows, _unit_of)}


def doubted_venues(reader: Reader, numbers: Mapping[str, int]) -> Iterator[Reason]:
    """Say which venues are not believed at these blocks: who it is that a sum lacks, nobody knows."""
    return of_venues(wrong_totals(reader, numbers))


def wrong_totals(reader: Reader, numbers: Mapping[str, int]) -> list[TotalRow]:
    """Return the totals that are known to be wrong at these blocks."""
    return [row for chain_id, number in numbers.items() for row in reader.control_doubts(TotalRow, chain_id, number)]


def of_proof(venue: VenueSpec, proof: StateProof) -> Reason:
    """Say by a proof that the journals are wrong why a venue is not believed."""
    unit = format_address(venue.chain_id, proof.unit_id)
    contract = format_address(venue.chain_id, proof.contract)
    detail = f"storage of {contract} proves other numbers of {unit} than are stored: {proof.detail}"
    return Reason(PROOF_DIFFERS, venue.id, f"{detail}; `crossmargin restate` mends what is stored")


def of_agreement(venue: VenueSpec, found: Agreement) -> Reason:
    """Say by what nodes say of its account why a unit is not believed: one of them is wrong, and it is not known which."""
    slots = Counter(each.slot for each in found.answers)
    slot = max(slots, key=lambda each: (slots[each], each))
    detail = f"nodes contradict each other about its account at slot {slot}; find out which one is wrong, and take it out of `rpc`"
    return Reason(NODES_DIFFER, f"{venue.id}/{format_address(venue.chain_id, found.unit_id)}", detail)


def of_venues(wrong: Iterable[TotalRow]) -> Iterator[Reason]:
    """Say by wrong totals which venues are not believed, by id."""
    for venue_id, found in groupby(sorted(wrong, key=lambda row: row.venue_id), lambda row: row.venue_id):
        yield _of_venue(venue_id, list(found))


def shortfalls(reader: Reader, numbers: Mapping[str, int]) -> tuple[Shortfall, ...]:
    """Return what venues lack of their tokens at these blocks, as it was seen last."""
    rows = [row for chain_id, number in numbers.items() for row in reader.control_doubts(HoldingRow, chain_id, number)]
    newest = {(row.venue_id, row.asset, row.market): row for row in sorted(rows, key=lambda row: row.block_number)}
    return tuple(shortfall_of(row) for _, row in sorted(newest.items()))


def shortfall_of(row: HoldingRow) -> Shortfall:
    """Return what a look found missing of a token."""
    return Shortfall(
        venue_id=row.venue_id,
        market=row.market,
        asset=row.asset,
        there=int(row.held or 0) + int(row.owed or 0),
        claims=int(row.claims or 0),
        block=row.block_number,
    )


def _unit_of(row: ParityRow) -> tuple[str, bytes]:
    return row.venue_id, row.unit_id


def _of_unit(rows: Collection[ParityRow]) -> Reason:
    first = min(rows, key=lambda row: (row.block_number, row.view, row.market))
    subject = f"{first.venue_id}/{format_address(first.chain_id, first.unit_id)}"
    views = ", ".join(sorted({row.view for row in rows}))
    detail = (
        f"at block {first.block_number} the venue's own contracts answered something else ({views}); "
        "public.fct_parity_check says what, `crossmargin restate` mends what is stored"
    )
    return Reason(UNIT_DIFFERS, subject, detail)


def _of_venue(venue_id: str, rows: Collection[TotalRow]) -> Reason:
    """Say by the first of some wrong totals why a venue is not believed."""
    first = min(rows, key=lambda row: (row.block_number, row.total, row.market))
    contract = format_address(first.chain_id, first.contract)
    detail = (
        f"at block {first.block_number} {first.total} of {contract} was {first.theirs}, what is stored adds up to {first.ours}, and "
        f"rounding explains {first.least} to {first.most}; `crossmargin status` lists all such totals, `crossmargin restate` mends "
        "what is stored"
    )
    return Reason(TOTAL_DIFFERS, venue_id, detail)
