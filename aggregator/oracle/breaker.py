"""Moves that nobody confirms: an answer that jumped, and a print far below what the thing can be redeemed for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aggregator.oracle.observation import Used
from aggregator.oracle.rules import MarkRules

DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """An observation that jumped from `before` to what it says now, lately and unconfirmed."""

    item: Used
    before: float


def jumps(
    used: Sequence[Used], times: Mapping[str, int], rules: MarkRules, daily_deviation: float | None
) -> list[Jump]:
    """Return the observations whose last answers jumped by more than is believed at once and that no other operator confirms."""
    found = [
        Jump(item=item, before=before)
        for item in used
        if (before := _before(item, times[item.observation.chain_id], rules, daily_deviation)) is not None
    ]
    return [jump for jump in found if not any(_confirms(other, jump) for other in used)]


def _before(item: Used, now: int, rules: MarkRules, daily_deviation: float | None) -> float | None:
    """Return the price from which an observation jumped within the time that a jump is held, `None` where it did not or came back."""
    prices = [price for _, price in item.steps]
    if item.base is not None or len(prices) < 2 or math.log(max(prices) / min(prices)) <= rules.jump:  # noqa: PLR2004 - a jump is between two
        return None
    (since, believed), jumped = item.steps[0], False
    for time, price in item.steps[1:]:
        limit = _limit(time - since, rules, daily_deviation)
        jumped = time > now - rules.hold_s and abs(math.log(price / believed)) > limit
        since, believed = (since, believed) if jumped else (time, price)
    return believed if jumped else None


def _limit(seconds: int, rules: MarkRules, daily_deviation: float | None) -> float:
    return max(rules.jump, rules.jump_deviations * (daily_deviation or 0.0) * math.sqrt(max(seconds, 0) / DAY_S))


def _confirms(other: Used, jump: Jump) -> bool:
    """Whether another operator says a price that is nearer to where the jump went than to where it came from."""
    if other.operators <= jump.item.operators:
        return False
    return abs(math.log(other.price / jump.item.price)) < abs(math.log(other.price / jump.before))


def first_below(used: Sequence[Used], floor: float) -> bool:
    """Whether one operator alone prints a price below `floor`, and each of its feeds for the first time.

    What has no past is taken at its word: for collateral that is the safe side.
    """
    operators = frozenset().union(*(item.operators for item in used))
    if len(operators) > 1:
        return False
    return all(len(item.steps) > 1 and item.steps[-2][1] >= floor for item in used if item.price < floor)
