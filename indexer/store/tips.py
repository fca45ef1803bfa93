"""The journals' last rows: kept while blocks are appended, restored when they are rewound, read by folds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import numpy as np
import pyarrow as pa

from chains.columns import AMOUNT, by_key, position_keys
from chains.model import AccountBytes
from chains.ports import AccountKey, MarketKey, PositionKey
from indexer.store.journals import DERIVED, JOURNALS, Derived, Journal
from indexer.store.session import Con, Reading, staged, table_of
from indexer.store.statements import statement


def append_derived(con: Con, chain_id: str, tables: Iterable[Derived]) -> None:
    """Add folded rows to the journals and move the tips."""
    for derived in tables:
        with staged(con, derived.rows):
            con.execute(statement("append", table=derived.journal.name), {"chain_id": chain_id})
        if derived.journal.tip:
            with staged(con, derived.rows.take(derived.last)):
                set_tips(con, chain_id, derived.journal, derived.journal.tip)


def set_tips(con: Con, chain_id: str, journal: Journal, tip: str) -> None:
    """Let the staged rows be the tips of their keys."""
    con.execute(statement("tip_forget", tip=tip, match=match(journal, "t", "s")), {"chain_id": chain_id})
    con.execute(statement("append", table=tip), {"chain_id": chain_id})


def rewind_derived(con: Con, chain_id: str, number: int) -> None:
    """Delete every derived row above a block, and let the tips be what they were there."""
    for journal in JOURNALS:
        if journal.tip:
            key = ", ".join(f"j.{name}" for name in journal.key)
            restore = statement(
                "tip_restore", journal=journal.name, tip=journal.tip, key=key, match=match(journal, "j", "t")
            )
            con.execute(restore, {"chain_id": chain_id, "number": number})
            delete_above(con, chain_id, journal.tip, "block_number", number)
    for journal in DERIVED:
        delete_above(con, chain_id, journal.name, "block_number", number)


def rebuild_tips(con: Con, chain_id: str) -> None:
    """Let the tips of a chain be what its journals say."""
    for journal in JOURNALS:
        if journal.tip:
            con.execute(statement("clear", table=journal.tip), {"chain_id": chain_id})
            text = statement("tip_all", journal=journal.name, tip=journal.tip, key=", ".join(journal.key))
            con.execute(text, {"chain_id": chain_id})


def delete_above(con: Con, chain_id: str, table: str, block: str, number: int) -> None:
    """Delete the rows of a table above a height."""
    con.execute(statement("delete_above", table=table, block=block), {"chain_id": chain_id, "number": number})


def match(journal: Journal, left: str, right: str) -> str:
    """Write the condition that two aliases have the same key of a journal."""
    return " AND ".join(f"{left}.{name} = {right}.{name}" for name in journal.key)


LAST_SLOT = 2**63 - 1


class StoredState:
    """The `StateReader` of one chain; raw rows are part of the state up to block `reached`, where they go further than the tips."""

    def __init__(self, reading: Reading, chain_id: str, reached: Callable[[], int] = lambda: LAST_SLOT) -> None:
        self._reading = reading
        self._chain_id = chain_id
        self._reached = reached

    def markets(self, venue_id: str) -> dict[MarketKey, str]:
        with self._reading() as con:
            found = con.execute(statement("tip_markets"), self._of(venue_id)).fetchall()
        return {(market, aspect): state for market, aspect, state in found}

    def positions(self, venue_id: str, keys: Collection[PositionKey]) -> dict[PositionKey, int]:
        return by_key(keys, self.amounts(venue_id, position_keys(keys))) if keys else {}

    def amounts(self, venue_id: str, keys: pa.Table) -> pa.Array:
        wanted = keys.append_column("place", pa.array(np.arange(keys.num_rows, dtype=np.int64)))
        with self._reading() as con, staged(con, wanted):
            found = table_of(con, statement("tip_amounts"), self._of(venue_id))
        lines = np.full(keys.num_rows, found.num_rows)
        lines[found["place"].to_numpy()] = np.arange(found.num_rows)
        column = pa.concat_arrays([found["amount_raw"].combine_chunks(), pa.nulls(1, AMOUNT)])
        return column.take(pa.array(lines))

    def accounts(self, venue_id: str, keys: Collection[AccountKey]) -> dict[AccountKey, str]:
        if not keys:
            return {}
        with self._reading() as con:
            if not con.execute(statement("tip_accounts_any"), self._of(venue_id)).fetchall():
                return {}
            with staged(con, settings_table(keys)):
                found = con.execute(statement("tip_accounts"), self._of(venue_id)).fetchall()
        return {(unit_id, market, aspect): state for unit_id, market, aspect, state in found}

    def units(self, venue_id: str) -> frozenset[bytes]:
        with self._reading() as con:
            return frozenset(unit for (unit,) in con.execute(statement("tip_units"), self._of(venue_id)).fetchall())

    def answers(self) -> dict[bytes, int]:
        with self._reading() as con:
            found = con.execute(statement("tip_prices"), {"chain_id": self._chain_id}).fetchall()
        return {source: int(answer_raw) for source, answer_raw in found}

    def account_bytes(self, addresses: Collection[bytes]) -> dict[bytes, AccountBytes]:
        if not addresses:
            return {}
        wanted = pa.table({"address": pa.array(addresses, pa.binary())})
        values = {"chain_id": self._chain_id, "number": self._reached()}
        with self._reading() as con, staged(con, wanted):
            found = con.execute(statement("tip_bytes"), values).fetchall()
        return {address: AccountBytes(*account) for address, *account in found}

    def _of(self, venue_id: str) -> dict[str, str]:
        return {"chain_id": self._chain_id, "venue_id": venue_id}


def settings_table(keys: Collection[AccountKey]) -> pa.Table:
    return position_keys(keys).rename_columns(["unit_id", "market", "aspect"])
