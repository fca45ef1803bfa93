"""A process that answers one query after the other on its standard input; `python -m crossmargin.sql.worker`.

It starts in the published folder, with an empty environment, gives up what it does not need before it reads the first query, and is killed
whenever somebody is in doubt about it.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
from dataclasses import replace
from pathlib import Path
from threading import Timer
from typing import Any, BinaryIO, Protocol

import duckdb
import pyarrow as pa

from crossmargin.sql.answers import TEXT, Answer, Form
from crossmargin.sql.check import Catalogue, catalogue, check
from crossmargin.sql.formats import TooLarge, table_answer, text_answer
from indexer.store import QueryRefused
from indexer.store.connection import SETTINGS
from indexer.store.query import rows_of, table_of
from indexer.store.query import said as said_of

DATABASE = Path("current", "crossmargin.duckdb")
MEMORY = "512MB"
ADDRESS_SPACE = 3 << 30
FILES = 4096
CPU_IN_ALL_S = 3600
CPU_MORE_S = 3
CONFIG: dict[str, Any] = SETTINGS | {
    "memory_limit": MEMORY,
    "threads": 1,
    "temp_directory": "",
    "allow_community_extensions": False,
}
PATHS = re.compile(r"(?:/[\w.+@~ -]+){2,}/?|\b(?:segments|sets|current)/[\w./+:-]*")


def main() -> None:
    """Answer until the input ends."""
    serve(Database())


def serve(database: Source) -> None:
    """Answer queries over a database until the input ends."""
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    _mute()
    _bound()
    answer(answers, {"ready": True}, b"")
    for line in asked:
        said = json.loads(line)
        head, body = _outcome(database, said)
        answer(answers, head, body)


def _mute() -> None:
    """Let nothing but answers reach who asked, whatever a library prints."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


def answer(stream: BinaryIO, head: dict[str, Any], body: bytes) -> None:
    """Write one line of JSON, and behind it as many bytes as it says."""
    stream.write(json.dumps({**head, "length": len(body)}).encode("ascii") + b"\n" + body)
    stream.flush()


def _bound() -> None:
    """Limits of the system that hold whatever DuckDB does: memory, processor, no file written, no core."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    files = min(FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_IN_ALL_S, CPU_IN_ALL_S))


def _allow_processor(seconds: int) -> None:
    """Let the next query have so many seconds of processor time; what goes on behind them is killed by the system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime) + seconds + CPU_MORE_S
    resource.setrlimit(resource.RLIMIT_CPU, (min(most, CPU_IN_ALL_S), CPU_IN_ALL_S))


class Source(Protocol):
    """Where queries are asked."""

    def opened(self) -> tuple[duckdb.DuckDBPyConnection, Catalogue]:
        """Return an open database out of which nothing leads, and what of it may be read."""
        ...


class Database:
    """The current set, opened anew when another one is published."""

    def __init__(self) -> None:
        self._set: str | None = None
        self._con: duckdb.DuckDBPyConnection | None = None
        self._open_to: Catalogue | None = None

    def opened(self) -> tuple[duckdb.DuckDBPyConnection, Catalogue]:
        now = str(DATABASE.parent.readlink())
        if self._con is None or self._open_to is None or now != self._set:
            if self._con is not None:
                self._con.close()
            self._con = connect()
            self._open_to = catalogue(self._con)
            self._set = now
        return self._con, self._open_to


def connect() -> duckdb.DuckDBPyConnection:
    """Open the published database so that nothing leads out of it: read-only, no spill, only its own files, no setting changes."""
    con = duckdb.connect(str(DATABASE), read_only=True, config=CONFIG)
    con.execute("SET parquet_metadata_cache = true")  # files are never changed
    shut(con, Path.cwd() / "segments")
    return con


def shut(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Let nothing lead out of a database but to the files in a folder, for good."""
    con.execute("SET schema = 'public'")
    con.execute("SET allowed_directories = $folders", {"folders": [str(folder)]})
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")


def _outcome(database: Source, said: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """What a query came to: rows, or why there are none, in words without a path."""
    try:
        written = _written(database, said)
    except duckdb.InterruptException:
        return {"timeout": True}, b""
    except (QueryRefused, TooLarge) as error:
        return {"refused": scrubbed(str(error))}, b""
    except (duckdb.OutOfMemoryException, MemoryError, pa.ArrowMemoryError):
        return {"refused": "the query needs more memory than it may have; ask for less at once", "worn": True}, b""
    except duckdb.Error as error:
        return {"refused": f"DuckDB cannot run this query: {scrubbed(said_of(error))}"}, b""
    except Exception as error:  # noqa: BLE001 - whatever a query brings about, the next one has another worker
        return {"refused": f"this query cannot be answered ({type(error).__name__})", "worn": True}, b""
    return {"rows": written.rows, "truncated": written.truncated, "type": written.content_type}, written.body


def _written(database: Source, said: dict[str, Any]) -> Answer:
    con, open_to = database.opened()
    _allow_processor(int(said["timeout_s"]))
    timer = Timer(float(said["timeout_s"]), con.interrupt)
    timer.start()
    try:
        check(con, said["sql"], open_to)
        return _taken(con, said)
    finally:
        timer.cancel()


def _taken(con: duckdb.DuckDBPyConnection, said: dict[str, Any]) -> Answer:
    sql, form, most_rows, most_bytes = said["sql"], Form(said["form"]), int(said["rows"]), int(said["bytes"])
    is_plan = sql.lstrip().upper().startswith("EXPLAIN")
    if form in TEXT or is_plan:
        found = rows_of(con, sql, most_rows=most_rows, most_bytes=most_bytes)
        rows = [tuple(scrubbed(str(value)) for value in row) for row in found.rows] if is_plan else found.rows
        text_form = form if form in TEXT else Form.JSON
        return text_answer(replace(found, rows=rows), text_form, formulas=bool(said["formulas"]), most_bytes=most_bytes)
    return table_answer(table_of(con, sql, most_rows=most_rows, most_bytes=most_bytes), form, most_bytes=most_bytes)


def scrubbed(text: str) -> str:
    """A text without paths of this machine."""
    return PATHS.sub("(a file)", text)


if __name__ == "__main__":
    main()
