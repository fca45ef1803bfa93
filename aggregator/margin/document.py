"""The health document: what `crossmargin health` prints and `GET /v1/accounts/{id}/health` answers, key for key.

Decimals and raw integers are strings. USD have 8 places, ratios 6, prices 12; `None` is "not known" or "does not
apply", never zero.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from aggregator.margin.status import Status


class Model(BaseModel):
    """Frozen, strict, and closed to keys that it does not know."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True)


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
    """What may carry new debt: at the low of the marks, after haircuts."""
    maintenance: str
    """What counts against liquidation: at the middle of the marks, times the liquidation threshold."""
    not_counted: str
    """Supplies that are no collateral, at the middle of the marks."""


class Debt(Model):
    """Debt, and losses that other systems report, in USD; `null` while any of it is unknown or unpriced."""

    raw: str | None
    initial: str | None
    """At the high of the marks, times the initial factor; and what other systems require initially."""
    maintenance: str | None
    """At the middle of the marks, times the maintenance factor; and what other systems require for maintenance."""


class MarginSums(Model):
    """One margin: collateral and debt as it counts them, and what is left."""

    collateral: str
    debt: str | None
    excess: str | None


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


class ReasonView(Model):
    """Why a number is missing or doubtful."""

    code: str
    subject: str
    detail: str


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

    asset: str
    """CAIP-19."""
    assets_raw: str | None
    """What the vault converts the shares to; `null` where it is not known."""
    lost_raw: str | None
    """What of it nothing stands behind any more."""
    redeemable_raw: str | None
    """What could be taken out at the block."""
    components: tuple[ComponentView, ...]
    reasons: tuple[ReasonView, ...]


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
    haircut: str
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


class CollateralTermsView(Model):
    """On what terms a collateral is taken from a unit that is liquidated, as fractions."""

    market: str
    bonus: str
    """What is taken more than is paid for: 0.05 is 5 %."""
    protocol_fee: str
    """The venue's share of the bonus."""


class LiquidationView(Model):
    """The most that one liquidation may take now, in raw token units."""

    collateral: str
    debt: str
    close_factor: str
    """The share of the debt that may be covered at once; a venue may mean a share of all debt."""
    covered_raw: str
    """What is paid of the debt."""
    seized_raw: str
    """What the liquidator gets of the collateral."""
    fee_raw: str
    """What the venue takes of it besides."""
    blocked: tuple[ReasonView, ...]
    """Why it would be refused, or may be; empty where it would not."""


class AllowanceView(Model):
    """The most that the owner may borrow or withdraw of a market, by his own account and all that is known of the market."""

    market: str
    most_raw: str
    cap_raw: str | None
    """What all accounts together may borrow of the market."""
    cap_left_raw: str | None
    """What is left of the cap; `null` without one, and where it is not known."""
    blocked: tuple[ReasonView, ...]
    unknown: tuple[ReasonView, ...]
    """What might still refuse the most, and was not looked at, such as whether the venue has the tokens."""


class PermitsView(Model):
    """What a venue's own rules let anybody do to a unit, and its owner with it."""

    collaterals: tuple[CollateralTermsView, ...]
    liquidations: tuple[LiquidationView, ...]
    """Each collateral for each debt, where the health factor lets anybody liquidate; else none."""
    borrowable: tuple[AllowanceView, ...]
    withdrawable: tuple[AllowanceView, ...]
    reasons: tuple[ReasonView, ...]
    """Why nothing is known of it."""


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
    """The price of one identity, all others unchanged, at which the house health factor is 1."""

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


class HealthDocument(Model):
    """The whole answer about one margin account."""

    account: str
    members: tuple[str, ...]
    as_of: dict[str, AsOf]
    status: Status
    health_factor: str | None
    """The house's, over all members; `null` without debt, or while debt is unknown or unpriced."""
    health_factor_interval: Interval | None
    min_unit_health_factor: str | None
    """The lowest of the venues'; `null` without debt, or when one is unknown."""
    score: int | None = Field(ge=0, le=100)
    collateral: Collateral
    debt: Debt
    initial_margin: MarginSums
    maintenance_margin: MarginSums
    headroom: str | None
    """The excess of the initial margin."""
    ltv: str | None
    risk_adjusted_ltv: str | None
    venues: tuple[VenueView, ...]
    liquidation_prices: tuple[LiquidationPriceView, ...]
    prices: tuple[PriceView, ...]
    completeness: Completeness
    reasons: tuple[ReasonView, ...]
    methodology_version: str
    input_digest: str
