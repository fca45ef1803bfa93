"""How much of a position counts for either margin: its layers, held against its class's own number, and split by what diversifies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aggregator.margin.equity import Exposure
from aggregator.margin.house import Bound, unit_price, value
from aggregator.margin.layers import Layers, Purpose, layers_of
from aggregator.margin.valuation import Context, ValuedPosition


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """How a position counts for one margin.

    `floor`: what comes off it by its class alone, as a fraction, or is added to a debt. `kept`, `market`: as in `Exposure`. `layers`:
    what was estimated, `None` where haircuts are static.
    """

    floor: float
    kept: float
    market: float
    layers: Layers | None

    @property
    def total(self) -> float:
        """What comes off collateral before anything diversifies."""
        return 1 - self.kept * (1 - self.market)

    @property
    def added(self) -> float:
        """What is added to a debt before anything diversifies."""
        return self.kept + self.market - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A position and how it counts for either margin."""

    item: ValuedPosition
    maintenance: Weight
    initial: Weight

    def of(self, purpose: Purpose) -> Weight:
        return self.maintenance if purpose is Purpose.MAINTENANCE else self.initial


def weigh(positions: Sequence[ValuedPosition], context: Context) -> tuple[Weighed, ...]:
    """Weigh the positions of one pool; what is held of an identity is sold together, whatever it is split into."""
    held = _held(positions)
    return tuple(_weighed(item, context, held.get(item.identity, 0.0)) for item in positions)


def _weighed(item: ValuedPosition, context: Context, held_usd: float) -> Weighed:
    maintenance = initial = None
    if context.policy.model.layered:
        maintenance = initial = _layers(item, context, held_usd, Purpose.MAINTENANCE)
        if item.identity in context.risk_index.assets:
            initial = _layers(item, context, held_usd, Purpose.INITIAL)
    terms = item.factors
    if item.is_debt:
        return Weighed(
            item=item,
            maintenance=of_debt(terms.maintenance_factor, maintenance),
            initial=of_debt(terms.initial_factor, initial),
        )
    return Weighed(
        item=item,
        maintenance=of_collateral(terms.liquidation_threshold, maintenance),
        initial=of_collateral(1 - terms.haircut, initial),
    )


def _held(positions: Iterable[ValuedPosition]) -> dict[str, float]:
    """Return what counted supplies are worth at the middle of their marks, by identity."""
    parts: dict[str, list[float]] = {}
    for item in positions:
        if item.matters and not item.is_debt:
            parts.setdefault(item.identity, []).append(value(item, Bound.MID))
    return {identity: math.fsum(values) for identity, values in parts.items()}


def _layers(item: ValuedPosition, context: Context, held_usd: float, purpose: Purpose) -> Layers:
    """Return the layers that count: of what was not estimated, those alone that somebody said, and none that is assumed.

    The class's own number stands for all of them then.
    """
    found = layers_of(
        item.identity,
        item.configured,
        asset_class=item.asset_class,
        value_usd=held_usd,
        chain=item.held_in.venue.chain_id,
        risk=context.risk_index,
        policy=context.policy,
        purpose=purpose,
    )
    assumed: dict[str, Any] = dict.fromkeys(found.assumed, 0.0)
    return found if found.estimated or not assumed else replace(found, **assumed)


def of_collateral(static: float, layers: Layers | None) -> Weight:
    """`static`: the share that the class leaves, and the most that is left.

    Where it leaves less than the layers do, the difference is put with what does not diversify: `left = kept · (1 − market)`.
    """
    if layers is None:
        return Weight(floor=1 - static, kept=static, market=0.0, layers=None)
    left = min(static, max((1 - layers.non_market) * (1 - layers.market), 1 - layers.cap))
    if left <= 0:
        return Weight(floor=1 - static, kept=0.0, market=0.0, layers=layers)
    market = min(layers.market, 1 - left)
    return Weight(floor=1 - static, kept=min(left / (1 - market), 1.0), market=market, layers=layers)


def of_debt(static: float, layers: Layers | None) -> Weight:
    """`static`: the class's factor, and the least at which a debt counts together with what the market may add."""
    rise = 0.0 if layers is None else layers.rise
    return Weight(floor=static - 1, kept=max(static, 1 + rise) - rise, market=rise, layers=layers)


def exposure(weighed: Weighed, bound: Bound, purpose: Purpose, share: float = 1.0) -> Exposure:
    """Return a position as one margin counts it from one side, `share` of it; worth nothing without a price.

    Where its mark authorises nothing, new debt rests on none of a supply, and a debt weighs on it at its high, from wherever it is seen.
    """
    weight, item = weighed.of(purpose), weighed.item
    price = unit_price(item, bound)
    if purpose is Purpose.INITIAL and not item.authorises:
        price = max(price, unit_price(item, Bound.LOW)) if item.is_debt else 0.0
    return Exposure(
        identity=item.identity,
        is_debt=item.is_debt,
        value=share * item.amount * price,
        kept=weight.kept,
        market=weight.market,
    )
