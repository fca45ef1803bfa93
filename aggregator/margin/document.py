"""The health document: what `crossmargin health` prints and `GET /v1/accounts/{id}/health` answers, key for key.

Decimals and raw integers are strings. USD have 8 places, ratios 6, prices 12; `None` is "not known" or "does not
apply", never zero.
"""

from __future__ import annotations

from pydantic import Field

from aggregator.margin.margin_document import (
    DistanceView,
    FreeCollateralView,
    InFlightView,
    MarginSums,
    Model,
    PoolView,
    WeightView,
)
from aggregator.margin.permits_document import PermitsView, ReasonView
from aggregator.margin.status import Status


class AsOf(Model):
    """A block that an answer is as of."""

    block: int
    hash: str
    time: str | None
    """RFC 3339, UTC."""
    finality: str
    """In the words of the chain's nodes: latest, safe, confirmed, finalized."""


class Interval(Model):
    """The health factor from three sides."""

    low: str
    """Collateral at the low of its mark, debt at the high."""
    mid: str
    high: str | None
    """The reverse of low; `null` while counted collateral has no price, for then nothing bounds it."""


class Collateral(Model):
    """Supplies that count for the house and profits that other systems report, in USD; unpriced supplies add nothing."""

    raw: str
    """At the middle of the marks."""
    haircut: str
    """What may carry new debt: at the low of the marks, after haircuts; while debt is unknown as if nothing diversified."""
    maintenance: str
    """What counts against liquidation: at the middle of the marks, times the liquidation threshold; while debt is unknown likewise."""
    not_counted: str
    """Supplies that are no collateral, at the middle of the marks."""


class Debt(Model):
    """Debt, and losses that other systems report, in USD; `null` while any of it is unknown or unpriced."""

    raw: str | None
    initial: str | None
    """At the high of the marks, times the initial factor; and what other systems require initially."""
    maintenance: str | None
    """At the middle of the marks, times the maintenance factor; and what other systems require for maintenance."""


class VenuePriceView(Model):
    """The price that a venue itself uses, in its base currency.

    `basis`: exact (as a feed emitted it), settled (computed), observed (read from the source at this very block; how old what it rests
    on is, the source does not say).
    """

    price: str
    answer_raw: str
    unit_raw: str
    source: str
    updated_at: str | None
    age_s: int | None
    block: int
    basis: str


class ComponentView(Model):
    """A claim that is a part of what some shares are: on a market of a venue."""

    venue: str
    market: str
    asset: str
    """CAIP-19."""
    symbol: str
    amount_raw: str
    amount: str
    """In whole tokens, rounded down with its raw amount."""
    payable_raw: str | None
    """What of it the market could pay out at the block; `null` where that is not known."""
    basis: str


class LookThroughView(Model):
    """What a position in shares of a vault is a claim on; it is valued as shares, and not once more as this."""

    asset: str | None
    """CAIP-19; `null` where the vault names none."""
    assets_raw: str | None
    """What the vault converts the shares to; `null` where it is not known."""
    lost_raw: str | None
    """What of it nothing stands behind any more; `null` where that is not known."""
    redeemable_raw: str | None
    """What could be taken out at the block; `null` too where the vault is only asked what shares are worth."""
    components: tuple[ComponentView, ...]
    reasons: tuple[ReasonView, ...]
    told_at: int | None
    """The block up to which the vault was asked what shares are worth; `null` where that is computed to the block."""
    within: LookThroughView | None
    """Where the asset is itself shares of such a vault: what those that stand behind these are a claim on."""


class PositionView(Model):
    """One position of a unit."""

    market: str
    asset: str
    """CAIP-19."""
    symbol: str
    side: str
    """supply or borrow"""
    amount_raw: str
    amount: str
    """In whole tokens, exactly."""
    protocol_raw: str
    """As the protocol stores it (a scaled balance, shares)."""
    counts: bool
    """At the venue: enabled collateral, or debt."""
    counted: bool
    """For the house."""
    venue_price: VenuePriceView | None
    mark_usd: str | None
    value_usd: str | None
    asset_class: str
    bridge: str | None
    """By which way the asset came to its chain, as configured."""
    issuer: str | None
    """Who owes what it stands for, as configured."""
    haircut: str
    """The class's own, for the initial margin."""
    weight: WeightView
    liquidation_threshold: str | None
    """The venue's, as a fraction; `null` for debt."""
    look_through: LookThroughView | None
    """Of shares of a vault that some venue of the chain follows; `null` for anything else."""


class NativeAsOf(Model):
    """The block of a unit's own numbers."""

    block: int
    hash: str
    time: str | None


class LiabilitiesView(Model):
    """What another system says that a unit's collateral must cover, in USD."""

    state: str
    """`none`: nobody has a claim on it; `known`; `unknown`: never said, or too long ago."""
    as_of: str | None
    age_s: int | None
    """At the block of the unit."""
    max_age_s: int | None
    initial_requirement_usd: str | None
    maintenance_requirement_usd: str | None
    pnl_usd: str | None
    key: str | None
    """The Ed25519 public key that signed it."""
    document: str | None
    """The digest of the document that says it."""


class UnitView(Model):
    """What a venue liquidates separately."""

    unit_id: str
    owner: str
    native_as_of: NativeAsOf
    status: Status
    health_factor: str | None
    """The venue's own, 1 being its liquidation boundary; `null` without debt or when unknown.

    Where other systems have a claim: deposits at the house's marks and profit, over requirement and loss.
    """
    liquidatable: bool | None
    collateral: str | None
    """In the venue's base currency, as the venue counts it."""
    debt: str | None
    positions: tuple[PositionView, ...]
    native: dict[str, str] | None
    """The venue's own numbers under its own names."""
    engine: str
    roles: tuple[str, ...]
    """What the owner is to the venue where it is no customer: `treasury`, `contract` (its own), `wrapper` (holds for others)."""
    permits: PermitsView | None
    """`null` where the protocol's rules are not followed."""
    liabilities: LiabilitiesView | None
    """Of collateral that a venue holds for other systems; `null` elsewhere."""
    reasons: tuple[ReasonView, ...]


class VenueView(Model):
    """A venue where the account has something."""

    venue: str
    protocol: str
    chain: str
    address: str
    units: tuple[UnitView, ...]


class LiquidationPriceView(Model):
    """The nearest price of one identity, all others unchanged, at which the house health factor is 1."""

    identity: str
    price_usd: str
    liquidation_price_usd: str | None
    distance_pct: str | None
    """From today's price, in percent; negative where the price must fall. `null` where no price does it."""


class FeedView(Model):
    """What one feed said, and whether it was used."""

    asset: str
    kind: str
    chain: str
    feed: str
    answer_raw: str | None
    unit_raw: str | None
    price_usd: str | None
    confidence_usd: str | None
    """The half-width of the feed's own interval; `null` where it gives none."""
    updated_at: str | None
    age_s: int | None
    heartbeat_s: int | None
    deviation: str
    max_confidence: str | None
    """The widest interval that is believed, as a fraction of the price; `null` where the feed gives none."""
    block: int | None
    used: bool
    reason: str | None
    """Why it was left out."""
    fault: str | None
    """What is wrong with the feed itself, in words."""
    operator: str | None
    """Who answers for it: feeds of one operator are one opinion; `null` for a rate."""
    past: int
    """How many answers of the window before it the mark was made of."""
    caveat: str | None
    """What is to be known of an answer that is used all the same, such as that nobody checked its signatures."""
    of: PriceView | None
    """Of a redemption rate: the mark that it was multiplied with."""


class PriceView(Model):
    """The mark of one identity and what it rests on."""

    identity: str
    low: str | None
    mid: str | None
    high: str | None
    state: str
    """From best to worst: ok, degraded, held, stale, uncertain, volatile, no_quorum, non_positive."""
    reasons: tuple[str, ...]
    """What made it that state, worst first; or why there is no price."""
    operators: tuple[str, ...]
    """Who answers for what was used."""
    confidence: str | None
    """Half-width of what parts the operators, or of the feeds' own intervals, in USD."""
    age_s: int | None
    """Of the oldest answer that it rests on."""
    twap_5m: str | None
    """Mean of the middle over five minutes; `null` where the past is not known that far."""
    twap_1h: str | None
    lowest: str | None
    """Lowest middle of the last hour, as far as it is known."""
    highest: str | None
    basis: str | None
    """By what an older answer widens it: `estimated` deviations of the price, or the feeds' own `rule`."""
    feeds: tuple[FeedView, ...]


class ChainView(Model):
    """How complete the view of a chain is."""

    stale: bool
    members: tuple[str, ...]


class Completeness(Model):
    """What the answer covers."""

    complete: bool
    chains: dict[str, ChainView]
    venues: tuple[str, ...]
    """Every venue that was looked at."""
    missing: tuple[ReasonView, ...]
    unpriced: tuple[str, ...]
    """Assets that count and have no house price."""


class MembershipView(Model):
    """By what a wallet belongs to the account, or why it does not any more."""

    kind: str
    """declared (the configuration says so), attested (it signed), expired, unchecked, ended, revoked, contested"""
    declared: bool
    since: str | None
    """When its last signature came in; RFC 3339, UTC."""
    expires: str | None
    evidence: str | None
    """The digest of what was signed."""
    scheme: str | None
    """How it was signed: eip191, eip712, eip1271, eip1271-typed, ed25519, solana-offchain; or operator, not at all."""


class PolicyView(Model):
    """The house's policy that an answer rests on."""

    version: str | None
    """As its file calls it."""
    digest: str
    """Of all in it that decides numbers."""
    effective_from: str | None
    """RFC 3339, UTC; `null`: from the beginning."""


class HealthDocument(Model):
    """The whole answer about one margin account."""

    account: str
    members: tuple[str, ...]
    membership: dict[str, MembershipView]
    """Of a margin account, every wallet that was ever declared or linked; of an address, none."""
    as_of: dict[str, AsOf]
    status: Status
    health_factor: str | None
    """The house's, over the cross pools of all members: the multiple of all debt that is still covered.

    `null` without debt, or while debt is unknown or unpriced.
    """
    health_factor_interval: Interval | None
    min_unit_health_factor: str | None
    """The lowest of the venues'; `null` without debt, or when one is unknown."""
    score: int | None = Field(ge=0, le=100)
    score_basis: str | None
    """What the score says: `breach_probability_24h`, or `bands` of the health factor where that is not known."""
    breach_probability_24h: str | None
    """The chance of being liquidatable at some moment of the next day, by the house's or a venue's own numbers; never below 0.0001."""
    collateral: Collateral
    debt: Debt
    initial_margin: MarginSums
    maintenance_margin: MarginSums
    headroom: str | None
    """The excess of the initial margin."""
    ltv: str | None
    max_ltv: str | None
    """Initial collateral over what it is worth at the middle of the marks."""
    risk_adjusted_ltv: str | None
    """One over the health factor."""
    free_collateral: tuple[FreeCollateralView, ...]
    distance: DistanceView
    regime: str
    """calm or stress, as estimates see the market."""
    regime_reasons: tuple[str, ...]
    pools: tuple[PoolView, ...]
    in_flight: tuple[InFlightView, ...]
    venues: tuple[VenueView, ...]
    liquidation_prices: tuple[LiquidationPriceView, ...]
    prices: tuple[PriceView, ...]
    completeness: Completeness
    reasons: tuple[ReasonView, ...]
    policy: PolicyView
    methodology_version: str
    input_digest: str
