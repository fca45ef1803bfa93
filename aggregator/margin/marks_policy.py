"""The policy's tables `[marks]` and `[validity]`: how marks are made, and what may rest on a mark of which state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from aggregator.margin.policy_text import demand, fraction, number, reader, seconds, unknown_name
from aggregator.oracle.rules import MarkRules, Mode, State

ALL_BUT_NON_POSITIVE = tuple(state for state in State if state is not State.NON_POSITIVE)
TRUSTED = (State.OK, State.DEGRADED)
RENAMED = {"hold_s": "hold"}
PERCENT = ("outlier", "most_widening", "most_spread", "jump", "peg_haircut")
MOST_HELD_S = 3600
"""The window: what is before it is not known any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """The states of a mark in which something may rest on it.

    `initial`: new debt and withdrawals; in any other, collateral counts zero there and debt at its high. `maintenance`: the health
    factor and the score; in any other the asset is unpriced. `liquidatable`: that the house calls an account so.
    """

    initial: tuple[State, ...] = TRUSTED
    maintenance: tuple[State, ...] = ALL_BUT_NON_POSITIVE
    liquidatable: tuple[State, ...] = TRUSTED


DEFAULT_VALIDITY = Validity()


def parse_marks(table: Mapping[str, Any]) -> MarkRules:
    """Read `[marks]`; what is left out has its default; raises `PolicyError`."""
    names = tuple(field.name for field in fields(MarkRules))
    defaults = {RENAMED.get(name, name): None for name in names}
    read = reader("marks", defaults | dict(table), names, RENAMED)
    given = {name: read(RENAMED.get(name, name), _parser(name)) for name in names if RENAMED.get(name, name) in table}
    rules = MarkRules(**given)
    demand("marks", rules.quorum >= 1, "quorum ≥ 1")
    demand("marks", rules.interval_multiple >= 1, "interval_multiple ≥ 1")
    demand(
        "marks", min(rules.age_deviations, rules.jump_deviations, rules.outlier_mads) > 0, "deviations and mads above 0"
    )
    demand("marks", rules.volatile_ratio > 1, "volatile_ratio > 1")
    demand("marks", rules.hold_s <= MOST_HELD_S, "hold ≤ 1h (nothing before that is looked at)")
    return rules


def parse_validity(table: Mapping[str, Any]) -> Validity:
    """Read `[validity]`; what is left out has its default; raises `PolicyError`."""
    names = tuple(field.name for field in fields(Validity))
    read = reader("validity", asdict(DEFAULT_VALIDITY) | dict(table), names)
    validity = Validity(**{name: read(name, _states) for name in names})
    demand("validity", State.NON_POSITIVE not in validity.maintenance, "non_positive is never a price")
    demand("validity", set(validity.initial) <= set(validity.maintenance), "initial within maintenance")
    return validity


def read_marks(json: Mapping[str, Any]) -> MarkRules:
    """Read what `dataclasses.asdict` makes of the rules, through JSON."""
    exact: dict[str, Any] = {
        "mode": Mode(json["mode"]),
        "quorum": int(json["quorum"]),
        "demand_quorum": bool(json["demand_quorum"]),
        "hold_s": int(json["hold_s"]),
        "par_classes": tuple(json["par_classes"]),
    }
    numbers: dict[str, Any] = {name: float(value) for name, value in json.items() if name not in exact}
    return MarkRules(**numbers | exact)


def read_validity(json: Mapping[str, Any]) -> Validity:
    """Read what `dataclasses.asdict` makes of it, through JSON."""
    return Validity(**{name: tuple(map(State, states)) for name, states in json.items()})


def _parser(name: str) -> Any:  # noqa: ANN401 - one of the readers of single values
    own = {
        "mode": _mode,
        "quorum": _whole,
        "demand_quorum": _truth,
        "hold_s": seconds,
        "par_classes": _names,
    }
    return own.get(name) or (fraction if name in PERCENT else number)


def _mode(value: object) -> Mode:
    if value not in tuple(Mode):
        raise ValueError(f"must be one of {', '.join(Mode)}, not {value!r}")
    return Mode(str(value))


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be a whole number such as 2, not {value!r}")  # noqa: TRY004 - `reader` tells where
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {value!r}")  # noqa: TRY004 - `reader` tells where
    return value


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f'must be a list of names such as ["stable"], not {value!r}')
    return tuple(value)


def _states(value: object) -> tuple[State, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f'must be a list of states such as ["ok"], not {value!r}')  # noqa: TRY004 - `reader` tells where
    for name in value:
        if name not in tuple(State):
            raise ValueError(unknown_name("state", str(name), tuple(state.value for state in State)))
    return tuple(map(State, value))
