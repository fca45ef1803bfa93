"""`[model]` of the policy: whether estimates count beside static haircuts, and how much of diversification and of hedges is believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from aggregator.margin.policy_text import demand, number, reader, table_of

LAYERED, STATIC = "layered", "static"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPolicy:
    """How haircuts come about and add up.

    `haircuts`: `layered`, by estimates where there are any, the class's own number being the least; or `static`, by that alone.
    `kappa`: the share of all market risks that is added up whatever their correlation; at least a half, below which measured portfolios
    lost more than they were asked for. `offset_cap`, `stress_offset_cap`: the share of a debt's risk that collateral of the same identity
    is set against, in calm and in stress.
    """

    haircuts: str = LAYERED
    kappa: float = 0.5
    offset_cap: float = 0.8
    stress_offset_cap: float = 0.5

    @property
    def layered(self) -> bool:
        return self.haircuts == LAYERED


USUAL = ModelPolicy()


def parse_model(value: object) -> ModelPolicy:
    """Read `[model]`, which may be left out, as may any of its keys; raises `PolicyError`."""
    table = dict(table_of("model", {} if value is None else value))
    read = reader("model", asdict(ModelPolicy()) | table, tuple(ModelPolicy.__dataclass_fields__))
    policy = ModelPolicy(
        haircuts=read("haircuts", _haircuts),
        kappa=read("kappa", number),
        offset_cap=read("offset_cap", number),
        stress_offset_cap=read("stress_offset_cap", number),
    )
    demand("model", 0.5 <= policy.kappa <= 1, "0.5 ≤ kappa ≤ 1")  # noqa: PLR2004 - its text says the same
    demand("model", 0 <= policy.stress_offset_cap <= policy.offset_cap < 1, "0 ≤ stress_offset_cap ≤ offset_cap < 1")
    return policy


def _haircuts(value: object) -> str:
    if value not in (LAYERED, STATIC):
        raise ValueError(f'must be "{LAYERED}" or "{STATIC}", not {value!r}')
    return str(value)


def read_model(json: Mapping[str, Any]) -> ModelPolicy:
    """Read what `dataclasses.asdict` makes of it, through JSON; raises `KeyError`, `TypeError`, `ValueError`."""
    return ModelPolicy(
        haircuts=str(json["haircuts"]),
        kappa=float(json["kappa"]),
        offset_cap=float(json["offset_cap"]),
        stress_offset_cap=float(json["stress_offset_cap"]),
    )
