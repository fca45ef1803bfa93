"""The store: one DuckDB file, one process that owns it, one connection that takes steps, one that keeps inputs, one for every reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Self

import duckdb

from chains.auditing import Reply, WholeRecords
from chains.model import Block
from chains.ports import RawReader, Start, StateReader
from indexer.steps import Step, Tables
from indexer.store import controls, ledger
from indexer.store.apply import Cursor, apply_step, cursor
from indexer.store.connection import connect, first_line, is_new, made
from indexer.store.controls import Findings, Look, ParityRun
from indexer.store.errors import StoreBroken, StoreError
from indexer.store.ledger import SnapshotRow
from indexer.store.liabilities import LiabilityLedger
from indexer.store.migrate import migrate
from indexer.store.query import QueryResult, query
from indexer.store.raw import StoredRaw, blocks
from indexer.store.reader import Reader
from indexer.store.rebuild import Rebuild
from indexer.store.records import StoredRecords
from indexer.store.register import Registry, register
from indexer.store.restate import StoredTables, uncover
from indexer.store.session import Con, insert, transaction
from indexer.store.tips import StoredState


class Store:
    """A store that is open. Every method may be called from any thread; writers wait for each other, readers for nobody."""

    def __init__(self, root: Con, path: Path | str) -> None:
        self.path = path
        self._root = root
        self._writer = root.cursor()
        self._lock = RLock()
        self._clerk = root.cursor()
        self._clerks_lock = RLock()
        self._rebuilding = False

    @classmethod
    def open(
        cls, path: Path | str, *, read_only: bool = False, allowed: Sequence[Path] = (), memory: str | None = None
    ) -> Self:
        """Open or make the file and bring its schema up to date; raises `StoreError`.

        `allowed` folders can be exported to; `memory` is how much of the file may be held in memory, such as 192MB.
        """
        if not read_only and is_new(path):
            with made(path) as con:
                migrate(con, path, read_only=False)
        root = connect(path, read_only=read_only, allowed=allowed, memory=memory)
        try:
            migrate(root, path, read_only=read_only)
        except duckdb.Error as error:
            root.close()
            raise StoreBroken(f"{path}: its schema cannot be read or changed ({first_line(error)})") from error
        except BaseException:
            root.close()
            raise
        return cls(root, path)

    def close(self) -> None:
        """Close the file; a reader that is still at work finishes first."""
        with self._lock, self._clerks_lock:
            self._writer.close()
            self._clerk.close()
            self._root.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def apply(self, step: Step) -> None:
        """Fold one step into the store, all of it or nothing; raises `StepRefused` or another `StoreError`."""
        with self._writing() as con:
            apply_step(con, step)

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """Open one consistent state for several questions, on a connection of the caller's own."""
        with self._session() as con:
            yield Reader(con)

    def chains(self) -> list[str]:
        """Every chain with a block, by id."""
        with self.reading() as reader:
            return reader.chains()

    def cursor(self, chain_id: str) -> Cursor | None:
        """How far a chain is stored, `None` for a chain without a block."""
        with self.reading() as reader:
            return reader.cursor(chain_id)

    def window(self, chain_id: str) -> list[Block]:
        """The blocks that a reorg can reach, ascending: from the newest final one that is stored to the cursor's."""
        with self.reading() as reader:
            return reader.window(chain_id)

    def block(self, chain_id: str, number: int) -> Block | None:
        """One stored block; a final block without rows is not kept."""
        with self.reading() as reader:
            return reader.block(chain_id, number)

    def block_at_time(self, chain_id: str, time: int) -> Block | None:
        """The last stored block at or before a Unix time."""
        with self.reading() as reader:
            return reader.block_at_time(chain_id, time)

    def state(self, chain_id: str) -> StateReader:
        """The journals' last rows, for folds."""
        return StoredState(self._session, chain_id)

    def raw(self, chain_id: str) -> RawReader:
        """What nodes said, for deriving everything again."""
        return StoredRaw(self._session, chain_id)

    def records(self, chain_id: str) -> WholeRecords:
        """What is stored as of any block, for evidence to be weighed against."""
        return StoredRecords(self._session, chain_id)

    def tables(self, chain_id: str) -> Tables:
        """What is stored of a chain, for another store to take over."""
        return StoredTables(self._session, chain_id)

    def uncover(self, chain_id: str, venue_id: str, first: int) -> None:
        """Call a venue incomplete from a block on: until it is filled in again its accounts are unknown."""
        with self._writing() as con:
            uncover(con, chain_id, venue_id, first)

    @contextmanager
    def rebuilding(self, chain_id: str) -> Iterator[Rebuild]:
        """Derive a chain's journals again: what is applied within replaces all of before at the end, or nothing does.

        Until then other readers see the rows of before, and no other step can be applied. Raises `StoreError`.
        """
        with self._writing() as con:
            self._rebuilding = True
            try:
                rebuild = Rebuild(con, chain_id)
                yield rebuild
                rebuild.finish()
            finally:
                self._rebuilding = False

    def starts(self) -> dict[tuple[str, bytes], Start]:
        """Where contracts begin that were looked for, by chain and address."""
        with self.reading() as reader:
            return reader.starts()

    def note_start(self, chain_id: str, address: bytes, start: Start) -> None:
        """Remember where a contract begins; what is known of it already stays."""
        if (chain_id, address) not in self.starts():
            with self._writing() as con:
                insert(con, "found_start", (chain_id, address, *start))

    def register(self, registry: Registry) -> None:
        """Let SQL and documents name what the configuration names; raises `ConfigRefused`."""
        with self._writing() as con:
            register(con, registry)

    def save_input(self, digest: str, account_id: str, document: str) -> None:
        """Keep a document under its digest, once; waits for no step that is being applied."""
        with self._clerks_lock, transaction(self._clerk, what=f"{self.path}: cannot be written") as con:
            ledger.save_input(con, digest, account_id, document)

    def load_input(self, digest: str) -> str | None:
        """The document of a digest, if it was kept."""
        with self.reading() as reader:
            return reader.load_input(digest)

    @contextmanager
    def liabilities(self) -> Iterator[LiabilityLedger]:
        """Open the ledger of what other systems say: what is added within is entered together, or nothing is."""
        with self._writing() as con:
            yield LiabilityLedger(con)

    def add_parity(self, run: ParityRun, found: Findings) -> None:
        """Enter a run of the self-audit over one venue, with all that it compared, or nothing."""
        with self._writing() as con:
            controls.add_run(con, run, found)

    def add_look(self, look: Look, found: Findings, replies: Sequence[Reply]) -> None:
        """Enter what came of weighing a venue at a block, with what its contracts said, or nothing, as of one that the chain left."""
        with self._writing() as con:
            held = cursor(con, look.chain_id)
            stored = blocks(con, look.chain_id, look.block_number, look.block_number)
            if held is None or held.block.number < look.block_number or any(b.hash != look.block_hash for b in stored):
                return
            controls.add_look(con, look, found, replies)

    def add_snapshot(self, row: SnapshotRow) -> None:
        """Enter a snapshot in the ledger; raises `StoreError` for an id, or a slot of a schedule, that is there already."""
        with self._writing() as con:
            ledger.add_snapshot(con, row)

    def update_snapshot(self, row: SnapshotRow) -> None:
        """Replace the line of a snapshot; raises `StoreError` if there is none."""
        with self._writing() as con:
            ledger.update_snapshot(con, row)

    def snapshots(self, schedule: str | None = None) -> list[SnapshotRow]:
        """The ledger in slot order, of one schedule or of all."""
        with self.reading() as reader:
            return reader.snapshots(schedule)

    def query(self, sql: str, *, timeout_s: float, max_rows: int) -> QueryResult:
        """Answer one SELECT that somebody else wrote; raises `QueryRefused` or `QueryTimeout`."""
        with self._session() as con:
            return query(con, sql, timeout_s=timeout_s, max_rows=max_rows)

    @contextmanager
    def _writing(self) -> Iterator[Con]:
        with self._lock:
            if self._rebuilding:
                raise StoreError(f"{self.path}: is being rebuilt; write to it when that is done")
            with transaction(self._writer, what=f"{self.path}: cannot be written") as con:
                yield con

    @contextmanager
    def _session(self) -> Iterator[Con]:
        try:
            con = self._root.cursor()
        except duckdb.Error as error:
            raise StoreError(f"{self.path}: is closed") from error
        try:
            with transaction(con, what=f"{self.path}: cannot be read", read_only=True):
                yield con
        finally:
            con.close()
