"""What the configuration names, as tables; and when it may not change under what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from chains.identifiers import SOLANA, format_address, namespace_of
from chains.model import FEEDS, ChainSpec, FeedSpec, VenueSpec
from chains.registry import followed, is_observed
from indexer.spans import gap_of
from indexer.store import makers
from indexer.store.apply import Cursor, cursor
from indexer.store.coverage import coverage
from indexer.store.errors import ConfigRefused
from indexer.store.journals import DERIVED
from indexer.store.restate import uncover
from indexer.store.session import Con, insert
from indexer.store.statements import statement

ELSEWHERE = "index into a new store ([store] path)"


class AssetRow(NamedTuple):
    """An asset as configured; `symbol` and `same_as` as far as the configuration says."""

    asset_id: str
    symbol: str | None
    asset_class: str
    same_as: str | None


class MemberRow(NamedTuple):
    """One CAIP-10 member of a margin account."""

    account_id: str
    member: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Everything that a configuration names."""

    chains: Sequence[ChainSpec] = ()
    venues: Sequence[VenueSpec] = ()
    feeds: Sequence[FeedSpec] = ()
    assets: Sequence[AssetRow] = ()
    members: Sequence[MemberRow] = ()

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of every table, in its column order."""
        return {
            "chain": [(c.id, c.name, c.finality, c.start_block) for c in self.chains],
            "venue": [(v.id, v.protocol, v.chain_id, v.address, v.start_block, followed(v)) for v in self.venues],
            "feed": [
                (f.asset, f.kind, f.chain_id, f.address, f.heartbeat_s, f.deviation, f.feed_id, f.max_confidence)
                for f in self.feeds
            ],
            "asset": [tuple(asset) for asset in self.assets],
            "margin_account": [tuple(member) for member in self.members],
        }


def register(con: Con, registry: Registry) -> None:
    """Let the tables say what the configuration says; raises `ConfigRefused` where stored rows would lose their meaning.

    A venue or a feed that a chain was indexed without is not refused: until it is filled in it is incomplete, see `indexer.restating`.
    """
    check_venues(con, registry.venues)
    check_feeds(con, registry)
    for table, rows in registry.tables().items():
        if sorted(rows, key=repr) != sorted(stored(con, table), key=repr):
            replace(con, table, rows)
    note_venues(con, registry.venues)
    note_feeds(con, registry)
    makers.note_venues(con, registry.venues, frozenset(v.id for v in registry.venues if has_rows(con, v.id)))
    chains = [chain.id for chain in registry.chains]
    makers.note_feeds(con, chains, frozenset(chain_id for chain_id in chains if has_prices(con, chain_id)))


def replace(con: Con, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Let a table have these rows and no others."""
    con.execute(statement("empty", table=table))
    for row in rows:
        insert(con, table, row)


def stored(con: Con, table: str) -> list[tuple[Any, ...]]:
    return con.execute(statement("table", table=table)).fetchall()


def check_venues(con: Con, venues: Sequence[VenueSpec]) -> None:
    """Raise `ConfigRefused` where a configured venue is another than the one whose rows are stored under its id."""
    known = {venue_id: (facts, options) for venue_id, *facts, options in stored(con, "indexed_venue")}
    for venue in venues:
        facts, options = known.get(venue.id, (None, None))
        if facts != [venue.protocol, venue.chain_id, venue.address] and has_rows(con, venue.id):
            raise ConfigRefused(
                f"venue {venue.id}: rows of another protocol, chain or address are stored under this id; "
                f"choose a new id, or {ELSEWHERE}"
            )
        check_options(con, venue, options)
        held = cursor(con, venue.chain_id)
        if (
            held
            and not is_observed(venue.protocol)
            and gap_of(coverage(con, venue.chain_id), venue, held.block.number) is not None
        ):
            check_refillable(venue.chain_id, f"venue {venue.id}", held)


def check_options(con: Con, venue: VenueSpec, stored_options: str | None) -> None:
    """What a venue follows may not change under its rows: what was left out until now would stay out."""
    held = cursor(con, venue.chain_id)
    if stored_options is None or held is None or held.block.number < venue.start_block:
        return
    if stored_options != followed(venue):
        raise ConfigRefused(
            f"venue {venue.id}: {venue.chain_id} is indexed up to block {held.block.number} with the options {stored_options}; "
            f"with {followed(venue)} earlier blocks would be incomplete; {ELSEWHERE}"
        )


def check_feeds(con: Con, registry: Registry) -> None:
    """Raise `ConfigRefused` for a feed that was added to a chain that is stored already and cannot be filled in."""
    known, begun = complete_feeds(con), begun_chains(con, registry)
    for feed in registry.feeds:
        if identity(feed) not in known and feed.chain_id in begun:
            name = f"feed {format_address(feed.chain_id, feed.address)}"
            check_refillable(feed.chain_id, name, begun[feed.chain_id])


def check_refillable(chain_id: str, name: str, held: Cursor) -> None:
    """Accounts of a Solana cluster are seen as they are at the head: what nobody looked at then cannot be filled in."""
    if namespace_of(chain_id) == SOLANA:
        raise ConfigRefused(
            f"{name}: {chain_id} is indexed without it up to block {held.block.number}, "
            f"and what accounts held before cannot be read again; {ELSEWHERE}"
        )


def begun_chains(con: Con, registry: Registry) -> dict[str, Cursor]:
    """Chains of which something is stored that feeds could be missing from."""
    held = {chain.id: cursor(con, chain.id) for chain in registry.chains}
    return {
        chain.id: reached
        for chain in registry.chains
        if (reached := held[chain.id]) and chain.start_block <= reached.block.number
    }


def note_venues(con: Con, venues: Sequence[VenueSpec]) -> None:
    """Remember what the rows under each id are of; of another venue without rows nothing is left, not even its coverage."""
    known = {row[0]: row for row in stored(con, "indexed_venue")}
    for venue in venues:
        row = (venue.id, venue.protocol, venue.chain_id, venue.address, followed(venue))
        if known.get(venue.id) == row:
            continue
        if venue.id in known:
            con.execute("DELETE FROM indexed_venue WHERE venue_id = $venue_id", {"venue_id": venue.id})
            if known[venue.id][1:4] != row[1:4]:
                uncover(con, known[venue.id][2], venue.id, 0)
        insert(con, "indexed_venue", row)


def note_feeds(con: Con, registry: Registry) -> None:
    """Call feeds complete that are followed from the start; one that is not configured any more is not looked after."""
    known, begun = complete_feeds(con), begun_chains(con, registry)
    kept = {identity(feed) for feed in registry.feeds if identity(feed) in known or feed.chain_id not in begun}
    if kept != known:
        replace(con, "indexed_feed", sorted(kept, key=repr))


def identity(feed: FeedSpec) -> tuple[str, str, bytes, bytes | None]:
    """What makes a feed the one that it is, whatever it is a price of."""
    return feed.kind, feed.chain_id, feed.address, feed.feed_id


def complete_feeds(con: Con) -> set[tuple[str, str, bytes, bytes | None]]:
    """The feeds of which nothing is missing, as `identity` names them."""
    return {(kind, chain_id, address, feed_id) for kind, chain_id, address, feed_id in stored(con, "indexed_feed")}


def has_prices(con: Con, chain_id: str) -> bool:
    """Whether anything was ever derived of a chain's price sources."""
    return bool(con.execute(statement("price_row"), {"chain_id": chain_id, "venue_id": FEEDS}).fetchall())


def has_rows(con: Con, venue_id: str) -> bool:
    """Whether anything was ever derived under a venue's id."""
    tables = [journal.name for journal in DERIVED if "venue_id" in journal.columns]
    values = {"venue_id": venue_id}
    return any(con.execute(statement("venue_row", table=table), values).fetchall() for table in tables)
