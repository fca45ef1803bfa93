"""Our numbers beside the contracts' own: every recorded `getUserAccountData`, all six integers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from aggregator.margin.health import open_units
from aggregator.margin.inputs import VenueInputs
from chains.identifiers import EVM, parse_address
from chains.model import Block, UnitSnapshot, VenueSpec
from crossmargin.demo.recording import Recording
from indexer.store import Reader

FIELDS = (
    "totalCollateralBase",
    "totalDebtBase",
    "availableBorrowsBase",
    "currentLiquidationThreshold",
    "ltv",
    "healthFactor",
)
"""The answer of `getUserAccountData`, in its own order."""

Numbers = tuple[int, ...]


class Comparison(NamedTuple):
    """One account at one block, as its pool said and as we say."""

    block: int
    owner: bytes
    theirs: Numbers
    ours: Numbers | None


def compare(reader: Reader, venue: VenueSpec, recording: Recording) -> Iterator[Comparison]:
    """Compare every account that the recording knows, at every block at which it was asked about."""
    for expected in recording.expected:
        block = reader.block(venue.chain_id, expected["block"])
        if block is None:
            raise ValueError(f"{recording.label}: block {expected['block']} is not stored")
        theirs = {
            parse_address(EVM, owner): tuple(map(int, numbers)) for owner, numbers in expected["accounts"].items()
        }
        ours = _numbers(reader, venue, block, theirs.keys())
        for owner, numbers in theirs.items():
            yield Comparison(block.number, owner, numbers, ours.get(owner))


def _numbers(reader: Reader, venue: VenueSpec, at: Block, owners: Iterable[bytes]) -> dict[bytes, Numbers | None]:
    """What we say of some owners; of one without any history, what an empty unit gives."""
    known = {unit.owner: unit for unit in reader.unit_snapshots(venue, at)}
    units = tuple(known.get(owner) or _nothing(owner) for owner in owners)
    snapshot = reader.venue_snapshot(venue, at)
    return {
        held.unit.owner: None if held.unit.native is None else tuple(held.unit.native[name] for name in FIELDS)
        for held in open_units(VenueInputs(snapshot=snapshot, units=units))
    }


def _nothing(owner: bytes) -> UnitSnapshot:
    return UnitSnapshot(unit_id=owner, owner=owner, positions={}, settings={})
