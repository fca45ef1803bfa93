"""What is stored of one chain as of any block: what evidence is weighed against."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from chains.auditing import Sizes
from chains.model import Side, UnitSnapshot
from chains.ports import MarketKey
from indexer.store import asof
from indexer.store.raw import StoredRaw
from indexer.store.statements import statement

PART = 10**19
"""Amounts are added up in whole parts of this size and in what is left: neither sum can outgrow its column."""


class StoredRecords(StoredRaw):
    """The `Records` of one chain."""

    def markets_at(self, venue_id: str, block: int) -> dict[MarketKey, str]:
        with self._reading() as con:
            found = con.execute(statement("markets_at"), self._of(venue_id, block)).fetchall()
        return {(market, aspect): state for market, aspect, state in found}

    def sums(self, venue_id: str, block: int) -> dict[tuple[bytes, Side], int] | None:
        with self._reading() as con:
            if con.execute(statement("quarantined_rows"), self._of(venue_id, block)).fetchall()[0][0]:
                return None
        return self._summed(venue_id, block, positive=False)

    def claims(self, venue_id: str, block: int) -> dict[tuple[bytes, Side], int]:
        return self._summed(venue_id, block, positive=True)

    def _summed(self, venue_id: str, block: int, *, positive: bool) -> dict[tuple[bytes, Side], int]:
        values = {**self._of(venue_id, block), "part": PART, "positive": positive}
        with self._reading() as con:
            found = con.execute(statement("position_sums"), values).fetchall()
        return {(market, Side(side)): int(parts) * PART + int(rest) for market, side, parts, rest in found}

    def units_at(self, venue_id: str, block: int) -> Iterator[UnitSnapshot]:
        with self._reading() as con:
            at = asof.AsOf(con=con, chain_id=self._chain_id, number=block, tips=False)
            yield from asof.unit_snapshots(at, venue_id)

    def changed_at(self, venue_id: str, block: int) -> dict[bytes, tuple[int, int]]:
        with self._reading() as con:
            found = con.execute(statement("changed_at"), self._of(venue_id, block)).fetchall()
        return {market: (own, held) for market, own, held in found}

    def settings_at(self, venue_id: str, block: int, aspect: str) -> dict[bytes, list[str]]:
        found: dict[bytes, list[str]] = {}
        with self._reading() as con:
            rows = con.execute(statement("settings_at"), {**self._of(venue_id, block), "aspect": aspect}).fetchall()
        for market, state in rows:
            found.setdefault(market, []).append(state)
        return found

    def sizes_at(self, venue_id: str, block: int, aspect: str, fields: Collection[str]) -> dict[bytes, Sizes]:
        values = {**self._of(venue_id, block), "aspect": aspect, "fields": list(fields)}
        with self._reading() as con:
            rows = con.execute(statement("sizes_at"), values).fetchall()
        found: dict[bytes, Sizes] = {}
        for market, first, name, most in rows:
            found.setdefault(market, Sizes(first, {})).most[name] = int(most)
        return found

    def logs_of(self, contracts: Collection[bytes], block: int) -> int:
        values = {"chain_id": self._chain_id, "contracts": list(contracts), "number": block}
        with self._reading() as con:
            return int(con.execute(statement("logs_of"), values).fetchall()[0][0])

    def _of(self, venue_id: str, block: int) -> dict[str, str | int]:
        return {"chain_id": self._chain_id, "venue_id": venue_id, "number": block}
