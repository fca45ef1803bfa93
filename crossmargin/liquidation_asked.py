"""What is asked of a simulation of liquidations, as the command line and HTTP say it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be simulated; `funds`: VENUE=USD, `fund_usd`: behind all venues; `days`: of freezes, none: those of the library.

    `accrue_days`: for so many days interest accrues before; `lag_h`: by how many hours prices that venues see are late.
    """

    scenario: str | None = None
    severity: str = "low"
    shocks: tuple[str, ...] = ()
    order: str = "least_liquid_first"
    impact_cap: float = 0.05
    venue_limit_usd: float | None = None
    profitable_only: bool = False
    depth: float | None = None
    seed: int = 0
    funds: tuple[str, ...] = ()
    fund_usd: float = 0.0
    days: tuple[int, ...] = ()
    accrue_days: int = 0
    lag_h: float = 0.0


def query_of(asked: Asked) -> dict[str, str | None]:
    """Write what is asked as parameters of a URL; what nobody said is left out."""
    return {
        "scenario": asked.scenario,
        "severity": asked.severity,
        "shock": ",".join(asked.shocks) or None,
        "order": asked.order,
        "impact_cap": repr(asked.impact_cap),
        "venue_limit_usd": None if asked.venue_limit_usd is None else repr(asked.venue_limit_usd),
        "profitable_only": str(asked.profitable_only).lower(),
        "depth": None if asked.depth is None else repr(asked.depth),
        "seed": str(asked.seed),
        "fund": ",".join(asked.funds) or None,
        "fund_usd": repr(asked.fund_usd),
        "accrue_days": str(asked.accrue_days) if asked.accrue_days else None,
    }
