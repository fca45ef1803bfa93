"""What is estimated from stored histories, kept for as long as nothing that it rests on has changed: the same as computed anew."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from threading import Lock
from typing import TypeVar

from aggregator.gather import SOUND, Catalogue, Condition, sorted_feeds, with_sequencers
from aggregator.histories import ChainDays, chain_days, followed, histories, settled, today_of, traits_of
from aggregator.margin.inputs import Cut
from aggregator.margin.marks_policy import TRUSTED
from aggregator.margin.risk import NO_RISK, RiskInputs
from aggregator.margin.valuation import make_context
from aggregator.observations import observe
from aggregator.oracle.mark import Mark
from aggregator.risk.estimates import at_moment, estimate, known_series
from aggregator.risk.regime import stressed_today
from aggregator.risk.series import Series
from chains.model import FEEDS
from indexer.store import Reader

T = TypeVar("T")

KEPT = 32
"""Results in mind: days of chains, and estimates of days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Daily:
    """What is estimated at the end of a day, and that day's closes of what is pegged to nothing."""

    risk: RiskInputs = NO_RISK
    closes: Mapping[str, float] = field(default_factory=dict)


class Estimates:
    """Estimates at cuts; may be asked from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[Hashable, object] = OrderedDict()

    def at(
        self, reader: Reader, cuts: Mapping[str, Cut], catalogue: Catalogue, condition: Condition = SOUND
    ) -> RiskInputs:
        """Return what is estimated at the end of the last whole day before the moment of a cut, and whether it is stress at the cut itself.

        `NO_RISK` where nothing is known. Raises `StoreError`.
        """
        today = today_of(cuts)
        if today is None:
            return NO_RISK
        keys = {chain_id: key for chain_id, cut in sorted(cuts.items()) if (key := _chain_key(reader, chain_id, cut))}
        said = (tuple(keys.values()), reader.newest_import(), catalogue.feeds, catalogue.assets, repr(catalogue.policy))
        daily = self._once(
            (today, said), lambda: self._daily(reader, {name: cuts[name] for name in keys}, catalogue, today)
        )
        if daily.risk is NO_RISK:
            return NO_RISK
        places = tuple((chain_id, cut.block.hash, cut.now) for chain_id, cut in sorted(cuts.items()))
        reasons = self._once(
            (places, condition.stale_chains, said), lambda: _today(reader, cuts, catalogue, condition, daily)
        )
        return at_moment(daily.risk, reasons)

    def series(self, reader: Reader, cuts: Mapping[str, Cut], catalogue: Catalogue) -> Mapping[str, Series]:
        """Return all prices up to the last whole day before the moment of a cut, by identity; raises `StoreError`."""
        today = today_of(cuts)
        if today is None:
            return {}
        days = [self.days(reader, *cut, catalogue) for cut in sorted(cuts.items())]
        return known_series(histories(reader, days, today), traits_of(catalogue), today)

    def _daily(self, reader: Reader, cuts: Mapping[str, Cut], catalogue: Catalogue, today: date) -> _Daily:
        traits = traits_of(catalogue)
        known = histories(reader, [self.days(reader, *cut, catalogue) for cut in cuts.items()], today)
        if not known.series and not known.liquidity:
            return _Daily()
        yesterday = (today - timedelta(days=1)).toordinal()
        return _Daily(
            risk=estimate(known, traits, catalogue.policy.estimates, today),
            closes={
                name: float(one.closes[-1])
                for name, one in known.series.items()
                if name in traits and traits[name].free and one.days[-1] == yesterday
            },
        )

    def days(self, reader: Reader, chain_id: str, cut: Cut, catalogue: Catalogue) -> ChainDays:
        """Return what the feeds of a chain said by days up to a cut."""
        block = settled(reader, chain_id, cut)
        if block is None:
            return ChainDays()
        own = tuple(feed for feed in catalogue.feeds if feed.chain_id == chain_id)
        key = (_chain_key(reader, chain_id, cut), own, tuple((asset.id, asset.same_as) for asset in catalogue.assets))
        return self._once(
            key, lambda: chain_days(reader, chain_id, followed(reader, chain_id, cut, block), block, catalogue)
        )

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Make what is not kept; two threads may both make it, and make the same."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                found: T = self._kept[key]  # type: ignore[assignment]  # what `make` made of this key
                return found
        made = make()
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return made


def _today(
    reader: Reader, cuts: Mapping[str, Cut], catalogue: Catalogue, condition: Condition, daily: _Daily
) -> tuple[str, ...]:
    """Return why it is stress at a cut, by the marks of configured feeds."""
    condition = with_sequencers(reader, cuts, catalogue, condition)
    context = make_context(
        as_of=cuts,
        assets=catalogue.assets,
        policy=catalogue.policy,
        feeds=catalogue.feeds,
        observations=observe(reader, sorted_feeds(catalogue), cuts, catalogue.assets),
        stale_chains=condition.stale_chains,
        risk=daily.risk,
    )
    prices = {name: mark.mid if isinstance(mark, Mark) else None for name, mark in context.feed_marks.items()}
    doubtful = {name for name, mark in context.feed_marks.items() if mark.state not in TRUSTED}
    return stressed_today(prices, daily.closes, catalogue.policy.estimates.regime, doubtful)


def _chain_key(reader: Reader, chain_id: str, cut: Cut) -> tuple[Hashable, ...] | None:
    """Return what the days of a chain's feeds depend on: the last whole one, what was followed before it, and what was derived anew."""
    block = settled(reader, chain_id, cut)
    if block is None:
        return None
    known = followed(reader, chain_id, cut, block)
    day: date = datetime.fromtimestamp(known.time, UTC).date()
    begins = tuple(first for first, _ in known.spans), tuple(last for _, last in known.spans[:-1])
    return chain_id, day, begins, len(reader.restatements(chain_id)), reader.makers().get((chain_id, FEEDS))
