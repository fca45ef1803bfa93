"""`[horizon]`, `[estimates]` and `[regime]` of the policy: how far estimates look, how old they may be, and when nothing diversifies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from aggregator.margin.policy_text import demand, number, reader, seconds, table_of

T = TypeVar("T")

DAY_S = 86_400
LONGEST_S = 30 * DAY_S
"""Further than this nothing is simulated."""

LARGEST_TAIL = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class HorizonPolicy:
    """`[horizon]`: seconds from a fall to the end of the liquidation that it makes necessary, and how sure one must be until then.

    `detect_s`: until the fall is seen; `liquidate_s`: until all is sold; `outage_s`: for which nobody can act. A margin's
    horizon is at least `shortest_…_s`; the initial margin looks twice as far. `…_tail`: the chance of a fall beyond its layer.
    """

    detect_s: int = 1800
    liquidate_s: int = 3600
    outage_s: int = 3600
    shortest_maintenance_s: int = 4 * 3600
    shortest_initial_s: int = DAY_S
    maintenance_tail: float = 0.01
    initial_tail: float = 0.003

    @property
    def maintenance_s(self) -> int:
        return max(self._whole_s, self.shortest_maintenance_s)

    @property
    def initial_s(self) -> int:
        return max(2 * self._whole_s, self.shortest_initial_s)

    @property
    def _whole_s(self) -> int:
        return self.detect_s + self.liquidate_s + self.outage_s


@dataclass(frozen=True, slots=True, kw_only=True)
class AgePolicy:
    """`[estimates]`: how old what they rest on may be, in days up to the last whole one before the cut.

    `history_max_age_s`: a history has something of the last so many days, one that is begun counted whole. `fewest_days`: of returns; an
    asset with less has no estimate.
    """

    history_max_age_s: int = 7 * DAY_S
    liquidity_max_age_s: int = 90 * DAY_S
    fewest_days: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class RegimePolicy:
    """`[regime]`: it is stress from a day on which the market falls by more than `fall`, assets correlate by more than `correlation`
    on average, or more than the share `not_ok` of them have no sound mark, until `calm_days` days in a row are none of this.
    """

    fall: float = 0.1
    correlation: float = 0.85
    not_ok: float = 0.2
    calm_days: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatePolicy:
    """All that the policy says of estimates."""

    horizon: HorizonPolicy = HorizonPolicy()
    ages: AgePolicy = AgePolicy()
    regime: RegimePolicy = RegimePolicy()


NO_WORD = EstimatePolicy()
"""The policy says nothing of it."""


def parse_estimates(policy: Mapping[str, Any]) -> EstimatePolicy:
    """Read the three tables, which may be left out, as may any of their keys; raises `PolicyError`."""
    horizon = _filled(
        "horizon", policy.get("horizon"), HorizonPolicy, {"maintenance_tail": number, "initial_tail": number}
    )
    demand(
        "horizon",
        horizon.initial_s <= LONGEST_S,
        "a horizon of at most 15 days, as the initial margin looks twice as far",
    )
    demand(
        "horizon",
        0 < horizon.initial_tail <= horizon.maintenance_tail <= LARGEST_TAIL,
        "0 < initial_tail ≤ maintenance_tail ≤ 0.1",
    )
    ages = _filled("estimates", policy.get("estimates"), AgePolicy, {"fewest_days": _days})
    demand("estimates", ages.fewest_days >= 30, "fewest_days ≥ 30")  # noqa: PLR2004 - its text says the same
    reads = {"fall": number, "correlation": number, "not_ok": number, "calm_days": _days}
    regime = _filled("regime", policy.get("regime"), RegimePolicy, reads)
    demand(
        "regime",
        all(0 < share <= 1 for share in (regime.fall, regime.correlation, regime.not_ok)),
        "shares above 0 and up to 1",
    )
    demand("regime", 1 <= regime.calm_days <= 60, "1 ≤ calm_days ≤ 60")  # noqa: PLR2004 - its text says the same
    return EstimatePolicy(horizon=horizon, ages=ages, regime=regime)


def _filled(place: str, value: object, kind: type[T], reads: Mapping[str, Callable[[object], Any]]) -> T:
    """Read the keys that a table gives; durations are written without the `_s` of their fields."""
    table = table_of(place, {} if value is None else value)
    names = {field.name: field.name.removesuffix("_s") for field in fields(kind)}  # type: ignore[arg-type]  # of a dataclass
    read = reader(place, table, tuple(names.values()))
    given = {name: read(key, reads.get(name, seconds)) for name, key in names.items() if key in table}
    return kind(**given)


def _days(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be a whole number of days, not {value!r}")  # noqa: TRY004 - one kind of complaint
    return value


def read_estimates(json: Mapping[str, Any]) -> EstimatePolicy:
    """Read what `dataclasses.asdict` makes of it, through JSON; raises `KeyError`, `TypeError`, `ValueError`."""
    return EstimatePolicy(
        horizon=_read(HorizonPolicy, json["horizon"]),
        ages=_read(AgePolicy, json["ages"]),
        regime=_read(RegimePolicy, json["regime"]),
    )


def _read(kind: type[T], json: Mapping[str, Any]) -> T:
    numbers = {field.name for field in fields(kind) if field.type == "float"}  # type: ignore[arg-type]  # of a dataclass
    return kind(**{key: float(value) if key in numbers else int(value) for key, value in json.items()})
