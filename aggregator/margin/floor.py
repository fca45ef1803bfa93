"""How much a venue must lack of a token before anybody is woken: what is less is told, and counts all the same."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass
from enum import StrEnum

from aggregator.margin.policy import SHORTFALL
from aggregator.margin.policy_text import PolicyError, number

MOST_USD = 1e15


class Gravity(StrEnum):
    """What a shortage is: beyond both floors, below one of them, or of a token without a price, on which no house number rests."""

    GRAVE = "grave"
    SMALL = "small"
    UNPRICED = "unpriced"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortfallFloor:
    """The `[shortfall]` of a policy: the least that is grave, as a share of all claims on the token and in USD."""

    least_share: float = 0.0001
    least_usd: float = 1000.0

    def gravity(self, missing: int, claims: int, usd: float | None) -> Gravity:
        """Judge `missing` raw units of `claims`, worth `usd` (`None` without a price)."""
        if missing < claims * self.least_share:
            return Gravity.SMALL
        if usd is None:
            return Gravity.UNPRICED
        return Gravity.SMALL if usd < self.least_usd else Gravity.GRAVE


def parse_floor(text: str) -> ShortfallFloor:
    """Read the floors of a policy in TOML, the usual ones where it says nothing; raises `PolicyError`."""
    table = tomllib.loads(text).get(SHORTFALL, {})
    if not isinstance(table, dict):
        raise PolicyError(f"[{SHORTFALL}] must be a table")
    usual = asdict(ShortfallFloor())
    for key in table:
        if key not in usual:
            raise PolicyError(f'[{SHORTFALL}]: unknown key "{key}"; use one of {", ".join(usual)}')
    read = {}
    for key, value in (usual | table).items():
        try:
            read[key] = number(value)
        except ValueError as error:
            raise PolicyError(f"[{SHORTFALL}] {key} {error}") from error
    floor = ShortfallFloor(**read)
    if not (0 <= floor.least_share <= 1 and 0 <= floor.least_usd <= MOST_USD):
        raise PolicyError(f"[{SHORTFALL}] must keep 0 ≤ least_share ≤ 1 and 0 ≤ least_usd")
    return floor
