"""Usable observations of one identity, combined: outliers and jumps left out, held to what it can be redeemed for, and its state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aggregator.oracle.breaker import first_below, jumps
from aggregator.oracle.observation import (
    ESTIMATED,
    RULE,
    WINDOW_S,
    Discarded,
    Mark,
    Refusal,
    Used,
)
from aggregator.oracle.rules import SEVERITY, MarkRules, Mode, State, worst
from aggregator.oracle.weights import Middle, half_spread, lower_median, mean, median, strays, upper_median, weights
from aggregator.oracle.window import path_of, twap, within

SHORT_S, LONG_S = 300, WINDOW_S


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is known of an identity beside its feeds: the estimated deviation of its daily log return; whether it is redeemed at 1 USD."""

    daily_deviation: float | None = None
    at_par: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """From where observations are seen; see `aggregator.oracle.mark.mark`."""

    times: Mapping[str, int]
    stale_chains: frozenset[str]
    rules: MarkRules
    about: About


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A price with its bounds, `low` ≤ `mid` ≤ `high`."""

    low: float
    mid: float
    high: float

    def reaching(self, prices: Sequence[float]) -> Quote:
        """Stretch the bounds as if each of those prices were the middle as well."""
        if not prices or self.mid <= 0:
            return self
        low, high = min(prices) * (self.low / self.mid), max(prices) * (self.high / self.mid)
        return replace(self, low=min(self.low, low), high=max(self.high, high))

    def covering(self, other: Quote) -> Quote:
        """Stretch the bounds over another quote's."""
        return replace(self, low=min(self.low, other.low), high=max(self.high, other.high))

    def raised(self, floor: float) -> Quote:
        """Lift the middle, which is below a floor, to it; the bounds still reach what was said."""
        return Quote(low=self.low, mid=floor, high=max(self.high, floor))


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """The observations that the middle rests on, those that were left out, and prices that the bounds must reach all the same."""

    kept: list[Used]
    left_out: list[Discarded]
    reach: list[float]


PAR = Quote(low=1.0, mid=1.0, high=1.0)

Finding = tuple[State, str]


def combined(identity: str, used: Sequence[Used], discarded: Sequence[Discarded], view: View) -> Mark:
    """Combine usable observations of one identity, of which there is at least one."""
    market = [item for item in used if item.base is None]
    rates = [item for item in used if item.base is not None]
    agreed = _agreed(market or rates, view)
    kept, weighing = agreed.kept, weights(agreed.kept)
    now = max(view.times[item.observation.chain_id] for item in kept)
    path = path_of([item.steps for item in kept], weighing, middle_of(view.rules))
    quote = quote_of(kept, weighing, view.rules)
    findings = [(State.HELD, Refusal.UNCONFIRMED.value)] if agreed.reach else []
    fair = _fair(market, rates, view)
    short, long = twap(path, now, SHORT_S), twap(path, now, LONG_S)
    said, quote = quote, quote.reaching([*agreed.reach, *([] if short is None else [short])])
    if fair is not None:
        if _unbelieved(said, fair, kept, view.rules):
            quote = quote.raised(fair.mid * (1 - view.rules.peg_haircut))
            findings.append((State.HELD, "first_print_below_fair"))
        quote = quote.covering(fair)
    prices = [item.price for item in kept]
    spread = half_spread(prices, weighing)
    operators = frozenset().union(*(item.operators for item in kept))
    findings += _doubts(kept, operators, view)
    findings += _moves(quote.mid, spread, long, view.rules)
    return Mark(
        identity=identity,
        low=quote.low,
        mid=quote.mid,
        high=quote.high,
        used=tuple(item for item in used if item in kept or item in rates),
        discarded=(*discarded, *agreed.left_out),
        state=worst(state for state, _ in findings),
        reasons=tuple(dict.fromkeys(word for _, word in sorted(findings, key=_severity))),
        operators=tuple(sorted(operators)),
        confidence=max(spread, upper_median([_interval(item) for item in kept], weighing)),
        age_s=max(item.age_s for item in kept),
        twap_5m=short,
        twap_1h=long,
        basis=RULE if view.about.daily_deviation is None else ESTIMATED,
        path=within(path, now, WINDOW_S),
    )


def _severity(finding: Finding) -> tuple[int, str]:
    return (-SEVERITY[finding[0]], finding[1])


def _interval(item: Used) -> float:
    reading = item.observation.reading
    return (reading.confidence or 0.0) if reading is not None else 0.0


def middle_of(rules: MarkRules) -> Middle:
    return median if rules.mode is Mode.MEDIAN else mean


def quote_of(used: Sequence[Used], weighing: Sequence[int], rules: MarkRules) -> Quote:
    """Take the lower median of the lows, the upper one of the highs, and the middle of the prices as the rules have it."""
    mid = middle_of(rules)([item.price for item in used], weighing)
    low = lower_median([item.low for item in used], weighing)
    return Quote(low=min(low, mid), mid=mid, high=max(upper_median([item.high for item in used], weighing), mid))


def _agreed(used: Sequence[Used], view: View) -> Agreed:
    """Leave out what strays from the others, and what jumped while others stayed; of what nobody else speaks the jump is covered."""
    rules = view.rules
    astray = strays([item.price for item in used], weights(used), rules.outlier, rules.outlier_mads)
    near = [item for item, is_astray in zip(used, astray, strict=True) if not is_astray]
    left_out = [_without(item, Refusal.OUTLIER) for item in used if item not in near]
    jumped = jumps(near, view.times, rules, view.about.daily_deviation)
    calm = [item for item in near if not any(jump.item is item for jump in jumped)]
    if not calm:
        return Agreed(kept=near, left_out=left_out, reach=[jump.before for jump in jumped])
    left_out += [_without(jump.item, Refusal.UNCONFIRMED) for jump in jumped]
    return Agreed(kept=calm, left_out=left_out, reach=[jump.item.price for jump in jumped])


def _without(item: Used, why: Refusal) -> Discarded:
    return Discarded(observation=item.observation, age_s=item.age_s, refusal=why)


def _fair(market: Sequence[Used], rates: Sequence[Used], view: View) -> Quote | None:
    """Return what an identity with prices of its own can be redeemed for, `None` where nobody says."""
    if not market:
        return None
    if rates:
        return quote_of(rates, weights(rates), view.rules)
    return PAR if view.about.at_par else None


def _unbelieved(quote: Quote, fair: Quote, kept: Sequence[Used], rules: MarkRules) -> bool:
    floor = fair.mid * (1 - rules.peg_haircut)
    return quote.mid < floor and first_below(kept, floor)


def _doubts(kept: Sequence[Used], operators: frozenset[str], view: View) -> list[Finding]:
    """Say what is to be said of those who speak: too few of them, too late, or from a chain that stands still."""
    found: list[Finding] = []
    if len(operators) < view.rules.quorum:
        found.append((State.NO_QUORUM if view.rules.demand_quorum else State.DEGRADED, "too_few_operators"))
    if all(not item.chains.isdisjoint(view.stale_chains) for item in kept):
        found.append((State.STALE, "stale_chain"))
    if all(map(_late, kept)):
        found.append((State.STALE, "late"))
    below = {item.base.state for item in kept if item.base is not None}
    if below and min(map(SEVERITY.__getitem__, below)) > SEVERITY[State.DEGRADED]:
        found.append((worst(below), "base_in_doubt"))
    return found


def _late(item: Used) -> bool:
    """Whether more than half of what is allowed beyond the heartbeat has passed."""
    heartbeat_s = item.observation.heartbeat_s
    return heartbeat_s is not None and 2 * (item.age_s - heartbeat_s) > heartbeat_s // 10 + 60


def _moves(mid: float, spread: float, long: float | None, rules: MarkRules) -> list[Finding]:
    found: list[Finding] = []
    if spread > rules.most_spread * mid:
        found.append((State.UNCERTAIN, "operators_disagree"))
    if long is not None and not long / rules.volatile_ratio <= mid <= long * rules.volatile_ratio:
        found.append((State.VOLATILE, "far_from_the_hour"))
    return found
