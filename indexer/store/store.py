"""The store: one DuckDB file, one process that owns it, one connection that takes steps, one that keeps inputs, one for every reader."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, RLock
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa

from chains.auditing import Reply, WholeRecords
from chains.model import Block
from chains.ports import RawReader, Start, StateReader
from indexer.steps import Step, Tables
from indexer.store import controls, ledger, margin, risk_runs
from indexer.store.api_keys import ApiKeyLedger
from indexer.store.apply import Cursor, apply_step, cursor
from indexer.store.backup import Backup, back_up
from indexer.store.blank import blank
from indexer.store.changes import ANYWHERE, Changes, change_of
from indexer.store.connection import MEMORY, connect, first_line, is_new, made, written
from indexer.store.controls import Findings, Look, ParityRun
from indexer.store.errors import StoreBroken, StoreError
from indexer.store.histories import HistoryLedger
from indexer.store.ledger import Answer, SnapshotLedger, SnapshotRow
from indexer.store.liabilities import LiabilityLedger
from indexer.store.memberships import MembershipLedger
from indexer.store.migrate import migrate
from indexer.store.policies import PolicyLedger
from indexer.store.query import QueryResult, QueryTable, query, query_table
from indexer.store.raw import StoredRaw, blocks
from indexer.store.reader import Reader
from indexer.store.rebuild import Rebuild
from indexer.store.records import StoredRecords
from indexer.store.register import Registry, register
from indexer.store.restate import StoredTables, uncover
from indexer.store.risk_runs import RiskRun
from indexer.store.session import Con, insert, transaction
from indexer.store.spool import Spool
from indexer.store.tips import StoredState
from indexer.store.told import EventLedger, Telling, tell_liquidations, tell_step
from indexer.store.transfers import TransferLedger
from indexer.store.webhooks import WebhookLedger

PUBLIC = "public"
"""The schema of the views that people ask."""


class Store:
    """A store that is open. Every method may be called from any thread; writers wait for each other, readers for nobody."""

    def __init__(self, root: Con, path: Path | str) -> None:
        self.path = path
        self._spool = None if str(path) == MEMORY else Spool(Path(path), self._enter)
        self._root = root
        self._writer = root.cursor()
        self._lock = RLock()
        self._clerk = root.cursor()
        self._clerks_lock = RLock()
        self._rebuilding = False
        self.changes = Changes()
        """Since when rows of a chain are others than before; for whoever holds a copy of them."""
        self.telling: Telling | None = None
        """How subscribers are told of what is stored; `None`: not at all."""
        self.edition = 0
        """How often something was written since it was opened: as long as it is the same, so are all answers."""
        self._committing = False
        self._known: tuple[int, dict[Hashable, Any]] = (-1, {})
        self._knowing = Lock()

    @classmethod
    def open(
        cls, path: Path | str, *, read_only: bool = False, allowed: Sequence[Path] = (), memory: str | None = None
    ) -> Self:
        """Open or make the file and bring its schema up to date; raises `StoreError`.

        `allowed` folders may be read and written by SQL; `memory` is how much of the file may be held in memory, such as 192MB.
        """
        if not read_only and is_new(path):
            with made(path) as unfinished:
                written(unfinished, blank())
        root = connect(path, read_only=read_only, allowed=allowed, memory=memory)
        try:
            migrate(root, path, read_only=read_only)
        except duckdb.Error as error:
            root.close()
            raise StoreBroken(f"{path}: its schema cannot be read or changed ({first_line(error)})") from error
        except BaseException:
            root.close()
            raise
        store = cls(root, path)
        try:
            store._take_up(read_only=read_only)
        except BaseException:
            store.close()
            raise
        return store

    def _take_up(self, *, read_only: bool) -> None:
        if self._spool is not None and read_only:
            self._spool.remember()
        elif self._spool is not None:
            self._spool.recover()

    def close(self) -> None:
        """Close the file; a reader that is still at work finishes first."""
        if self._spool is not None:
            self._spool.close()
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
        with self._changing(change_of(step)), self._writing() as con:
            apply_step(con, step)
            if self.telling is not None:
                tell_step(con, step, self.telling)

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """Open one consistent state for several questions, on a connection of the caller's own."""
        with self._session() as con:
            yield Reader(con)

    @contextmanager
    def reading_on(self) -> Iterator[Reader]:
        """Open the newest state likewise; what was asked of exactly this state before is not read again."""
        before = self._exact()
        with self._session() as con:
            con.execute(
                "SELECT count(*) FROM main.lake_set"
            ).fetchall()  # the transaction takes its state with its first question
            yield Reader(con, self._known_of(before) if before == self._exact() else None)

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
        with self._changing((chain_id, ANYWHERE)), self._writing() as con:
            self._rebuilding = True
            try:
                rebuild = Rebuild(con, chain_id)
                yield rebuild
                rebuild.finish()
                if self.telling is not None:
                    tell_liquidations(con, chain_id, 0, self.telling)
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

    def save_sent(self, inputs: Mapping[str, tuple[str, str]], answers: Sequence[Answer]) -> None:
        """Keep documents under their digests (digest → account and text), once, and what was answered about accounts, one answer of each.

        Both or neither, and whatever happens to the process then; waits for no step that is being applied.
        """
        sent = ledger.Sent(inputs=dict(inputs), answers=list(answers))
        if self._spool is None:
            self._enter([sent])
        else:
            self._spool.add(sent)

    def _enter(self, sent: Sequence[ledger.Sent]) -> None:
        with self._clerks_lock, transaction(self._clerk, what=f"{self.path}: cannot be written") as con:
            ledger.save_sent(con, sent)

    def load_input(self, digest: str) -> str | None:
        """The document of a digest, if it was kept."""
        if self._spool is not None and (waiting := self._spool.document(digest)) is not None:
            return waiting
        with self.reading() as reader:
            return reader.load_input(digest)

    @contextmanager
    def liabilities(self) -> Iterator[LiabilityLedger]:
        """Open the ledger of what other systems say: what is added within is entered together, or nothing is."""
        with self._writing() as con:
            yield LiabilityLedger(con)

    @contextmanager
    def histories(self) -> Iterator[HistoryLedger]:
        """Open the ledger of imported histories: what is added within is entered together, or nothing is."""
        with self._writing() as con:
            yield HistoryLedger(con)

    @contextmanager
    def transfers(self) -> Iterator[TransferLedger]:
        """Open the ledger of what is on its way: what is added within is entered together, or nothing is."""
        with self._writing() as con:
            yield TransferLedger(con)

    @contextmanager
    def policies(self) -> Iterator[PolicyLedger]:
        """Open the ledger of policies: what is asked and added within is of one state."""
        with self._writing() as con:
            yield PolicyLedger(con)

    @contextmanager
    def memberships(self) -> Iterator[MembershipLedger]:
        """Open the ledger of memberships: what is asked and added within is of one state."""
        with self._writing() as con:
            yield MembershipLedger(con)

    @contextmanager
    def api_keys(self) -> Iterator[ApiKeyLedger]:
        """Open the list of API keys."""
        with self._writing() as con:
            yield ApiKeyLedger(con)

    @contextmanager
    def events(self, now: float) -> Iterator[EventLedger]:
        """Open the ledger of what subscribers are told at a Unix second: what is told within is told together, or nothing is."""
        with self._writing() as con:
            yield EventLedger(con, now)

    @contextmanager
    def webhooks(self) -> Iterator[WebhookLedger]:
        """Open the ledger of webhooks, on which no answer rests; waits for no step that is being applied."""
        with self._clerks_lock, transaction(self._clerk, what=f"{self.path}: cannot be written") as con:
            yield WebhookLedger(con)

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

    @contextmanager
    def snapshot_ledger(self) -> Iterator[SnapshotLedger]:
        """Open the ledger of snapshots: what is asked and entered within is of one state, all of it or nothing."""
        with self._writing() as con:
            yield SnapshotLedger(con)

    def add_snapshot(self, row: SnapshotRow) -> None:
        """Enter a snapshot in the ledger; raises `StoreError` for an id, or a slot of a schedule, that is there already."""
        with self._writing() as con:
            ledger.add_snapshot(con, row)

    def update_snapshot(self, row: SnapshotRow) -> None:
        """Replace the line of a snapshot; raises `StoreError` if there is none."""
        with self._writing() as con:
            ledger.update_snapshot(con, row)

    def replace_margin(self, slot_time: int, tables: Mapping[str, pa.Table]) -> None:
        """Let SQL see the book of a snapshot (`public.fct_margin_account`), unless it sees a newer one."""
        with self._writing() as con:
            margin.replace_margin(con, slot_time, tables)

    def add_risk_run(self, run: RiskRun, parts: Mapping[str, pa.Table], keep: int) -> int:
        """Enter a run over the whole book, let go of all but the newest `keep`, and return its number."""
        with self._writing() as con:
            return risk_runs.add_run(con, run, parts, keep)

    def snapshots(self, schedule: str | None = None) -> list[SnapshotRow]:
        """The ledger in slot order, of one schedule or of all."""
        with self.reading() as reader:
            return reader.snapshots(schedule)

    def back_up(self, folder: Path, made_at: int) -> Backup:
        """Copy the whole store as it is now into a new folder, one of the `allowed`; waits for no writer. Raises `StoreError`."""
        self._settle()
        try:
            con = self._root.cursor()
        except duckdb.Error as error:
            raise StoreError(f"{self.path}: is closed") from error
        try:
            return back_up(con, str(self.path), folder, made_at)
        finally:
            con.close()

    @contextmanager
    def exporting(self) -> Iterator[Con]:
        """Open one consistent state for somebody who writes files of it, below the folders that are allowed."""
        self._settle()
        with self._session() as con:
            yield con

    @contextmanager
    def copying(self) -> Iterator[Con]:
        """Open one consistent state of chains for somebody who copies their rows."""
        with self._session() as con:
            yield con

    @contextmanager
    def refilling(self, chain_id: str | None = None, above: int | None = ANYWHERE) -> Iterator[Con]:
        """Let somebody put other rows into the tables, all of them or none: readers see those of before until then.

        With a `chain_id` only into those of that chain, and with a block only rows `above` it.
        """
        with self._changing((chain_id, above)), self._writing() as con:
            yield con

    def query(self, sql: str, *, timeout_s: float, max_rows: int, public: bool = False) -> QueryResult:
        """Answer one SELECT that somebody else wrote; raises `QueryRefused` or `QueryTimeout`.

        `public`: a name without a schema is that of a public view; every other table has to be called by its schema.
        """
        self._settle()
        with self._session(PUBLIC if public else None) as con:
            return query(con, sql, timeout_s=timeout_s, max_rows=max_rows, public=public)

    def query_table(self, sql: str, *, timeout_s: float, max_rows: int, public: bool = False) -> QueryTable:
        """Answer one likewise, as Arrow."""
        self._settle()
        with self._session(PUBLIC if public else None) as con:
            return query_table(con, sql, timeout_s=timeout_s, max_rows=max_rows, public=public)

    def _settle(self) -> None:
        """Let SQL see the answers that are kept and not entered yet; raises `StoreError`, for without them it would lack some silently."""
        if self._spool is None:
            return
        try:
            self._spool.settle()
        except StoreError as error:
            raise StoreError(
                f"{self.path}: is not read, for it would lack answers that were given ({self._spool.waiting:,}, safe in "
                f"{self._spool.name}): {error}; free disk space: they are entered by themselves then, and this can be asked again"
            ) from error

    def _exact(self) -> int | None:
        """The edition that whoever reads now sees, `None` while that cannot be told."""
        return None if self._committing else self.edition

    def _known_of(self, edition: int | None) -> dict[Hashable, Any] | None:
        """What was read of one edition; nothing of an older one is kept in mind."""
        if edition is None:
            return None
        with self._knowing:
            if self._known[0] < edition:
                self._known = (edition, {})
            return self._known[1] if self._known[0] == edition else None

    @contextmanager
    def _changing(self, change: tuple[str | None, int | None] | None) -> Iterator[None]:
        """Note a change before it can be seen, and once more when it is there or came to nothing."""
        if change is None:
            yield
            return
        self.changes.note(*change)
        try:
            yield
        finally:
            self.changes.note(*change)

    @contextmanager
    def _writing(self) -> Iterator[Con]:
        with self._lock:
            if self._rebuilding:
                raise StoreError(f"{self.path}: is being rebuilt; write to it when that is done")
            try:
                with transaction(self._writer, what=f"{self.path}: cannot be written") as con:
                    yield con
                    self._committing = True
                self.edition += 1
            finally:
                self._committing = False

    @contextmanager
    def _session(self, schema: str | None = None) -> Iterator[Con]:
        try:
            con = self._root.cursor()
        except duckdb.Error as error:
            raise StoreError(f"{self.path}: is closed") from error
        try:
            if schema is not None:
                con.execute(f"USE {schema}")
            with transaction(con, what=f"{self.path}: cannot be read", read_only=True):
                yield con
        finally:
            con.close()
