"""What holds of the margin model whatever is held, owed and estimated.

M16 two accounts together are never worse than each by itself
M17 more collateral never lowers what is left or the health factor, more debt never raises either
M18 neither the order nor the splitting of positions changes anything
M19 the health factor is at least 1 just where nothing is lacking
M20 the health factor is the root that halving finds
M21 a higher layer that does not diversify, a lower threshold, a higher factor, a lower price of collateral never help
M22 what diversifies is never asked for more than the sum, and stress never for less than calm
M23 no size of an account changes its health factor
M24 an isolated unit changes nothing of the rest, unless its pool says that its surplus counts
M25 limits of pools change no maintenance margin
M26 the whole account is judged no better with more debt, and no worse with more collateral, with estimates as without
M27 inputs with estimates and pools read back from canonical JSON give the same document
M29 what a class's own number adds to an estimate never diversifies
M30 of several cross pools as much is free as of each by itself, and less where one is not covered
M31 what an isolated pool lends makes no status better, and nothing free, nor a limit farther
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aggregator.margin.canonical import from_json, to_json
from aggregator.margin.correlation import correlations_of
from aggregator.margin.document import HealthDocument
from aggregator.margin.equity import LARGEST_RATIO, Exposure, Model, add_up, debt_lines, equity, largest_multiple
from aggregator.margin.health import evaluate
from aggregator.margin.house import measure
from aggregator.margin.inputs import HealthInputs
from aggregator.margin.layers import Layers
from aggregator.margin.model_policy import ModelPolicy
from aggregator.margin.policy import parse_policy
from aggregator.margin.risk import CALM, STRESS, AssetRisk, RiskInputs
from aggregator.margin.weights import of_collateral, of_debt
from chains import registry
from chains.model import Side
from tests.properties.test_margin import accounts, changed, debts, health_factors, supplies
from tests.unit.aggregator.builders import POLICY

NAMES = ("ADA", "BTC", "ETH", "SOL")
NEAR = 1e-9
LAST_PLACE = Fraction(2, 10**6)

shares = st.floats(min_value=0, max_value=1)
usd = st.floats(min_value=0, max_value=1e9).map(lambda value: round(value, 2))
chances = st.randoms(use_true_random=False)


@pytest.fixture(autouse=True, scope="module")
def toy_protocol() -> Iterator[None]:
    before = dict(registry.PROTOCOLS)
    registry.PROTOCOLS |= {"toy": "tests.unit.aggregator.builders", "escrow": "chains.escrow"}
    yield
    registry.PROTOCOLS.clear()
    registry.PROTOCOLS.update(before)


@st.composite
def estimates(draw: st.DrawFn, names: tuple[str, ...] = NAMES) -> RiskInputs:
    """Any correlation matrix, made of factors, negative entries too."""
    seed = draw(st.integers(min_value=0, max_value=10**6))
    chance = np.random.default_rng(seed)
    factors = chance.normal(loc=draw(st.sampled_from([0.0, 1.0, 3.0])), size=(len(names), len(names) + 1))
    length = np.sqrt((factors**2).sum(axis=1))
    matrix = factors @ factors.T / np.outer(length, length)
    np.fill_diagonal(matrix, 1.0)
    assets = tuple(
        AssetRisk(
            identity=name,
            maintenance=draw(shares),
            initial=draw(shares),
            rise_maintenance=draw(shares),
            rise_initial=draw(shares),
            deviation=0.05,
            swing=0.05,
            basis="fhs",
            days=1000,
            last_day="2025-01-01",
        )
        for name in names
    )
    return RiskInputs(
        assets=assets, correlation=tuple(map(tuple, matrix.tolist())), regime=draw(st.sampled_from([CALM, STRESS]))
    )


@st.composite
def models(draw: st.DrawFn) -> Model:
    policy = ModelPolicy(kappa=draw(st.sampled_from([0.5, 0.75, 1.0])))
    return Model(kappa=policy.kappa, correlations=correlations_of(draw(estimates()), policy))


@st.composite
def exposures(draw: st.DrawFn, *, debt: bool | None = None) -> Exposure:
    is_debt = draw(st.booleans()) if debt is None else debt
    return Exposure(
        identity=draw(st.sampled_from(NAMES)),
        is_debt=is_debt,
        value=draw(usd),
        kept=draw(st.floats(min_value=1, max_value=2) if is_debt else shares),
        market=draw(shares),
    )


held = st.lists(exposures(), max_size=7)


def left(account: list[Exposure], model: Model) -> float:
    return equity(debt_lines(add_up(account), model))


def factor(account: list[Exposure], model: Model) -> float:
    return largest_multiple(debt_lines(add_up(account), model))


def size(account: list[Exposure]) -> float:
    return sum(each.value for each in account) + 1


@given(held, held, models())
def test_m16_two_accounts_together_are_never_worse(first: list[Exposure], second: list[Exposure], model: Model) -> None:
    both = [*first, *second]

    assert left(both, model) >= left(first, model) + left(second, model) - NEAR * size(both)
    assert factor(both, model) >= min(factor(first, model), factor(second, model)) * (1 - NEAR)


@given(held, exposures(), models())
def test_m17_more_collateral_never_harms_and_more_debt_never_helps(
    account: list[Exposure], added: Exposure, model: Model
) -> None:
    before, after = left(account, model), left([*account, added], model)
    factors = factor(account, model), factor([*account, added], model)
    if added.is_debt:
        assert after <= before + NEAR * size([*account, added])
        assert factors[1] <= factors[0] * (1 + NEAR)
    else:
        assert after >= before - NEAR * size([*account, added])
        assert factors[1] >= factors[0] * (1 - NEAR)


@given(held, models(), chances, shares)
def test_m18_neither_order_nor_splitting_changes_anything(
    account: list[Exposure], model: Model, chance: random.Random, part: float
) -> None:
    shuffled = chance.sample(account, len(account))
    assert (left(shuffled, model), factor(shuffled, model)) == (left(account, model), factor(account, model))

    split = [each._replace(value=each.value * share) for each in account for share in (part, 1 - part)]
    assert left(split, model) == pytest.approx(left(account, model), abs=NEAR * size(account))
    assert factor(split, model) == pytest.approx(factor(account, model), rel=NEAR)


@given(held, models(), st.floats(min_value=1 - 1e-9, max_value=1 + 1e-9))
def test_m19_the_factor_is_at_least_one_just_where_nothing_is_lacking(
    account: list[Exposure], model: Model, nudge: float
) -> None:
    """Also where the debt is brought to the very boundary."""
    multiple = factor(account, model) * nudge
    assume(0 < multiple < LARGEST_RATIO)
    brought = [each._replace(value=each.value * multiple) if each.is_debt else each for each in account]
    for sums in (add_up(account), add_up(brought)):
        found = measure(sums, model)
        assert (found.health_factor >= 1) == (found.excess >= 0)


@given(held, models())
def test_m20_the_factor_is_the_root_that_halving_finds(account: list[Exposure], model: Model) -> None:
    along = debt_lines(add_up(account), model)
    found = largest_multiple(along)
    if found == LARGEST_RATIO:
        assert equity(along, 1e9) >= -NEAR * size(account) * 1e9
        return
    low, high = 0.0, 2 * found + 1
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if equity(along, middle) >= 0 else (low, middle)
    assert equity(along, found) == pytest.approx(0, abs=NEAR * (size(account) * (1 + found)))
    assert low == pytest.approx(found, rel=1e-6, abs=1e-6)


layer = st.floats(min_value=0, max_value=1)
rounded = 1e-12


def layers(market: float, liquidity: float, bridge: float, rise: float = 0.0) -> Layers:
    return Layers(market=market, liquidity=liquidity, peg=0.0, bridge=bridge, chain=0.0, rise=rise, cap=1.0, assumed=())


@given(held, models(), st.tuples(layer, layer, layer), shares, shares)
def test_m21_a_higher_layer_or_a_lower_threshold_never_helps(
    rest: list[Exposure], model: Model, known: tuple[float, float, float], static: float, worse: float
) -> None:
    """Of the market layer itself that is so above the class's number: below it, it only says how much of that diversifies."""

    def with_weight(static: float, known: Layers, worth: float = 1e6) -> float:
        weight = of_collateral(static, known)
        added = Exposure(identity="ETH", is_debt=False, value=worth, kept=weight.kept, market=weight.market)
        return left([*rest, added], model)

    market, liquidity, bridge = known
    now, near = with_weight(static, layers(market, liquidity, bridge)), NEAR * (size(rest) + 1e6)
    assert with_weight(static * worse, layers(market, liquidity, bridge)) <= now + near
    assert with_weight(static, layers(market, max(liquidity, worse), bridge)) <= now + near
    assert with_weight(static, layers(market, liquidity, max(bridge, worse))) <= now + near
    assert with_weight(static, layers(market, liquidity, bridge), 1e6 * worse) <= now + near
    above = with_weight(1.0, layers(market, liquidity, bridge))
    assert with_weight(1.0, layers(max(market, worse), liquidity, bridge)) <= above + near


@given(st.tuples(layer, layer, layer), layer, layer)
def test_m29_what_a_class_adds_to_an_estimate_never_diversifies(
    known: tuple[float, float, float], static: float, worse: float
) -> None:
    """What may diversify (`kept · market`) is never more than the estimate says by itself, and less the lower the class's share."""
    alone = of_collateral(1.0, layers(*known))
    floored, lower = of_collateral(static, layers(*known)), of_collateral(static * worse, layers(*known))

    assert floored.total >= max(1 - static, alone.total) - rounded
    assert floored.kept * floored.market <= alone.kept * alone.market + rounded
    assert lower.kept * lower.market <= floored.kept * floored.market + rounded
    assert floored.market <= known[0]


@given(held, models(), st.floats(min_value=1, max_value=2), st.tuples(shares, shares))
def test_m21_a_higher_factor_of_a_debt_never_helps(
    rest: list[Exposure], model: Model, static: float, rises: tuple[float, float]
) -> None:
    """One that may rise more may be the better hedge, so that of a rise it is said beside debts only."""

    def with_weight(static: float, rise: float, rest: list[Exposure]) -> float:
        weight = of_debt(static, layers(0.0, 0.0, 0.0, rise))
        added = Exposure(identity="ETH", is_debt=True, value=1e6, kept=weight.kept, market=weight.market)
        return left([*rest, added], model)

    (rise, more), near = rises, NEAR * (size(rest) + 1e6)
    owed = [each for each in rest if each.is_debt]
    assert with_weight(static + more, rise, rest) <= with_weight(static, rise, rest) + near
    assert with_weight(1.0, rise + more, owed) <= with_weight(1.0, rise, owed) + near


@given(held, estimates(), st.sampled_from([0.5, 0.75]))
def test_m22_never_more_than_the_sum_and_in_stress_never_less_than_in_calm(
    account: list[Exposure], known: RiskInputs, kappa: float
) -> None:
    policy = ModelPolicy(kappa=kappa)
    calm, stress = (
        Model(kappa=kappa, correlations=correlations_of(replace(known, regime=regime), policy))
        for regime in (CALM, STRESS)
    )
    added = replace(calm, kappa=1.0)
    near = NEAR * size(account)

    assert left(account, added) <= left(account, stress) + near
    assert left(account, stress) <= left(account, calm) + near


@given(held, models(), st.integers(min_value=-200, max_value=200))
def test_m23_no_size_changes_the_factor(account: list[Exposure], model: Model, power: int) -> None:
    assume(all(each.value == 0 or each.value > 1e-3 for each in account))
    scaled = [each._replace(value=each.value * 2.0**power) for each in account]

    assert factor(scaled, model) == pytest.approx(factor(account, model), rel=NEAR)


ALONE = '\n[[pool]]\nid = "alone"\nkind = "isolated"\nvenues = ["toy-10"]\n'
LIMITS = '\n[[pool]]\nid = "main"\nmax_share = 0.3\n[pool.cap_usd]\nother = 1000\n'
IDENTITIES = ("ETH", "USDC")


def known_account(account: HealthInputs, known: RiskInputs, pools: str = "") -> HealthInputs:
    return replace(account, risk=known, policy=parse_policy(POLICY + pools))


def of_the_account(document: HealthDocument) -> list[object]:
    return [
        document.health_factor,
        document.health_factor_interval,
        document.maintenance_margin,
        document.initial_margin,
        document.liquidation_prices,
        document.free_collateral,
        document.collateral.raw,
        document.debt,
        document.ltv,
        [pool for pool in document.pools if pool.kind == "cross"],
    ]


@given(accounts(sound=True), estimates(IDENTITIES))
def test_m24_an_isolated_unit_changes_nothing_of_the_rest(account: HealthInputs, known: RiskInputs) -> None:
    """Prices stay: what a venue says of an asset that has no feed prices it for all."""
    first, second, vault = account.venues
    (unit,) = second.units
    emptied = replace(second, units=(replace(unit, positions={}),))
    with_unit = known_account(account, known, ALONE)

    before = evaluate(replace(with_unit, venues=(first, emptied, vault)))
    after = evaluate(with_unit)

    assume(prices_of(before) == prices_of(after))
    assert of_the_account(before) == of_the_account(after)


def prices_of(document: HealthDocument) -> list[tuple[str, str | None]]:
    """What is held and owed in the first venue is priced at."""
    return [
        (position.asset, position.mark_usd)
        for item in document.venues[:1]
        for unit in item.units
        for position in unit.positions
    ]


SECOND = '\n[[pool]]\nid = "second"\nvenues = ["toy-10"]\n'


@given(accounts(sound=True), estimates(IDENTITIES))
def test_m30_of_several_cross_pools_as_much_is_free_as_of_each_by_itself(
    account: HealthInputs, known: RiskInputs
) -> None:
    """Rounded down to 8 places, once each; halving and roots are exact to 12 digits."""
    asked = known_account(replace(account, venues=account.venues[:2]), known, SECOND)

    together = evaluate(asked)
    alone = [evaluate(replace(asked, venues=(each,))) for each in asked.venues]

    assume([prices_in(together, n) for n in range(2)] == [prices_in(each, 0) for each in alone])
    assume(together.free_collateral)
    added = {
        each.identity: sum(
            float(own.usd) for item in alone for own in item.free_collateral if own.identity == each.identity
        )
        for each in together.free_collateral
    }
    covered = all(float(pool.initial_margin.excess or 0) >= 0 for pool in together.pools)
    for each in together.free_collateral:
        assert float(each.usd) <= added[each.identity] * (1 + NEAR) + 1e-7
        if covered:
            assert float(each.usd) == pytest.approx(added[each.identity], rel=NEAR, abs=1e-6)


@given(accounts(sound=True), estimates(IDENTITIES), st.sampled_from(["", SECOND.replace("toy-10", "vault")]))
def test_m31_what_an_isolated_pool_lends_frees_nothing_and_moves_no_limit(
    account: HealthInputs, known: RiskInputs, more: str
) -> None:
    """It is in the account's own numbers alone."""
    alone = evaluate(known_account(account, known, ALONE + more))
    lent = evaluate(known_account(account, known, ALONE + "count_excess = true\n" + more))

    assert decided(lent) == decided(alone)
    if lent.health_factor is not None and alone.health_factor is not None:
        assert float(lent.health_factor) >= float(alone.health_factor)


def decided(document: HealthDocument) -> list[object]:
    pools = [(pool.pool, pool.unit_id, pool.status, pool.health_factor) for pool in document.pools]
    return [document.status, document.free_collateral, document.liquidation_prices, document.distance, pools]


def prices_in(document: HealthDocument, place: int) -> list[tuple[str, str | None]]:
    """What is held and owed in a venue is priced at."""
    return [(position.asset, position.mark_usd) for unit in document.venues[place].units for position in unit.positions]


@given(accounts(sound=True), estimates(IDENTITIES))
def test_m25_limits_change_no_maintenance_margin(account: HealthInputs, known: RiskInputs) -> None:
    free, limited = evaluate(known_account(account, known)), evaluate(known_account(account, known, LIMITS))

    assert (limited.health_factor, limited.maintenance_margin, limited.status, limited.liquidation_prices) == (
        free.health_factor,
        free.maintenance_margin,
        free.status,
        free.liquidation_prices,
    )
    assert Fraction(limited.headroom or 0) <= Fraction(free.headroom or 0)


@given(accounts(sound=True), estimates(IDENTITIES), st.one_of(supplies, debts))
def test_m26_estimates_leave_more_collateral_better_and_more_debt_worse(
    account: HealthInputs, known: RiskInputs, growth: tuple[int, bytes, Side, Fraction]
) -> None:
    before = evaluate(known_account(account, known))
    after = evaluate(known_account(changed(account, *growth), known))

    worse, better = (after, before) if growth[2] is Side.BORROW else (before, after)
    for low, high in zip(health_factors(worse), health_factors(better), strict=True):
        assert low <= high * (1 + LAST_PLACE) + LAST_PLACE


@given(accounts(), estimates(IDENTITIES), st.sampled_from(["", ALONE, LIMITS]))
def test_m27_what_is_written_is_read_back(account: HealthInputs, known: RiskInputs, pools: str) -> None:
    inputs = known_account(account, known, pools)

    read = from_json(to_json(inputs))

    assert read == inputs
    assert evaluate(read) == evaluate(inputs)
