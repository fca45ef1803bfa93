"""Which fold an escrow has, by what it holds."""

from __future__ import annotations

from collections.abc import Mapping

from chains.evm.escrow.custody import Custody
from chains.evm.escrow.fold import Escrow
from chains.evm.escrow.shares import Shares
from chains.evm.escrow.terms import CUSTODY, EVENTS, SHARES, holdings_of
from chains.evm.ports import Adapter, Answer, EvmProtocol, Read
from chains.model import VenueSpec

_FOLDS: Mapping[str, Adapter] = {EVENTS: Escrow, SHARES: Shares, CUSTODY: Custody}


class EscrowAdapter:
    """Finds an escrow of any kind."""

    @classmethod
    def topics(cls, venue: VenueSpec) -> tuple[bytes, ...]:
        """Return the topic0 of every event that matters; raises `ValueError` for options that are none."""
        return _FOLDS[holdings_of(venue.options)].topics(venue)

    @classmethod
    def origin(cls, venue: VenueSpec, *, begun: bool) -> Read | None:
        """Return the question by which the venue is found."""
        return _FOLDS[holdings_of(venue.options)].origin(venue, begun=begun)

    @classmethod
    def found(cls, venue: VenueSpec, answer: Answer | None) -> EvmProtocol:
        """Make the fold of a venue; raises `NoContract`."""
        return _FOLDS[holdings_of(venue.options)].found(venue, answer)
