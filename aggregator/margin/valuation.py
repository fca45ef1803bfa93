"""Positions of venues in house terms: an asset identity, a class, a mark, an amount in tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from aggregator.margin.correlation import correlations_of
from aggregator.margin.equity import Model
from aggregator.margin.inputs import Asset, Cut, Shortfall
from aggregator.margin.layers import RiskIndex, index_of
from aggregator.margin.liabilities import Liabilities, Standing, standing
from aggregator.margin.policy import DEFAULT_CLASS, ClassPolicy, Policy
from aggregator.margin.risk import NO_RISK, RiskInputs
from aggregator.oracle.mark import (
    About,
    Discarded,
    Mark,
    Observation,
    Reading,
    Refusal,
    Unpriced,
    mark,
    marks_of,
)
from aggregator.oracle.rules import State
from chains.identifiers import token
from chains.model import Block, FeedSpec, Reason, Side, UnitPosition, VenuePrice, VenueSpec, VenueUnit

USD_BASE_UNIT = 10**8
BASIS_POINTS = 10_000
"""One USD in a venue's base currency; prices of a venue with any other base are not taken for USD prices."""

ABOUT_PRICES = frozenset(
    {
        "feed_in_doubt",
        "feed_not_followed",
        "feed_without_aggregator",
        "feed_without_answer",
        "no_price",
        "no_price_account",
        "no_price_source",
        "not_read_at_block",
        "number_unavailable",
        "price_confidence_too_wide",
        "price_is_zero",
        "price_negative",
        "price_not_positive",
        "price_not_seen",
        "price_not_verified",
        "price_refused",
        "price_stale",
        "price_uncertain",
        "price_unknown",
        "price_unreadable",
        "source_reverts",
    }
)
"""Reasons of venue adapters that concern the price of one asset: amounts and the prices of others stand."""

ABOUT_TOKENS = frozenset({"token_unknown", "vault_short"})
"""Reasons of escrows that concern one token, whose position then does not count: those of other tokens stand."""

VENUES = "venue"
"""Who answers for what venues themselves take for a price: all together, for they may ask the same source."""

LAST_KNOWN = frozenset({Refusal.STALE, Refusal.TOO_WIDE, Refusal.NOT_VALID})
"""Why an answer that once was good is not used any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenUnit:
    """A unit with the venue's own numbers, where and when it stands, and the newest that was said of its liabilities."""

    venue: VenueSpec
    at: Block
    unit: VenueUnit
    liabilities: Liabilities | None = None
    until: int | None = None
    """See `Cut`."""
    adverse_wad: int | None = None
    """What decides the band of a unit that house marks judge: with those that confirm no breach at their adverse sides; `None`: all do."""
    standing: Standing = field(init=False, repr=False, compare=False)
    """Whether the liabilities against the unit are known up to `now`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "standing", standing(self.venue, self.liabilities, self.now))

    @property
    def now(self) -> int:
        """The Unix time that ages count up to."""
        return self.at.time if self.until is None else max(self.until, self.at.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What values the positions of any account: cuts, assets, policy, and what the configured feeds say.

    `heartbeats`: (chain, feed) → its heartbeat; `feed_marks`: identity → mark, for each identity with a feed;
    `stale_chains`: why a chain (the `subject`) is not to be relied on; `shortfalls`: what venues lack of their tokens. `risk`: what is
    estimated of all identities, `risk_index` the same by identity; `model`: how their risks add up. `venue_marks` keeps what was made
    of prices that venues take, which most accounts share.
    """

    as_of: Mapping[str, Cut]
    assets: Mapping[str, Asset]
    policy: Policy
    heartbeats: Mapping[tuple[str, bytes], int]
    feed_marks: Mapping[str, Mark | Unpriced]
    stale_chains: tuple[Reason, ...]
    risk: RiskInputs
    risk_index: RiskIndex
    model: Model
    shortfalls: tuple[Shortfall, ...] = ()
    venue_marks: dict[tuple[str, tuple[Observation, ...]], Mark | Unpriced] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def times(self) -> dict[str, int]:
        """The time up to which each chain is known."""
        return {chain: cut.now for chain, cut in self.as_of.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuedPosition:
    """A position in house terms; `counted`: a debt, or a supply that the house accepts as collateral.

    `accepted`: counted, or so as soon as the liabilities against its unit are known. `authorising`: the states of a mark that new
    debt may rest on.
    """

    held_in: OpenUnit
    position: UnitPosition
    asset_id: str
    identity: str
    configured: Asset | None
    asset_class: str
    factors: ClassPolicy
    mark: Mark | Unpriced
    amount: float
    accepted: bool
    authorising: tuple[State, ...] = tuple(State)
    is_debt: bool = field(init=False, repr=False, compare=False)
    counted: bool = field(init=False, repr=False, compare=False)
    matters: bool = field(init=False, repr=False, compare=False)
    """Whether there is anything that counts."""

    def __post_init__(self) -> None:
        counted = self.accepted and self.held_in.standing is not Standing.UNKNOWN
        object.__setattr__(self, "is_debt", self.position.side is Side.BORROW)
        object.__setattr__(self, "counted", counted)
        object.__setattr__(self, "matters", counted and self.position.amount_raw > 0)

    @property
    def chains(self) -> set[str]:
        """The chains that its amount and its mark come from."""
        used = self.mark.used if isinstance(self.mark, Mark) else ()
        return {self.held_in.venue.chain_id, *(chain for item in used for chain in item.chains)}

    @property
    def symbol(self) -> str:
        return (self.configured.symbol if self.configured else None) or self.position.symbol

    @property
    def lacks_threshold(self) -> bool:
        """Whether a supply takes the liquidation threshold of a venue that has none: it then counts for nothing."""
        return not self.is_debt and self.factors.venue_threshold and self.position.liquidation_threshold is None

    @property
    def authorises(self) -> bool:
        """Whether its mark is in a state that new debt may rest on; else a supply counts zero there, and a debt at its high."""
        return isinstance(self.mark, Mark) and self.mark.state in self.authorising


def make_context(
    *,
    as_of: Mapping[str, Cut],
    assets: Iterable[Asset],
    policy: Policy,
    feeds: Iterable[FeedSpec],
    observations: Iterable[Observation],
    stale_chains: Iterable[Reason],
    shortfalls: Iterable[Shortfall] = (),
    risk: RiskInputs = NO_RISK,
) -> Context:
    """Combine the configured feeds into marks, once for any number of accounts."""
    by_id = {asset.id: asset for asset in assets}
    stale = tuple(stale_chains)
    subjects = {reason.subject for reason in stale}
    times = {chain: cut.now for chain, cut in as_of.items()}
    seen: dict[str, list[Observation]] = {}
    for observation in observations:
        seen.setdefault(identity_of(observation.asset, by_id), []).append(observation)
    return Context(
        as_of=as_of,
        assets=by_id,
        policy=policy,
        heartbeats={(feed.chain_id, feed.address): feed.heartbeat_s for feed in feeds},
        feed_marks=marks_of(seen, times, subjects, rules=policy.marks, about=_about(by_id, policy, risk)),
        stale_chains=stale,
        risk=risk,
        risk_index=index_of(risk),
        model=Model(kappa=policy.model.kappa, correlations=correlations_of(risk, policy.model)),
        shortfalls=tuple(shortfalls),
    )


def _about(assets: Mapping[str, Asset], policy: Policy, risk: RiskInputs) -> dict[str, About]:
    """Say of each identity how it moves, where that was estimated, and whether all of its assets are of a class redeemed at par."""
    deviations = {item.identity: item.deviation for item in risk.assets}
    classes: dict[str, set[str]] = {}
    for asset in assets.values():
        classes.setdefault(identity_of(asset.id, assets), set()).add(asset.asset_class)
    return {
        identity: About(
            daily_deviation=deviations.get(identity),
            at_par=identity in classes and classes[identity] <= set(policy.marks.par_classes),
        )
        for identity in {*deviations, *classes}
    }


def identity_of(asset_id: str, assets: Mapping[str, Asset]) -> str:
    """Return the price identity of an asset; one that is not configured is only itself."""
    return (assets[asset_id].same_as if asset_id in assets else None) or asset_id


def asset_class_of(asset_id: str, context: Context) -> str:
    """Return the policy class of an asset by its CAIP-19 id, `default` where the configuration names none."""
    return context.assets[asset_id].asset_class if asset_id in context.assets else DEFAULT_CLASS


def heartbeat_s(context: Context, venue: VenueSpec, asset_id: str, price: VenuePrice) -> int:
    """Return how often a venue's price source should speak: by its `[[feed]]`, else by the asset's class."""
    configured = context.heartbeats.get((venue.chain_id, price.source))
    return configured or context.policy.of_class(asset_class_of(asset_id, context)).heartbeat_s


def value_positions(context: Context, units: Sequence[OpenUnit]) -> tuple[ValuedPosition, ...]:
    """Put a price and a class to every position of an account's units."""
    held = [
        (held_in, position, str(token(held_in.venue.chain_id, position.asset)))
        for held_in in units
        for position in held_in.unit.positions
    ]
    by_venues = {
        identity: _venue_mark(context, identity, observations)
        for identity, observations in _venue_observations(context, held).items()
    }
    return tuple(_valued(context, by_venues, *item) for item in held)


def _venue_mark(context: Context, identity: str, observations: tuple[Observation, ...]) -> Mark | Unpriced:
    known = context.venue_marks.get((identity, observations))
    if known is not None:
        return known
    about = _about(context.assets, context.policy, context.risk).get(identity, About())
    stale = {reason.subject for reason in context.stale_chains}
    found = mark(identity, observations, context.times, stale, rules=context.policy.marks, about=about)
    context.venue_marks[identity, observations] = found
    return found


def _valued(
    context: Context,
    by_venues: Mapping[str, Mark | Unpriced],
    held_in: OpenUnit,
    position: UnitPosition,
    asset_id: str,
) -> ValuedPosition:
    identity = identity_of(asset_id, context.assets)
    asset_class = asset_class_of(asset_id, context)
    of_class = context.policy.of_class(asset_class)
    found = context.feed_marks.get(identity) or by_venues.get(identity) or Unpriced(identity=identity, discarded=())
    item = ValuedPosition(
        held_in=held_in,
        position=position,
        asset_id=asset_id,
        identity=identity,
        configured=context.assets.get(asset_id),
        asset_class=asset_class,
        factors=of_class.at((position.liquidation_threshold or 0) / BASIS_POINTS),
        mark=valid(found, context.policy),
        amount=_there(context, held_in.venue, position) / 10**position.decimals,
        accepted=position.side is Side.BORROW or _accepted(held_in.unit, position),
        authorising=context.policy.validity.initial,
    )
    return replace(item, accepted=False) if item.lacks_threshold else item


def valid(found: Mark | Unpriced, policy: Policy) -> Mark | Unpriced:
    """Take a mark for none where the policy lets no health factor rest on its state."""
    if isinstance(found, Unpriced) or found.state in policy.validity.maintenance:
        return found
    left_out = (
        Discarded(observation=item.observation, age_s=item.age_s, refusal=Refusal.NOT_VALID) for item in found.used
    )
    return Unpriced(identity=found.identity, discarded=(*found.discarded, *left_out))


def is_usable(item: ValuedPosition) -> bool:
    """Whether a position is a supply that its venue lets count, whatever the house says of it."""
    return not item.is_debt and _accepted(item.held_in.unit, item.position)


def _there(context: Context, venue: VenueSpec, position: UnitPosition) -> int:
    """Return what of a position is there, in raw units: of what its venue lacks everybody lacks the same part, rounded up."""
    amount = position.amount_raw
    for missing in context.shortfalls:
        if missing.concerns(venue.id, position):
            amount = min(amount, position.amount_raw * missing.there // missing.claims)
    return amount


def _accepted(unit: VenueUnit, position: UnitPosition) -> bool:
    """Whether the house counts a supply: the venue does, and answers, or fails for the price or the token of others only.

    So a token without a price or without decimals, sent by a stranger, does not take the rest of a unit with it.
    """
    codes = {reason.code for reason in unit.reasons}
    only_prices_fail = codes <= ABOUT_PRICES and position.price is not None
    only_tokens_fail = bool(codes) and codes <= ABOUT_TOKENS
    return position.counts and (unit.native is not None or only_prices_fail or only_tokens_fail)


def _venue_observations(
    context: Context, held: Sequence[tuple[OpenUnit, UnitPosition, str]]
) -> dict[str, tuple[Observation, ...]]:
    """Collect what the venues themselves take for prices of identities without a feed, each source once.

    Of an identity that counts somewhere, only what is taken where it counts: what a stranger may send prices nothing else.
    """
    counting = {identity_of(asset_id, context.assets) for _, position, asset_id in held if position.counts}
    found = {
        (identity, held_in.venue.chain_id, position.price.source): _venue_observation(
            context, held_in.venue, asset_id, position.price
        )
        for held_in, position, asset_id in held
        if position.price is not None
        and in_usd(held_in.unit)
        and (identity := identity_of(asset_id, context.assets)) not in context.feed_marks
        and (position.counts or identity not in counting)
    }
    ordered = sorted(found.items(), key=lambda item: item[0])
    return {
        identity: tuple(observation for _, observation in items)
        for identity, items in groupby(ordered, key=lambda item: item[0][0])
    }


def _venue_observation(context: Context, venue: VenueSpec, asset_id: str, price: VenuePrice) -> Observation:
    return Observation(
        asset=asset_id,
        kind="venue",
        chain_id=venue.chain_id,
        feed=price.source,
        heartbeat_s=heartbeat_s(context, venue, asset_id, price),
        deviation=context.policy.of_class(asset_class_of(asset_id, context)).deviation,
        reading=Reading(price.answer_raw, price.unit_raw, price.updated_at, price.block),
        operator=VENUES,
    )


def in_usd(unit: VenueUnit) -> bool:
    """Whether a venue values a unit in USD of eight decimals: a token of as many is none."""
    return unit.base_unit == USD_BASE_UNIT and not unit.in_token


def last_value(item: ValuedPosition) -> float | None:
    """Return what an unpriced supply was last known to be worth in USD, at most: by its newest answer, or by its venue.

    A rate is no price: by it alone nothing is known.
    """
    readings = [
        old.observation.reading
        for old in item.mark.discarded
        if old.refusal in LAST_KNOWN and old.observation.reading is not None and old.observation.of is None
    ]
    if readings:
        newest = max(readings, key=lambda reading: reading.updated_at)
        return item.amount * (newest.answer_raw / newest.unit_raw + (newest.confidence or 0.0))
    price = item.position.price
    if price is None or not in_usd(item.held_in.unit):
        return None
    return item.amount * (price.answer_raw / price.unit_raw)
