"""The whole book at one cut: every owner of every venue as an account, with each venue opened once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from aggregator.gather import (
    SOUND,
    Catalogue,
    Condition,
    Journals,
    gaps_of,
    observe,
    said_units,
    sorted_feeds,
    sorted_venues,
    venue_inputs,
    with_bases,
    with_sequencers,
)
from aggregator.margin import numbers
from aggregator.margin.account import Assessment, assess
from aggregator.margin.health import HouseNumbers, house_numbers, open_units
from aggregator.margin.inputs import Cut, MarginAccount
from aggregator.margin.status import Status
from aggregator.margin.valuation import Context, OpenUnit, identity_of, make_context
from chains.auditing import Controlled
from chains.identifiers import Account, parse_account, token


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessedAccount:
    """One account of the book."""

    account: MarginAccount
    assessment: Assessment

    @property
    def house(self) -> HouseNumbers:
        return house_numbers(self.assessment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """All accounts at one cut, by id: registered ones, and every other owner of a unit on its own.

    `controls`: venue → what came of weighing it at the cut, where that was done.
    """

    cuts: Mapping[str, Cut]
    catalogue: Catalogue
    condition: Condition
    context: Context
    units: tuple[OpenUnit, ...]
    accounts: tuple[AssessedAccount, ...]
    controls: Mapping[str, Controlled] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookRow:
    """One account in short; the numbers are those of its health document."""

    account: str
    status: Status
    score: int | None
    health_factor: Decimal | None
    min_unit_health_factor: Decimal | None
    collateral_usd: Decimal
    debt_usd: Decimal | None


def evaluate_book(
    journals: Journals, cuts: Mapping[str, Cut], catalogue: Catalogue, condition: Condition = SOUND
) -> tuple[BookRow, ...]:
    """Value every account at the cuts, by id; raises `StoreError`."""
    return tuple(map(row, assess_book(journals, cuts, catalogue, condition).accounts))


def row(entry: AssessedAccount) -> BookRow:
    house, wad = entry.house, entry.assessment.min_unit_wad
    return BookRow(
        account=entry.account.id,
        status=entry.assessment.status,
        score=entry.assessment.score,
        health_factor=house.health_factor,
        min_unit_health_factor=None if wad is None else numbers.wad_down(wad),
        collateral_usd=house.collateral,
        debt_usd=house.debt,
    )


def assess_book(
    journals: Journals, cuts: Mapping[str, Cut], catalogue: Catalogue, condition: Condition = SOUND
) -> Book:
    """Open every venue once and judge every account; raises `StoreError`."""
    condition = with_sequencers(journals, cuts, catalogue, condition)
    units = tuple(_units(journals, cuts, catalogue))
    context = make_context(
        as_of=cuts,
        assets=catalogue.assets,
        policy=catalogue.policy,
        feeds=catalogue.feeds,
        observations=observe(journals, sorted_feeds(catalogue), cuts, catalogue.assets),
        stale_chains=condition.stale_chains,
        shortfalls=condition.shortfalls,
    )
    by_owner: dict[Account, list[OpenUnit]] = {}
    for held_in in units:
        by_owner.setdefault(Account(held_in.venue.chain_id, held_in.unit.owner), []).append(held_in)
    accounts = sorted(_accounts(catalogue, by_owner), key=lambda account: account.id)
    return Book(
        cuts=cuts,
        catalogue=catalogue,
        condition=condition,
        context=context,
        units=units,
        accounts=tuple(_assessed(account, by_owner, context, catalogue, condition) for account in accounts),
    )


def _units(journals: Journals, cuts: Mapping[str, Cut], catalogue: Catalogue) -> Iterator[OpenUnit]:
    for spec in sorted_venues(catalogue, cuts, cuts):
        at = cuts[spec.chain_id].block
        units = said_units(journals, spec, at)
        if units:
            yield from open_units(venue_inputs(journals.venue_snapshot(spec, at), units))


def _accounts(catalogue: Catalogue, by_owner: Mapping[Account, list[OpenUnit]]) -> Iterator[MarginAccount]:
    """Yield the registered accounts, and each other owner that has anything."""
    registered = {parse_account(member) for account in catalogue.accounts for member in account.members}
    yield from catalogue.accounts
    for owner, units in by_owner.items():
        if owner not in registered and any(held_in.unit.positions or held_in.liabilities for held_in in units):
            yield MarginAccount(id=str(owner), members=(str(owner),))


def _assessed(
    account: MarginAccount,
    by_owner: Mapping[Account, list[OpenUnit]],
    context: Context,
    catalogue: Catalogue,
    condition: Condition,
) -> AssessedAccount:
    members = [parse_account(member) for member in account.members]
    chains = {member.chain_id for member in members}
    units = [held_in for member in dict.fromkeys(members) for held_in in by_owner.get(member, [])]
    units.sort(key=lambda held_in: (held_in.venue.id, held_in.unit.unit_id))
    gaps = gaps_of(
        chains,
        context.as_of,
        catalogue,
        condition,
        feed_chains=_feed_chains(units, context, catalogue),
        units=[(held_in.venue.id, held_in.unit.unit_id) for held_in in units],
    )
    return AssessedAccount(account=account, assessment=assess(context, units, chains=chains, gaps=gaps))


def _feed_chains(units: Iterable[OpenUnit], context: Context, catalogue: Catalogue) -> set[str]:
    """Return the chains of the feeds that price what some units hold or owe."""
    held = {
        identity_of(str(token(unit.venue.chain_id, position.asset)), context.assets)
        for unit in units
        for position in unit.unit.positions
    }
    held = with_bases(held, catalogue.feeds, context.assets)
    return {feed.chain_id for feed in catalogue.feeds if identity_of(feed.asset, context.assets) in held}
