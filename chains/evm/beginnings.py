"""How a venue is found whose one contract must not be older than its first block."""

from __future__ import annotations

from chains.errors import NoContract
from chains.evm.ports import CODE_BEFORE, Answer, Read
from chains.model import VenueSpec


def code_before(venue: VenueSpec, *, begun: bool) -> Read | None:
    """Ask for the code before the first block: with none there, no event is older. It is asked once: old state is soon gone."""
    return None if begun else Read(venue.start_block, CODE_BEFORE, venue.address, b"")


def must_be_new(venue: VenueSpec, answer: Answer | None, *, missing: str) -> None:
    """See that a venue's contract is not older than its first block, so that no `missing` is; raises `NoContract`."""
    if answer is not None and answer.output:
        raise NoContract(
            f"venue {venue.id}: 0x{venue.address.hex()} on {venue.chain_id} was deployed before start_block"
            f" {venue.start_block}, so earlier {missing} would be missing; set start_block to its deployment block"
            " or one before"
        )
