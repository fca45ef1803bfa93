"""What other systems require of collateral in an escrow: how it weighs, how long it is known, and what follows when it is not.

WETH: threshold 0.8, haircut 0.25; USDC: 0.9, 0.1. Profits count whole for maintenance and not at all initially.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from aggregator.margin.document import HealthDocument, UnitView
from aggregator.margin.health import evaluate
from aggregator.margin.liabilities import Liabilities
from aggregator.margin.permits_document import ReasonView
from aggregator.margin.policy import LiabilityPolicy, parse_policy
from aggregator.margin.status import Status
from chains.identifiers import format_address
from chains.model import Reason
from tests.unit.aggregator.builders import (
    CHAIN,
    JUNK,
    OTHER_CHAIN,
    OWNER,
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
SURE = [observation(WETH, 2000.0), observation(USDC, 1.0)]
UNIT = f"vault/{format_address(CHAIN, OWNER)}"


def codes(document: HealthDocument) -> list[str]:
    return [reason.code for reason in document.reasons]


def vault_of(document: HealthDocument) -> UnitView:
    (unit,) = next(item for item in document.venues if item.venue == "vault").units
    return unit


def alone(said: Liabilities | None, weth: float = 1) -> HealthDocument:
    """An account that has nothing but a deposit and what others say of it."""
    return evaluate(inputs(escrow({WETH: weth} if weth else {}, said=said), observations=SURE))


def beside(said: Liabilities | None, *, deposit: float, owed: float = 1000) -> HealthDocument:
    """A borrower with one WETH at a lending venue, and USDC in the vault."""
    return evaluate(
        inputs(venue(PRICES, borrower(owed, weth=1)), escrow({USDC: deposit}, said=said), observations=SURE)
    )


def test_a_requirement_weighs_like_debt_and_is_no_debt() -> None:
    document = alone(liabilities("800", initial="1000"))

    assert document.health_factor == "2.000000"  # 2000 · 0.8 / 800
    assert document.debt.raw == "0.00000000"
    assert document.debt.maintenance == "800.00000000"
    assert document.debt.initial == "1000.00000000"
    assert document.headroom == "500.00000000"  # 2000 · 0.75 − 1000
    assert document.status is Status.HEALTHY


def test_a_loss_is_debt() -> None:
    document = alone(liabilities("800", "-200", initial="1000"))

    assert document.health_factor == "1.600000"  # 2000 · 0.8 / (800 + 200)
    assert document.debt.raw == "200.00000000"
    assert document.debt.initial == "1200.00000000"  # 1000 + 200
    assert document.headroom == "300.00000000"  # 2000 · 0.75 − 1200
    assert document.ltv == "0.100000"  # 200 / 2000


def test_a_profit_is_collateral_as_far_as_the_policy_lets_it() -> None:
    said = liabilities("800", "400", initial="1000")

    document = alone(said)

    assert document.health_factor == "2.500000"  # (2000 · 0.8 + 400) / 800
    assert document.collateral.raw == "2400.00000000"
    assert document.collateral.haircut == "1500.00000000"  # 2000 · 0.75: new debt does not rest on profits
    assert document.collateral.maintenance == "2000.00000000"  # 2000 · 0.8 + 400
    half = LiabilityPolicy(positive_pnl_maintenance=0.5, positive_pnl_initial=0.25)
    given = inputs(escrow({WETH: 1}, said=said), observations=SURE)
    document = evaluate(replace(given, policy=replace(given.policy, liabilities=half)))
    assert document.health_factor == "2.250000"  # (2000 · 0.8 + 400 · 0.5) / 800
    assert document.collateral.haircut == "1600.00000000"  # 2000 · 0.75 + 400 · 0.25


@pytest.mark.parametrize(
    "maintenance, pnl, health_factor, liquidatable",
    [
        ("1000", "0", "2.000000", False),  # 2000 / 1000
        ("1000", "500", "2.500000", False),  # (2000 + 500) / 1000
        ("1000", "-600", "1.250000", False),  # 2000 / (1000 + 600)
        ("1000", "-1000", "1.000000", False),  # 2000 / 2000: on the boundary, which is covered
        ("1000", "-1000.00000001", "0.999999", True),  # 2000 / 2000.00000001, downward
        ("0", "-500", "4.000000", False),  # a loss alone is a debt of 500
        ("3000", "0", "0.666666", True),  # 2000 / 3000, downward
    ],
)
def test_a_unit_is_judged_by_deposits_and_profit_over_requirement_and_loss(
    maintenance: str,
    pnl: str,
    health_factor: str,
    liquidatable: bool,  # noqa: FBT001
) -> None:
    """At the middle of the marks, without the thresholds of the house: 1 WETH is 2000."""
    document = alone(liabilities(maintenance, pnl))

    unit = vault_of(document)
    assert (unit.health_factor, unit.liquidatable) == (health_factor, liquidatable)
    assert document.min_unit_health_factor == health_factor
    assert liquidatable == (unit.status is Status.LIQUIDATABLE)
    assert unit.native == {format_address(CHAIN, WETH): str(10**18)}


def test_a_unit_shows_its_own_sums_and_who_says_so() -> None:
    unit = vault_of(alone(liabilities("800.5", "-200", initial="1000", age_s=60)))

    assert (unit.collateral, unit.debt) == ("2000.00000000", "1000.50000000")
    assert unit.liabilities is not None
    assert unit.liabilities.model_dump() == {
        "state": "known",
        "as_of": "2023-11-14T22:12:20Z",
        "age_s": 60,
        "max_age_s": 600,
        "initial_requirement_usd": "1000.00000000",
        "maintenance_requirement_usd": "800.50000000",
        "pnl_usd": "-200.00000000",
        "key": "5a" * 32,
        "document": "sha256:" + "d0" * 32,
    }


@pytest.mark.parametrize("said", [liabilities(), liabilities("0", "300"), liabilities("0", initial="100")])
def test_where_nothing_can_be_liquidated_there_is_no_debt(said: Liabilities) -> None:
    document = alone(said)

    assert (document.status, document.score, document.health_factor) == (Status.NO_DEBT, 100, None)
    assert vault_of(document).health_factor is None
    assert vault_of(document).status is Status.NO_DEBT


def test_an_initial_requirement_lowers_the_headroom_even_where_there_is_no_debt() -> None:
    assert alone(liabilities("0", initial="100")).headroom == "1400.00000000"  # 2000 · 0.75 − 100


def test_the_requirement_of_one_venue_weighs_on_the_whole_account() -> None:
    document = beside(liabilities("400"), deposit=500)

    assert document.health_factor == "1.464285"  # (1600 + 450) / (1000 + 400), downward
    assert document.min_unit_health_factor == "1.250000"  # 500 / 400, below the lending venue's 1.6
    assert document.status is Status.WATCH


def test_liquidation_prices_have_the_requirement_in_them() -> None:
    (eth,) = alone(liabilities("800", "-200")).liquidation_prices

    assert (eth.identity, eth.liquidation_price_usd) == ("ETH", "1250.000000000000")  # (800 + 200) / 0.8


def test_a_requirement_of_less_than_a_dollar_has_a_liquidation_price() -> None:
    (eth,) = alone(liabilities("0.4")).liquidation_prices

    assert (eth.identity, eth.liquidation_price_usd) == ("ETH", "0.500000000000")  # 0.4 / 0.8


def test_liabilities_without_a_deposit_are_all_debt() -> None:
    document = alone(liabilities("800"), weth=0)

    assert (document.status, document.health_factor) == (Status.LIQUIDATABLE, "0.000000")
    unit = vault_of(document)
    assert (unit.positions, unit.native, unit.health_factor) == ((), {}, "0.000000")


@pytest.mark.parametrize("age_s, state", [(0, "known"), (600, "known"), (601, "unknown"), (-1, "unknown")])
def test_liabilities_are_known_up_to_the_age_that_the_venue_sets(age_s: int, state: str) -> None:
    """What is from the future cannot be: it is as unknown as what is too old."""
    found = vault_of(alone(liabilities("1", age_s=age_s))).liabilities

    assert found is not None
    assert (found.state, found.age_s) == (state, age_s)


def test_where_nothing_was_ever_said_the_deposit_counts_zero_and_the_account_is_unknown() -> None:
    document = alone(None)

    assert (document.status, document.score) == (Status.UNKNOWN, None)
    assert document.collateral.raw == "0.00000000"
    assert (document.debt.raw, document.headroom, document.health_factor) == (None, None, None)
    unit = vault_of(document)
    assert (unit.status, unit.health_factor, unit.liquidatable) == (Status.UNKNOWN, None, None)
    assert [(position.counts, position.counted, position.value_usd) for position in unit.positions] == [
        (True, False, "2000.00000000")
    ]
    assert document.reasons == (
        ReasonView(
            code="liabilities_unknown",
            subject=UNIT,
            detail="none have been imported up to its block, the limit of age is 600 s; import newer ones with "
            "`crossmargin liabilities import FILE`; until then its deposits count zero",
        ),
    )
    assert document.completeness.complete is False
    assert document.completeness.missing == document.reasons


def test_what_is_too_old_says_how_old_and_what_to_do() -> None:
    (reason,) = alone(liabilities(age_s=700)).reasons

    assert (reason.code, reason.subject) == ("liabilities_unknown", UNIT)
    assert reason.detail == (
        "the last are as of 2023-11-14T22:01:40Z, 700 s before the block, the limit is 600 s; import newer ones with "
        "`crossmargin liabilities import FILE`; until then its deposits count zero"
    )


@pytest.mark.parametrize(
    "deposit, status",
    [
        (19.99, Status.HEALTHY),  # less than 1 % of 2000
        (20, Status.UNKNOWN),
    ],
)
@pytest.mark.parametrize("said", [None, liabilities(age_s=700), liabilities("0", "50", age_s=700)])
def test_a_deposit_that_is_dust_is_only_listed_where_nothing_was_owed(
    deposit: float, status: Status, said: Liabilities | None
) -> None:
    """Anybody may have sent it."""
    document = beside(said, deposit=deposit)

    assert document.status is status
    assert codes(document) == ["liabilities_unknown"]
    if status is Status.HEALTHY:
        assert document.health_factor == "1.600000"  # as without the vault
        assert vault_of(document).status is Status.NO_DEBT
        assert document.completeness.complete is False


@pytest.mark.parametrize(
    "said", [liabilities("0.00000001"), liabilities("0", "-0.00000001"), liabilities("0", initial="1")]
)
@pytest.mark.parametrize("deposit", [0, 1, 10_000])
def test_whoever_owed_something_is_unknown_as_soon_as_that_is_too_old(said: Liabilities, deposit: float) -> None:
    stale = replace(said, as_of=said.as_of - 601)

    assert beside(said, deposit=deposit).status is not Status.UNKNOWN
    assert beside(stale, deposit=deposit).status is Status.UNKNOWN


MARKET_TERMS = POLICY.replace("liquidation_threshold = 0.5", 'liquidation_threshold = "venue"')
"""What no class is given takes the threshold of its venue, and an escrow has none."""


@pytest.mark.parametrize(
    "terms, token, price, status",
    [
        pytest.param(
            POLICY + '\n[[pool]]\nid = "main"\neligible = ["ETH"]\n', USDC, 1.0, Status.UNKNOWN, id="eligible"
        ),
        pytest.param(MARKET_TERMS, JUNK, 1.0, Status.UNKNOWN, id="threshold"),
        pytest.param(MARKET_TERMS, JUNK, None, Status.HEALTHY, id="never priced"),
    ],
)
def test_what_is_no_collateral_of_the_house_may_be_owed_against_all_the_same(
    terms: str, token: bytes, price: float | None, status: Status
) -> None:
    """A borrower with one WETH, and of 5000 in a vault nobody says what is owed; but tokens that have no price anybody may send."""
    seen = [*SURE, *([] if price is None else [observation(JUNK, price)])]
    given = inputs(venue(PRICES, borrower(1000, weth=1)), escrow({token: 5000}), observations=seen)

    document = evaluate(replace(given, policy=parse_policy(terms)))

    assert document.status is status
    assert "liabilities_unknown" in codes(document)


def test_dust_in_several_vaults_is_dust_only_together() -> None:
    vaults = [escrow({USDC: 11}, name="vault"), escrow({USDC: 11}, name="vault-2")]

    one = evaluate(inputs(venue(PRICES, borrower(1000, weth=1)), vaults[0], observations=SURE))
    both = evaluate(inputs(venue(PRICES, borrower(1000, weth=1)), *vaults, observations=SURE))

    assert one.status is Status.HEALTHY  # 11 < 20
    assert both.status is Status.UNKNOWN  # 22 ≥ 20
    assert codes(both) == ["liabilities_unknown"] * 2


@pytest.mark.parametrize(
    "pool, deposit, status",
    [
        ("a", 19.99, Status.HEALTHY),  # less than 1 % of 2000
        ("a", 20, Status.UNKNOWN),
        ("b", 1_999, Status.HEALTHY),  # nothing is owed in that pool: less than 1 % of all that the account has
        ("b", 2_020, Status.UNKNOWN),
        ("c", 1_999, Status.HEALTHY),  # alone in its pool
        ("c", 2_020, Status.UNKNOWN),
        ("isolated", 1_999, Status.HEALTHY),
        ("isolated", 2_020, Status.UNKNOWN),
    ],
)
def test_what_is_dust_beside_the_account_is_none_beside_a_pool_that_owes(
    pool: str, deposit: float, status: Status
) -> None:
    """A pool with one WETH and a debt, another with a hundred and none, and a deposit of which nobody says what is owed in one of them."""
    own = {"a": ["toy-1"], "b": ["toy-10"]}
    own.setdefault(pool, []).append("vault")
    text = "".join(
        f'\n[[pool]]\nid = "{name}"\nkind = "{"isolated" if name == "isolated" else "cross"}"\nvenues = {json.dumps(each)}\n'
        for name, each in own.items()
    )
    venues = [
        venue(PRICES, borrower(1000, weth=1)),
        venue(PRICES, Holding(supplied={WETH: 100}), name="toy-10", chain=OTHER_CHAIN),
    ]
    given = inputs(*venues, escrow({USDC: deposit}), observations=SURE)

    document = evaluate(replace(given, policy=parse_policy(POLICY + text)))

    assert document.status is status


def test_a_deposit_of_one_that_owed_makes_no_dust_elsewhere_matter() -> None:
    """2000 USDC in a vault that owed something, and 1 in another of which nothing was ever said: the one is unknown, the other dust."""
    owing = escrow({USDC: 2000}, said=liabilities("5", age_s=9_999))
    gift = escrow({USDC: 1}, name="other")

    document = evaluate(inputs(venue(PRICES, borrower(1000, weth=1)), owing, gift, observations=SURE))

    assert {each.venue: unit.status for each in document.venues for unit in each.units if each.venue != "toy-1"} == {
        "vault": Status.UNKNOWN,
        "other": Status.NO_DEBT,
    }


def test_an_empty_unit_of_which_nothing_was_required_is_nothing() -> None:
    document = alone(liabilities(age_s=700), weth=0)

    assert document.status is Status.NO_DEBT
    assert codes(document) == ["liabilities_unknown"]


def test_a_deposit_whose_worth_nobody_knows_is_no_dust() -> None:
    document = evaluate(
        inputs(
            venue(PRICES, Holding(supplied={USDC: 1000})),
            escrow({WETH: 0.0001}),
            observations=[observation(WETH, None), observation(USDC, 1.0)],
        )
    )

    assert document.status is Status.UNKNOWN


def test_a_deposit_without_a_price_now_is_judged_by_the_last_one() -> None:
    for stale in (observation(WETH, 2000.0, age_s=99_999), observation(WETH, 2000.0, confidence=100.0)):
        document = evaluate(
            inputs(venue(PRICES, Holding(supplied={USDC: 1000})), escrow({WETH: 0.004}), observations=[stale, SURE[1]])
        )

        assert document.status is Status.NO_DEBT  # 0.004 · 2000 = 8, or 0.004 · 2100 = 8.4, less than 1 % of 1000


def test_a_token_that_cannot_count_is_no_reason_to_know_nothing() -> None:
    """A stranger may send a token that nobody named; it could never be collateral."""
    vault = escrow({USDC: 500, JUNK: 10**9}, said=liabilities("100"))
    markets = dict(vault.snapshot.markets) | {(JUNK, "token"): json.dumps({"decimals": None, "symbol": None})}
    vault = replace(vault, snapshot=replace(vault.snapshot, markets=markets))

    document = evaluate(inputs(vault, observations=SURE))

    assert (document.status, vault_of(document).health_factor) == (Status.HEALTHY, "5.000000")  # 500 / 100
    assert document.health_factor == "4.500000"  # 500 · 0.9 / 100
    assert codes(document) == ["token_unknown"]
    silent = replace(vault, liabilities={OWNER: None})
    document = evaluate(inputs(venue(PRICES, borrower(1000, weth=30)), silent, observations=SURE))
    assert document.status is Status.HEALTHY  # 500 < 1 % of 60000


def test_a_deposit_that_counts_and_has_no_mark_leaves_the_unit_unknown() -> None:
    document = evaluate(
        inputs(escrow({WETH: 1, USDC: 5000}, said=liabilities("100")), observations=[observation(WETH, None), SURE[1]])
    )

    assert document.status is Status.UNKNOWN
    unit = vault_of(document)
    assert (unit.status, unit.health_factor, unit.liquidatable) == (Status.UNKNOWN, None, None)
    assert codes(document) == ["unit_unknown", "collateral_unpriced"]
    assert "no usable house price" in document.reasons[0].detail


@pytest.mark.parametrize(
    "requirement, status",
    [
        ("100", Status.HEALTHY),  # 5000 / 100 without the dust
        ("5000", Status.DANGER),  # 5000 / 5000 without it
        ("5001", Status.UNKNOWN),  # 5000 / 5001 without it, and up to 5020 / 5001 with it
        ("5020", Status.UNKNOWN),  # and 5020 / 5020 with all of it
        ("5020.00000001", Status.LIQUIDATABLE),
        ("6000", Status.LIQUIDATABLE),  # 5020 / 6000 with all of it
    ],
)
def test_unpriced_dust_leaves_a_unit_known_while_its_verdict_does_not_hang_on_it(
    requirement: str, status: Status
) -> None:
    """0.01 WETH was last known to be 20, less than 1 % of 5000."""
    stale = observation(WETH, 2000.0, age_s=99_999)

    document = evaluate(
        inputs(escrow({WETH: 0.01, USDC: 5000}, said=liabilities(requirement)), observations=[stale, SURE[1]])
    )

    assert vault_of(document).status is status


@pytest.mark.parametrize("weth, status", [(0.0249, Status.HEALTHY), (0.0251, Status.UNKNOWN), (1.0, Status.UNKNOWN)])
def test_what_has_no_price_is_dust_below_its_share_of_what_has(weth: float, status: Status) -> None:
    """0.025 WETH was last known to be 50, which is 1 % of 5000."""
    stale = observation(WETH, 2000.0, age_s=99_999)

    document = evaluate(
        inputs(escrow({WETH: weth, USDC: 5000}, said=liabilities("100")), observations=[stale, SURE[1]])
    )

    assert vault_of(document).status is status


def test_what_is_no_collateral_in_its_pool_covers_no_requirement() -> None:
    given = inputs(escrow({WETH: 1, USDC: 5000}, said=liabilities("1000")), observations=SURE)
    limited = parse_policy(POLICY + '\n[[pool]]\nid = "main"\neligible = ["ETH"]\n')

    whole, part = (vault_of(evaluate(replace(given, policy=each))) for each in (given.policy, limited))

    assert whole.health_factor == "7.000000"  # (2000 + 5000) / 1000
    assert part.health_factor == "2.000000"  # 2000 / 1000


def test_the_chain_of_a_unit_with_liabilities_must_not_be_stale() -> None:
    """Its block time stands still, and with it the age of what was said."""
    stale = [Reason("chain_stale", OTHER_CHAIN, "silent")]
    vault = escrow({}, said=liabilities("1"), chain=OTHER_CHAIN)

    document = evaluate(inputs(venue(PRICES, borrower(1, weth=1)), vault, observations=SURE, stale_chains=stale))

    assert document.status is Status.UNKNOWN
    assert "chain_stale" in codes(document)
