"""`[[pool]]` of the policy: which collateral stands for which debt, and how much of it new debt may rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aggregator.margin.policy_text import PolicyError, demand, number, reader, table_of

CROSS, ISOLATED = "cross", "isolated"
OTHER = "other"
"""The key for what a table does not name."""

MAIN = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool of an account's positions.

    `kind`: `cross`, whose surplus and deficit are the account's, or `isolated`, in which each unit stands alone. `venues`: whose units
    are in it; empty: those of all venues that no other pool names. `eligible`: classes, identities or assets (CAIP-19) that are
    collateral in it; empty: all. `cap_usd`: identity, class or `other` → the most that new debt may rest on of one identity; `max_share`:
    likewise as a share of all collateral in the pool. `minimum_charge_usd`: chain (CAIP-2) or `other` → what each debt there requires
    besides. `count_excess`: whether what an isolated unit has left counts in the account's numbers; each pool is judged without it too.
    """

    id: str
    kind: str = CROSS
    venues: tuple[str, ...] = ()
    eligible: tuple[str, ...] = ()
    cap_usd: Mapping[str, float] = field(default_factory=dict)
    max_share: Mapping[str, float] = field(default_factory=dict)
    minimum_charge_usd: Mapping[str, float] = field(default_factory=dict)
    count_excess: bool = False

    @property
    def isolated(self) -> bool:
        return self.kind == ISOLATED

    @property
    def limited(self) -> bool:
        """Whether anything may be too much of one identity for the initial margin."""
        return bool(self.cap_usd or self.max_share)

    def charge_usd(self, chain_id: str) -> float:
        return said_of(self.minimum_charge_usd, chain_id) or 0.0


def said_of(table: Mapping[str, float], *names: str) -> float | None:
    """Return what a table says under the first of some names, or under `other`; `None`: nothing."""
    return next((table[name] for name in (*names, OTHER) if name in table), None)


EVERYTHING = Pool(id=MAIN)
"""The pool of all that no table puts elsewhere: crossed, and limited by nothing."""


def parse_pools(value: object) -> tuple[Pool, ...]:
    """Read `[[pool]]`, which may be left out; raises `PolicyError`."""
    if value is not None and not isinstance(value, list):
        raise PolicyError("[[pool]] must be a list of tables, each under a [[pool]] of its own")
    pools = tuple(_pool(place, table) for place, table in enumerate(value or []))
    _once("id", [pool.id for pool in pools])
    _once("venue", [venue for pool in pools for venue in pool.venues])
    demand(
        "[pool]", sum(not pool.venues for pool in pools) <= 1, "at most one pool without venues, which has all others"
    )
    if pools and all(pool.venues for pool in pools):
        demand("[pool]", MAIN not in {pool.id for pool in pools}, f'"{MAIN}" for the pool without venues')
    return pools


def _pool(place: int, value: object) -> Pool:
    where = f"[pool {place + 1}]"
    table = dict(table_of(where, value))
    written = {"kind": CROSS, "venues": [], "eligible": [], "count_excess": False} | table
    limits = {"cap_usd": {}, "max_share": {}, "minimum_charge_usd": {}} | {
        name: table[name] for name in ("cap_usd", "max_share", "minimum_charge_usd") if name in table
    }
    read = reader(where, written | limits, tuple(Pool.__dataclass_fields__))
    pool = Pool(
        id=read("id", _word),
        kind=read("kind", _kind),
        venues=read("venues", _words),
        eligible=read("eligible", _words),
        cap_usd=read("cap_usd", _amounts),
        max_share=read("max_share", _amounts),
        minimum_charge_usd=read("minimum_charge_usd", _amounts),
        count_excess=read("count_excess", _yes),
    )
    demand(where, all(share <= 1 for share in pool.max_share.values()), "max_share ≤ 1")
    demand(where, pool.isolated or not pool.count_excess, 'count_excess for kind = "isolated" only')
    demand(where, not (pool.isolated and not pool.venues), "the venues of an isolated pool by name")
    return pool


def _kind(value: object) -> str:
    if value not in (CROSS, ISOLATED):
        raise ValueError(f'must be "{CROSS}" or "{ISOLATED}", not {value!r}')
    return str(value)


def _word(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"must be a name in quotes, not {value!r}")
    return value


def _words(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f'must be a list such as ["one", "two"], not {value!r}')  # noqa: TRY004 - one kind of complaint
    return tuple(map(_word, value))


def _amounts(value: object) -> dict[str, float]:
    """Read one number for everything, or a table of them by name."""
    table = value if isinstance(value, dict) else {OTHER: value}
    found = {name: number(amount) for name, amount in table.items()}
    if any(amount < 0 for amount in found.values()):
        raise ValueError("must not be negative")
    return found


def _yes(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {value!r}")  # noqa: TRY004 - one kind of complaint
    return value


def _once(what: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise PolicyError(f'[[pool]]: the {what} "{name}" is named twice')


def read_pool(json: Mapping[str, Any]) -> Pool:
    """Read what `dataclasses.asdict` makes of it, through JSON; raises `KeyError`, `TypeError`, `ValueError`."""
    numbers: dict[str, Any] = {
        name: {key: float(amount) for key, amount in json[name].items()}
        for name in ("cap_usd", "max_share", "minimum_charge_usd")
    }
    lists: dict[str, Any] = {name: tuple(json[name]) for name in ("venues", "eligible")}
    return Pool(**dict(json) | numbers | lists)
