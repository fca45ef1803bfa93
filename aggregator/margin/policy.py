"""The static policy: what each class of asset counts for, and where the bands of the status lie."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from typing import Any

DEFAULT_CLASS = "default"
VENUE = "venue"
SHORTFALL = "shortfall"
"""What decides over alarms alone (`aggregator.margin.floor`), and so is no part of what numbers rest on."""

LARGEST = 1e9
ROUNDING = 1e-12

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"([1-9]\d{0,8})([smhd])")
_PERCENT = re.compile(r"(\d{1,2}(?:\.\d+)?) ?%")


class PolicyError(ValueError):
    """A policy that cannot be meant; the message says where and what to write instead."""


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
    """The bands of the health factor, and the share of a unit's collateral that may be stale."""

    danger_below: float
    watch_below: float
    full_score_at: float
    dust_share: float


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

    def of_class(self, name: str) -> ClassPolicy:
        """Return what a class counts for; raises `PolicyError` for a class that the policy lacks."""
        if name not in self.classes:
            raise PolicyError(_unknown("asset class", name, self.classes))
        return self.classes[name]


def parse_policy(text: str) -> Policy:
    """Read a policy from TOML; raises `PolicyError`."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"the policy is not valid TOML: {error}") from error
    _refuse_unknown("the policy", table, ("status", "liabilities", SHORTFALL, "class"))
    classes = _table("class", table.get("class"))
    if DEFAULT_CLASS not in classes:
        raise PolicyError(f"[class.{DEFAULT_CLASS}] is missing; it values the assets that no configuration names")
    return Policy(
        status=_status(_table("status", table.get("status"))),
        classes={name: _class(f"class.{name}", _table(f"class.{name}", values)) for name, values in classes.items()},
        liabilities=_liabilities(_table("liabilities", table.get("liabilities", {}))),
    )


def _status(table: Mapping[str, Any]) -> StatusPolicy:
    read = _reader("status", table, ("danger_below", "watch_below", "full_score_at", "dust_share"))
    status = StatusPolicy(
        danger_below=read("danger_below", number),
        watch_below=read("watch_below", number),
        full_score_at=read("full_score_at", number),
        dust_share=read("dust_share", number),
    )
    _demand("status", 1 < status.danger_below < status.watch_below, "1 < danger_below < watch_below")
    _demand("status", status.watch_below < status.full_score_at, "watch_below < full_score_at")
    _demand("status", 0 <= status.dust_share <= 0.1, "0 ≤ dust_share ≤ 0.1")  # noqa: PLR2004
    return status


def _liabilities(table: Mapping[str, Any]) -> LiabilityPolicy:
    """Read what may be left out: a policy of before liabilities could be imported says nothing of them."""
    written = asdict(LiabilityPolicy()) | dict(table)
    read = _reader("liabilities", written, tuple(LiabilityPolicy.__dataclass_fields__))
    policy = LiabilityPolicy(
        positive_pnl_maintenance=read("positive_pnl_maintenance", number),
        positive_pnl_initial=read("positive_pnl_initial", number),
    )
    _demand(
        "liabilities",
        0 <= policy.positive_pnl_initial <= policy.positive_pnl_maintenance <= 1,
        "0 ≤ positive_pnl_initial ≤ positive_pnl_maintenance ≤ 1",
    )
    return policy


def _class(place: str, table: Mapping[str, Any]) -> ClassPolicy:
    fields = tuple(name for name in ClassPolicy.__dataclass_fields__ if name != "venue_threshold")
    read = _reader(place, table, fields, {"heartbeat_s": "heartbeat"})
    venue_threshold = table.get("liquidation_threshold") == VENUE
    policy = ClassPolicy(
        haircut=read("haircut", number),
        liquidation_threshold=0.0 if venue_threshold else read("liquidation_threshold", number),
        initial_factor=read("initial_factor", number),
        maintenance_factor=read("maintenance_factor", number),
        heartbeat_s=read("heartbeat", _seconds),
        deviation=read("deviation", _fraction),
        venue_threshold=venue_threshold,
    )
    _demand(place, 0 <= policy.haircut <= 1, "0 ≤ haircut ≤ 1")
    _demand(
        place,
        venue_threshold or 1 - policy.haircut - ROUNDING <= policy.liquidation_threshold <= 1,
        "1 − haircut ≤ liquidation_threshold ≤ 1 (what may be borrowed must not be liquidatable at once)",
    )
    _demand(
        place,
        1 <= policy.maintenance_factor <= policy.initial_factor,
        "1 ≤ maintenance_factor ≤ initial_factor",
    )
    return policy


_Read = Callable[[str, Callable[[object], Any]], Any]


def _reader(
    place: str, table: Mapping[str, Any], fields: tuple[str, ...], renamed: Mapping[str, str] | None = None
) -> _Read:
    known = tuple((renamed or {}).get(name, name) for name in fields)
    _refuse_unknown(f"[{place}]", table, known)

    def read(key: str, parse: Callable[[object], Any]) -> Any:  # noqa: ANN401
        if key not in table:
            raise PolicyError(f"[{place}] {key} is missing")
        try:
            return parse(table[key])
        except ValueError as error:
            raise PolicyError(f"[{place}] {key} {error}") from error

    return read


def number(value: object) -> float:
    """Read a number; raises `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > LARGEST:
        raise ValueError(f"must be a number such as 0.25, not {value!r}")
    return float(value)


def _seconds(value: object) -> int:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'must be a duration such as "30s", "1h" or "1d", not {value!r}')
    return int(match[1]) * _SECONDS[match[2]]


def _fraction(value: object) -> float:
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'must be a percentage below 100 such as "0.5%", not {value!r}')
    return float(match[1]) / 100


def _table(place: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise PolicyError(f"[{place}] is missing" if value is None else f"[{place}] must be a table")
    return value


def _demand(place: str, holds: bool, rule: str) -> None:  # noqa: FBT001
    if not holds:
        raise PolicyError(f"[{place}] must keep {rule}")


def _refuse_unknown(place: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            raise PolicyError(f"{place}: {_unknown('key', key, known)}")


def _unknown(kind: str, name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    nearest = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f'did you mean "{nearest[0]}"?' if nearest else f"use one of {', '.join(sorted(known))}"
    return f'unknown {kind} "{name}"; {hint}'
