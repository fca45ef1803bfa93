"""Estimates travel with the inputs, through JSON and back."""

from __future__ import annotations

import json
from dataclasses import asdict

from aggregator.margin.risk import NO_RISK, AssetRisk, Liquidity, PegRisk, RiskInputs, read_risk

KNOWN = RiskInputs(
    assets=(
        AssetRisk(
            identity="ETH",
            maintenance=0.125,
            initial=1.0,
            rise_maintenance=0.25,
            rise_initial=0.5,
            deviation=0.03,
            swing=0.04,
            basis="fhs",
            days=2000,
            last_day="2025-11-20",
        ),
    ),
    correlation=((1.0,),),
    minima=(-3.0, -1.0, 0.0),
    pegs=(PegRisk(identity="stETH", fall=0.0633, basis="history", last_day="2024-12-07"),),
    liquidity=(
        Liquidity(identity="ETH", daily_volume_usd=2e9, spread=0.0, fee=0.0005, as_of="2025-11-20", source="desk"),
    ),
    regime="stress",
    regime_reasons=("market_fell",),
    digest="sha256:00",
)


def test_estimates_come_back_from_json_as_they_were() -> None:
    for risk in (KNOWN, NO_RISK):
        read = read_risk(json.loads(json.dumps(asdict(risk)).replace(".0,", ",").replace(".0]", "]")))
        assert read == risk
        assert all(isinstance(asset.initial, float) for asset in read.assets)
