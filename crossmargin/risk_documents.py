"""What is known of histories, and the haircuts that follow from them, as documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from aggregator.gather import Catalogue
from aggregator.histories import ChainDays, price_days, today_of, traits_of
from aggregator.margin import numbers
from aggregator.margin.inputs import Asset
from aggregator.margin.layers import Layers, Purpose, RiskIndex, index_of, layers_of
from aggregator.margin.risk import AssetRisk
from aggregator.margin.valuation import identity_of
from aggregator.risk.series import PriceDay
from crossmargin.cuts import Scene
from crossmargin.documents import Document
from crossmargin.errors import NoSuchThing
from crossmargin.imports import gaps_between
from crossmargin.settings.section import nearest
from indexer.store import Reader

LAYERS = ("market", "liquidity", "peg", "bridge", "chain")


def history_list(reader: Reader, chains: Sequence[ChainDays], catalogue: Catalogue) -> Document:
    """Return of each identity with a history: its span, how many days each source told, gaps, and corrections of imports."""
    corrections: Counter[str] = Counter()
    for row in reader.imported_days():
        corrections[row.identity] += row.corrections
    known, configured = price_days(reader, chains), traits_of(catalogue)
    return {
        "histories": [
            _line(name, days, corrections[name], configured=name in configured) for name, days in known.items()
        ]
    }


def _line(identity: str, days: Sequence[PriceDay], corrections: int, *, configured: bool) -> Mapping[str, Any]:
    missing = gaps_between([day.day for day in days])
    return {
        "identity": identity,
        "configured": configured,
        "first": days[0].day.isoformat(),
        "last": days[-1].day.isoformat(),
        "days": len(days),
        "missing_days": sum((last - first).days + 1 for first, last in missing),
        "sources": dict(sorted(Counter(day.source for day in days).items())),
        "corrections": corrections,
    }


def history_of_identity(reader: Reader, chains: Sequence[ChainDays], identity: str) -> Document:
    """Return every known day of an identity, and who told it; raises `NoSuchThing`."""
    days = price_days(reader, chains, identity).get(identity)
    if days is None:
        known = sorted(price_days(reader, chains))
        hint = nearest(identity, known) if known else "none is; `crossmargin prices import` takes histories in"
        raise NoSuchThing(f'no history of "{identity}" is known; {hint}')
    return {
        "identity": identity,
        "days": [
            {
                "day": day.day.isoformat(),
                "close": repr(day.close),
                "low": None if day.low is None else repr(day.low),
                "high": None if day.high is None else repr(day.high),
                "source": day.source,
            }
            for day in days
        ],
    }


def haircuts(scene: Scene, chains: Sequence[ChainDays], catalogue: Catalogue, value_usd: float) -> Document:
    """Return the layers of every identity at a cut, each of its assets sold for `value_usd` at once."""
    risk, today = scene.risk, today_of(scene.cuts)
    index = index_of(risk)
    sources = {name: sorted({day.source for day in days}) for name, days in price_days(scene.reader, chains).items()}
    by_id = {asset.id: asset for asset in catalogue.assets}
    assets: dict[str, list[Asset]] = {name: [] for name in traits_of(catalogue)}
    for asset in sorted(catalogue.assets, key=lambda asset: asset.id):
        assets[identity_of(asset.id, by_id)].append(asset)
    return {
        "day": None if today is None else today.isoformat(),
        "regime": risk.regime,
        "regime_reasons": list(risk.regime_reasons),
        "digest": risk.digest,
        "value_usd": numbers.text(numbers.usd_up(value_usd)),
        "haircuts": [
            {
                "identity": name,
                "estimate": _estimate(index.assets.get(name)),
                "sources": sources.get(name, []),
                "assets": [_asset(asset, index, catalogue, value_usd) for asset in own],
            }
            for name, own in assets.items()
        ],
    }


def _estimate(known: AssetRisk | None) -> Mapping[str, Any] | None:
    if known is None:
        return None
    return {
        "daily_deviation": _share(known.deviation),
        "days": known.days,
        "last_day": known.last_day,
        "basis": known.basis,
    }


def _asset(asset: Asset, index: RiskIndex, catalogue: Catalogue, value_usd: float) -> Mapping[str, Any]:
    policy = catalogue.policy.of_class(asset.asset_class)
    static = {
        Purpose.MAINTENANCE: None if policy.venue_threshold else 1 - policy.liquidation_threshold,
        Purpose.INITIAL: policy.haircut,
    }
    found = {
        purpose: layers_of(
            identity_of(asset.id, {asset.id: asset}),
            asset,
            asset_class=asset.asset_class,
            value_usd=value_usd,
            chain=asset.id.partition("/")[0],
            risk=index,
            policy=catalogue.policy,
            purpose=purpose,
        )
        for purpose in Purpose
    }
    return {
        "asset": asset.id,
        "symbol": asset.symbol,
        "class": asset.asset_class,
        "bridge": asset.bridge,
        "assumed": list(found[Purpose.MAINTENANCE].assumed),
        **{purpose.value: _layers(layers, static[purpose]) for purpose, layers in found.items()},
    }


def _layers(layers: Layers, static: float | None) -> Mapping[str, Any]:
    """Write the layers of one margin; `total`: all of them, not below the class's own number and not above its cap."""
    together = 1 - (1 - layers.non_market) * (1 - layers.market)
    total = None if static is None else max(static, min(together, layers.cap))
    return {
        **{name: _share(getattr(layers, name)) for name in LAYERS},
        "rise": _share(layers.rise),
        "static": None if static is None else _share(static),
        "total": None if total is None else _share(total),
    }


def _share(value: float) -> str:
    return numbers.text(numbers.ratio_up(value))
