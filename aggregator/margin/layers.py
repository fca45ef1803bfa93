"""What comes off an asset, layer by layer, before its class's own number is held against it: pure, of one identity at a time.

The market layer is estimated and may diversify. The others add up whatever the market does: how much is lost by selling so much,
how far the thing may be from what it should be worth, and what stands between it and the chain where it is redeemed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from aggregator.margin.inputs import Asset
from aggregator.margin.layer_policy import ClassLayers, LayerPolicy
from aggregator.margin.policy import Policy
from aggregator.margin.risk import AssetRisk, Liquidity, PegRisk, RiskInputs

WHOLE = 1.0


class Purpose(StrEnum):
    """Which margin a layer is for: to keep what there is, or to take on more."""

    MAINTENANCE = "maintenance"
    INITIAL = "initial"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """What comes off one identity, each a fraction of what the others leave; `rise`: what is added to a debt of it.

    `cap`: the most that all layers together take by the policy. `assumed`: those of `market`, `liquidity`, `peg`, `bridge`, `chain`
    that rest on the policy's word for want of anything better, in this order; without `market` among them, market and rise are
    estimates (`estimated`).
    """

    market: float
    liquidity: float
    peg: float
    bridge: float
    chain: float
    rise: float
    cap: float
    assumed: tuple[str, ...]

    @property
    def estimated(self) -> bool:
        """Whether anything is known of how the price moves; otherwise the class's static number is all there is."""
        return "market" not in self.assumed

    @property
    def non_market(self) -> float:
        """All layers but the market's, combined."""
        return 1 - math.prod(1 - layer for layer in (self.liquidity, self.peg, self.bridge, self.chain))


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskIndex:
    """Risk inputs by identity, made once for any number of positions (`index_of`)."""

    assets: Mapping[str, AssetRisk]
    pegs: Mapping[str, PegRisk]
    liquidity: Mapping[str, Liquidity]


def index_of(risk: RiskInputs) -> RiskIndex:
    """Index estimates by identity."""
    return RiskIndex(
        assets={known.identity: known for known in risk.assets},
        pegs={known.identity: known for known in risk.pegs},
        liquidity={known.identity: known for known in risk.liquidity},
    )


def layers_of(
    identity: str,
    asset: Asset | None,
    *,
    asset_class: str,
    value_usd: float,
    chain: str,
    risk: RiskIndex,
    policy: Policy,
    purpose: Purpose,
) -> Layers:
    """Return the layers of an identity; `asset` as configured, `chain` (CAIP-2) where the token is.

    `value_usd`: of all that the account has of the identity, since it is sold together: two halves of a position lose what the
    whole loses. Without an estimate of the market nothing can be said of liquidity either: both are the static number's, and zero here.
    """
    of_class, of_layers = policy.layers.of_class(asset_class), policy.layers
    known = risk.assets.get(identity)
    liquid = risk.liquidity.get(identity)
    pegged = of_layers.peg and (of_class.peg > 0 or identity in risk.pegs)
    word = asset.bridge if asset is not None else None
    found = {
        "market": known is not None,
        "liquidity": known is not None and liquid is not None,
        "peg": not pegged or identity in risk.pegs,
        "bridge": word in of_layers.bridges,
        "chain": chain in of_layers.chains,
    }
    return Layers(
        market=_market(known, purpose),
        liquidity=_liquidity(known, liquid, value_usd, of_class, of_layers),
        peg=_peg(risk.pegs.get(identity), of_class) if pegged else 0.0,
        bridge=(bridge := of_layers.bridge(word)),
        chain=of_layers.chain(chain),
        rise=0.0 if of_class.usd_like else _rise(known, purpose),
        cap=max(of_class.cap, bridge),
        assumed=tuple(layer for layer, is_known in found.items() if not is_known),
    )


def _market(known: AssetRisk | None, purpose: Purpose) -> float:
    if known is None:
        return 0.0
    return known.maintenance if purpose is Purpose.MAINTENANCE else known.initial


def _rise(known: AssetRisk | None, purpose: Purpose) -> float:
    if known is None:
        return 0.0
    return known.rise_maintenance if purpose is Purpose.MAINTENANCE else known.rise_initial


def _peg(seen: PegRisk | None, of_class: ClassLayers) -> float:
    """Return what was seen of a peg; of one that nobody watched of late, at least what the policy says of its class."""
    if seen is None:
        return of_class.peg
    return seen.fall if seen.fresh else max(seen.fall, of_class.peg)


def _liquidity(
    known: AssetRisk | None, liquid: Liquidity | None, value_usd: float, of_class: ClassLayers, policy: LayerPolicy
) -> float:
    fixed, slope = sale_terms(known, liquid, of_class, policy)
    return sale_cost(value_usd, fixed=fixed, slope=slope)


def sale_terms(
    known: AssetRisk | None, liquid: Liquidity | None, of_class: ClassLayers, policy: LayerPolicy
) -> tuple[float, float]:
    """Return the share that selling anything at all loses, and what each √USD that is sold adds to it."""
    if known is None:
        return 0.0, 0.0
    if liquid is None:
        return of_class.liquidity, 0.0
    traded = liquid.daily_volume_usd * policy.depth
    slope = policy.impact * known.deviation / math.sqrt(traded) if traded > 0 else math.inf
    return liquid.spread / 2 + liquid.fee, slope


def sale_cost(value_usd: float, *, fixed: float, slope: float) -> float:
    """Return the share that is lost by selling `value_usd` at once, `fixed + slope · √value`, as its monotone envelope.

    Selling more never brings less in all: beyond the value v* = ((1 − fixed) / 1.5 slope)², where the last unit brings nothing, the rest
    is given up, and `v* · (1 − fixed) / 3` is what remains (square-root impact after Almgren et al. 2005).
    """
    if value_usd <= 0 or slope == 0:
        return min(fixed, WHOLE)
    kept = 1 - fixed
    if kept <= 0 or not math.isfinite(slope):
        return WHOLE
    most, sold = kept / (1.5 * slope), math.sqrt(value_usd)
    if sold <= most:
        return fixed + slope * sold
    return 1 - (most / sold) ** 2 * kept / 3
