"""An event as it is sent, and who wants it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aggregator.crossings import BANDS, HEALTH_BAND, MARK
from crossmargin.documents import moment
from crossmargin.errors import UsageError
from indexer.store import EventRow
from indexer.store.told import LIQUIDATION, RETRACTED

KINDS = (HEALTH_BAND, LIQUIDATION, RETRACTED, MARK)
SEVERITY = {band.value: severity for severity, band in enumerate(BANDS)}
MOST_WANTED = 200
LONGEST_WANTED = 200


@dataclass(frozen=True, slots=True)
class Streamed:
    """An event with what it is chosen by; `severity`: of the worse band of those that it parts, `None` where it is of none."""

    id: int
    kind: str
    names: frozenset[str]
    venues: frozenset[str]
    assets: frozenset[str]
    severity: int | None
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events somebody wants: of each that is said one, else any; `least`: the severity from which on bands are told."""

    kinds: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    venues: frozenset[str] = frozenset()
    assets: frozenset[str] = frozenset()
    least: int = 0

    def admits(self, event: Streamed) -> bool:
        return (
            (not self.kinds or event.kind in self.kinds)
            and (not self.owners or not self.owners.isdisjoint(event.names))
            and (not self.venues or not self.venues.isdisjoint(event.venues))
            and (not self.assets or not self.assets.isdisjoint(event.assets))
            and (event.severity is None or event.severity >= self.least)
        )


def wanted_of(
    *,
    kinds: Iterable[str] = (),
    owners: Iterable[str] = (),
    venues: Iterable[str] = (),
    assets: Iterable[str] = (),
    min_band: str | None = None,
) -> Wanted:
    """Return what somebody wants; raises `UsageError` for kinds and bands that there are none of, and for too long lists."""
    chosen = {"kinds": kinds, "owners": owners, "venues": venues, "assets": assets}
    lists = {name: frozenset(map(_plain, given)) for name, given in chosen.items()}
    for name, found in lists.items():
        if len(found) > MOST_WANTED or any(not 0 < len(word) <= LONGEST_WANTED for word in found):
            raise UsageError(f'"{name}" takes at most {MOST_WANTED} words of 1 to {LONGEST_WANTED} characters')
    if strange := sorted(lists["kinds"] - set(KINDS)):
        raise UsageError(f'"{strange[0][:40]}" is no kind of event; there are {", ".join(KINDS)}')
    if min_band is not None and min_band not in SEVERITY:
        raise UsageError(f'"{min_band[:40]}" is no band; there are {", ".join(SEVERITY)}')
    return Wanted(**lists, least=0 if min_band is None else SEVERITY[min_band])


def streamed(row: EventRow) -> Streamed:
    """Make of a row what is sent."""
    said = json.loads(row.body)
    head = f'{{"id":"{row.id}","kind":"{row.kind}","time":"{moment(row.told_at)}"'
    return Streamed(
        id=row.id,
        kind=row.kind,
        names=frozenset(_names(said)),
        venues=frozenset(map(_plain, said["venues"])),
        assets=frozenset(map(_plain, said["assets"])),
        severity=_severity(row.kind, said),
        body=f"{head},{row.body[1:]}",
    )


def _severity(kind: str, said: dict[str, Any]) -> int | None:
    if kind != HEALTH_BAND:
        return None
    return max(SEVERITY[said[side]["band"]] for side in ("before", "after"))


def _names(said: dict[str, Any]) -> Iterable[str]:
    """By what an owner may be named: the account, its members, and their addresses on whatever chain."""
    if account := said.get("account"):
        yield _plain(account)
    for owner in said["owners"]:
        yield _plain(owner)
        yield _plain(owner.rpartition(":")[2])


def _plain(word: str) -> str:
    """Write hexadecimal addresses alike; base58 tells capitals from small letters."""
    return word.lower() if "0x" in word or "0X" in word else word
