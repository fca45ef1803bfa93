"""The book in memory is after every step what a book made anew is, and values only whom a step concerns."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from aggregator.arrays.standing import HeldBack, Numbers
from aggregator.book import BookInputs, judged
from aggregator.gather import Catalogue, Condition
from aggregator.live import LiveBook, Version
from aggregator.margin.inputs import Cut, MarginAccount, VenueInputs
from aggregator.margin.policy import parse_policy
from aggregator.margin.status import Status
from chains.identifiers import Account
from chains.model import Finality, Reason
from tests.unit.aggregator.builders import (
    CHAIN,
    JUNK,
    NOW,
    OTHER_CHAIN,
    OWNER,
    POLICY,
    USDC,
    WETH,
    Holding,
    Price,
    assets,
    block,
    borrower,
    observation,
    policy,
    unit,
    venue,
)

OWNERS = tuple(bytes([number]) * 20 for number in range(1, 9))
ACME = MarginAccount(id="acme", members=(str(Account(CHAIN, OWNER)), str(Account(OTHER_CHAIN, OWNERS[0]))))
PRICES = {WETH: Price(usd=2000), USDC: Price(usd=1, threshold_bp=9_000), JUNK: Price(usd=3)}
CHAINS = (CHAIN, OTHER_CHAIN)


def owned(found: VenueInputs, holdings: Mapping[bytes, Holding]) -> VenueInputs:
    units = tuple(replace(unit(holding), unit_id=owner, owner=owner) for owner, holding in sorted(holdings.items()))
    return replace(found, units=units)


class Chance:
    """A random history: each step changes one of what a book is made of, or goes back to an earlier state."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._held = {chain: {owner: self._holding() for owner in (OWNER, *OWNERS)} for chain in CHAINS}
        self._number = dict.fromkeys(CHAINS, 100)
        self._eth, self._junk = 2000.0, 3.0
        self._condition, self._policy = Condition(), policy()
        self._accounts: tuple[MarginAccount, ...] = (ACME,)

    def steps(self, count: int) -> Iterator[BookInputs]:
        seen = [self._inputs()]
        yield seen[0]
        for _ in range(count):
            if self._chance.random() < 0.2:
                yield self._chance.choice(seen)
                continue
            self._change()
            seen.append(self._inputs())
            yield seen[-1]

    def _holding(self) -> Holding:
        chance = self._chance
        held = {WETH: chance.uniform(0, 3), JUNK: chance.uniform(0, 9)}
        return Holding(supplied=held, owed={USDC: chance.choice((0.0, chance.uniform(0, 5000)))}, flagged=(WETH, JUNK))

    def _change(self) -> None:
        chance = self._chance
        chain = chance.choice(CHAINS)
        match chance.randrange(8):
            case 0 | 1:
                self._held[chain][chance.choice(OWNERS)] = self._holding()
            case 2:
                self._held[chain].pop(chance.choice(OWNERS), None)
            case 3:
                self._number[chain] += 1
            case 4:
                self._eth *= chance.uniform(0.5, 1.5)
            case 5:
                self._junk *= chance.uniform(0.5, 1.5)
            case 6:
                stale = (Reason("chain_stale", chain, "late"),) if chance.random() < 0.5 else ()
                self._condition = Condition(
                    stale_chains=stale, gaps=(Reason("venue_filling", "toy-1", "missing"),)[: chance.randrange(2)]
                )
            case _:
                said = POLICY.replace("danger_below = 1.1", f"danger_below = {chance.uniform(1.05, 1.4):.3f}")
                self._policy = parse_policy(said)
                self._accounts = (ACME,) if chance.random() < 0.5 else ()

    def _inputs(self) -> BookInputs:
        venues = []
        for number, chain in enumerate(CHAINS, 1):
            prices = PRICES | {JUNK: Price(usd=self._junk)}
            found = owned(venue(prices, name=f"toy-{number}", chain=chain), self._held[chain])
            snapshot = replace(found.snapshot, at=block(self._number[chain], NOW + 12 * (self._number[chain] - 100)))
            venues.append(replace(found, snapshot=snapshot))
        return BookInputs(
            cuts={
                each.snapshot.venue.chain_id: Cut(block=each.snapshot.at, finality=Finality.LATEST) for each in venues
            },
            catalogue=Catalogue(
                venues=tuple(each.snapshot.venue for each in venues),
                feeds=(),
                assets=assets(),
                policy=self._policy,
                accounts=self._accounts,
            ),
            condition=self._condition,
            venues=tuple(venues),
            observations=(observation(WETH, self._eth), observation(USDC, 1.0)),
        )


def numbers(version: Version) -> dict[str, Numbers | str | None]:
    found: dict[str, Numbers | str | None] = {}
    for name in version.order:
        try:
            found[name] = version.standing.account(name)
        except HeldBack:
            found[name] = "held back"
    return found


@pytest.mark.parametrize("seed", range(6))
def test_after_any_steps_it_is_the_book_made_anew(seed: int) -> None:
    live = LiveBook()

    for inputs in Chance(seed).steps(25):
        ours, anew = live.take(inputs), LiveBook().take(inputs)

        assert ours.book.accounts == anew.book.accounts
        assert (ours.rows, ours.order, ours.statuses) == (anew.rows, anew.order, anew.statuses)
        assert numbers(ours) == numbers(anew)
        assert set(ours.standing.names) >= set(ours.order)


def test_units_of_a_chain_that_is_known_further_on_are_opened_anew() -> None:
    """The block is the same; ages count up to the moment, by which prices that venues take are too old."""
    (first,) = Chance(7).steps(0)
    soon, later = (
        replace(first, cuts={chain: replace(cut, until=NOW + age_s) for chain, cut in first.cuts.items()})
        for age_s in (10, 50_000)
    )

    before, anew = judged(soon), judged(later)
    found = judged(later, before)

    assert (found.units, found.accounts) == (anew.units, anew.accounts)
    assert {held_in.now for held_in in found.units} == {NOW + 50_000}
    assert judged(soon, before).units[0] is before.units[0]


def test_a_step_values_only_whom_it_concerns() -> None:
    live, chance = LiveBook(), Chance(7)
    (first,) = chance.steps(0)
    before = live.take(first)
    changed = owned(
        first.venues[0], {owner: borrower(100, weth=1) if owner == OWNERS[3] else Holding() for owner in OWNERS}
    )
    others = tuple(each for each in first.venues[0].units if each.owner != OWNERS[3])
    mine = tuple(each for each in changed.units if each.owner == OWNERS[3])
    units = tuple(sorted((*others, *mine), key=lambda each: each.unit_id))

    after = live.take(replace(first, venues=(replace(first.venues[0], units=units), *first.venues[1:])))

    old = {each.account.id: each for each in before.book.accounts}
    assert [each.account.id for each in after.book.accounts if old[each.account.id] is not each] == [
        str(Account(CHAIN, OWNERS[3]))
    ]
    assert before.number + 1 == after.number


def test_pages_go_from_the_worst_to_the_best_and_leave_nobody_out() -> None:
    (inputs,) = Chance(3).steps(0)

    version = LiveBook().take(inputs)

    whole = version.page(limit=1000)
    paged = [row for offset in range(0, len(version), 3) for row in version.page(offset=offset, limit=3)]
    assert paged == list(whole)
    assert {row.account for row in whole} == {each.account.id for each in version.book.accounts}
    severities = [list(Status).index(row.status) for row in whole]
    assert severities == sorted(severities, reverse=True)
    assert len({row.status for row in whole}) > 1
    assert sum(version.statuses.values()) == len(whole)
    assert version.page(status=whole[0].status, limit=1) == whole[:1]
    with pytest.raises(ValueError, match="negative"):
        version.page(offset=-1)
