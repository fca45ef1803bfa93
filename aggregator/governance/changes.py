"""What one policy says otherwise than another, key by key, and whether that tightens the terms on which accounts are liquidated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from aggregator.governance.terms import Terms
from aggregator.margin.policy import GOVERNANCE, SHORTFALL

LOWER_TIGHTENS = frozenset({"liquidation_threshold", "positive_pnl_maintenance", "notice_s"})
"""Less notice is among them: whoever could shorten it without any could tighten everything else without any a moment later."""

HIGHER_TIGHTENS = frozenset({"maintenance_factor"})
NEVER_TIGHTENS = frozenset({"haircut", "initial_factor", "positive_pnl_initial"})
"""What new debt may rest on decides over no debt that is there."""
BESIDE = ("status.", f"{SHORTFALL}.")
"""Bands and alarms move no health factor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A key that two policies say otherwise, such as `class.major.haircut`; `None`: one of them does not have it."""

    key: str
    before: object
    after: object
    tightens: bool


def changes(before: Terms, after: Terms) -> tuple[Change, ...]:
    """Compare two policies, by key."""
    old, new = dict(_rules(before)), dict(_rules(after))
    return tuple(
        Change(key=key, before=old.get(key), after=new.get(key), tightens=_tightens(key, old.get(key), new.get(key)))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    )


def _tightens(key: str, before: object, after: object) -> bool:
    """Whether a health factor may fall for it; of a key that is not known here any change is taken to be so."""
    name = key.rpartition(".")[2]
    if key.startswith(BESIDE) or name in NEVER_TIGHTENS:
        return False
    if not (isinstance(before, int | float) and isinstance(after, int | float)) or isinstance(after, bool):
        return True
    if name in LOWER_TIGHTENS:
        return after < before
    return after > before if name in HIGHER_TIGHTENS else True


def _rules(terms: Terms) -> Iterator[tuple[str, object]]:
    """Yield every rule with its key as the file has it."""
    for key, value in _leaves("", asdict(terms.policy)):
        yield key.replace("classes.", "class.", 1) if key.startswith("classes.") else key, value
    yield from _leaves(f"{SHORTFALL}.", asdict(terms.floor))
    yield f"{GOVERNANCE}.notice_s", terms.head.notice_s


def _leaves(prefix: str, value: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _leaves(f"{prefix}{key}.", inner)
        else:
            yield f"{prefix}{key}", inner
