"""What is known of how prices move, of how fast a thing can be sold, and of what stands behind it: estimates, no observations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

CALM, STRESS = "calm", "stress"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetRisk:
    """The market layer of one identity, as fractions of its price, estimated from `days` daily returns up to `last_day` (ISO).

    `maintenance`, `initial`: the fall that is not gone beyond within the horizon of either margin, at its tail; `rise_…`: the same
    upward, for what is owed. `deviation`: of the log return of the next day; `swing`: the same from the ranges of days
    (`aggregator.risk.bars`), or the deviation where only last prices are known. `basis`: `fhs` or `student`.
    """

    identity: str
    maintenance: float
    initial: float
    rise_maintenance: float
    rise_initial: float
    deviation: float
    swing: float
    basis: str
    days: int
    last_day: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PegRisk:
    """How far an identity was seen below what it should be worth; `fall`: the layer, as a fraction of the price.

    `fresh`: whether anything is known of the last days; what is not tells no less than the class's own word.
    """

    identity: str
    fall: float
    basis: str
    last_day: str
    fresh: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidity:
    """What an identity can be sold for, as somebody said of a day (ISO): USD a day, and the spread as a fraction of the price."""

    identity: str
    daily_volume_usd: float
    spread: float
    fee: float
    as_of: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskInputs:
    """All estimates that an answer rests on, of the identities that the account holds or owes, by identity.

    `correlation`: of daily log returns, in the order of `assets`, positive definite, 1 on its diagonal. `minima`: quantiles of
    how far a price falls within a day, lows included, in swings (see `aggregator.risk.breach`), empty where nobody
    knows. `regime`: calm or
    stress; `digest`: of the histories behind it all.
    """

    assets: tuple[AssetRisk, ...] = ()
    correlation: tuple[tuple[float, ...], ...] = ()
    minima: tuple[float, ...] = ()
    pegs: tuple[PegRisk, ...] = ()
    liquidity: tuple[Liquidity, ...] = ()
    regime: str = CALM
    regime_reasons: tuple[str, ...] = ()
    digest: str = ""


NO_RISK = RiskInputs()
"""Nothing was estimated: what the policy says of a class is all there is."""


def read_risk(json: Mapping[str, Any]) -> RiskInputs:
    """Read what `dataclasses.asdict` makes of risk inputs, through JSON; raises `KeyError`, `TypeError`, `ValueError`."""
    return RiskInputs(
        assets=tuple(AssetRisk(**_floats(item, AssetRisk)) for item in json["assets"]),
        correlation=tuple(tuple(map(float, row)) for row in json["correlation"]),
        minima=tuple(map(float, json["minima"])),
        pegs=tuple(PegRisk(**_floats(item, PegRisk)) for item in json["pegs"]),
        liquidity=tuple(Liquidity(**_floats(item, Liquidity)) for item in json["liquidity"]),
        regime=json["regime"],
        regime_reasons=tuple(json["regime_reasons"]),
        digest=json["digest"],
    )


def _floats(item: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """JSON writes a whole float like an integer."""
    numbers = {field.name for field in fields(kind) if field.type == "float"}
    return {key: float(value) if key in numbers else value for key, value in item.items()}
