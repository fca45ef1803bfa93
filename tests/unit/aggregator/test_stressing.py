"""A stressed book is the book that would be made at the moved prices: by the house's rules and by the venues'."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from aggregator.at_risk import at_risk
from aggregator.book import AssessedAccount, Book, BookInputs, judged
from aggregator.gather import Catalogue, Condition
from aggregator.margin.inputs import Cut, MarginAccount, VenueInputs
from aggregator.margin.policy import parse_policy
from aggregator.risk.scenarios import Library, Rule, Scenario, ScenarioError, parse_library, shocked
from aggregator.stressed_assets import held_of
from aggregator.stressing import stress
from chains.identifiers import Account, token
from chains.model import Finality
from tests.unit.aggregator.builders import (
    CHAIN,
    OTHER_CHAIN,
    POLICY,
    USDC,
    WETH,
    Holding,
    Price,
    assets,
    block,
    observation,
    unit,
    venue,
)

CHAINS = (CHAIN, OTHER_CHAIN)
ETHER, DOLLAR = 2_000.0, 1.0
POLICY_WITH_DOLLARS = POLICY + "[layers.class.stable]\nusd_like = true\n"
SECOND = '[[pool]]\nid = "second"\nvenues = ["toy-2"]\n'
ISOLATED = '[[pool]]\nid = "alone"\nkind = "isolated"\nvenues = ["toy-2"]\n'


@pytest.fixture(scope="module")
def library() -> Library:
    document = Path(__file__).parents[3] / "config" / "scenarios.toml"
    return parse_library(tomllib.loads(document.read_text(encoding="utf-8")))


def book(
    holdings: Mapping[str, list[Holding]],
    *,
    ether: float = ETHER,
    dollar: float = DOLLAR,
    policy: str = POLICY_WITH_DOLLARS,
    accounts: tuple[MarginAccount, ...] = (),
) -> Book:
    """Make a book of a venue on each chain; an owner is a byte, so that one has something at both."""
    prices = {WETH: Price(usd=ether), USDC: Price(usd=dollar, threshold_bp=9_000)}
    venues = tuple(
        _owned(venue(prices, name=f"toy-{number}", chain=chain), holdings[chain])
        for number, chain in enumerate(CHAINS, 1)
    )
    return judged(
        BookInputs(
            cuts={chain: Cut(block=block(), finality=Finality.LATEST) for chain in CHAINS},
            catalogue=Catalogue(
                venues=tuple(each.snapshot.venue for each in venues),
                feeds=(),
                assets=assets(),
                policy=parse_policy(policy),
                accounts=accounts,
            ),
            condition=Condition(),
            venues=venues,
            observations=(observation(WETH, ether), observation(USDC, dollar)),
        )
    )


def _owned(found: VenueInputs, holdings: list[Holding]) -> VenueInputs:
    return replace(found, units=tuple(replace(unit(each), unit_id=each.owner) for each in holdings))


def owner(number: int) -> bytes:
    return number.to_bytes(2, "big") * 10


def borrowers(count: int, seed: int) -> list[Holding]:
    chance = random.Random(seed)
    return [
        Holding(
            supplied={WETH: chance.uniform(0, 3), USDC: chance.choice((0.0, chance.uniform(0, 2_000)))},
            owed={chance.choice((USDC, WETH)): 0.0} | {USDC: chance.uniform(500, 3_500)},
            owner=owner(number),
        )
        for number in range(1, count + 1)
    ]


def moved(found: Book, ether: float, dollar: float = 0.0) -> Scenario:
    return shocked("moved", {"ETH": ether, "USDC": dollar}, held_of(found, "BTC"))


@pytest.mark.parametrize("ether, dollar", [(-0.3, 0.0), (-0.05, -0.12), (0.25, 0.05), (0.0, 0.0), (-0.9, 0.0)])
def test_a_scenario_finds_who_falls_in_the_book_made_at_those_prices(ether: float, dollar: float) -> None:
    holdings = {CHAIN: borrowers(60, 1), OTHER_CHAIN: borrowers(40, 2)}
    before, after = book(holdings), book(holdings, ether=ETHER * (1 + ether), dollar=DOLLAR * (1 + dollar))

    found = stress(before, [moved(before, ether, dollar)])

    [result] = found.results
    assert not found.left_out
    assert not found.unmeasured
    below = [
        each.account.id for each in after.accounts if (factor := each.house.health_factor) is not None and factor < 1
    ]
    assert result.house.below == len(below)
    for name, group in result.venues.items():
        units = [each.unit for each in after.units if each.venue.id == name]
        assert group.liquidatable == sum(each.liquidatable is True for each in units)
        owed = [each.debt_base or 0 for each in units if each.liquidatable]
        assert group.debt_usd == pytest.approx(sum(owed) / 1e8, rel=1e-6)
        lacking = [(each.debt_base or 0) - (each.collateral_base or 0) for each in units]
        assert group.shortfall_usd == pytest.approx(sum(max(each, 0) for each in lacking) / 1e8, rel=1e-6, abs=1e-6)


def test_numbers_by_hand() -> None:
    # 1 WETH of 2,000 at a threshold of 80 % covers 1,600; owed are 1,500. Down 10 %: 1,440, liquidated, and worth 1,800: nothing lacks.
    # Down 50 %: 1,000 against 1,500: 500 lack.
    found = book({CHAIN: [Holding(supplied={WETH: 1}, owed={USDC: 1_500}, owner=owner(1))], OTHER_CHAIN: []})

    told = stress(found, [moved(found, move) for move in (-0.05, -0.1, -0.5)])

    groups = [each.venues["toy-1"] for each in told.results]
    assert [(each.liquidatable, each.newly) for each in groups] == [(0, 0), (1, 1), (1, 1)]
    assert [each.debt_usd for each in groups] == pytest.approx([0, 1_500, 1_500])
    assert [each.shortfall_usd for each in groups] == pytest.approx([0, 0, 500])
    [fragile] = told.fragile
    assert fragile.breaches == 2
    assert fragile.worst_usd == pytest.approx(800 - 1_500)
    assert [each.house.shortfall_usd for each in told.results] == pytest.approx([0, 0, 500])


def test_two_assets_of_one_identity_move_apart(library: Library) -> None:
    """Only what came to the other chain is worth nothing any more; who has it there falls."""
    same = Holding(supplied={WETH: 1}, owed={USDC: 1_000}, owner=owner(1))
    found = book({CHAIN: [same], OTHER_CHAIN: [replace(same, owner=owner(2))]})
    bridged = str(token(OTHER_CHAIN, WETH))

    [result] = stress(found, [shocked("bridge", {bridged: -1.0}, held_of(found, library.mapping.market))]).results

    assert [result.venues[name].liquidatable for name in ("toy-1", "toy-2")] == [0, 1]
    assert result.venues["toy-2"].shortfall_usd == pytest.approx(1_000)
    assert result.house.below == 1
    assert result.house.shortfall_usd == pytest.approx(1_000)


def test_who_cannot_be_judged_is_named_and_not_counted_as_sound() -> None:
    mute = Holding(supplied={WETH: 1}, owed={USDC: 1_500}, owner=owner(1), mute="not_supported")
    found = book({CHAIN: [mute], OTHER_CHAIN: []})

    told = stress(found, [moved(found, -0.5)])

    assert [(each.code, told.units) for each in told.left_out] == [("venue_unknown", 0)]
    assert told.unmeasured == (found.accounts[0].account.id,)


def with_pools(holdings: Mapping[str, list[Holding]], policy: str, *, ether: float = ETHER) -> Book:
    """Make a book in which whoever has something on both chains is one account."""
    owners = sorted({each.owner for held in holdings.values() for each in held})
    accounts = tuple(
        MarginAccount(id=each.hex(), members=tuple(str(Account(chain, each)) for chain in CHAINS)) for each in owners
    )
    return book(holdings, ether=ether, policy=POLICY_WITH_DOLLARS + policy, accounts=accounts)


def is_below(found: AssessedAccount) -> bool:
    """Whether the house's rules, pool by pool, say so."""
    judged_alone = (each.factors for each in found.assessment.pools)
    factors = [each.mid for each in judged_alone if each is not None]
    return min([*factors, found.assessment.margins.mid.health_factor]) < 1


@pytest.mark.parametrize("policy", [SECOND, ISOLATED, ISOLATED + "count_excess = true\n"])
def test_who_is_judged_by_pools_is_named_and_not_counted_as_sound(policy: str) -> None:
    # 10 WETH of 1,400 at 80 % cover 11,200 of 12,000, whatever is in the other pool.
    rich = Holding(supplied={WETH: 10}, owed={}, owner=owner(1))
    holdings = {CHAIN: [rich], OTHER_CHAIN: [replace(rich, owed={USDC: 12_000})]}
    before, after = (with_pools(holdings, policy, ether=ether) for ether in (ETHER, 0.7 * ETHER))

    told = stress(before, [moved(before, -0.3)])

    assert is_below(after.accounts[0])
    assert told.unmeasured == (owner(1).hex(),)
    assert told.results[0].house.below == 0


@pytest.mark.parametrize("policy", [SECOND, ISOLATED])
def test_who_has_all_that_counts_in_one_pool_is_measured(policy: str) -> None:
    owing = Holding(supplied={WETH: 1}, owed={USDC: 1_500}, owner=owner(1))
    idle = Holding(supplied={WETH: 1}, owed={}, flagged=(), owner=owner(1))

    found = with_pools({CHAIN: [owing], OTHER_CHAIN: [idle]}, policy)

    [result] = stress(found, [moved(found, -0.1)]).results
    assert (result.house.below, result.house.newly) == (1, 1)


@pytest.mark.parametrize("policy", ["", SECOND, ISOLATED, ISOLATED + "count_excess = true\n"])
@pytest.mark.parametrize("ether", [-0.3, -0.05, 0.25])
def test_with_pools_a_scenario_finds_everybody_who_falls_or_names_them(policy: str, ether: float) -> None:
    holdings = {CHAIN: borrowers(40, 1), OTHER_CHAIN: borrowers(60, 2)[20:]}
    before, after = (with_pools(holdings, policy, ether=price) for price in (ETHER, ETHER * (1 + ether)))

    told = stress(before, [moved(before, ether)])

    measured = [each for each in after.accounts if each.account.id not in told.unmeasured]
    assert measured
    assert bool(told.unmeasured) is bool(policy)
    assert told.results[0].house.below == sum(map(is_below, measured))


def test_a_venue_that_judges_by_another_rule_is_left_out_by_name() -> None:
    found = book({CHAIN: [Holding(supplied={WETH: 1}, owed={USDC: 1_500}, owner=owner(1))], OTHER_CHAIN: []})
    own = found.units[0]
    other = replace(own, unit=replace(own.unit, health_factor_wad=2 * 10**18))

    told = stress(replace(found, units=(other,)), [moved(found, -0.5)])

    assert [each.code for each in told.left_out] == ["venue_rule"]
    assert told.units == 0


@pytest.mark.parametrize("fall, breaches", [(0.0, 0), (-0.0310, 0), (-0.0311, 1)])
def test_a_venue_that_takes_the_average_threshold_down_is_moved_from_what_it_says(fall: float, breaches: int) -> None:
    """2,000 at 80 % and 2,500 at 90 % are 85.5555 % of 4,500, of which it counts 85.55 %: 3,849.75, by a fall of 3.11 % 3,800."""
    told = stress(averaging(3_849.75), [moved(averaging(3_849.75), fall)])

    assert (told.units, told.left_out) == (1, ())
    assert [each.venues["toy-1"].liquidatable for each in told.results] == [breaches]


def test_a_venue_that_reckons_in_a_token_is_left_out_by_name() -> None:
    held = Holding(supplied={WETH: 1}, owed={USDC: 1_000}, owner=owner(1))
    found = book({CHAIN: [held], OTHER_CHAIN: []})
    [own] = found.units
    in_token = replace(found, units=(replace(own, unit=replace(own.unit, in_token=True)),))

    assert [each.code for each in stress(in_token, [moved(in_token, 0.0)]).left_out] == ["venue_not_in_usd"]


@pytest.mark.parametrize("covers", [3_849.54, 3_850.1])
def test_what_no_average_explains_is_another_rule(covers: float) -> None:
    """A basis point of 4,500 is 0.45."""
    assert [each.code for each in stress(averaging(covers), [moved(averaging(covers), 0.0)]).left_out] == ["venue_rule"]


def averaging(covers: float) -> Book:
    """A unit that owes 3,800, of whose collateral its venue says that it covers so much."""
    held = Holding(supplied={WETH: 1, USDC: 2_500}, owed={USDC: 3_800}, owner=owner(1))
    found = book({CHAIN: [held], OTHER_CHAIN: []})
    own = found.units[0]
    factor = int(covers / 3_800 * 10**18)
    return replace(found, units=(replace(own, unit=replace(own.unit, health_factor_wad=factor)),))


def test_a_scenario_that_says_nothing_of_what_is_held_is_refused() -> None:
    found = book({CHAIN: borrowers(3, 1), OTHER_CHAIN: []})

    with pytest.raises(ScenarioError, match="which somebody holds"):
        stress(found, [Scenario(id="empty", name="empty", moves=())])


def test_an_empty_book_is_refused() -> None:
    with pytest.raises(ScenarioError, match="nobody holds"):
        moved(book({CHAIN: [], OTHER_CHAIN: []}), -0.1)


def test_moves_of_a_book_keep_their_rules() -> None:
    found = book({CHAIN: borrowers(3, 1), OTHER_CHAIN: []})

    made = shocked("fall", {"ETH": -0.2}, held_of(found, "BTC"))

    assert {applied.asset: (applied.move, applied.rule) for applied in made.moves} == {
        str(token(CHAIN, WETH)): (-0.2, Rule.SAID),
        str(token(CHAIN, USDC)): (0.0, Rule.UNTOUCHED),
    }


def test_liquidations_against_price_by_hand(library: Library) -> None:
    # Owner 1 falls below 1,875 (−6.25 %), owner 2 below 1,250 (−37.5 %): 1,000 / 0.8.
    first = Holding(supplied={WETH: 1}, owed={USDC: 1_500}, owner=owner(1))
    second = Holding(supplied={WETH: 1}, owed={USDC: 1_000}, owner=owner(2))
    found = at_risk(book({CHAIN: [first], OTHER_CHAIN: [second]}), library)

    ether = {point.move: point for point in found.alone["ETH"]}
    assert [ether[move].units for move in (-0.05, -0.1, -0.4)] == [0, 1, 2]
    assert [ether[move].debt_usd for move in (-0.05, -0.1, -0.4)] == pytest.approx([0, 1_500, 2_500])
    deep = next(point for point in found.jointly if point.move == -0.5)
    assert deep.by_chain == pytest.approx({CHAIN: 1_500, OTHER_CHAIN: 1_000})
    assert deep.by_asset == pytest.approx({str(token(chain, WETH)): 1_000 for chain in CHAINS})
    assert deep.shortfall_usd == pytest.approx(500)
    assert [share for _, share in deep.top] == pytest.approx([1_500, 1_000])
    assert deep.top_share == pytest.approx(1)


def test_reverse_stress_by_hand() -> None:
    # 1 WETH of 2,000 against 1,500: more than 100 lack from 1,400 down, which is three times −10 %; nothing is never too much.
    found = book({CHAIN: [Holding(supplied={WETH: 1}, owed={USDC: 1_500}, owner=owner(1))], OTHER_CHAIN: []})

    told = stress(found, [moved(found, -0.1), moved(found, 0.0), moved(found, -0.9)], 100.0)
    none = stress(found, [moved(found, -0.9)], 1_600.0)

    assert [each.multiple for each in told.results] == [pytest.approx(3), None, pytest.approx(1 / 3)]
    assert none.results[0].multiple is None
    assert [each.multiple for each in stress(found, [moved(found, -0.1)]).results] == [None]
