"""What the configuration names, as tables; and when it may not change under what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from chains.identifiers import format_address
from chains.model import ChainSpec, FeedSpec, VenueSpec
from chains.registry import followed
from indexer.store.apply import cursor
from indexer.store.errors import ConfigRefused
from indexer.store.journals import DERIVED
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
    """Let the tables say what the configuration says; raises `ConfigRefused` where stored rows would lose their meaning."""
    check_venues(con, registry.venues)
    check_feeds(con, registry)
    for table, rows in registry.tables().items():
        if sorted(rows, key=repr) != sorted(stored(con, table), key=repr):
            replace(con, table, rows)


def replace(con: Con, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    con.execute(statement("empty", table=table))
    for row in rows:
        insert(con, table, row)


def stored(con: Con, table: str) -> list[tuple[Any, ...]]:
    return con.execute(statement("table", table=table)).fetchall()


def check_venues(con: Con, venues: Sequence[VenueSpec]) -> None:
    known = {venue_id: (facts, start, options) for venue_id, *facts, start, options in stored(con, "venue")}
    for venue in venues:
        facts, start, options = known.get(venue.id, (None, None, None))
        same = facts == [venue.protocol, venue.chain_id, venue.address]
        if not same and has_rows(con, venue.id):
            raise ConfigRefused(
                f"venue {venue.id}: rows of another protocol, chain or address are stored under this id; "
                f"choose a new id, or {ELSEWHERE}"
            )
        check_options(con, venue, options)
        held = cursor(con, venue.chain_id)
        if held and venue.start_block <= held.block.number and (not same or start is None or venue.start_block < start):
            raise ConfigRefused(
                f"venue {venue.id}: starts at block {venue.start_block}, but {venue.chain_id} is indexed without it "
                f"up to block {held.block.number}; {ELSEWHERE}"
            )


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
    known = {(kind, chain_id, address, of) for _, kind, chain_id, address, _, _, of, _ in stored(con, "feed")}
    starts = {chain.id: chain.start_block for chain in registry.chains}
    for feed in registry.feeds:
        held = cursor(con, feed.chain_id)
        is_new = (feed.kind, feed.chain_id, feed.address, feed.feed_id) not in known
        if is_new and held and starts.get(feed.chain_id, 0) <= held.block.number:
            raise ConfigRefused(
                f"feed {format_address(feed.chain_id, feed.address)}: {feed.chain_id} is indexed without it "
                f"up to block {held.block.number}; "
                f"{ELSEWHERE}"
            )


def has_rows(con: Con, venue_id: str) -> bool:
    """Whether anything was ever derived under a venue's id."""
    tables = [journal.name for journal in DERIVED if "venue_id" in journal.columns]
    values = {"venue_id": venue_id}
    return any(con.execute(statement("venue_row", table=table), values).fetchall() for table in tables)
