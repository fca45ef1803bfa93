"""How far an account is from its limits: by one price alone, by all together, in deviations, and in withdrawals.

Haircuts stay as they are now; only prices or amounts move.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from aggregator.margin.equity import Exposure, Line, add_up, debt_lines, equity, lines, sound_between
from aggregator.margin.house import Bound, value
from aggregator.margin.layers import Purpose
from aggregator.margin.pools import NO_SURPLUS, House, Part
from aggregator.margin.valuation import Context, ValuedPosition
from aggregator.margin.weights import Weighed
from aggregator.oracle.mark import Mark

HALVINGS = 60
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationPrice:
    """The nearest price of one identity, all others unchanged, at which the house health factor is 1."""

    identity: str
    mid: float
    price: float

    @property
    def distance(self) -> float:
        """How far that is, as a fraction of today's price; negative where the price must fall."""
        return (self.price - self.mid) / self.mid


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """The most that can be taken out of one identity with the initial margin covered: USD at the low of its mark, and tokens."""

    identity: str
    value: float
    amount: float


def identities(house: House) -> dict[str, float]:
    """Return the middle of the mark of every identity that counts."""
    return {item.identity: item.mark.mid for item in house.held if isinstance(item.mark, Mark)}


def liquidation_prices(house: House, context: Context) -> tuple[LiquidationPrice, ...]:
    """Find each identity's nearest price at which the account, or a cross pool by itself, would be liquidated; isolated ones lend nothing.

    There is none where either is below 1 already.
    """
    owing = _owing(house)
    if any(equity(_along(each, context, ())) < 0 for each in owing):
        return ()
    found = [price for each in owing for price in _prices_of(each, context)]
    nearest = {price.identity: price for price in sorted(found, key=lambda price: -abs(price.distance))}
    return tuple(nearest[identity] for identity in sorted(nearest))


def _owing(house: House) -> list[House]:
    """Return what decides, of what owes: the whole, without what isolated parts lend, and of several parts each by itself."""
    parts = [House(parts=(part,)) for part in house.parts] if len(house.parts) > 1 else []
    return [each for each in (_of_its_own(house), *parts) if each.owes]


def _of_its_own(house: House) -> House:
    """Leave out what isolated parts lend: it makes no status better."""
    return replace(house, surplus=NO_SURPLUS, lending=())


def _prices_of(house: House, context: Context) -> Iterator[LiquidationPrice]:
    for identity, mid in identities(house).items():
        multiple = _nearest(_along(house, context, {identity}))
        if multiple is not None and math.isfinite(price := mid * multiple):
            yield LiquidationPrice(identity=identity, mid=mid, price=price)


def _along(house: House, context: Context, moving: Collection[str]) -> list[Line]:
    """Return the maintenance equity as a function of a multiple of some identities' prices."""
    return _split(house, context, Bound.MID, Purpose.MAINTENANCE, lambda each: each.identity in moving)


def _split(
    house: House, context: Context, bound: Bound, purpose: Purpose, moves: Callable[[Exposure], bool]
) -> list[Line]:
    held = house.exposures(bound, purpose)
    resting = add_up(
        (each for each in held if not moves(each)),
        gains=house.gains(bound, purpose),
        requirements=house.requirements(purpose),
    )
    return lines(resting, add_up(filter(moves, held)), context.model)


def _nearest(along: Sequence[Line]) -> float | None:
    if equity(along) < 0:
        return None
    ends = sound_between(along)
    known = [end for end in (ends.below, ends.above) if end is not None]
    return min(known, key=lambda end: abs(end - 1), default=None)


def common_fall(house: House, context: Context) -> float | None:
    """Return the smallest fall of everything that is not USD-like, as a fraction, at which the health factor is 1; `None`: none.

    That of the account, without what isolated pools lend, or of a cross pool by itself, whichever is smaller; none where either is below 1
    already.
    """
    return _least_of([_common_fall(each, context) for each in _owing(house)])


def _least_of(distances: Sequence[float | None]) -> float | None:
    """Return the least of some distances, of which one that is not known leaves all unknown; `None` too where nothing leads there."""
    known = [each for each in distances if each is not None]
    return None if len(known) < len(distances) or min(known, default=math.inf) == math.inf else min(known)


def _common_fall(house: House, context: Context) -> float | None:
    """Infinite where no fall is enough, `None` below 1."""
    along = _along(house, context, _moving(house, context))
    if equity(along) < 0:
        return None
    below = sound_between(along).below
    return math.inf if below is None else 1 - below


def _moving(house: House, context: Context) -> set[str]:
    return {item.identity for item in house.held if not _usd_like(item, context)}


def _usd_like(item: ValuedPosition, context: Context) -> bool:
    return context.policy.layers.of_class(item.asset_class).usd_like


def deviations(house: House, context: Context) -> float | None:
    """Return what is left over how much a day's deviation of all prices takes of it (∇ᵀΣ∇), Σ by the correlation as it is.

    `None` where nothing moves it, where it is below zero, or where nobody knows how something moves; what is USD-like and was not
    estimated stands still. That of the account, without what isolated pools lend, or of a cross pool by itself, whichever is less, and
    `None` where either is not known.
    """
    return _least_of([_deviations(each, context) for each in _owing(house)])


def _deviations(house: House, context: Context) -> float | None:
    """Infinite where nothing moves it, `None` below zero or where nobody knows how something moves."""
    owned = {item.identity for item in house.held}
    steady = owned - _moving(house, context) - context.risk_index.assets.keys()
    slopes = {
        identity: slope for identity in sorted(owned - steady) if (slope := slope_of(house, context, identity)) != 0
    }
    left = equity(_along(house, context, ()))
    if left < 0 or not slopes.keys() <= context.risk_index.assets.keys():
        return None
    spread = math.sqrt(max(_variance(slopes, context), 0.0))
    return left / spread if spread > 0 else math.inf


def slope_of(house: House, context: Context, identity: str) -> float:
    """Return what equity gains with a relative move of one price, in the case that is the worst now, in USD."""
    return min(_along(house, context, {identity}), key=lambda line: line.at(1.0)).lean


def _variance(slopes: Mapping[str, float], context: Context) -> float:
    known = context.risk_index.assets
    order, matrix = context.model.correlations.order, context.risk.correlation
    moves = {identity: slope * known[identity].deviation for identity, slope in slopes.items()}
    return math.fsum(
        one * other * matrix[order[left]][order[right]] for left, one in moves.items() for right, other in moves.items()
    )


def withdrawals(house: House, context: Context) -> tuple[Withdrawal, ...]:
    """Find how much of each identity could be taken out, everything else unchanged: of each pool what leaves its own margin covered.

    What isolated parts lend frees nothing.
    """
    house = _of_its_own(house)
    identities = sorted({item.identity for item in house.held if not item.is_debt})
    return tuple(_withdrawal(house, context, identity) for identity in identities)


def _withdrawal(house: House, context: Context, identity: str) -> Withdrawal:
    shares = _free_shares(house, context, identity)
    supplies = [[each.item for each in part.held if _is_supply_of(each.item, identity)] for part in house.parts]
    free = list(zip(shares, supplies, strict=True))
    return Withdrawal(
        identity=identity,
        value=math.fsum(share * math.fsum(value(item, Bound.LOW) for item in own) for share, own in free),
        amount=math.fsum(share * math.fsum(item.amount for item in own) for share, own in free),
    )


def _is_supply_of(item: ValuedPosition, identity: str) -> bool:
    return item.identity == identity and not item.is_debt


def _free_shares(house: House, context: Context, identity: str) -> list[float]:
    """Return which share of an identity's collateral may go out of each part.

    Several parts that are covered by themselves are so together; where one is not, of all others less may go.
    """
    if len(house.parts) == 1:
        return [1 - _needed(house, context, identity)]
    alone = [1 - _needed(House(parts=(part,)), context, identity) for part in house.parts]

    def covered(times: float) -> bool:
        return left_with(house, context, identity, [1 - times * share for share in alone]) >= 0

    times = 1.0 if covered(1.0) else 1 - _least(lambda kept: covered(1 - kept))
    return [times * share for share in alone]


def _needed(house: House, context: Context, identity: str) -> float:
    limited = any(part.pool.limited for part in house.parts)
    return (_kept_within_limits if limited else _kept)(house, context, identity)


def _kept(house: House, context: Context, identity: str) -> float:
    """Return the least share of an identity's collateral that must stay, rounded up."""
    along = _split(
        house, context, Bound.LOW, Purpose.INITIAL, lambda each: each.identity == identity and not each.is_debt
    )
    if equity(along) < 0:
        return 1.0
    below = sound_between(along).below
    return 0.0 if below is None else min(below * (1 + ROUNDING), 1.0)


def _kept_within_limits(house: House, context: Context, identity: str) -> float:
    """Return the same where with less of one identity a pool may let less of another count too."""
    return _least(lambda kept: left_with(house, context, identity, [kept] * len(house.parts)) >= 0)


def _least(enough: Callable[[float], bool]) -> float:
    """Halve what may go, and return the least share that must stay: 1 where even all is not enough."""
    if not enough(1.0):
        return 1.0
    if enough(0.0):
        return 0.0
    lacking, found = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (lacking + found) / 2
        if enough(middle):
            found = middle
        else:
            lacking = middle
    return found


def left_with(house: House, context: Context, identity: str, shares: Sequence[float]) -> float:
    """Return the excess of the initial margin from below with only a share of one identity's collateral in each part, in USD."""
    thinned = tuple(_thinned(part, identity, share) for part, share in zip(house.parts, shares, strict=True))
    return equity(debt_lines(replace(house, parts=thinned).sums(Bound.LOW, Purpose.INITIAL), context.model))


def _thinned(part: Part, identity: str, share: float) -> Part:
    return replace(part, weighed=tuple(_less(each, identity, share) for each in part.weighed))


def _less(each: Weighed, identity: str, share: float) -> Weighed:
    item = each.item
    if item.is_debt or item.identity != identity:
        return each
    return replace(each, item=replace(item, amount=item.amount * share))
