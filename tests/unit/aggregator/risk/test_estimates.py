"""What is estimated from histories with known quantiles and correlations, and what is not."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.margin.estimate_policy import AgePolicy, EstimatePolicy, RegimePolicy
from aggregator.margin.risk import NO_RISK, Liquidity, RiskInputs
from aggregator.risk.bars import Bars
from aggregator.risk.breach import minima_of
from aggregator.risk.correlation import SMALLEST_EIGENVALUE, correlations, one_factor, repaired, weighted
from aggregator.risk.estimates import Histories, Trait, at_moment, estimate, sliced
from aggregator.risk.history import Floats, History
from aggregator.risk.minima import minima
from aggregator.risk.regime import stressed_today
from aggregator.risk.series import PriceDay, Series, series_of

START = date(2020, 1, 1)
POLICY = EstimatePolicy()


def series(identity: str, returns: Floats, *, low: float | None = None, first: date = START) -> Series:
    """Prices from 1 on; `low`: each day's, as a fraction of its close."""
    closes = np.exp(np.concatenate([[0.0], np.cumsum(returns)])).tolist()
    days = [
        PriceDay(first + timedelta(n), close, low and close * low, low and close / low, "x")
        for n, close in enumerate(closes)
    ]
    found = series_of(identity, days)
    assert found is not None
    return found


def normal(days: int, deviation: float = 0.03, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(0, deviation, days)


def risk_of(*known: Series, today: date | None = None, policy: EstimatePolicy = POLICY, **traits: Trait) -> RiskInputs:
    histories = Histories(series={one.identity: one for one in known})
    return estimate(histories, {one.identity: Trait() for one in known} | traits, policy, today or day_after(known[0]))


def day_after(known: Series) -> date:
    return known.last + timedelta(days=1)


def test_the_layers_are_the_quantiles_at_their_horizons_on_both_sides() -> None:
    (found,) = risk_of(series("ETH", normal(4000))).assets

    # σ from the last days is 3 % but for a tenth; 99 % is 2.33 σ, 99.7 % 2.75 σ; four hours are √(1/6) of a day
    deviation = found.deviation
    assert deviation == pytest.approx(0.03, rel=0.2)
    assert found.maintenance == pytest.approx(-math.expm1(-2.33 * deviation / math.sqrt(6)), rel=0.06)
    assert found.rise_maintenance == pytest.approx(math.expm1(2.33 * deviation / math.sqrt(6)), rel=0.06)
    assert found.initial == pytest.approx(-math.expm1(-2.75 * deviation), rel=0.06)
    assert found.rise_initial == pytest.approx(math.expm1(2.75 * deviation), rel=0.06)
    assert (found.basis, found.days, found.last_day) == ("fhs", 4000, (START + timedelta(4000)).isoformat())


def test_both_sides_are_told_apart() -> None:
    skewed = np.where(np.arange(2000) % 50 == 0, -0.2, 0.2 / 49)

    (found,) = risk_of(series("ETH", skewed)).assets

    assert found.initial > 5 * found.rise_initial


def test_a_short_history_is_widened_and_a_shorter_one_says_nothing() -> None:
    (short,) = risk_of(series("ETH", normal(100))).assets

    assert short.basis == "student"
    assert risk_of(series("ETH", normal(59))).assets == ()


def test_a_history_that_has_none_of_the_last_seven_days_says_nothing_of_today() -> None:
    """The last seven days before a day are the one that is seven days before it, and those after that."""
    known = series("ETH", normal(1000))

    assert len(risk_of(known, today=known.last + timedelta(days=7)).assets) == 1
    assert risk_of(known, today=known.last + timedelta(days=8)).assets == ()
    shorter = replace(POLICY, ages=AgePolicy(history_max_age_s=86_400))
    assert len(risk_of(known, today=known.last + timedelta(days=1), policy=shorter).assets) == 1
    assert risk_of(known, today=known.last + timedelta(days=2), policy=shorter).assets == ()


def test_a_day_of_the_age_that_is_begun_counts_whole() -> None:
    known, ages = series("ETH", normal(1000)), AgePolicy(history_max_age_s=36 * 3600)
    policy = replace(POLICY, ages=ages)

    assert len(risk_of(known, today=known.last + timedelta(days=2), policy=policy).assets) == 1
    assert risk_of(known, today=known.last + timedelta(days=3), policy=policy).assets == ()


def test_the_day_of_the_cut_and_those_after_it_do_not_count() -> None:
    returns = normal(1000)
    whole, cut = series("ETH", returns), series("ETH", returns[:900])

    assert risk_of(whole, today=day_after(cut)).assets == risk_of(cut).assets
    assert risk_of(whole, today=cut.last).assets != risk_of(cut).assets


def test_what_moved_over_a_gap_counts_whole_and_a_long_gap_ends_the_history() -> None:
    days = [PriceDay(START + timedelta(n), 1.0 + 0.01 * (n % 2), None, None, "x") for n in range(100)]
    gap = [*days, PriceDay(START + timedelta(103), 0.5, None, None, "x")]

    short, long = (
        series_of("ETH", gap),
        series_of("ETH", [*days, *(d._replace(day=d.day + timedelta(110)) for d in days)]),
    )

    assert short is not None
    assert short.returns[-1] == pytest.approx(math.log(0.5 / 1.01))
    assert long is not None
    assert len(long.days) == 100


@settings(max_examples=30)
@given(rho=st.floats(0, 0.98), seed=st.integers(0, 10**6))
def test_known_correlations_are_found(rho: float, seed: int) -> None:
    both = np.random.default_rng(seed).multivariate_normal([0, 0], [[1, rho], [rho, 1]], 500) * 0.03
    known = [series("A", both[:, 0]), series("B", both[:, 1])]

    measured = weighted(known, known[0].last.toordinal())[0, 1]

    # about 65 days weigh: the error of Fisher's z is 1 / √62
    assert abs(math.atanh(measured) - math.atanh(rho)) < 4.5 / math.sqrt(62)


@settings(max_examples=50)
@given(data=st.data())
def test_what_is_repaired_is_positive_definite_with_ones_on_its_diagonal(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 8))
    entries = data.draw(st.lists(st.floats(-1, 1), min_size=size * size, max_size=size * size))
    raw = np.array(entries).reshape(size, size)
    raw = np.triu(raw, 1) + np.triu(raw, 1).T + np.eye(size)

    for found in (repaired(raw), repaired(0.8 * raw + 0.2 * one_factor(raw))):
        assert np.diag(found).tolist() == [1.0] * size
        assert np.abs(found).max() <= 1.0 + 1e-12
        assert (found == found.T).all()
        assert np.linalg.eigvalsh(found)[0] > SMALLEST_EIGENVALUE / (2 * size)


def test_a_pair_without_enough_common_days_has_the_larger_default() -> None:
    early, late = series("A", normal(100)), series("B", normal(100, seed=2), first=START + timedelta(60))

    found = correlations([early, late], late.last.toordinal(), (0.5, 0.7))

    # 0.8 · 0.7 + 0.2 · (one factor of two assets: (1 + 0.7) / 2)
    assert found[0, 1] == pytest.approx(0.8 * 0.7 + 0.2 * 0.85)


def test_that_two_move_against_each_other_is_told() -> None:
    returns = normal(200)

    found = risk_of(series("A", returns), series("B", -returns)).correlation

    assert -1 < found[0][1] < -0.75


def test_what_is_redeemed_for_another_moves_with_it_and_has_no_peg_of_its_own() -> None:
    eth = series("ETH", normal(1000))

    found = risk_of(eth, stETH=Trait(pegged=True, base="ETH"), wstETH=Trait(pegged=True, base="stETH"))

    assert [replace(asset, identity="ETH") for asset in found.assets] == [found.assets[0]] * 3
    assert found.pegs == ()
    assert found.correlation[0][1] > 0.99
    assert np.linalg.eigvalsh(np.array(found.correlation))[0] > 0


def test_circles_of_redemption_say_nothing() -> None:
    assert estimate(Histories(), {"A": Trait(base="B"), "B": Trait(base="A")}, POLICY, START) == replace(
        NO_RISK, digest=estimate(Histories(), {}, POLICY, START).digest
    )


def test_a_peg_is_the_rare_discount_or_a_share_of_the_worst_that_ever_was() -> None:
    days = [
        PriceDay(START + timedelta(n), 0.88 if n == 200 else 1.0, 0.8 if n == 200 else 1.0, None, "x")
        for n in range(400)
    ]
    usdc, noise = series_of("USDC", days), series("ETH", normal(400))
    assert usdc is not None

    def fall(worst: float) -> float:
        (peg,) = risk_of(noise, usdc, USDC=Trait(pegged=True, usd_like=True, worst=worst)).pegs
        return peg.fall

    assert fall(0.5) == 0.1  # half of the low at 0.8
    assert fall(1.0) == 0.2
    assert fall(0.0) == 0.0  # the 99.5 % quantile of 400 days is below one single day


def test_a_peg_of_which_nothing_is_known_of_late_says_so() -> None:
    usdc = series_of("USDC", [PriceDay(START + timedelta(n), 1.0, 1.0, None, "x") for n in range(100)])
    assert usdc is not None

    def fresh(days: int) -> bool:
        today = day_after(usdc) + timedelta(days)
        (peg,) = risk_of(usdc, today=today, USDC=Trait(pegged=True, usd_like=True, worst=1.0)).pegs
        return peg.fresh

    assert [fresh(days) for days in (0, 6, 7)] == [True, True, False]


def test_a_discount_against_what_is_redeemed_takes_the_rate_of_the_day() -> None:
    eth = series("ETH", normal(400))
    market = replace(eth, identity="rETH", closes=eth.closes * 1.1 * 0.95)
    histories = Histories(series={"ETH": eth, "rETH": market}, rates={"rETH": {START.toordinal() + 400: 1.1}})

    found = estimate(histories, {"ETH": Trait(), "rETH": Trait(pegged=True, base="ETH")}, POLICY, day_after(eth))

    assert [(peg.identity, peg.fall, peg.basis) for peg in found.pegs] == [("rETH", 0.05, "redemption")]


def test_a_discount_is_as_old_as_the_last_day_that_both_prices_are_known_of() -> None:
    eth = series("ETH", normal(400))
    market = replace(eth, identity="rETH", closes=eth.closes * 0.95)
    known = Histories(
        series={"ETH": eth.until(eth.last - timedelta(30)), "rETH": market}, rates={"rETH": {START.toordinal(): 1.0}}
    )

    found = estimate(known, {"ETH": Trait(), "rETH": Trait(pegged=True, base="ETH")}, POLICY, day_after(eth))

    assert [(peg.last_day, peg.fresh) for peg in found.pegs] == [((eth.last - timedelta(30)).isoformat(), False)]


def test_swings_and_depths_of_days_without_a_gap_are_those_of_bars() -> None:
    known = series("ETH", normal(900), low=0.97)
    history = History(asset="ETH", first=START, closes=known.closes)
    bars = Bars(history=history, lows=known.lows, highs=known.highs)

    assert known.swings == pytest.approx(bars.swings)
    assert known.depths == pytest.approx(bars.depths)
    assert minima([known]) == pytest.approx(minima_of(bars.depths))
    (found,) = risk_of(known).assets
    assert found.swing == pytest.approx(bars.swings[-1])


def test_without_ranges_the_swing_is_the_deviation_and_old_ranges_are_none() -> None:
    (bare,) = risk_of(series("ETH", normal(900))).assets
    known = series("ETH", normal(900), low=0.9)
    unknown = np.arange(len(known.days)) >= len(known.days) - 30
    (old,) = risk_of(replace(known, lows=np.where(unknown, np.nan, known.lows))).assets

    assert bare.swing == bare.deviation
    assert old.swing == old.deviation


def test_minima_need_lows() -> None:
    assert minima([series("ETH", normal(5000))]) == ()


def test_stress_begins_with_a_fall_of_the_market_and_ends_after_calm_days() -> None:
    quiet = normal(300, 0.01)
    quiet[-10] = math.log(0.85)
    fallen, other = series("ETH", quiet), series("BTC", normal(300, 0.01, seed=2))
    day = fallen.last - timedelta(days=9)

    def regime(days: int, *more: Series) -> tuple[str, tuple[str, ...]]:
        found = risk_of(fallen, *more, today=day + timedelta(days=days))
        return found.regime, found.regime_reasons

    assert regime(0) == ("calm", ())
    assert regime(1) == ("stress", ("market_fell",))
    assert regime(5) == ("stress", ("market_fell",))
    assert regime(6) == ("calm", ())
    assert regime(1, other) == ("calm", ())  # the median of −15 % and about nothing


def test_stress_is_when_assets_go_together_and_a_peg_is_no_market() -> None:
    returns = normal(300)
    eth, twin = series("ETH", returns), series("BTC", returns)

    assert risk_of(eth, twin).regime_reasons == ("assets_correlated",)
    assert risk_of(eth, twin, BTC=Trait(pegged=True)).regime == "calm"
    loose = replace(POLICY, regime=RegimePolicy(correlation=1.0))
    assert risk_of(eth, twin, policy=loose).regime == "calm"


def test_a_fall_since_the_last_close_and_missing_marks_are_stress_at_once() -> None:
    closes = {"ETH": 100.0, "BTC": 1000.0, "SOL": 10.0}

    def reasons(
        eth: float | None, btc: float | None, *, usd: float | None = 1.0, policy: RegimePolicy = POLICY.regime
    ) -> tuple[str, ...]:
        prices = {"ETH": eth, "BTC": btc, "SOL": 10.0, "USD": usd, "EUR": 1.1}
        return stressed_today(prices, closes, policy)

    assert reasons(89.0, 889.0) == ("market_fell",)
    assert reasons(89.0, 1000.0) == ()  # the median did not move
    assert reasons(100.0, 1000.0, usd=None) == ()  # one of five is not more than 20 %
    assert reasons(None, 1000.0, usd=None) == ("marks_not_ok",)
    assert stressed_today({}, closes, POLICY.regime) == ()


def test_marks_that_authorise_nothing_are_not_ok_either() -> None:
    prices = {"ETH": 100.0, "BTC": 1000.0, "SOL": 10.0, "USD": None, "EUR": 1.1}

    assert stressed_today(prices, {}, POLICY.regime) == ()
    assert stressed_today(prices, {}, POLICY.regime, {"USD"}) == ()  # it is missing and counts once
    assert stressed_today(prices, {}, POLICY.regime, {"SOL"}) == ("marks_not_ok",)  # two of five


def test_stress_of_a_moment_is_added_to_that_of_days() -> None:
    risk = risk_of(series("ETH", normal(300)))

    assert at_moment(risk, ()) is risk
    stressed = at_moment(replace(risk, regime="stress", regime_reasons=("market_fell",)), ("marks_not_ok",))
    assert (stressed.regime, stressed.regime_reasons) == ("stress", ("market_fell", "marks_not_ok"))


def test_liquidity_grows_old() -> None:
    said = Liquidity(identity="ETH", daily_volume_usd=1e9, spread=0.0, fee=0.0, as_of="2020-06-01", source="desk")

    def liquidity(today: date) -> tuple[Liquidity, ...]:
        return estimate(Histories(liquidity={"ETH": said}), {}, POLICY, today).liquidity

    assert liquidity(date(2020, 6, 1)) == liquidity(date(2020, 8, 31)) == (said,)
    assert liquidity(date(2020, 9, 1)) == ()
    assert liquidity(date(2020, 5, 31)) == ()


def test_an_account_takes_only_its_own_part() -> None:
    whole = risk_of(*(series(name, normal(300, seed=seed)) for seed, name in enumerate("ABC")))

    part = sliced(whole, {"C", "A"})

    assert [asset.identity for asset in part.assets] == ["A", "C"]
    assert part.correlation == ((1.0, whole.correlation[0][2]), (whole.correlation[2][0], 1.0))
    assert (part.minima, part.regime, part.digest) == (whole.minima, whole.regime, whole.digest)
    assert sliced(NO_RISK, {"A"}) is NO_RISK


def test_the_digest_is_of_the_histories() -> None:
    one, other = normal(100), normal(100, seed=2)

    assert risk_of(series("A", one)).digest == risk_of(series("A", one)).digest
    assert risk_of(series("A", one)).digest != risk_of(series("A", other)).digest
