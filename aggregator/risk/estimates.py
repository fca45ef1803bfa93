"""All that an answer takes from histories, at the end of the last whole day: estimated once for all assets, and cut to an account's."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from aggregator.margin.estimate_policy import DAY_S, AgePolicy, EstimatePolicy, HorizonPolicy
from aggregator.margin.risk import CALM, NO_RISK, STRESS, AssetRisk, Liquidity, PegRisk, RiskInputs
from aggregator.risk import minima, regime
from aggregator.risk.correlation import correlations
from aggregator.risk.market import layer_of
from aggregator.risk.peg import below_a_dollar, below_fair
from aggregator.risk.series import Series, rated

LAYER_STEPS = 1_000_000.0
"""Layers are rounded up to one over this, so that two machines say the same."""

PLACES = 9
"""Of everything else."""

LATELY = 30
"""Days; ranges of before say nothing of the day to come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """What the configuration says of an identity: whether it is `pegged` to something, worth a dollar (`usd_like`), and redeemed
    for another identity (`base`); `worst` and `correlation`: see `aggregator.margin.layer_policy.ClassLayers`.
    """

    pegged: bool = False
    usd_like: bool = False
    worst: float = 1.0
    correlation: float = 0.9
    base: str | None = None

    @property
    def free(self) -> bool:
        """Whether it moves by itself, so that it says something of the market."""
        return not self.pegged and not self.usd_like and self.base is None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Histories:
    """What is known at a cut, each by identity: market prices by days, redemption rates by the day's number, the newest of liquidity."""

    series: Mapping[str, Series] = field(default_factory=dict)
    rates: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    liquidity: Mapping[str, Liquidity] = field(default_factory=dict)


def estimate(histories: Histories, traits: Mapping[str, Trait], policy: EstimatePolicy, today: date) -> RiskInputs:
    """Estimate from whole days before `today`, the UTC day of the cut.

    An identity of which too little is known, or nothing of late, is left out: nothing takes its place.
    """
    yesterday = today - timedelta(days=1)
    known = known_series(histories, traits, today)
    found = {name: risk for name, one in sorted(known.items()) if (risk := _asset(one, policy, yesterday)) is not None}
    own = {name: known[name] for name in found if name in histories.series}
    free = [one for name, one in own.items() if traits[name].free]
    reasons = regime.stressed_lately(free, yesterday.toordinal(), policy.regime)
    matrix = correlations(
        [known[name] for name in found], yesterday.toordinal(), [traits[name].correlation for name in found]
    )
    return RiskInputs(
        assets=tuple(found.values()),
        correlation=tuple(tuple(round(value, PLACES) for value in row) for row in matrix.tolist()),
        minima=tuple(
            round(value, PLACES)
            for value in minima.minima(one for name, one in own.items() if not traits[name].usd_like)
        ),
        pegs=tuple(_pegs(known, histories, traits, yesterday, policy.ages)),
        liquidity=tuple(one for _, one in sorted(histories.liquidity.items()) if _fresh(one, policy.ages, yesterday)),
        regime=STRESS if reasons else CALM,
        regime_reasons=reasons,
        digest=_digest(histories),
    )


def known_series(histories: Histories, traits: Mapping[str, Trait], today: date) -> dict[str, Series]:
    """Return the prices of each identity before a day: its own, or those of what it is redeemed for, at the rate."""
    last = today - timedelta(days=1)
    return {name: one for name in traits if (one := _series_of(name, histories, traits, last)) is not None}


def at_moment(risk: RiskInputs, reasons: Collection[str]) -> RiskInputs:
    """Add what makes it stress at a moment of today."""
    if not reasons:
        return risk
    return replace(risk, regime=STRESS, regime_reasons=tuple(sorted({*risk.regime_reasons, *reasons})))


def sliced(risk: RiskInputs, identities: Collection[str]) -> RiskInputs:
    """Return the part of the estimates that concerns some identities; `NO_RISK` stays what it is."""
    if risk is NO_RISK:
        return risk
    places = [place for place, asset in enumerate(risk.assets) if asset.identity in identities]
    return replace(
        risk,
        assets=tuple(risk.assets[place] for place in places),
        correlation=tuple(tuple(risk.correlation[row][column] for column in places) for row in places),
        pegs=tuple(peg for peg in risk.pegs if peg.identity in identities),
        liquidity=tuple(one for one in risk.liquidity if one.identity in identities),
    )


def _series_of(
    identity: str, histories: Histories, traits: Mapping[str, Trait], last: date, above: frozenset[str] = frozenset()
) -> Series | None:
    """Return an identity's own prices, or its base's at the rate between them, up to a day."""
    own = histories.series.get(identity)
    if own is not None:
        own = own.until(last)
        return own if len(own.days) > 1 else None
    fair = _fair_of(identity, histories, traits, last, above)
    return fair if fair is not None and len(fair.days) > 1 else None


def _fair_of(
    identity: str, histories: Histories, traits: Mapping[str, Trait], last: date, above: frozenset[str] = frozenset()
) -> Series | None:
    """Return what an identity is redeemed for, in USD; `above`: what was come from, since rates may rest on rates."""
    trait = traits.get(identity)
    if trait is None or trait.base is None or identity in above:
        return None
    base = _series_of(trait.base, histories, traits, last, above | {identity})
    return None if base is None else rated(identity, base, histories.rates.get(identity, {}))


def told_of_late(last: date, ages: AgePolicy, yesterday: date) -> bool:
    """Whether a history that ends with day `last` has any of the last days up to `yesterday`."""
    return (yesterday - last).days * DAY_S < ages.history_max_age_s


def _asset(series: Series, policy: EstimatePolicy, yesterday: date) -> AssetRisk | None:
    if not told_of_late(series.last, policy.ages, yesterday) or len(series.returns) < policy.ages.fewest_days:
        return None
    horizon = policy.horizon
    fallen, risen = _both(series, horizon, rising=False), _both(series, horizon, rising=True)
    if fallen is None or risen is None:
        return None
    deviation, basis = fallen[2:]
    return AssetRisk(
        identity=series.identity,
        maintenance=min(_up(fallen[0]), 1.0),
        initial=min(_up(max(fallen[:2])), 1.0),
        rise_maintenance=_up(risen[0]),
        rise_initial=_up(max(risen[:2])),
        deviation=round(deviation, PLACES),
        swing=round(_swing(series, deviation), PLACES),
        basis=basis,
        days=len(series.returns),
        last_day=series.last.isoformat(),
    )


def _swing(series: Series, deviation: float) -> float:
    """Return the deviation of the day to come from ranges; the other one where none is known of late."""
    return float(series.swings[-1]) if series.ranged[-LATELY:].any() else deviation


def _both(series: Series, horizon: HorizonPolicy, *, rising: bool) -> tuple[float, float, float, str] | None:
    """Return the layers of both margins, the deviation of a day and what they rest on."""
    maintenance = layer_of(
        series.returns, horizon_s=horizon.maintenance_s, tail=horizon.maintenance_tail, rising=rising
    )
    initial = layer_of(series.returns, horizon_s=horizon.initial_s, tail=horizon.initial_tail, rising=rising)
    if maintenance is None or initial is None:
        return None
    return maintenance.haircut, initial.haircut, maintenance.deviation, maintenance.basis.value


def _pegs(
    known: Mapping[str, Series], histories: Histories, traits: Mapping[str, Trait], yesterday: date, ages: AgePolicy
) -> Iterable[PegRisk]:
    """Yield the pegs that are known; what has none of the last days up to `yesterday` is not fresh."""
    for name, series in sorted(known.items()):
        trait = traits[name]
        if name not in histories.series:
            continue
        fair = _fair_of(name, histories, traits, series.last) if name in histories.rates else None
        if fair is not None:
            seen = below_fair(series, fair, trait.worst)
        else:
            seen = below_a_dollar(series, trait.worst) if trait.usd_like and trait.pegged else None
        if seen is not None:
            last = date.fromordinal(seen.last)
            yield PegRisk(
                identity=name,
                fall=min(_up(seen.fall), 1.0),
                basis=seen.basis,
                last_day=last.isoformat(),
                fresh=told_of_late(last, ages, yesterday),
            )


def _fresh(one: Liquidity, ages: AgePolicy, yesterday: date) -> bool:
    """Whether what was said of liquidity is of the last days, and not of days to come."""
    age = yesterday - date.fromisoformat(one.as_of)
    return timedelta(days=-1) <= age <= timedelta(seconds=ages.liquidity_max_age_s)


def _digest(histories: Histories) -> str:
    body = hashlib.sha256()
    for _, series in sorted(histories.series.items()):
        body.update(series.digest().encode())
    for name, rates in sorted(histories.rates.items()):
        body.update(f"{name} {sorted(rates.items())!r}".encode())
    for _, one in sorted(histories.liquidity.items()):
        body.update(repr(one).encode())
    return f"sha256:{body.hexdigest()}"


def _up(value: float) -> float:
    return math.ceil(round(value * LAYER_STEPS, 3)) / LAYER_STEPS
