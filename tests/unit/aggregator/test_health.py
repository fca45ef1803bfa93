"""The rules by which an account is judged, one by one. WETH: threshold 0.8, haircut 0.25; USDC: 0.9, 0.1."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aggregator.margin.account import LOW_BOUND_NOT_HEALTHY
from aggregator.margin.canonical import from_json, to_json
from aggregator.margin.document import HealthDocument
from aggregator.margin.health import evaluate
from aggregator.margin.inputs import OtherMethodology
from aggregator.margin.status import Status
from aggregator.oracle.mark import Discarded, Refusal, Unpriced
from chains.model import FeedSpec, Reason, Side
from tests.unit.aggregator.arrays.books import mark, toy
from tests.unit.aggregator.builders import (
    CHAIN,
    JUNK,
    MAX,
    NOW,
    OTHER_CHAIN,
    USDC,
    WETH,
    Holding,
    Price,
    assets,
    borrower,
    inputs,
    observation,
    source,
    venue,
)

PRICES = {WETH: Price(usd=2000), USDC: Price(usd=1, threshold_bp=9_000)}
STALE_CHAIN = Reason("chain_stale", CHAIN, "the nodes have not answered for 120 s")


def codes(document: HealthDocument) -> set[str]:
    return {reason.code for reason in document.reasons}


def test_the_house_health_factor_is_maintenance_collateral_over_maintenance_debt() -> None:
    document = evaluate(
        inputs(venue(PRICES, borrower(8000, weth=10)), observations=[observation(WETH, 2000.0, deviation=0.01)])
    )

    assert document.health_factor == "2.000000"  # 10 · 2000 · 0.8 / 8000
    assert document.health_factor_interval is not None
    assert document.health_factor_interval.low == "1.980000"  # 10 · 1980 · 0.8 / 8000
    assert document.health_factor_interval.high == "2.020000"  # 10 · 2020 · 0.8 / 8000
    assert document.collateral.raw == "20000.00000000"
    assert document.collateral.haircut == "14850.00000000"  # 10 · 1980 · 0.75
    assert document.headroom == "6850.00000000"  # 14850 − 8000 · 1.0
    assert document.ltv == "0.400000"  # 8000 / 20000
    assert document.risk_adjusted_ltv == "0.500000"  # 8000 / 16000
    assert document.status is Status.HEALTHY


def test_members_on_two_chains_are_one_account_with_one_price_per_identity() -> None:
    document = evaluate(
        inputs(
            venue(PRICES, Holding(supplied={WETH: 1}), name="toy-1"),
            venue(PRICES, borrower(1000, weth=1), name="toy-10", chain=OTHER_CHAIN),
            observations=[observation(WETH, 2000.0)],
        )
    )

    assert document.health_factor == "3.200000"  # 2 · 2000 · 0.8 / 1000
    assert document.min_unit_health_factor == "1.600000"  # 1 · 2000 · 0.8 / 1000, on the second chain alone
    assert [price.identity for price in document.prices] == ["ETH", "USDC"]
    assert [item.venue for item in document.venues] == ["toy-1", "toy-10"]


def test_without_a_feed_the_venues_own_price_is_an_observation() -> None:
    document = evaluate(inputs(venue(PRICES, borrower(8000, weth=10))))

    (eth, _) = document.prices
    assert [(feed.kind, feed.used, feed.heartbeat_s) for feed in eth.feeds] == [("venue", True, 3600)]
    assert (eth.low, eth.high) == ("1980.000000000000", "2020.000000000000")  # the class says 1 %


def test_a_price_in_a_token_is_none_in_usd_however_many_decimals_it_has() -> None:
    """As a venue with loans in WBTC, which has eight like a dollar of most venues: five of it are not worth five dollars."""
    held = Holding(supplied={WETH: 10}, owed={USDC: 8000})

    documents = [evaluate(inputs(venue(PRICES, replace(held, in_token=said)))) for said in (False, True)]

    assert [document.status for document in documents] == [Status.HEALTHY, Status.UNKNOWN]
    assert {price.mid for price in documents[1].prices} == {None}
    assert {"debt_unpriced", "collateral_unpriced"} <= codes(documents[1])


def test_with_a_feed_the_venues_own_price_is_none() -> None:
    document = evaluate(
        inputs(venue(PRICES, borrower(8000, weth=10)), observations=[observation(WETH, 2000.0, age_s=99_999)])
    )

    assert document.prices[0].mid is None
    assert [feed.reason for feed in document.prices[0].feeds] == ["stale"]


@pytest.mark.parametrize(
    "owed, status, score",
    [
        (5333.0, Status.HEALTHY, 100),  # 16000 / 5333 = 3.0002
        (8000.0, Status.HEALTHY, 78),  # 2.0: 67 + 33 · 0.5 / 1.5
        (11_000.0, Status.WATCH, 62),  # 1.4545: 33 + 34 · 0.3545 / 0.4 = 63.1, at the low of 1 %: still watch
        (14_700.0, Status.DANGER, 29),  # 1.0884: 33 · 0.0884 / 0.1
        (15_900.0, Status.DANGER, 2),  # 1.0062, and 0.9962 at the low
        (16_100.0, Status.LIQUIDATABLE, 0),  # 0.9937
    ],
)
def test_the_status_has_bands_and_the_score_follows(owed: float, status: Status, score: int) -> None:
    document = evaluate(inputs(venue(PRICES, borrower(owed, weth=10))))

    assert document.status is status
    assert document.score == pytest.approx(score, abs=1)


def test_a_low_end_below_one_is_danger_whatever_the_middle_says() -> None:
    wide = observation(WETH, 2000.0, deviation=0.4)

    document = evaluate(inputs(venue(PRICES, borrower(10_000, weth=10)), observations=[wide]))

    assert document.health_factor == "1.600000"
    assert document.health_factor_interval is not None
    assert document.health_factor_interval.low == "0.960000"  # 10 · 1200 · 0.8 / 10000
    assert document.status is Status.DANGER


def test_the_status_is_never_better_than_the_worst_units() -> None:
    document = evaluate(
        inputs(
            venue(PRICES, Holding(supplied={WETH: 1000}), name="toy-1"),
            venue(PRICES, borrower(1601, weth=1), name="toy-10", chain=OTHER_CHAIN),
        )
    )

    assert document.min_unit_health_factor == "0.999375"  # 1600 / 1601
    assert document.venues[1].units[0].liquidatable is True
    assert (document.status, document.score) == (Status.LIQUIDATABLE, 0)


def test_without_debt_there_is_no_health_factor_and_the_score_is_full() -> None:
    document = evaluate(inputs(venue(PRICES, Holding(supplied={WETH: 1, JUNK: 7}, flagged=(WETH, JUNK)))))

    assert (document.status, document.score) == (Status.NO_DEBT, 100)
    assert (document.health_factor, document.health_factor_interval, document.min_unit_health_factor) == (None,) * 3
    assert document.ltv == "0.000000"
    assert "collateral_unpriced" in codes(document) or "unit_unknown" in codes(document)


def test_a_native_health_factor_without_debt_stays_as_the_venue_gives_it() -> None:
    (unit,) = evaluate(inputs(venue(PRICES, Holding(supplied={WETH: 1})))).venues[0].units

    assert unit.native == {"collateral": "200000000000", "debt": "0", "healthFactor": str(MAX)}
    assert unit.health_factor is None


def test_an_account_with_nothing_has_no_debt() -> None:
    document = evaluate(inputs())

    assert document.status is Status.NO_DEBT
    assert document.collateral.raw == "0.00000000"


def test_a_debt_without_a_house_price_makes_the_account_unknown_and_hides_what_rests_on_it() -> None:
    document = evaluate(
        inputs(venue(PRICES, borrower(1, weth=1000)), observations=[observation(USDC, 1.0, age_s=99_999)])
    )

    assert (document.status, document.score) == (Status.UNKNOWN, None)
    assert "debt_unpriced" in codes(document)
    assert (document.health_factor, document.headroom, document.ltv, document.debt.raw) == (None,) * 4
    assert document.completeness.unpriced == (assets()[1].id,)


def test_a_unit_with_debt_that_the_venue_cannot_answer_for_makes_the_account_unknown() -> None:
    document = evaluate(inputs(venue(PRICES, replace(borrower(1, weth=1000), mute="unsupported_version"))))

    assert document.status is Status.UNKNOWN
    assert {"unit_unknown", "unsupported_version"} <= codes(document)
    assert document.venues[0].units[0].native is None
    assert document.min_unit_health_factor is None
    assert (document.health_factor, document.debt.raw, document.headroom, document.ltv) == (None,) * 4


def test_a_unit_without_debt_that_the_venue_cannot_answer_for_counts_zero_and_is_listed() -> None:
    document = evaluate(
        inputs(
            venue(PRICES, Holding(supplied={WETH: 1000}, mute="unsupported_version"), name="toy-1"),
            venue(PRICES, borrower(1000, weth=1), name="toy-10", chain=OTHER_CHAIN),
        )
    )

    assert document.status is Status.HEALTHY
    assert document.health_factor == "1.600000"  # the 1000 WETH count nothing
    assert "unit_unknown" in codes(document)


def test_a_missing_price_of_one_supply_does_not_take_the_rest_of_a_unit_without_debt() -> None:
    prices = PRICES | {JUNK: Price(usd=None)}

    document = evaluate(
        inputs(
            venue(prices, Holding(supplied={WETH: 1, JUNK: 1}, flagged=(WETH, JUNK)), name="toy-1"),
            venue(prices, borrower(1000, weth=1), name="toy-10", chain=OTHER_CHAIN),
        )
    )

    assert document.health_factor == "3.200000"
    assert document.status is Status.HEALTHY


def test_a_price_that_the_venue_lacks_makes_a_unit_with_debt_unknown() -> None:
    prices = PRICES | {WETH: Price(usd=None)}

    document = evaluate(inputs(venue(prices, borrower(100, weth=1, usdc=1000)), observations=[observation(WETH, 2e3)]))

    assert document.status is Status.UNKNOWN
    assert {"unit_unknown", "venue_price_missing"} <= codes(document)


@pytest.mark.parametrize("asset", [WETH, USDC])
def test_a_stale_price_that_the_venue_needs_makes_the_account_unknown(asset: bytes) -> None:
    """The house has fresh prices of its own; the venue would still act on a stale one."""
    prices = PRICES | {asset: replace(PRICES[asset], age_s=200_000)}
    fresh = [observation(WETH, 2000.0), observation(USDC, 1.0)]

    document = evaluate(inputs(venue(prices, borrower(1000, weth=10)), observations=fresh))

    assert document.status is Status.UNKNOWN
    assert "venue_price_stale" in codes(document)
    assert document.health_factor == "16.000000"  # what is known is still shown


def test_ages_count_up_to_what_is_known_of_a_chain_and_not_to_the_last_block_that_is_stored() -> None:
    """Final blocks in which nothing happened are not stored: a feed that fell silent among them is not fresh."""
    known = inputs(
        venue(PRICES, borrower(1000, weth=10)), observations=[observation(WETH, 2000.0), observation(USDC, 1.0)]
    )
    later = replace(known, as_of={chain: replace(cut, until=NOW + 200_000) for chain, cut in known.as_of.items()})

    document = evaluate(later)

    assert evaluate(known).status is Status.HEALTHY
    assert document.status is Status.UNKNOWN
    assert "venue_price_stale" in codes(document)
    assert [feed.reason for price in document.prices for feed in price.feeds] == ["stale", "stale"]
    assert from_json(to_json(later)) == later
    assert "until" not in to_json(known)


def test_a_price_from_the_future_is_as_bad_as_a_stale_one() -> None:
    prices = PRICES | {WETH: Price(usd=2000, age_s=-1)}

    assert "venue_price_from_the_future" in codes(evaluate(inputs(venue(prices, borrower(1, weth=10)))))


@pytest.mark.parametrize("heartbeat_s, status", [(7200, Status.HEALTHY), (3600, Status.UNKNOWN)])
def test_the_age_limit_of_a_venue_price_is_that_of_its_feed(heartbeat_s: int, status: Status) -> None:
    """5000 s: beyond 3600 · 1.1 + 60 = 4020, within 7200 · 1.1 + 60 = 7980."""
    prices = PRICES | {WETH: Price(usd=2000, age_s=5000)}
    feed = FeedSpec(
        asset=assets()[0].id,
        kind="chainlink",
        chain_id=CHAIN,
        address=source(WETH),
        heartbeat_s=heartbeat_s,
        deviation=0.005,
    )
    observed = observation(WETH, 2000.0, age_s=5000, feed=source(WETH), heartbeat_s=heartbeat_s)

    document = evaluate(inputs(venue(prices, borrower(1000, weth=10)), feeds=[feed], observations=[observed]))

    assert document.status is status


def dust(tokens: float, owed: float) -> HealthDocument:
    """10 WETH at 2000, and USDC whose price is stale, against WETH debt."""
    prices = PRICES | {USDC: Price(usd=1, age_s=200_000, threshold_bp=9_000)}
    holding = Holding(supplied={WETH: 10, USDC: tokens}, owed={WETH: owed})
    return evaluate(inputs(venue(prices, holding), observations=[observation(WETH, 2000.0)]))


@pytest.mark.parametrize(
    "tokens, owed, status, code",
    [
        (200, 4, Status.HEALTHY, "venue_price_stale_dust"),  # 200 < 1 % of 20200; 16000 / 8000 ≥ 1 without it
        (202.1, 4, Status.UNKNOWN, "venue_price_stale"),  # 202.1 ≥ 1 % of 20202.1
        (200, 8.05, Status.UNKNOWN, "venue_price_stale"),  # (16000 + 180) / 16100 ≥ 1, but 16000 / 16100 < 1
        (200, 8.2, Status.LIQUIDATABLE, "venue_price_stale_dust"),  # 16180 / 16400 < 1 with it and without it
    ],
)
def test_stale_dust_changes_nothing_as_long_as_the_venues_verdict_is_the_same(
    tokens: float, owed: float, status: Status, code: str
) -> None:
    document = dust(tokens, owed)

    assert document.status is status
    assert code in codes(document)


def test_unpriced_house_collateral_counts_zero_and_the_status_stands_while_that_is_enough() -> None:
    document = evaluate(
        inputs(venue(PRICES, borrower(1000, weth=1, usdc=1000)), observations=[observation(WETH, 2000.0, age_s=99_999)])
    )

    assert document.status is Status.UNKNOWN  # 900 / 1000 without the WETH
    assert "low_bound_not_healthy" in codes(document)
    assert document.health_factor == "0.900000"
    assert document.health_factor_interval is not None
    assert document.health_factor_interval.high is None

    document = evaluate(
        inputs(venue(PRICES, borrower(1000, weth=1, usdc=1300)), observations=[observation(WETH, 2000.0, age_s=99_999)])
    )

    assert document.status is Status.WATCH  # 1170 / 1000
    assert codes(document) == {"collateral_unpriced"}


def test_a_venue_that_calls_one_of_several_units_liquidatable_is_believed_whatever_has_no_price() -> None:
    gone = venue(PRICES, borrower(1700, weth=1))
    well = venue(PRICES, borrower(1000, weth=1, usdc=1000), name="toy-10", chain=OTHER_CHAIN)
    unpriced = [observation(WETH, 2000.0, age_s=99_999)]

    both, one = (evaluate(inputs(*each, observations=unpriced)) for each in ((gone, well), (well,)))

    assert (both.status, one.status) == (Status.LIQUIDATABLE, Status.UNKNOWN)
    assert "low_bound_not_healthy" not in codes(both)


@pytest.mark.parametrize(
    "last, in_doubt",
    [(None, True), (1.0, True), (0.99, False)],  # ten of it: unknown; 1 % of the 1000 that have a price; less
)
def test_below_one_without_it_collateral_leaves_doubt_unless_it_was_last_known_to_be_dust(
    last: float | None,
    in_doubt: bool,  # noqa: FBT001
) -> None:
    known = observation(WETH, last, age_s=99_999)
    stale = [] if last is None else [Discarded(observation=known, age_s=99_999, refusal=Refusal.STALE)]
    world = toy({"a": [(6, Side.SUPPLY, 10.0), (0, Side.SUPPLY, 10.0), (8, Side.BORROW, 600.0)]})
    priced = world.repriced({"A6": mark(6, 100.0), "A8": mark(8, 1.0)})

    assessed = priced.repriced({"A0": Unpriced(identity="A0", discarded=tuple(stale))}).assessed("a")

    assert assessed.margins.mid.health_factor < 1  # 10 · 100 · 0.5 / 600
    assert (LOW_BOUND_NOT_HEALTHY in assessed.reasons) is in_doubt


def test_what_a_stranger_can_send_changes_no_status() -> None:
    for owed in (500, 1100, 1550, 1610):
        plain = venue(PRICES, borrower(owed, weth=1))
        sent = venue(PRICES, replace(borrower(owed, weth=1, junk=10**12), flagged=(WETH,)))

        before, after = evaluate(inputs(plain)), evaluate(inputs(sent))

        assert (after.status, after.health_factor) == (before.status, before.health_factor)
        assert after.venues[0].units[0].native == before.venues[0].units[0].native


def test_a_stale_chain_with_debt_or_counted_collateral_makes_the_account_unknown() -> None:
    elsewhere = venue(PRICES, borrower(1000, weth=1), name="toy-10", chain=OTHER_CHAIN)
    for here in (borrower(1, weth=1), Holding(supplied={WETH: 1})):
        document = evaluate(inputs(venue(PRICES, here), elsewhere, stale_chains=[STALE_CHAIN]))

        assert document.status is Status.UNKNOWN
        assert "chain_stale" in codes(document)


def test_while_something_is_missing_no_number_that_rests_on_debt_is_told() -> None:
    gap = Reason("logs_missing", CHAIN, "blocks 5 to 7 are not there")

    document = evaluate(inputs(venue(PRICES, borrower(1000, weth=1)), gaps=[gap]))

    assert (document.status, document.health_factor, document.health_factor_interval) == (Status.UNKNOWN, None, None)
    assert (document.debt.raw, document.headroom, document.ltv, document.risk_adjusted_ltv) == (None, None, None, None)
    assert document.maintenance_margin.excess is None
    assert document.free_collateral == ()
    assert document.completeness.complete is False


def test_the_lowest_health_factor_of_venues_is_not_told_while_one_of_them_is_unknown() -> None:
    known = venue(PRICES, borrower(1000, weth=1))
    silent = venue(PRICES, replace(borrower(1, weth=1), mute="state_unavailable"), name="toy-10", chain=OTHER_CHAIN)

    document = evaluate(inputs(known, silent))

    assert evaluate(inputs(known)).min_unit_health_factor == "1.600000"
    assert document.min_unit_health_factor is None
    assert document.status is Status.UNKNOWN


def test_a_stale_chain_without_anything_that_counts_is_only_listed() -> None:
    elsewhere = venue(PRICES, borrower(1000, weth=1), name="toy-10", chain=OTHER_CHAIN)
    here = venue(PRICES, Holding(supplied={JUNK: 1}, flagged=()))

    document = evaluate(inputs(here, elsewhere, stale_chains=[STALE_CHAIN]))

    assert document.status is Status.HEALTHY
    assert "chain_stale" in codes(document)
    assert document.completeness.complete is False


def test_a_stale_chain_that_an_account_has_nothing_to_do_with_is_no_reason() -> None:
    elsewhere = STALE_CHAIN._replace(subject="eip155:8453")

    document = evaluate(inputs(venue(PRICES, borrower(1000, weth=1)), stale_chains=[elsewhere]))

    assert (document.status, document.reasons) == (Status.HEALTHY, ())


def test_an_account_that_is_priced_by_a_stale_chain_alone_is_unknown() -> None:
    elsewhere = venue(PRICES, borrower(1000, weth=1), name="toy-10", chain=OTHER_CHAIN)
    only_here = [observation(WETH, 2000.0, chain=CHAIN)]

    assert evaluate(inputs(elsewhere, observations=only_here, stale_chains=[STALE_CHAIN])).status is Status.UNKNOWN


def test_a_stale_chain_leaves_an_account_without_debt_as_it_is() -> None:
    document = evaluate(inputs(venue(PRICES, Holding(supplied={WETH: 1})), stale_chains=[STALE_CHAIN]))

    assert document.status is Status.NO_DEBT
    assert "chain_stale" in codes(document)


def test_a_gap_makes_even_an_account_without_debt_unknown() -> None:
    gap = Reason("chain_not_indexed", OTHER_CHAIN, "nothing is stored")

    document = evaluate(inputs(venue(PRICES, Holding(supplied={WETH: 1})), gaps=[gap]))

    assert document.status is Status.UNKNOWN
    assert [item.code for item in document.completeness.missing] == ["chain_not_indexed"]


def test_inputs_of_another_methodology_are_refused() -> None:
    with pytest.raises(OtherMethodology, match="methodology 0"):
        evaluate(replace(inputs(), methodology_version="0"))


def test_an_asset_that_no_configuration_names_is_of_the_default_class() -> None:
    prices = PRICES | {JUNK: Price(usd=100)}

    document = evaluate(inputs(venue(prices, Holding(supplied={JUNK: 10}, owed={USDC: 100}, flagged=(JUNK,)))))

    assert document.health_factor == "5.000000"  # 10 · 100 · 0.5 / 100


def test_the_document_reads_back_as_it_was_written() -> None:
    document = evaluate(inputs(venue(PRICES, borrower(8000, weth=10, junk=1))))

    assert HealthDocument.model_validate_json(document.model_dump_json()) == document
