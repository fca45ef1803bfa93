"""The peers: how each is installed, started and checked."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from bench.sync import measured
from bench.sync.escrow_chain import DEPOSIT_TOPIC, WITHDRAW_TOPIC
from bench.sync.ours import book_sums, must_be, sums_of
from bench.sync.peers.install import node_with, python_with
from bench.sync.task import EVENTS, Run, Task, Unavailable

PROGRAMS = Path(__file__).parent / "programs"
LOGS_A_REQUEST = 10_000
WEB3_LOGS_A_REQUEST = 5_000

Movements = Iterator[tuple[str, bool, int, int]]


def told(task: Task, **more: object) -> str:
    """Return the task as a program's argument."""
    common = {"url": task.url, "chain_id": task.chain_id, "head": task.head, "vault": task.contract, "events": EVENTS}
    return json.dumps({**common, "topics": [DEPOSIT_TOPIC, WITHDRAW_TOPIC], **more})


def span(task: Task, logs: int = LOGS_A_REQUEST) -> int:
    """Return how many blocks hold about so many logs."""
    return max(logs // task.logs_per_block, 1)


def check(task: Task, rows: Movements) -> None:
    """Compare what a peer stored with the book."""
    must_be("sums", sums_of(rows), book_sums(task))


class RawFetch:
    """Every log, fetched and thrown away: the ceiling of the node, not a peer."""

    name = "raw fetch, thrown away"
    stores = "nothing"
    slow = False

    def install(self, cache: Path) -> None:
        """Do nothing: Python's own HTTP client."""

    def run(self, task: Task, folder: Path, cores: frozenset[int]) -> Run:
        command = [sys.executable, str(PROGRAMS / "raw_fetch.py"), told(task, span=span(task))]
        found, _ = measured.run(command, folder=folder, cores=cores)
        return found


class Cryo:
    """cryo, raw logs or decoded."""

    slow = False

    def __init__(self, *, decoded: bool) -> None:
        self.decoded = decoded
        self.name = "cryo, decoded" if decoded else "cryo, raw"
        self.stores = "Parquet: decoded events" if decoded else "Parquet: raw logs"
        self._python = Path()

    def install(self, cache: Path) -> None:
        self._python = python_with(cache / "cryo", ["cryo==0.3.2", "polars==1.36.1", "pyarrow==22.0.0"])

    def run(self, task: Task, folder: Path, cores: frozenset[int]) -> Run:
        task_text = told(task, span=span(task), chunk=span(task, 100_000), decoded=self.decoded)
        command = [str(self._python), str(PROGRAMS / "with_cryo.py"), task_text]
        found, _ = measured.run(command, folder=folder, cores=cores)
        check(task, self._movements(folder))
        return found

    def _movements(self, folder: Path) -> Movements:
        for path in sorted(folder.glob("*/*.parquet")):
            if self.decoded:
                columns = pq.read_table(path, columns=["topic0", "event__token", "event__amount_binary"])
            else:
                columns = pq.read_table(path, columns=["topic0", "topic2", "data"])
            for topic0, token, amount in zip(*(column.to_pylist() for column in columns.columns), strict=True):
                yield "0x" + token[-20:].hex(), topic0.hex() == DEPOSIT_TOPIC[2:], 1, int.from_bytes(amount)


class Tiders:
    """tiders: both events decoded, with their raw columns, into DuckDB."""

    name = "tiders"
    stores = "DuckDB: decoded events beside raw columns"
    slow = False

    def __init__(self) -> None:
        self._python = Path()

    def install(self, cache: Path) -> None:
        self._python = python_with(cache / "tiders", ["tiders==0.1.9", "tiders-core==0.4.0", "duckdb==1.5.5"])

    def run(self, task: Task, folder: Path, cores: frozenset[int]) -> Run:
        command = [str(self._python), str(PROGRAMS / "with_tiders.py"), told(task, span=span(task))]
        found, _ = measured.run(command, folder=folder, cores=cores)
        with duckdb.connect(str(folder / "tiders.duckdb"), read_only=True) as con:
            check(task, self._movements(con))
        return found

    @staticmethod
    def _movements(con: duckdb.DuckDBPyConnection) -> Movements:
        for table in EVENTS:
            for token, amount in con.execute(f"SELECT token, amount FROM {table}").fetchall():  # noqa: S608 - our own names
                yield "0x" + token.hex(), table == "deposits", 1, int.from_bytes(amount)


class Web3Loop:
    """A loop over web3.py's `get_logs` and `process_log`."""

    name = "web3.py loop"
    stores = "DuckDB: decoded events, primary key"
    slow = True

    def install(self, cache: Path) -> None:
        """Do nothing: web3.py and DuckDB are this checkout's own."""

    def run(self, task: Task, folder: Path, cores: frozenset[int]) -> Run:
        text = told(task, span=span(task, WEB3_LOGS_A_REQUEST))
        found, _ = measured.run([sys.executable, str(PROGRAMS / "with_web3.py"), text], folder=folder, cores=cores)
        with duckdb.connect(str(folder / "web3.duckdb"), read_only=True) as con:
            rows = con.execute(
                "SELECT lower(token), incoming, count(*), sum(amount) FROM movement GROUP BY ALL"
            ).fetchall()
        check(task, ((token, incoming, count, int(total)) for token, incoming, count, total in rows))
        return found


class EthereumEtl:
    """ethereum-etl: blocks with transactions, then the receipts of these with their logs, as it offers for events that are no transfers."""

    name = "ethereum-etl"
    stores = "CSV: blocks, transactions, receipts, raw logs"
    slow = True

    def __init__(self) -> None:
        self._command = ""

    def install(self, cache: Path) -> None:
        """Install it with a parser that Python 3.11 can import: the one it asks for cannot be."""
        python = python_with(
            cache / "ethereum-etl", ["ethereum-etl==2.4.2", "setuptools==80.10.2"], ["parsimonious==0.10.0"]
        )
        self._command = str(python.with_name("ethereumetl"))
        tried = subprocess.run([self._command, "--version"], capture_output=True, text=True, check=False)
        if tried.returncode != 0:
            raise Unavailable(f"it does not start: {tried.stderr.strip().splitlines()[-1]}")

    def run(self, task: Task, folder: Path, cores: frozenset[int]) -> Run:
        etl, workers = self._command, str(len(cores) * 2)
        script = (
            f"{etl} export_blocks_and_transactions -s 0 -e {task.head} -p {task.url} -w {workers} --blocks-output blocks.csv"
            f" --transactions-output txs.csv && {etl} extract_csv_column -i txs.csv -c hash -o hashes.txt && {etl}"
            f" export_receipts_and_logs --transaction-hashes hashes.txt -p {task.url} -w {workers} --logs-output logs.csv"
            " --receipts-output receipts.csv"
        )
        quiet = {"PYTHONWARNINGS": "ignore"}
        found, _ = measured.run(["sh", "-c", script], folder=folder, cores=cores, environment=quiet)
        check(task, self._movements(folder / "logs.csv", task))
        return found

    @staticmethod
    def _movements(path: Path, task: Task) -> Movements:
        with path.open(newline="") as stream:
            for row in csv.DictReader(stream):
                topics = row["topics"].split(",")
                if row["address"] == task.contract:
                    yield "0x" + topics[2][-40:], topics[0] == DEPOSIT_TOPIC, 1, int(row["data"], 16)


class Ponder:
    """ponder into PGlite: each event and a balance per account and token; with its rate limiter as it comes, or raised."""

    slow = True
    stores = "PGlite: decoded events, balance table, raw sync cache"

    def __init__(self, *, rps: int | None) -> None:
        self.name = "ponder" if rps is None else "ponder, limiter raised"
        self._rps = rps
        self._folder = Path()

    def install(self, cache: Path) -> None:
        packages = ["ponder@0.16.10", "viem@2.57.20", "hono@4.13.19", "typescript@5.9.3"]
        self._folder = node_with(cache / "ponder", packages)
        shutil.copytree(PROGRAMS / "ponder", self._folder, dirs_exist_ok=True)

    def run(self, task: Task, folder: Path, cores: frozenset[int]) -> Run:
        home = folder / "pglite"
        environment = {
            "BENCH_TASK": told(task, folder=str(home), rps=self._rps, start=task.start_block),
            "PONDER_TELEMETRY_DISABLED": "1",
        }
        program = self._folder / "node_modules" / "ponder" / "dist" / "esm" / "bin" / "ponder.js"
        options = ["--root", str(self._folder), "--schema", "bench", "--port", str(free_port()), "--log-format", "json"]
        found, _ = measured.run(
            ["node", str(program), "start", *options],
            folder=folder,
            cores=cores,
            environment=environment,
            until="Completed indexing across all chains",
        )
        check(task, self._movements(home))
        return found

    def _movements(self, home: Path) -> Movements:
        asked = subprocess.run(
            ["node", str(self._folder / "sums.mjs"), str(home)], capture_output=True, text=True, check=True, timeout=120
        )
        rows: list[Any] = json.loads(asked.stdout)
        for row in rows:
            yield row["token"], row["incoming"], int(row["count"]), int(row["total"])


def free_port() -> int:
    import socket  # noqa: PLC0415 - only ponder has to be told a port

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def all_peers() -> dict[str, Any]:
    """Return every peer by the word that chooses it."""
    return {
        "fetch": RawFetch(),
        "cryo": Cryo(decoded=False),
        "cryo-decoded": Cryo(decoded=True),
        "tiders": Tiders(),
        "web3": Web3Loop(),
        "ethereum-etl": EthereumEtl(),
        "ponder": Ponder(rps=None),
        "ponder-raised": Ponder(rps=10_000),
    }
