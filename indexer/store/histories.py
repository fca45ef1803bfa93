"""Prices by days and liquidity: what was imported, as said and as it counts, and what feeds said by days."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any, NamedTuple

import pyarrow as pa

from chains.model import FEEDS
from indexer.store.asof import AsOf, odd_sources
from indexer.store.session import Con, staged
from indexer.store.statements import statement

PRICE_DAY, LIQUIDITY = "price_day", "liquidity"


class ImportedDay(NamedTuple):
    """What counts of an imported day: prices in USD, `corrections`: how often something else was said of it before."""

    identity: str
    day: date
    close: float
    low: float | None
    high: float | None
    source: str
    imported_at: int
    digest: str
    corrections: int = 0


class ImportedLiquidity(NamedTuple):
    """What counts of what was said of an identity's liquidity on a day: USD a day, `spread` and `fee` as fractions.

    `depth`: what sales lose, as `1000:0.001;50000:0.02` (USD at once : fraction), `None` where nobody said.
    """

    identity: str
    as_of: date
    daily_volume_usd: float
    spread: float
    fee: float
    source: str
    imported_at: int
    digest: str
    corrections: int = 0
    depth: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedDay:
    """What a feed said on a UTC day, by the time of its answers: USD, seconds, block numbers.

    `day`: of days since 1970. `first_gap_s`: how long it was silent before the day's first answer, `longest_gap_s` before any of
    the day's; `None`: nothing is known before.
    """

    feed: bytes
    day: int
    close: float
    low: float
    high: float
    last_at: int
    first_gap_s: int | None
    longest_gap_s: int | None
    first_block: int
    last_block: int


class HistoryLedger:
    """Imports within a transaction: what is asked and what is added are of one state."""

    def __init__(self, con: Con) -> None:
        self._con = con

    def days(self, identity: str) -> list[ImportedDay]:
        return imported_days(self._con, identity)

    def liquidity(self) -> list[ImportedLiquidity]:
        return imported_liquidity(self._con)

    def add_days(self, rows: Sequence[ImportedDay]) -> None:
        self._add(PRICE_DAY, DAY_KINDS, rows)

    def add_liquidity(self, rows: Sequence[ImportedLiquidity]) -> None:
        self._add(LIQUIDITY, LIQUIDITY_KINDS, rows)

    def _add(self, table: str, kinds: Mapping[str, pa.DataType], rows: Sequence[Any]) -> None:
        """Append rows as one import, with the next number."""
        if not rows:
            return
        number = newest_import(self._con) + 1
        columns = {name: pa.array([getattr(row, name) for row in rows], kind) for name, kind in kinds.items()}
        columns["import_number"] = pa.array([number] * len(rows), pa.int64())
        with staged(self._con, pa.table(columns)):
            self._con.execute(statement("append_named", table=table))


DAY_KINDS: Mapping[str, pa.DataType] = {
    "identity": pa.string(),
    "day": pa.date32(),
    "close": pa.float64(),
    "low": pa.float64(),
    "high": pa.float64(),
    "source": pa.string(),
    "imported_at": pa.int64(),
    "digest": pa.string(),
}
LIQUIDITY_KINDS: Mapping[str, pa.DataType] = {
    "identity": pa.string(),
    "as_of": pa.date32(),
    "daily_volume_usd": pa.float64(),
    "spread": pa.float64(),
    "fee": pa.float64(),
    "source": pa.string(),
    "imported_at": pa.int64(),
    "digest": pa.string(),
    "depth": pa.string(),
}


def newest_import(con: Con) -> int:
    """The number of the last import, 0 before the first."""
    return int(con.execute(statement("newest_import")).fetchall()[0][0])


def imported_days(con: Con, identity: str | None = None) -> list[ImportedDay]:
    """What counts of imported days, of one identity or of all, in order."""
    if identity is None:
        found = con.execute(statement("price_days", which="TRUE"))
    else:
        found = con.execute(statement("price_days", which="identity = $identity"), {"identity": identity})
    return [ImportedDay(*row) for row in found.fetchall()]


def imported_liquidity(con: Con) -> list[ImportedLiquidity]:
    return [ImportedLiquidity(*row) for row in con.execute(statement("liquidity_said")).fetchall()]


def feed_days(at: AsOf, feeds: Sequence[bytes]) -> list[FeedDay]:
    """What plain feeds said by days up to a block; nothing of one whose price is computed, or while it was in doubt."""
    values: dict[str, Any] = at.values(venue_id=FEEDS) | {"feeds": list(feeds)}
    phases = at.con.execute(statement("feed_phases"), values).fetchall()
    spans = _sources(phases, at.number, odd_sources(at))
    if not spans:
        return []
    table = pa.Table.from_pylist(spans, schema=SPANS)
    with staged(at.con, table):
        found = at.con.execute(statement("feed_days"), at.values())
        names = [column[0] for column in found.description or ()]
        return [FeedDay(**dict(zip(names, row, strict=True))) for row in found.fetchall()]


SPANS = pa.schema(
    {"feed": pa.binary(), "source": pa.binary(), "unit": pa.float64(), "first": pa.int64(), "last": pa.int64()}
)


def _sources(
    phases: Sequence[tuple[bytes, int, str]], last: int, odd: frozenset[bytes]
) -> list[dict[str, bytes | int | float]]:
    """Return which source each feed pointed to, in which blocks, where its answers are prices."""
    found: list[dict[str, bytes | int | float]] = []
    for feed, states in groupby(phases, key=lambda row: row[0]):
        known = list(states)
        ends = [*(block - 1 for _, block, _ in known[1:]), last]
        for (_, first, text), end in zip(known, ends, strict=True):
            state = json.loads(text)
            source = state.get("aggregator")
            plain = source and state.get("decimals") is not None and not state.get("fault") and not state.get("rule")
            if plain and not odd & {feed, raw(source)}:
                unit = float(10 ** state["decimals"])
                found.append({"feed": feed, "source": raw(source), "unit": unit, "first": first, "last": end})
    return found


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def rate_days(at: AsOf, sources: Sequence[bytes]) -> list[tuple[bytes, int, float]]:
    """The last answer of each source on each day (days since 1970), as said."""
    values: dict[str, Any] = at.values() | {"sources": list(sources)}
    return [(source, day, answer) for source, day, answer in at.con.execute(statement("rate_days"), values).fetchall()]
