"""Which version of each protocol's derivation made the rows of a store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chains.derivations import UNRECORDED, Change, Remedy, lack_of, version_of
from chains.identifiers import EVM, namespace_of
from chains.model import FEEDS, VenueSpec
from chains.registry import derivation_changes, feed_changes
from indexer.steps import Interest
from indexer.store.session import Con
from indexer.store.statements import statement


def makers(con: Con) -> dict[tuple[str, str], int]:
    """Return the versions that are kept: (chain, venue or `FEEDS`) → version."""
    found = con.execute("SELECT chain_id, interest, version FROM derived_by").fetchall()
    return {(chain_id, interest): version for chain_id, interest, version in found}


def note_venues(con: Con, venues: Iterable[VenueSpec], having_rows: frozenset[str]) -> None:
    """Keep this program's version for venues without rows, and that none was kept for those of an older program."""
    known = makers(con)
    for venue in venues:
        if venue.id not in having_rows:
            _note(con, venue.chain_id, venue.id, version_of(derivation_changes(venue.protocol)))
        elif (venue.chain_id, venue.id) not in known:
            _note(con, venue.chain_id, venue.id, UNRECORDED)


def note_feeds(con: Con, chains: Iterable[str], having_rows: frozenset[str]) -> None:
    """Do the same for the price sources of chains."""
    known = makers(con)
    for chain_id in chains:
        if chain_id not in having_rows:
            _note(con, chain_id, FEEDS, version_of(feed_changes(chain_id)))
        elif (chain_id, FEEDS) not in known:
            _note(con, chain_id, FEEDS, UNRECORDED)


def note_rebuilt(con: Con, chain_id: str) -> None:
    """Keep this program's version for all of a chain that deriving again was enough for."""
    for (chain, interest), version in makers(con).items():
        changes = _changes(con, chain_id, interest)
        lack = lack_of(changes, version, reread=True)
        if chain == chain_id and lack is not None and lack.remedy is Remedy.REBUILD:
            _note(con, chain_id, interest, version_of(changes))


def note_emptied(con: Con, chain_id: str) -> None:
    """Keep this program's version for all of a chain of which nothing is stored any more."""
    for chain, interest in makers(con):
        if chain == chain_id:
            _note(con, chain_id, interest, version_of(_changes(con, chain_id, interest)))


def note_reread(con: Con, chain_id: str, interests: Iterable[Interest]) -> None:
    """Keep this program's version for what was read again from its first block on."""
    starts = dict(
        con.execute(
            "SELECT venue_id, start_block FROM venue WHERE chain_id = $chain_id", {"chain_id": chain_id}
        ).fetchall()
    )
    firsts = con.execute("SELECT start_block FROM chain WHERE chain_id = $chain_id", {"chain_id": chain_id}).fetchall()
    starts[FEEDS] = firsts[0][0] if firsts else 0
    for interest in interests:
        if namespace_of(chain_id) == EVM and interest.first <= starts.get(interest.venue_id, -1):
            _note(con, chain_id, interest.venue_id, version_of(_changes(con, chain_id, interest.venue_id)))


def _changes(con: Con, chain_id: str, interest: str) -> Sequence[Change]:
    if interest == FEEDS:
        return feed_changes(chain_id)
    found = con.execute("SELECT protocol FROM venue WHERE venue_id = $venue_id", {"venue_id": interest}).fetchall()
    return derivation_changes(found[0][0]) if found else ()


def _note(con: Con, chain_id: str, interest: str, version: int) -> None:
    values = {"chain_id": chain_id, "interest": interest, "version": version}
    con.execute(statement("derived_by_set"), values)
