"""The score of an account is the chance that it, or one of its units, is liquidatable within a day."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import pytest

from aggregator.margin.canonical import from_json, to_json
from aggregator.margin.document import HealthDocument
from aggregator.margin.health import evaluate
from aggregator.margin.inputs import Asset, HealthInputs
from aggregator.margin.policy import parse_policy
from aggregator.margin.risk import NO_RISK, AssetRisk, RiskInputs
from aggregator.margin.status import Status
from aggregator.risk.breach import breach_score
from aggregator.risk.grid import CHANCES
from chains.identifiers import token
from chains.model import Reason
from tests.unit.aggregator.builders import (
    CHAIN,
    JUNK,
    OTHER_CHAIN,
    POLICY,
    USDC,
    WETH,
    Holding,
    Price,
    borrower,
    escrow,
    inputs,
    liabilities,
    observation,
    venue,
)

PRICES = {WETH: Price(usd=2000), USDC: Price(usd=1, threshold_bp=9_000)}
SWING = 0.04


def estimated(swing: float = SWING, usdc: float | None = 0.001) -> RiskInputs:
    """Walks at random: a day falls below d with twice the chance that it ends there."""
    swings = {"ETH": swing} | ({} if usdc is None else {"USDC": usdc})
    return RiskInputs(
        assets=tuple(
            AssetRisk(
                identity=name,
                maintenance=0.0,
                initial=0.0,
                rise_maintenance=0.0,
                rise_initial=0.0,
                deviation=own,
                swing=own,
                basis="fhs",
                days=1000,
                last_day="2023-11-13",
            )
            for name, own in swings.items()
        ),
        correlation=tuple(tuple(float(a == b) for b in swings) for a in swings),
        minima=tuple(-NormalDist().inv_cdf(chance / 2) for chance in CHANCES),
    )


def asked(what: HealthInputs, risk: RiskInputs | None = None) -> HealthDocument:
    return evaluate(replace(what, risk=risk or estimated()))


def chance(document: HealthDocument) -> float:
    assert document.breach_probability_24h is not None
    return float(document.breach_probability_24h)


def known(factor: float, swing: float = SWING) -> float:
    return 2 * NormalDist().cdf(-math.log(factor) / swing)


def test_of_one_collateral_it_is_the_chance_that_the_price_falls_by_the_health_factor() -> None:
    document = asked(inputs(venue(PRICES, borrower(1500, weth=1))))

    assert document.health_factor == "1.066666"
    together = 1 - (1 - known(1600 / 1500)) ** 2
    assert chance(document) == pytest.approx(together, rel=0.01)
    assert document.score == breach_score(chance(document))
    assert document.score_basis == "breach_probability_24h"


def test_who_is_farther_away_scores_higher() -> None:
    scores = [asked(inputs(venue(PRICES, borrower(owed, weth=1)))).score for owed in (1590, 1500, 1400, 1300, 1000)]

    assert scores == sorted(scores, key=lambda score: score or 0)
    assert scores[-1] == 100


def test_of_two_units_either_may_be_reached() -> None:
    one = asked(inputs(venue(PRICES, borrower(1400, weth=1))))
    two = asked(
        inputs(
            venue(PRICES, borrower(1400, weth=1)),
            venue(PRICES, borrower(1400, weth=1), name="toy-2", chain=OTHER_CHAIN),
        )
    )

    assert chance(two) > chance(one)


SECOND = '\n[[pool]]\nid = "second"\nvenues = ["toy-2"]\n'
LENDING = '\n[[pool]]\nid = "alone"\nkind = "isolated"\nvenues = ["toy-2"]\ncount_excess = true\n'


@pytest.mark.parametrize("pools", [SECOND, LENDING])
def test_what_another_pool_has_makes_no_pool_less_likely_to_be_liquidatable(pools: str) -> None:
    """The venue counts 0.9 of WETH where the house counts 0.8, so that the pool by itself is what prices take first."""
    near = venue({**PRICES, WETH: Price(usd=2000, threshold_bp=9_000)}, borrower(1550, weth=1))
    rich = venue(PRICES, borrower(1, weth=100), name="toy-2", chain=OTHER_CHAIN)

    document = asked(replace(inputs(near, rich), policy=parse_policy(POLICY + pools)))
    alone = asked(inputs(near))

    assert document.health_factor is not None
    assert float(document.health_factor) > 50
    assert next(pool.health_factor for pool in document.pools) == alone.health_factor == "1.032258"
    assert chance(alone) > known(1600 / 1550)
    assert chance(document) == pytest.approx(chance(alone), rel=1e-3)
    assert document.score == alone.score


def test_a_price_that_moves_more_makes_it_likelier() -> None:
    what = inputs(venue(PRICES, borrower(1400, weth=1)))

    assert chance(asked(what, estimated(0.03))) < chance(asked(what, estimated(0.06)))


def test_without_histories_the_score_goes_by_bands() -> None:
    document = asked(inputs(venue(PRICES, borrower(1500, weth=1))), NO_RISK)

    assert (document.score_basis, document.breach_probability_24h) == ("bands", None)
    assert document.score is not None
    assert "breach_not_estimated" not in {reason.code for reason in document.reasons}


def test_by_bands_the_lowest_health_factor_of_house_pools_and_units_counts() -> None:
    """The first venue takes half of WETH: 1000 / 900 there, and 1600 / 900 at the house; beside a rich pool, 1600 / 1400 in the other."""
    strict = venue({**PRICES, WETH: Price(usd=2000, threshold_bp=5_000)}, borrower(900, weth=1))
    near = venue({**PRICES, WETH: Price(usd=2000, threshold_bp=9_000)}, borrower(1400, weth=1))
    rich = venue(PRICES, borrower(1, weth=100), name="toy-2", chain=OTHER_CHAIN)

    of_unit = asked(inputs(strict), NO_RISK)
    of_pool = asked(replace(inputs(near, rich), policy=parse_policy(POLICY + SECOND)), NO_RISK)

    assert (of_unit.min_unit_health_factor, of_unit.health_factor) == ("1.111111", "1.777777")
    assert of_unit.score == 33 + int(34 * (1000 / 900 - 1.1) / 0.4)
    assert of_pool.score == 33 + int(34 * (1600 / 1400 - 1.1) / 0.4)


def test_debt_that_nobody_can_say_how_it_moves_leaves_the_score_to_bands_and_says_so() -> None:
    owing = Holding(supplied={USDC: 3000}, owed={JUNK: 500})
    prices = PRICES | {JUNK: Price(usd=1)}

    document = asked(inputs(venue(prices, owing), observations=[observation(USDC, 1.0)]))

    assert document.score_basis == "bands"
    assert "breach_not_estimated" in {reason.code for reason in document.reasons}


def test_a_gift_without_a_history_changes_nothing() -> None:
    plain = asked(inputs(venue(PRICES, borrower(1400, weth=1))))
    gifted = replace(borrower(1400, weth=1, junk=1), flagged=(WETH, JUNK))
    with_gift = asked(inputs(venue(PRICES | {JUNK: Price(usd=1)}, gifted)))

    assert with_gift.score_basis == plain.score_basis
    assert chance(with_gift) == pytest.approx(chance(plain), rel=0.02)


@pytest.mark.parametrize("kind", ["a venue that takes ETH for 1,700", "an escrow"])
def test_a_gift_that_lost_its_price_takes_nothing_out_of_what_is_required(kind: str) -> None:
    """One JUNK that was last a dollar, beside 10 ETH against 13,300, or 1 ETH that 1,900 is required of."""

    def held(junk: int) -> HealthInputs:
        gift = {JUNK: float(junk)} if junk else {}
        if kind == "an escrow":
            venues = (escrow({WETH: 1.0, **gift}, said=liabilities("1900")),)
        else:
            prices = {WETH: Price(usd=1_700), USDC: PRICES[USDC], JUNK: Price(usd=1, threshold_bp=5_000)}
            unit = Holding(supplied={WETH: 10.0, **gift}, owed={USDC: 13_300}, flagged=(WETH, JUNK))
            venues = (venue(prices, unit),)
        found = inputs(
            *venues,
            observations=[observation(WETH, 2_000.0), observation(USDC, 1.0), observation(JUNK, 1.0, age_s=9_000)],
        )
        junk_asset = Asset(id=str(token(CHAIN, JUNK)), symbol="JUNK", asset_class="major", same_as="JUNK")
        return replace(found, assets=(*found.assets, junk_asset))

    without, gifted = (asked(held(junk)) for junk in (0, 1))

    assert "collateral_unpriced" in {reason.code for reason in gifted.reasons}
    assert chance(gifted) == pytest.approx(chance(without), abs=2e-6)
    assert chance(gifted) > 0.1
    assert gifted.score == without.score


def test_who_is_liquidatable_scores_nothing_and_who_is_unknown_has_no_score() -> None:
    gone = asked(inputs(venue(PRICES, borrower(1700, weth=1))))
    mute = asked(inputs(venue(PRICES, replace(borrower(1000, weth=1), mute="unsupported_version"))))

    assert (gone.status, gone.score, chance(gone)) == (Status.LIQUIDATABLE, 0, 1.0)
    assert (mute.status, mute.score, mute.score_basis) == (Status.UNKNOWN, None, None)


def test_of_who_is_unknown_no_chance_is_told() -> None:
    """All is known of the account but what happened on its chain since."""
    stale = Reason("chain_stale", CHAIN, "silent")

    document = asked(inputs(venue(PRICES, borrower(1400, weth=1)), stale_chains=[stale]))

    assert (document.status, document.score, document.breach_probability_24h) == (Status.UNKNOWN, None, None)


def test_without_debt_there_is_nothing_to_reach() -> None:
    document = asked(inputs(venue(PRICES, Holding(supplied={WETH: 1}))))

    assert (document.score, document.score_basis, document.breach_probability_24h) == (100, None, None)


def test_the_same_comes_of_the_stored_inputs() -> None:
    what = replace(inputs(venue(PRICES, borrower(1450, weth=1))), risk=estimated())

    assert evaluate(from_json(to_json(what))) == evaluate(what)
