"""What a simulated liquidation is made of: borrowers, where collateral is sold, the rules that are chosen, and who gains and loses what.

USD are float64 of whole dollars. A sale of V in one round loses `fixed + slope · √V` of itself, the square-root law of the liquidity layer
with its monotone envelope (`aggregator.margin.layers.sale_cost`), or what a depth curve says; half of it stays in the price, of `fixed`
once in all.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aggregator.margin.layers import sale_cost
from chains.liquidating import Exposed

STAYS = 0.5
"""The share of what a sale loses that stays in the price for everybody; the rest has recovered by the next round."""

MOST_IMPACT = 0.99
LEAST_SLOPE = 1e-12
"""Per √USD: selling all the money there is would cost nothing at less."""

NEVER_BELOW = 1e-6
"""Of the price of before: no sale takes a price further down."""


class Order(StrEnum):
    """Which collateral of a unit is sold first."""

    LEAST_LIQUID = "least_liquid_first"
    PRO_RATA = "pro_rata"
    MOST_LIQUID = "most_liquid_first"
    CHEAPEST = "cheapest_per_health"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How liquidators act.

    `impact_cap`: in one round nobody sells more of an identity than loses this share; 1: no cap. `rounds`: at most. `venue_limit_usd`: what
    one venue's liquidators pay in a round, at most. `profitable_only`: nobody liquidates at a loss. `depth`: the share of usual liquidity.
    `seed`: in which order units of equal health factors come.
    """

    order: Order = Order.LEAST_LIQUID
    impact_cap: float = 0.05
    rounds: int = 50
    venue_limit_usd: float | None = None
    profitable_only: bool = False
    depth: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    """Where an identity is sold: `fixed`, `slope` as above; `curve`: USD sold in a round → share lost, rising, instead of the slope.

    `volume_usd`: what is traded in a day, `None` where nobody knows; then `fixed` is the policy's word for its class.
    """

    identity: str
    fixed: float
    slope: float = 0.0
    volume_usd: float | None = None
    curve: tuple[tuple[float, float], ...] = ()

    def cost(self, sold_usd: float, depth: float) -> float:
        """Return the share that selling so much in one round loses, into a part of the usual depth."""
        if sold_usd <= 0:
            return 0.0
        thick = sold_usd / depth
        found = self._curved(thick) if self.curve else sale_cost(thick, fixed=self.fixed, slope=self.slope)
        return min(found, MOST_IMPACT)

    @property
    def least(self) -> float:
        """The share that selling anything at all loses, whatever the amount."""
        return 0.0 if self.curve else min(self.fixed, MOST_IMPACT)

    def room(self, cap: float, depth: float) -> float:
        """Return how much may be sold in one round before its amount costs so much, USD; infinite where it makes no difference."""
        if cap >= MOST_IMPACT:
            return math.inf
        if self.curve:
            return self._curve_room(cap) * depth
        if self.slope < LEAST_SLOPE:
            return math.inf
        return (cap / self.slope) ** 2 * depth

    def _curved(self, thick: float) -> float:
        """Go straight between the points of the curve, and on beyond its last one as far as from the origin to it."""
        sold = [point for point, _ in self.curve]
        place = bisect_left(sold, thick)
        if place == len(sold):
            return self.curve[-1][1] * thick / sold[-1]
        before = self.curve[place - 1] if place else (0.0, 0.0)
        (low, least), (high, most) = before, self.curve[place]
        return least + (most - least) * (thick - low) / (high - low)

    def _curve_room(self, cap: float) -> float:
        before = (0.0, 0.0)
        for point in self.curve:
            if point[1] >= cap:
                (low, least), (high, most) = before, point
                return low + (high - low) * (cap - least) / (most - least) if most > least else low
            before = point
        return before[0] * cap / before[1] if before[1] else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Borrower:
    """A unit with debt. `assets`: token → its id (CAIP-19); `base_usd`: what one of the venue's currency is worth in USD at the cut."""

    name: str
    account: str
    venue: str
    chain: str
    exposed: Exposed
    assets: Mapping[bytes, str]
    base_usd: float = 1.0


@dataclass(frozen=True, slots=True, order=True)
class Pool:
    """Where a loss stays: a venue and the market of it that lent, as text."""

    venue: str
    market: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that a simulation is of. `identities`: asset → identity; `outlets`, by identity; `supplied`: pool → the asset and what is lent of
    it there, USD at the cut.

    `moves`: asset → relative move that comes first; `shown`: the same as venues see it where their prices are late, the moves themselves
    for what is not named. `funds`: venue → USD that stand behind it; `common_usd`: behind all.
    """

    borrowers: tuple[Borrower, ...]
    identities: Mapping[str, str]
    outlets: Mapping[str, Outlet]
    supplied: Mapping[Pool, tuple[str, float]] = field(default_factory=dict)
    moves: Mapping[str, float] = field(default_factory=dict)
    shown: Mapping[str, float] = field(default_factory=dict)
    funds: Mapping[str, float] = field(default_factory=dict)
    common_usd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One liquidation, USD at the prices of its round: `paid` by a liquidator for `seized`, of whose sale `impact` is lost."""

    round: int
    unit: str
    venue: str
    collateral: str
    debt: str
    paid_raw: int
    seized_raw: int
    fee_raw: int
    paid: float
    seized: float
    fee: float
    relieved: float
    returned: float
    impact: float
    forgiven: float

    @property
    def lost(self) -> float:
        """Return what the account is poorer by."""
        return self.seized + self.fee - self.relieved - self.returned

    @property
    def gained(self) -> float:
        """Return what the liquidator is richer by."""
        return self.seized - self.impact - self.paid

    @property
    def kept(self) -> float:
        """Return what the venue is richer by."""
        return self.fee + self.paid - self.relieved - self.returned


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What a pool lacks in the end, USD: paid by its venue's fund, by the common one, and by who lent there.

    `share`: of what they lent, `None` where nothing is known to be lent there.
    """

    pool: Pool
    bad_debt: float
    by_fund: float
    by_common: float
    by_lenders: float
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of it all, USD.

    `equity_before` at the moved prices, `equity_after` at the last ones; the difference is what accounts lost in liquidations, less what
    they were forgiven, and `revalued`: what the mark of sales on prices took from what everybody holds, less what is owed. `standing`:
    units that may be liquidated still, and of which something is left to take; `unknown`: those of which their venue could not tell at
    some prices on the way; `times`: asset → last price over that at the cut; `ended`: nothing more happened, before the last round;
    `left`: unit → what became of it.
    """

    terms: Terms
    steps: tuple[Step, ...]
    rounds: int
    ended: bool
    losses: tuple[Loss, ...]
    equity_before: float
    equity_after: float
    revalued: float
    times: Mapping[str, float]
    sold: Mapping[str, float]
    liquidated: tuple[str, ...]
    standing: tuple[str, ...]
    unknown: tuple[str, ...]
    funds_left: Mapping[str, float]
    common_left: float
    left: Mapping[str, Exposed] = field(repr=False)

    def total(self, name: str) -> float:
        """Add up one of a step's numbers."""
        return math.fsum(getattr(step, name) for step in self.steps)

    @property
    def bad_debt(self) -> float:
        return math.fsum(loss.bad_debt for loss in self.losses)
