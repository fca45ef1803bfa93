"""Workers for queries of strangers: each query has a process for itself, and so long, and then the process is no more."""

from __future__ import annotations

import hashlib
import json
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Semaphore
from time import monotonic
from typing import Any

from crossmargin.errors import NotStored
from crossmargin.logs import Logger
from crossmargin.sql.answers import Answer, Form
from crossmargin.sql.errors import SqlBusy, SqlRefused, SqlTimeout
from indexer.publish import Manifest
from indexer.publish.manifest import read

CURRENT, MANIFEST = "current", "manifest.json"
KILL_AFTER_S = 1.0
START_S = 30.0
WAIT_S = 5.0
QUERIES_PER_WORKER = 200
LONGEST_HEAD = 1 << 16
PIPE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one query may have: seconds, rows, bytes of the answer; and how many run at once."""

    timeout_s: int = 10
    rows: int = 10_000
    bytes: int = 16_000_000
    workers: int = 3


class Guard:
    """Answers SELECTs over the sets that are published in `folder`. May be called from any thread.

    Every question leaves a line in the log: who asked, the hash of the text, how long it took and what came of it; never the text.
    """

    def __init__(self, folder: Path, limits: Limits, log: Logger) -> None:
        self._folder = folder
        self._limits = limits
        self._log = log
        self._idle: list[Worker] = []
        self._lock = Lock()
        self._places = Semaphore(limits.workers)

    def ask(
        self, sql: str, *, key: str, form: Form = Form.JSON, formulas: bool = False, past: Path | None = None
    ) -> Answer:
        """Answer one query of whoever `key` names; raises `SqlRefused`, `SqlTimeout`, `SqlBusy`, `NotStored`.

        `formulas`: CSV keeps text that a spreadsheet would compute; without it, such text is quoted. `past`: the folder of a snapshot
        whose tables are asked instead, by a process for this one query.
        """
        began = monotonic()
        outcome, rows = "failed", 0
        try:
            answer = self._asked(sql, form, past, formulas=formulas)
            outcome, rows = "truncated" if answer.truncated else "done", answer.rows
        except (SqlRefused, SqlTimeout, SqlBusy, NotStored) as error:
            outcome = error.code
            raise
        finally:
            digest = hashlib.sha256(sql.encode("utf-8", errors="replace")).hexdigest()
            took_ms = round((monotonic() - began) * 1000)
            self._log.info("sql_asked", key=key, sql_sha256=digest, ms=took_ms, rows=rows, outcome=outcome)
        return answer

    def published(self) -> Manifest | None:
        """Return what the current set is of, `None` where nothing is published yet."""
        return read(self._folder / CURRENT / MANIFEST)

    def close(self) -> None:
        """End every worker."""
        with self._lock:
            for worker in self._idle:
                worker.kill()
            self._idle.clear()

    def _asked(self, sql: str, form: Form, past: Path | None, *, formulas: bool) -> Answer:
        if past is None and not (self._folder / CURRENT).exists():
            raise NotStored("nothing is published yet; run `crossmargin publish`, or set [publish] schedule")
        limits = self._limits
        question: dict[str, Any] = {"sql": sql, "form": form.value, "formulas": formulas}
        question |= {"timeout_s": limits.timeout_s, "rows": limits.rows, "bytes": limits.bytes}
        with self._worker() if past is None else self._worker_over(past) as worker:
            head, body = worker.ask(question, limits.timeout_s + KILL_AFTER_S, most=limits.bytes)
            if head.get("worn"):
                worker.kill()
        if head.get("timeout"):
            raise SqlTimeout(f"the query took longer than {limits.timeout_s} s and was stopped; ask for less at once")
        if (refused := head.get("refused")) is not None:
            raise SqlRefused(str(refused))
        return Answer(
            body=body, content_type=str(head["type"]), rows=int(head["rows"]), truncated=bool(head["truncated"])
        )

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(timeout=WAIT_S):
            raise SqlBusy(f"all {self._limits.workers} workers are at work; ask again in a moment")
        try:
            yield
        finally:
            self._places.release()

    @contextmanager
    def _worker_over(self, past: Path) -> Iterator[Worker]:
        """A worker for one query over a snapshot."""
        with self._place():
            worker = Worker(past, start=PAST)
            try:
                yield worker
            finally:
                worker.kill()

    @contextmanager
    def _worker(self) -> Iterator[Worker]:
        """A worker for one query; it comes back if it still can be trusted."""
        with self._place():
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            if worker is None or not worker.alive:
                worker = Worker(self._folder)
            try:
                yield worker
            except BaseException:
                worker.kill()
                raise
            if worker.alive and worker.answered < QUERIES_PER_WORKER:
                with self._lock:
                    self._idle.append(worker)
            else:
                worker.kill()


class Worker:
    """One process, see `crossmargin.sql.worker`; used by one thread at a time."""

    def __init__(self, folder: Path, start: str = "") -> None:
        self.answered = 0
        self._process = subprocess.Popen(  # noqa: S603 - this program, by its own interpreter
            [sys.executable, "-I", "-c", start or START, *import_paths()],
            cwd=folder,
            env={"LANG": "C.UTF-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            close_fds=True,
            start_new_session=True,
        )
        self._head(monotonic() + START_S)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, question: dict[str, Any], timeout_s: float, *, most: int) -> tuple[dict[str, Any], bytes]:
        """Ask, and wait so many seconds; a worker that does not answer in time, or in its own way, is killed."""
        deadline = monotonic() + timeout_s
        self.answered += 1
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        try:
            self._process.stdin.write(json.dumps(question).encode("ascii") + b"\n")
        except OSError as error:
            raise self._gone() from error
        try:
            head, rest = self._head(deadline)
            length = int(head["length"])
        except (ValueError, KeyError, TypeError) as error:
            raise self._gone() from error
        if length > most:
            raise self._gone()
        return head, self._exactly(rest, length, deadline)

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        with suppress(OSError):
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _head(self, deadline: float) -> tuple[dict[str, Any], bytes]:
        said = b""
        while b"\n" not in said:
            said += self._some(deadline)
            if len(said) > LONGEST_HEAD and b"\n" not in said:
                raise self._gone()
        line, _, rest = said.partition(b"\n")
        return dict(json.loads(line)), rest

    def _exactly(self, said: bytes, length: int, deadline: float) -> bytes:
        parts, size = [said], len(said)
        while size < length:
            part = self._some(deadline)
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def _some(self, deadline: float) -> bytes:
        pipe = self._process.stdout
        assert pipe is not None  # noqa: S101 - it is a pipe
        ready, _, _ = select.select([pipe], [], [], max(deadline - monotonic(), 0))
        if not ready:
            self.kill()
            raise SqlTimeout("the query took longer than it may and was stopped; ask for less at once")
        said = pipe.read(PIPE_BYTES)
        if not said:
            raise self._gone()
        return bytes(said)

    def _gone(self) -> SqlTimeout:
        self.kill()
        return SqlTimeout("the query used more of the machine than it may and was stopped; ask for less at once")


START = "import sys; sys.path[:0] = sys.argv[1:]; sys.argv[1:] = []; from crossmargin.sql.worker import main; main()"
PAST = START.replace(".worker", ".past_worker")
"""What a worker runs: its imports are ours, whatever its environment lacks."""


def import_paths() -> list[str]:
    """Where this process finds its modules."""
    return [path for path in sys.path if path]
