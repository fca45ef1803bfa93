"""The static policy: what each class of asset counts for, and where the bands of the status lie."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from aggregator.margin.estimate_policy import NO_WORD, EstimatePolicy, parse_estimates
from aggregator.margin.layer_policy import NO_LAYERS, LayerPolicy, parse_layers
from aggregator.margin.marks_policy import DEFAULT_VALIDITY, Validity, parse_marks, parse_validity
from aggregator.margin.model_policy import USUAL, ModelPolicy, parse_model
from aggregator.margin.policy_text import (
    PolicyError,
    demand,
    fraction,
    number,
    reader,
    refuse_unknown,
    seconds,
    table_of,
    unknown_name,
)
from aggregator.margin.pool_policy import EVERYTHING, Pool, parse_pools
from aggregator.oracle.rules import DEFAULT as DEFAULT_RULES
from aggregator.oracle.rules import MarkRules

DEFAULT_CLASS = "default"
VENUE = "venue"
GOVERNANCE = "policy"
"""What a file says of itself (`aggregator.governance.terms`): its version, since when it counts, who approved it."""
SHORTFALL = "shortfall"
"""What decides over alarms alone (`aggregator.margin.floor`), and so is no part of what numbers rest on."""

TABLES = (
    "status",
    "liabilities",
    "horizon",
    "estimates",
    "regime",
    "layers",
    "model",
    "pool",
    "marks",
    "validity",
    SHORTFALL,
    GOVERNANCE,
    "class",
)

ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPolicy:
    """What an asset class counts for.

    For the initial margin collateral counts `1 - haircut` and debt `initial_factor`; for the maintenance
    margin `liquidation_threshold` and `maintenance_factor`. Where the threshold is the venue's (`venue_threshold`), each
    position carries that of its own venue. `heartbeat_s` and `deviation` describe price sources that no `[[feed]]` describes.
    """

    haircut: float
    liquidation_threshold: float
    initial_factor: float
    maintenance_factor: float
    heartbeat_s: int
    deviation: float
    venue_threshold: bool = False

    def at(self, venue_threshold: float) -> ClassPolicy:
        """Return the factors of a position whose venue has this liquidation threshold; what may be borrowed stays within it."""
        if not self.venue_threshold:
            return self
        return replace(self, liquidation_threshold=venue_threshold, haircut=max(self.haircut, 1 - venue_threshold))


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPolicy:
    """The bands of the health factor, and the share of a unit's collateral that may be stale.

    `leave_margin`: by how much, as a fraction of its bound, a health factor is beyond a band that it then leaves at once.
    """

    danger_below: float
    watch_below: float
    full_score_at: float
    dust_share: float
    leave_margin: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class LiabilityPolicy:
    """The shares of a positive PnL, as another system reports it, that count as collateral of either margin."""

    positive_pnl_maintenance: float = 1.0
    positive_pnl_initial: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The whole static policy; `classes` always has `default`, for assets that no configuration names."""

    status: StatusPolicy
    classes: Mapping[str, ClassPolicy]
    liabilities: LiabilityPolicy = LiabilityPolicy()
    layers: LayerPolicy = NO_LAYERS
    estimates: EstimatePolicy = NO_WORD
    model: ModelPolicy = USUAL
    pools: tuple[Pool, ...] = ()
    marks: MarkRules = DEFAULT_RULES
    validity: Validity = DEFAULT_VALIDITY

    def of_class(self, name: str) -> ClassPolicy:
        """Return what a class counts for; raises `PolicyError` for a class that the policy lacks."""
        if name not in self.classes:
            raise PolicyError(unknown_name("asset class", name, self.classes))
        return self.classes[name]

    def pool_of(self, venue_id: str) -> Pool:
        """Return the pool that a venue's units are in: the one that names it, else the one that names none."""
        named = next((pool for pool in self.pools if venue_id in pool.venues), None)
        return named or next((pool for pool in self.pools if not pool.venues), EVERYTHING)


def parse_policy(text: str) -> Policy:
    """Read a policy from TOML; raises `PolicyError`."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"the policy is not valid TOML: {error}") from error
    refuse_unknown("the policy", table, TABLES)
    classes = table_of("class", table.get("class"))
    if DEFAULT_CLASS not in classes:
        raise PolicyError(f"[class.{DEFAULT_CLASS}] is missing; it values the assets that no configuration names")
    return Policy(
        status=_status(table_of("status", table.get("status"))),
        classes={name: _class(f"class.{name}", table_of(f"class.{name}", values)) for name, values in classes.items()},
        liabilities=_liabilities(table_of("liabilities", table.get("liabilities", {}))),
        layers=parse_layers(table.get("layers"), classes),
        estimates=parse_estimates(table),
        model=parse_model(table.get("model")),
        pools=parse_pools(table.get("pool")),
        marks=_marks(table_of("marks", table.get("marks", {})), classes),
        validity=parse_validity(table_of("validity", table.get("validity", {}))),
    )


def _marks(table: Mapping[str, Any], classes: Mapping[str, Any]) -> MarkRules:
    rules = parse_marks(table)
    for name in rules.par_classes:
        if name not in classes:
            raise PolicyError(f"[marks] par_classes: {unknown_name('asset class', name, classes)}")
    return rules


def _status(table: Mapping[str, Any]) -> StatusPolicy:
    written = {"leave_margin": StatusPolicy.__dataclass_fields__["leave_margin"].default} | dict(table)
    read = reader("status", written, tuple(StatusPolicy.__dataclass_fields__))
    status = StatusPolicy(
        danger_below=read("danger_below", number),
        watch_below=read("watch_below", number),
        full_score_at=read("full_score_at", number),
        dust_share=read("dust_share", number),
        leave_margin=read("leave_margin", number),
    )
    demand("status", 1 < status.danger_below < status.watch_below, "1 < danger_below < watch_below")
    demand("status", status.watch_below < status.full_score_at, "watch_below < full_score_at")
    demand("status", 0 <= status.dust_share <= 0.1, "0 ≤ dust_share ≤ 0.1")  # noqa: PLR2004 - its text says the same
    demand("status", 0 <= status.leave_margin <= 0.5, "0 ≤ leave_margin ≤ 0.5")  # noqa: PLR2004 - its text says the same
    return status


def _liabilities(table: Mapping[str, Any]) -> LiabilityPolicy:
    """Read what may be left out: a policy of before liabilities could be imported says nothing of them."""
    written = asdict(LiabilityPolicy()) | dict(table)
    read = reader("liabilities", written, tuple(LiabilityPolicy.__dataclass_fields__))
    policy = LiabilityPolicy(
        positive_pnl_maintenance=read("positive_pnl_maintenance", number),
        positive_pnl_initial=read("positive_pnl_initial", number),
    )
    demand(
        "liabilities",
        0 <= policy.positive_pnl_initial <= policy.positive_pnl_maintenance <= 1,
        "0 ≤ positive_pnl_initial ≤ positive_pnl_maintenance ≤ 1",
    )
    return policy


def _class(place: str, table: Mapping[str, Any]) -> ClassPolicy:
    fields = tuple(name for name in ClassPolicy.__dataclass_fields__ if name != "venue_threshold")
    read = reader(place, table, fields, {"heartbeat_s": "heartbeat"})
    venue_threshold = table.get("liquidation_threshold") == VENUE
    policy = ClassPolicy(
        haircut=read("haircut", number),
        liquidation_threshold=0.0 if venue_threshold else read("liquidation_threshold", number),
        initial_factor=read("initial_factor", number),
        maintenance_factor=read("maintenance_factor", number),
        heartbeat_s=read("heartbeat", seconds),
        deviation=read("deviation", fraction),
        venue_threshold=venue_threshold,
    )
    demand(place, 0 <= policy.haircut <= 1, "0 ≤ haircut ≤ 1")
    demand(
        place,
        venue_threshold or 1 - policy.haircut - ROUNDING <= policy.liquidation_threshold <= 1,
        "1 − haircut ≤ liquidation_threshold ≤ 1 (what may be borrowed must not be liquidatable at once)",
    )
    demand(
        place,
        1 <= policy.maintenance_factor <= policy.initial_factor,
        "1 ≤ maintenance_factor ≤ initial_factor",
    )
    return policy
