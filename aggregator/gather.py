"""From the store to health inputs: what the journals say of one account at one block of each chain."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from aggregator.in_flight import in_flight
from aggregator.issuers import with_issuers
from aggregator.margin.health import open_units
from aggregator.margin.inputs import (
    METHODOLOGY_VERSION,
    Asset,
    Cut,
    HealthInputs,
    MarginAccount,
    Shortfall,
    VenueInputs,
)
from aggregator.margin.liabilities import Liabilities, keys_of
from aggregator.margin.numbers import rfc3339
from aggregator.margin.policy import Policy
from aggregator.margin.risk import NO_RISK, RiskInputs
from aggregator.margin.stamp import UNNAMED, PolicyStamp
from aggregator.margin.valuation import identity_of
from aggregator.observations import Answers, FeedsAt, observe
from aggregator.risk.estimates import sliced
from chains.escrow import imports_liabilities
from chains.identifiers import Account, parse_account, token
from chains.model import Block, FeedSpec, Reason, UnitSnapshot, VenueSnapshot, VenueSpec
from chains.registry import SEQUENCER_UPTIME, current_answer, owner_is_unit
from indexer.store.liabilities import LiabilityRow
from indexer.store.transfers import TransferRow

SaidUnits = Mapping[bytes, tuple[UnitSnapshot, Liabilities | None]]
"""Unit → what the journals say of it, and the newest that another system said of its liabilities."""


class Journals(Answers, Protocol):
    """What is asked of the store; `indexer.store.reader.Reader` answers all of it from one state."""

    def venue_snapshot(self, venue: VenueSpec, at: Block) -> VenueSnapshot: ...

    def unit_snapshots(self, venue: VenueSpec, at: Block, *, owner: bytes | None = None) -> list[UnitSnapshot]: ...

    def liabilities(
        self, venue: VenueSpec, keys: Sequence[bytes], *, until: int, owner: bytes | None = None
    ) -> Sequence[LiabilityRow]: ...

    def transfers(self, recipients: Collection[str]) -> Sequence[TransferRow]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What the configuration names and how the house values it; `accounts` are the registered margin accounts."""

    venues: tuple[VenueSpec, ...]
    feeds: tuple[FeedSpec, ...]
    assets: tuple[Asset, ...]
    policy: Policy
    accounts: tuple[MarginAccount, ...] = ()
    policy_stamp: PolicyStamp = UNNAMED


TOTAL_DIFFERS, PROOF_DIFFERS, NODES_DIFFER = "total_differs", "proof_differs", "nodes_differ"
"""Reasons why a venue is not believed: a total, or a proof of storage, says something else than the journals."""

UnitKey = tuple[str, bytes]
"""(venue, unit)"""

DoubtedUnits = Mapping[UnitKey, Reason]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What is wrong with the data as the caller knows it; the `subject` of a reason is a chain or a venue.

    `stale_chains`: chains without a recent block; `gaps`: chains and venues of which something is missing; `units`: those whose numbers
    are known not to be their venue's own; `shortfalls`: what venues were seen to lack of their tokens.
    """

    stale_chains: tuple[Reason, ...] = ()
    gaps: tuple[Reason, ...] = ()
    units: DoubtedUnits = field(default_factory=dict)
    shortfalls: tuple[Shortfall, ...] = ()


SOUND = Condition()


def gather(
    journals: Journals,
    account: MarginAccount,
    cuts: Mapping[str, Cut],
    catalogue: Catalogue,
    condition: Condition = SOUND,
    *,
    risk: RiskInputs = NO_RISK,
) -> HealthInputs:
    """Collect what decides the health of an account, and nothing that does not; raises `StoreError`.

    `risk`: what is estimated at the cuts of all identities.
    """
    condition = with_sequencers(journals, cuts, catalogue, condition)
    members = [parse_account(member) for member in account.members]
    consulted = sorted_venues(catalogue, {member.chain_id for member in members}, cuts)
    venues = tuple(with_issuers(journals, consulted, cuts, tuple(_venues(journals, consulted, cuts, members))))
    named, sources = _named(venues, catalogue)
    feeds = tuple(
        feed for feed in sorted_feeds(catalogue) if (feed.chain_id, feed.address) in sources or feed.asset in named
    )
    chains = {member.chain_id for member in members} | {feed.chain_id for feed in feeds}
    stale = tuple(reason for reason in condition.stale_chains if reason.subject in chains)
    by_id = {asset.id: asset for asset in catalogue.assets}
    return HealthInputs(
        methodology_version=METHODOLOGY_VERSION,
        account=account,
        as_of={chain: cut for chain, cut in sorted(cuts.items()) if chain in chains | _clocks(stale, cuts)},
        stale_chains=stale,
        gaps=gaps_of(
            {member.chain_id for member in members},
            cuts,
            catalogue,
            condition,
            feed_chains={feed.chain_id for feed in feeds if feed.asset in named},
            units=[(venue.snapshot.venue.id, unit.unit_id) for venue in venues for unit in venue.units],
        )
        + account.gaps,
        consulted=tuple(spec.id for spec in consulted),
        venues=venues,
        assets=tuple(sorted((asset for asset in catalogue.assets if asset.id in named), key=lambda asset: asset.id)),
        feeds=feeds,
        observations=observe(journals, [feed for feed in feeds if feed.asset in named], cuts, catalogue.assets),
        policy=catalogue.policy,
        policy_stamp=catalogue.policy_stamp,
        shortfalls=_shortfalls(venues, condition),
        risk=sliced(risk, {identity_of(asset_id, by_id) for asset_id in named}),
        in_flight=in_flight(journals.transfers(account.members), cuts),
    )


def _clocks(stale: Collection[Reason], cuts: Mapping[str, Cut]) -> set[str]:
    """Return the chain that is known longest, which tells how far those that stand still are behind; none where none does."""
    if not stale or not cuts:
        return set()
    return {max(sorted(cuts), key=lambda chain: cuts[chain].now)}


def with_sequencers(
    journals: Journals, cuts: Mapping[str, Cut], catalogue: Catalogue, condition: Condition
) -> Condition:
    """Add chains whose sequencer is down, or was so lately, to those that are stale: nobody could act there, or add to collateral."""
    reasons = [
        reason
        for feed in sorted_feeds(catalogue)
        if feed.kind == SEQUENCER_UPTIME and feed.chain_id in cuts
        if (reason := _sequencer(journals, feed, cuts[feed.chain_id])) is not None
    ]
    return replace(condition, stale_chains=(*condition.stale_chains, *reasons)) if reasons else condition


def _sequencer(journals: Journals, feed: FeedSpec, cut: Cut) -> Reason | None:
    """Return what is wrong with a chain's sequencer at a cut: 0 is up; the grace counts from when it came up."""
    at = cut.block
    said = FeedsAt(at=at, feeds=journals.feeds(feed.chain_id, at), answers=journals.answers(feed.chain_id, at))
    answer = current_answer(said, feed.address)
    if isinstance(answer, Reason):
        return Reason("sequencer_unknown", feed.chain_id, f"the sequencer's uptime feed has no answer: {answer.detail}")
    if answer.answer_raw != 0:
        return Reason("sequencer_down", feed.chain_id, f"the sequencer is down since {rfc3339(answer.updated_at)}")
    if cut.now - answer.updated_at < feed.heartbeat_s:
        detail = f"the sequencer is up since {rfc3339(answer.updated_at)}, less than {feed.heartbeat_s} s ago"
        return Reason("sequencer_grace", feed.chain_id, detail)
    return None


def _shortfalls(venues: Iterable[VenueInputs], condition: Condition) -> tuple[Shortfall, ...]:
    """Return what is missing of the tokens that an account has in its venues."""
    if not condition.shortfalls:
        return ()
    claims = [
        (held_in.venue.id, position)
        for venue in venues
        for held_in in open_units(venue)
        for position in held_in.unit.positions
    ]
    return tuple(missing for missing in condition.shortfalls if any(missing.concerns(*claim) for claim in claims))


def sorted_venues(catalogue: Catalogue, chains: Iterable[str], cuts: Mapping[str, Cut]) -> list[VenueSpec]:
    """Return the venues of those chains that have a cut, by id."""
    known = cuts.keys() & set(chains)
    return sorted((venue for venue in catalogue.venues if venue.chain_id in known), key=lambda venue: venue.id)


def gaps_of(
    chains: Iterable[str],
    cuts: Mapping[str, Cut],
    catalogue: Catalogue,
    condition: Condition,
    *,
    feed_chains: Collection[str],
    units: Iterable[UnitKey],
) -> tuple[Reason, ...]:
    """Return what is missing for an account on these chains: chains without a cut, and gaps that the caller knows.

    `feed_chains`: the chains of the feeds that price what it holds, which may be others; `units`: its own.
    """
    wanted = set(chains)
    subjects = wanted | set(feed_chains) | {venue.id for venue in catalogue.venues if venue.chain_id in wanted}
    unseen = [
        Reason(
            "chain_not_indexed",
            chain,
            f"nothing of {chain} is stored up to this moment, and the account has a member there",
        )
        for chain in sorted(wanted - cuts.keys())
    ]
    doubted = [condition.units[unit] for unit in units if unit in condition.units]
    return (*unseen, *(reason for reason in condition.gaps if reason.subject in subjects), *doubted)


def _venues(
    journals: Journals, consulted: Sequence[VenueSpec], cuts: Mapping[str, Cut], members: Sequence[Account]
) -> Iterator[VenueInputs]:
    """Yield the venues where members have units.

    A member without any on its chain is shown with what that chain's venues say of an account that holds and owes nothing.
    """
    found = {spec.id: _units_of(journals, spec, cuts, members) for spec in consulted}
    busy = {(spec.chain_id, unit.owner) for spec in consulted for unit, _ in found[spec.id].values()}
    idle = [member for member in members if (member.chain_id, member.address) not in busy]
    for spec in consulted:
        units = found[spec.id]
        if owner_is_unit(spec.protocol):
            units |= {who.address: (_nothing(who.address), None) for who in idle if who.chain_id == spec.chain_id}
        snapshot = journals.venue_snapshot(spec, cuts[spec.chain_id].block) if units else None
        if snapshot is not None and (snapshot.markets or imports_liabilities(spec)):
            yield venue_inputs(snapshot, units)


def venue_inputs(snapshot: VenueSnapshot, units: SaidUnits) -> VenueInputs:
    """Put units into the order of their ids, with their liabilities where others have a claim on them."""
    said = {unit_id: liabilities for unit_id, (_, liabilities) in sorted(units.items())}
    return VenueInputs(
        snapshot=snapshot,
        units=tuple(unit for _, (unit, _) in sorted(units.items())),
        liabilities=said if imports_liabilities(snapshot.venue) else {},
    )


def _units_of(
    journals: Journals, spec: VenueSpec, cuts: Mapping[str, Cut], members: Sequence[Account]
) -> dict[bytes, tuple[UnitSnapshot, Liabilities | None]]:
    owners = [member.address for member in members if member.chain_id == spec.chain_id]
    cut = cuts[spec.chain_id]
    return {unit_id: unit for owner in owners for unit_id, unit in said_units(journals, spec, cut, owner=owner).items()}


def said_units(
    journals: Journals, spec: VenueSpec, cut: Cut, *, owner: bytes | None = None
) -> dict[bytes, tuple[UnitSnapshot, Liabilities | None]]:
    """Return the units of a venue at a cut, all or one owner's, by id, with what was said of their liabilities until then.

    Where liabilities are imported, whoever has a deposit has a unit, and so has everybody of whom anything was said.
    """
    units = {unit.unit_id: unit for unit in journals.unit_snapshots(spec, cut.block, owner=owner)}
    if not imports_liabilities(spec):
        return {unit_id: (unit, None) for unit_id, unit in units.items()}
    rows = journals.liabilities(spec, keys_of(spec), until=cut.now, owner=owner)
    said = {row.owner: _liabilities(row) for row in rows}
    units = _of_owners(units.values())
    holding = {unit_id for unit_id, unit in units.items() if any(amount > 0 for amount in unit.positions.values())}
    return {
        unit_id: (units.get(unit_id) or _nothing(unit_id), said.get(unit_id))
        for unit_id in sorted(holding | said.keys())
    }


def _of_owners(units: Iterable[UnitSnapshot]) -> dict[bytes, UnitSnapshot]:
    """Return one unit for each owner, with all that the accounts hold that are his: what is said of liabilities is said of owners."""
    found: dict[bytes, UnitSnapshot] = {}
    for unit in units:
        other = found.get(unit.owner)
        positions = dict(other.positions) if other else {}
        for key, amount in unit.positions.items():
            positions[key] = positions.get(key, 0) + amount
        settings = {**unit.settings, **_told(other)} if other else unit.settings
        found[unit.owner] = UnitSnapshot(unit_id=unit.owner, owner=unit.owner, positions=positions, settings=settings)
    return found


def _told(unit: UnitSnapshot) -> dict[tuple[bytes, str], str]:
    """Return the settings that say something."""
    return {key: state for key, state in unit.settings.items() if state != "null"}


def _liabilities(row: LiabilityRow) -> Liabilities:
    return Liabilities(
        as_of=row.as_of,
        initial_requirement_usd=row.initial_requirement_usd,
        maintenance_requirement_usd=row.maintenance_requirement_usd,
        pnl_usd=row.pnl_usd,
        key=row.key,
        document=row.digest,
    )


def _nothing(owner: bytes) -> UnitSnapshot:
    return UnitSnapshot(unit_id=owner, owner=owner, positions={}, settings={})


def _named(venues: Iterable[VenueInputs], catalogue: Catalogue) -> tuple[set[str], set[tuple[str, bytes]]]:
    """Return every asset with the identity of one that is held or owed, and the price sources that venues use for them.

    With an asset that is priced by a redemption rate comes what it is redeemed for.
    """
    by_id = {asset.id: asset for asset in catalogue.assets}
    held = [
        (held_in.venue.chain_id, position)
        for venue in venues
        for held_in in open_units(venue)
        for position in held_in.unit.positions
    ]
    ids = {str(token(chain_id, position.asset)) for chain_id, position in held}
    identities = with_bases({identity_of(asset_id, by_id) for asset_id in ids}, catalogue.feeds, by_id)
    sources = {(chain_id, position.price.source) for chain_id, position in held if position.price is not None}
    known = {asset.id for asset in catalogue.assets} | {feed.asset for feed in catalogue.feeds}
    return ids | {asset_id for asset_id in known if identity_of(asset_id, by_id) in identities}, sources


def with_bases(identities: set[str], feeds: Sequence[FeedSpec], assets: Mapping[str, Asset]) -> set[str]:
    """Add the identities whose marks those of others rest on, all the way down."""
    rests_on = {
        (identity_of(feed.asset, assets), identity_of(feed.of, assets)) for feed in feeds if feed.of is not None
    }
    while more := {base for above, base in rests_on if above in identities} - identities:
        identities = identities | more
    return identities


def feed_chains(feeds: Iterable[FeedSpec], assets: Mapping[str, Asset]) -> dict[str, frozenset[str]]:
    """Return identity → the chains of the feeds that its mark rests on, all the way down."""
    own: dict[str, set[str]] = {}
    bases: dict[str, set[str]] = {}
    for feed in feeds:
        identity = identity_of(feed.asset, assets)
        own.setdefault(identity, set()).add(feed.chain_id)
        if feed.of is not None:
            bases.setdefault(identity, set()).add(identity_of(feed.of, assets))
    found = {}
    for identity in own:
        below, reached = [identity], {identity}
        while below:
            more = bases.get(below.pop(), set()) - reached
            below += more
            reached |= more
        found[identity] = frozenset().union(*(own.get(each, ()) for each in reached))
    return found


def sorted_feeds(catalogue: Catalogue) -> list[FeedSpec]:
    """Return the configured feeds in an order of their own."""
    return sorted(catalogue.feeds, key=lambda feed: (feed.asset, feed.chain_id, feed.kind, feed.address))
