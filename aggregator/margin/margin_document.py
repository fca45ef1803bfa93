"""Parts of the health document that the house's margin model fills: pools, layers, distances, what is on its way."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from aggregator.margin.status import Status


class Model(BaseModel):
    """Frozen, strict, and closed to keys that it does not know."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True)


class MarginSums(Model):
    """One margin: collateral and debt as it counts them, and what is left."""

    collateral: str
    debt: str | None
    excess: str | None


class LayersView(Model):
    """What comes off a supply for one margin, or is added to a debt, each as a fraction of what the others leave."""

    market: str
    """The only one that may be less together with those of other positions."""
    liquidity: str
    peg: str
    bridge: str
    chain: str
    floor: str
    """The class's own number, the least there is."""
    total: str
    """Before anything diversifies."""


class WeightView(Model):
    """How a position counts for either margin."""

    maintenance: LayersView
    initial: LayersView
    assumed: tuple[str, ...]
    """Layers that rest on the policy's word for want of anything better."""


class PoolView(Model):
    """What of the account is in one pool, by itself."""

    pool: str
    kind: str
    """`cross`: part of the account's health factor; `isolated`: one unit that stands alone."""
    venue: str | None
    """Of an isolated unit."""
    unit_id: str | None
    status: Status
    health_factor: str | None
    """By the house's model; `null` without debt in it, or while debt is unknown or unpriced."""
    collateral: str
    """At the middle of the marks, in USD."""
    debt: str | None
    initial_margin: MarginSums
    maintenance_margin: MarginSums
    bad_debt_usd: str | None
    """What its debt is worth more than its collateral, at the middle of the marks; of an isolated pool nobody else's."""
    excess_counts: bool
    """Whether what is left in it counts for the account."""


class FreeCollateralView(Model):
    """What could be taken out of one identity, all else unchanged, with the initial margin still covered; venues may allow less."""

    identity: str
    usd: str
    """At the low of its mark."""
    amount: str
    """In whole tokens."""


class DistanceView(Model):
    """How far the account is from a house health factor of 1; `null` where no such move brings it there, or nobody knows."""

    common_fall_pct: str | None
    """The smallest fall of everything that is not USD-like, in percent."""
    deviations: str | None
    """What is left, in deviations of a day of everything together."""


class InFlightView(Model):
    """Something that left one chain and is not seen on the other: shown, and worth nothing until then."""

    message: str
    asset: str
    """CAIP-19, as it will arrive."""
    identity: str
    amount: str
    sender: str
    """CAIP-10."""
    recipient: str
    proven: bool
    """Whether somebody says that its sending was proven to where it goes; it counts nothing either way before it is there."""
    evidence: str
    """What was found of the message itself: B, who signed or accepted it was checked, or D, it is somebody's word."""
    checked: str | None
    """Why the evidence is no surer, and what of it is an import's word."""
    sent_at: str | None
    source_tx: str | None
    source: str | None
    """Who said so."""
    value_usd: str | None
    """At the middle of its mark; `null` without one."""
