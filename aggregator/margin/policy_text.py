"""How tables of a policy are read: every key is known, every number is meant, every complaint says what to write."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

LARGEST = 1e9

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"([1-9]\d{0,8})([smhd])")
_PERCENT = re.compile(r"(\d{1,2}(?:\.\d+)?) ?%")


class PolicyError(ValueError):
    """A policy that cannot be meant; the message says where and what to write instead."""


Read = Callable[[str, Callable[[object], Any]], Any]


def reader(
    place: str, table: Mapping[str, Any], fields: tuple[str, ...], renamed: Mapping[str, str] | None = None
) -> Read:
    """Return what reads a table's keys; unknown and missing keys, and values that a parser refuses, raise `PolicyError`.

    `fields`: the keys as the program names them; `renamed`: those that the table writes otherwise.
    """
    known = tuple((renamed or {}).get(name, name) for name in fields)
    refuse_unknown(f"[{place}]", table, known)

    def read(key: str, parse: Callable[[object], Any]) -> Any:  # noqa: ANN401 - what `parse` returns
        if key not in table:
            raise PolicyError(f"[{place}] {key} is missing")
        try:
            return parse(table[key])
        except ValueError as error:
            raise PolicyError(f"[{place}] {key} {error}") from error

    return read


def number(value: object) -> float:
    """Read a number; raises `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise ValueError(f"must be a number such as 0.25, not {value!r}")
    return float(value)


def seconds(value: object) -> int:
    """Read a duration such as "1h", in seconds; raises `ValueError`."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'must be a duration such as "30s", "1h" or "1d", not {value!r}')
    return int(match[1]) * _SECONDS[match[2]]


def fraction(value: object) -> float:
    """Read a percentage below 100, as a fraction; raises `ValueError`."""
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'must be a percentage below 100 such as "0.5%", not {value!r}')
    return float(match[1]) / 100


def table_of(place: str, value: object) -> Mapping[str, Any]:
    """Return a value that must be a table; raises `PolicyError`."""
    if not isinstance(value, dict):
        raise PolicyError(f"[{place}] is missing" if value is None else f"[{place}] must be a table")
    return value


def demand(place: str, holds: bool, rule: str) -> None:  # noqa: FBT001 - a condition, written where it is demanded
    """Raise `PolicyError` where a rule does not hold."""
    if not holds:
        raise PolicyError(f"[{place}] must keep {rule}")


def refuse_unknown(place: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Raise `PolicyError` for a key that is not known, with the nearest one that is."""
    for key in table:
        if key not in known:
            raise PolicyError(f"{place}: {unknown_name('key', key, known)}")


def unknown_name(kind: str, name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    """Write that a name is not known, with the nearest one that is."""
    nearest = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f'did you mean "{nearest[0]}"?' if nearest else f"use one of {', '.join(sorted(known))}"
    return f'unknown {kind} "{name}"; {hint}'
