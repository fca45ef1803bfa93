"""The whole book at one cut: every owner of every venue as an account, with each venue opened once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from aggregator.audit.members import Signed
from aggregator.audit.prices import Proven
from aggregator.audit.sightings import Sighting
from aggregator.courtesy import ALONE, Courtesy
from aggregator.gather import (
    SOUND,
    Catalogue,
    Condition,
    Journals,
    UnitKey,
    feed_chains,
    gaps_of,
    said_units,
    sorted_feeds,
    sorted_venues,
    venue_inputs,
    with_sequencers,
)
from aggregator.issuers import with_issuers
from aggregator.margin import numbers
from aggregator.margin.account import Assessment, assess
from aggregator.margin.health import HouseNumbers, house_numbers, open_units
from aggregator.margin.inputs import Cut, MarginAccount, VenueInputs
from aggregator.margin.lookthrough import looked_through, shares_of
from aggregator.margin.risk import NO_RISK, RiskInputs
from aggregator.margin.status import Status
from aggregator.margin.valuation import Context, OpenUnit, identity_of, make_context
from aggregator.observations import observe
from aggregator.oracle.mark import Observation
from aggregator.told import Told, each_told, untold
from chains.auditing import Controlled
from chains.identifiers import Account, parse_account, token
from chains.model import AccountBytes, Reason, UnitSnapshot
from indexer.store.transfers import TransferRow


@dataclass(frozen=True, slots=True, kw_only=True)
class BookInputs:
    """All that decides the numbers of a book: equal inputs give equal books.

    `venues`: those where anybody has a unit, with all of their units, and those that know what shares are a claim on; by id.
    """

    cuts: Mapping[str, Cut]
    catalogue: Catalogue
    condition: Condition
    venues: tuple[VenueInputs, ...]
    observations: tuple[Observation, ...]
    risk: RiskInputs = NO_RISK


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessedAccount:
    """One account of the book; `units`, `gaps`: what it was assessed with."""

    account: MarginAccount
    assessment: Assessment
    units: tuple[OpenUnit, ...]
    gaps: tuple[Reason, ...]

    @property
    def house(self) -> HouseNumbers:
        return house_numbers(self.assessment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """All accounts at one cut, by id: registered ones, and every other owner of a unit on its own.

    `controls`: venue → what came of weighing it at the cut, where that was done; `levels`: venue → the weakest evidence up to the cut
    that nothing of it is missing; `account_bytes`: of some units that are accounts of a chain, what these last held;
    `looks`: venue whose accounts are read → since when they are known to be so;
    `prices`: of some answers of price sources, what proves them; `messages`: by which wallets are members of accounts;
    `sent`: what is on its way to somebody between chains.
    """

    inputs: BookInputs
    context: Context
    units: tuple[OpenUnit, ...]
    accounts: tuple[AssessedAccount, ...]
    controls: Mapping[str, Controlled] = field(default_factory=dict)
    levels: Mapping[str, str | None] = field(default_factory=dict)
    account_bytes: Mapping[UnitKey, AccountBytes] = field(default_factory=dict)
    looks: Mapping[str, Sighting] = field(default_factory=dict)
    prices: tuple[Proven, ...] = ()
    messages: tuple[Signed, ...] = ()
    sent: tuple[TransferRow, ...] = ()

    @property
    def cuts(self) -> Mapping[str, Cut]:
        return self.inputs.cuts

    @property
    def catalogue(self) -> Catalogue:
        return self.inputs.catalogue

    @property
    def condition(self) -> Condition:
        return self.inputs.condition


@dataclass(frozen=True, slots=True, kw_only=True)
class BookRow:
    """One account in short; the numbers are those of its health document.

    `has_usd`, `owes_usd`: of all its pools, isolated ones too, which are in no other number of it.
    """

    account: str
    status: Status
    score: int | None
    health_factor: Decimal | None
    min_unit_health_factor: Decimal | None
    collateral_usd: Decimal
    debt_usd: Decimal | None
    has_usd: Decimal
    owes_usd: Decimal | None


def row(entry: AssessedAccount) -> BookRow:
    """Return an account of the book in short, rounded as in its document."""
    house, assessment = entry.house, entry.assessment
    wad = assessment.min_unit_wad
    return BookRow(
        account=entry.account.id,
        status=assessment.status,
        score=assessment.score,
        health_factor=house.health_factor,
        min_unit_health_factor=None if wad is None else numbers.wad_down(wad),
        collateral_usd=house.collateral,
        debt_usd=house.debt,
        has_usd=numbers.usd_down(assessment.has_usd),
        owes_usd=numbers.usd_up(assessment.owes_usd) if assessment.debt_known else None,
    )


def assess_book(
    journals: Journals,
    cuts: Mapping[str, Cut],
    catalogue: Catalogue,
    condition: Condition = SOUND,
    *,
    risk: RiskInputs = NO_RISK,
) -> Book:
    """Open every venue once and judge every account by `risk`, what is estimated at the cuts; raises `StoreError`."""
    return judged(book_inputs(journals, cuts, catalogue, condition, risk=risk))


def book_inputs(
    journals: Journals, cuts: Mapping[str, Cut], catalogue: Catalogue, condition: Condition, *, risk: RiskInputs
) -> BookInputs:
    """Collect what decides the numbers of everybody; raises `StoreError`."""
    consulted = sorted_venues(catalogue, cuts, cuts)
    busy = tuple(_venues(journals, cuts, catalogue))
    return BookInputs(
        cuts=cuts,
        catalogue=catalogue,
        condition=with_sequencers(journals, cuts, catalogue, condition),
        venues=tuple(with_issuers(journals, consulted, cuts, busy)),
        observations=observe(journals, sorted_feeds(catalogue), cuts, catalogue.assets),
        risk=risk,
    )


def judged(inputs: BookInputs, before: Book | None = None, *, courtesy: Courtesy = ALONE, told: Told = untold) -> Book:
    """Open every venue once and judge every account: a pure function of the inputs.

    `before`: any book; of it is kept what all that decides it leaves as it was, which changes no number. `courtesy`: to whom it gives way.
    `told`: who waits for it.
    """
    catalogue = inputs.catalogue
    units = _opened(inputs, before, courtesy)
    context = context_of(inputs)
    by_owner: dict[Account, list[OpenUnit]] = {}
    for held_in in units:
        by_owner.setdefault(Account(held_in.venue.chain_id, held_in.unit.owner), []).append(held_in)
    accounts = sorted(_accounts(catalogue, by_owner), key=lambda account: account.id)
    judge = _Judge(
        by_owner=by_owner,
        context=context,
        inputs=inputs,
        kept=NOTHING_KEPT if before is None else _kept(before, context),
        priced_on=feed_chains(catalogue.feeds, context.assets),
    )
    return Book(
        inputs=inputs,
        context=context,
        units=units,
        accounts=tuple(
            judge.assessed(account) for account in courtesy.paced(each_told(told, "judging accounts", accounts))
        ),
    )


def context_of(inputs: BookInputs) -> Context:
    """Return what all accounts of a book are valued by."""
    catalogue, condition = inputs.catalogue, inputs.condition
    return make_context(
        as_of=inputs.cuts,
        assets=catalogue.assets,
        policy=catalogue.policy,
        feeds=catalogue.feeds,
        observations=inputs.observations,
        stale_chains=condition.stale_chains,
        shortfalls=condition.shortfalls,
        risk=inputs.risk,
    )


def parted(inputs: BookInputs, accounts: int) -> Iterator[BookInputs]:
    """Cut the inputs of a book into those of so many accounts each: their books have the accounts and units of the whole, each once."""
    registered = inputs.catalogue.accounts
    of_member = {parse_account(member): each.id for each in registered for member in each.members}
    part_of = {each.id: place // accounts for place, each in enumerate(registered)}
    units: list[dict[int, list[UnitSnapshot]]] = []
    for venue in inputs.venues:
        theirs: dict[int, list[UnitSnapshot]] = {}
        for unit in venue.units:
            owner = Account(venue.snapshot.venue.chain_id, unit.owner)
            part = part_of.setdefault(of_member.get(owner) or str(owner), len(part_of) // accounts)
            theirs.setdefault(part, []).append(unit)
        units.append(theirs)
    for part in range(-(-len(part_of) // accounts)):
        yield replace(
            inputs,
            catalogue=replace(
                inputs.catalogue, accounts=tuple(each for each in registered if part_of[each.id] == part)
            ),
            venues=tuple(
                _of_units(venue, theirs.get(part, ())) for venue, theirs in zip(inputs.venues, units, strict=True)
            ),
        )


def _of_units(venue: VenueInputs, units: Sequence[UnitSnapshot]) -> VenueInputs:
    said = {unit.unit_id: venue.liabilities[unit.unit_id] for unit in units if unit.unit_id in venue.liabilities}
    return replace(venue, units=tuple(units), liabilities=said)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """Accounts of another book that may stand as they are, unless they have something of an identity that has another mark now."""

    accounts: Mapping[str, AssessedAccount] = field(default_factory=dict)
    moved: frozenset[str] = frozenset()

    def of(
        self, account: MarginAccount, units: tuple[OpenUnit, ...], gaps: tuple[Reason, ...]
    ) -> AssessedAccount | None:
        old = self.accounts.get(account.id)
        if old is None or (old.account, old.gaps, old.units) != (account, gaps, units):
            return None
        return old if self.moved.isdisjoint(item.identity for item in old.assessment.positions) else None


NOTHING_KEPT = _Kept()


def _kept(before: Book, context: Context) -> _Kept:
    """Nothing may be kept where anything but marks and units is another; while a chain is stale its lag moves every mark."""
    old = before.context
    if _decisive(old) != _decisive(context) or (context.stale_chains and old.as_of != context.as_of):
        return NOTHING_KEPT
    names = old.feed_marks.keys() | context.feed_marks.keys()
    moved = frozenset(name for name in names if old.feed_marks.get(name) != context.feed_marks.get(name))
    return _Kept(accounts={each.account.id: each for each in before.accounts}, moved=moved)


def _decisive(context: Context) -> tuple[object, ...]:
    return (
        context.policy,
        context.assets,
        context.heartbeats,
        context.stale_chains,
        context.shortfalls,
        context.risk,
    )


def _opened(inputs: BookInputs, before: Book | None, courtesy: Courtesy) -> tuple[OpenUnit, ...]:
    """Run the venues' arithmetic over all units; those of a venue of which nothing changed up to the same moment are the ones of before."""
    shares = shares_of(venue.snapshot for venue in inputs.venues)
    known: dict[str, list[OpenUnit]] = {}
    same: set[str] = set()
    if before is not None and (before.inputs.venues == inputs.venues or not (shares or _knows_shares(before))):
        old = {venue.snapshot.venue.id: venue for venue in before.inputs.venues}
        same = {
            name
            for venue in inputs.venues
            if old.get(name := venue.snapshot.venue.id) == venue and _as_long_known(venue, before.cuts, inputs.cuts)
        }
        for held_in in before.units:
            known.setdefault(held_in.venue.id, []).append(held_in)
    return tuple(
        held_in
        for venue in inputs.venues
        for held_in in (
            known.get(venue.snapshot.venue.id, [])
            if venue.snapshot.venue.id in same
            else looked_through(courtesy.paced(open_units(venue, inputs.cuts)), shares)
        )
    )


def _as_long_known(venue: VenueInputs, before: Mapping[str, Cut], now: Mapping[str, Cut]) -> bool:
    """Whether a venue's chain is known up to the same moment in two cuts: ages of what its units rest on count up to that."""
    chain_id = venue.snapshot.venue.chain_id
    return chain_id in before and chain_id in now and before[chain_id].until == now[chain_id].until


def _knows_shares(book: Book) -> bool:
    return bool(shares_of(venue.snapshot for venue in book.inputs.venues))


def _venues(journals: Journals, cuts: Mapping[str, Cut], catalogue: Catalogue) -> Iterator[VenueInputs]:
    for spec in sorted_venues(catalogue, cuts, cuts):
        cut = cuts[spec.chain_id]
        units = said_units(journals, spec, cut)
        if units:
            yield venue_inputs(journals.venue_snapshot(spec, cut.block), units)


def _accounts(catalogue: Catalogue, by_owner: Mapping[Account, list[OpenUnit]]) -> Iterator[MarginAccount]:
    """Yield the registered accounts, and each other owner that has anything."""
    registered = {parse_account(member) for account in catalogue.accounts for member in account.members}
    yield from catalogue.accounts
    for owner, units in by_owner.items():
        if owner not in registered and any(held_in.unit.positions or held_in.liabilities for held_in in units):
            yield MarginAccount(id=str(owner), members=(str(owner),))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judge:
    """Judges one account after the other by what they share.

    `priced_on`: identity → the chains that its mark rests on; `told` keeps that by token.
    """

    by_owner: Mapping[Account, list[OpenUnit]]
    context: Context
    inputs: BookInputs
    kept: _Kept
    priced_on: Mapping[str, frozenset[str]]
    told: dict[tuple[str, bytes], frozenset[str]] = field(default_factory=dict)

    def assessed(self, account: MarginAccount) -> AssessedAccount:
        members = [parse_account(member) for member in account.members]
        chains = {member.chain_id for member in members}
        units = [held_in for member in dict.fromkeys(members) for held_in in self.by_owner.get(member, [])]
        units.sort(key=lambda held_in: (held_in.venue.id, held_in.unit.unit_id))
        gaps = gaps_of(
            chains,
            self.context.as_of,
            self.inputs.catalogue,
            self.inputs.condition,
            feed_chains=self._feed_chains(units),
            units=[(held_in.venue.id, held_in.unit.unit_id) for held_in in units],
        )
        gaps += account.gaps
        return self.kept.of(account, tuple(units), gaps) or AssessedAccount(
            account=account,
            assessment=assess(self.context, units, chains=chains, gaps=gaps),
            units=tuple(units),
            gaps=gaps,
        )

    def _feed_chains(self, units: Iterable[OpenUnit]) -> set[str]:
        """Return the chains of the feeds that price what some units hold or owe."""
        held = {(unit.venue.chain_id, position.asset) for unit in units for position in unit.unit.positions}
        return set().union(*(self._chains_of(*each) for each in held))

    def _chains_of(self, chain_id: str, asset: bytes) -> frozenset[str]:
        known = self.told.get((chain_id, asset))
        if known is None:
            identity = identity_of(str(token(chain_id, asset)), self.context.assets)
            known = self.told[chain_id, asset] = self.priced_on.get(identity, frozenset())
        return known
