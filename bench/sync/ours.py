"""crossmargin as its users run it: `crossmargin index` with one chain and one venue, into a fresh store."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb

from bench.sync import measured
from bench.sync.task import Incomplete, Run, Sums, Task

COMMAND = str(Path(sys.executable).with_name("crossmargin"))
STORE = "store.duckdb"
NAMES = ("deposits", "deposited", "withdrawals", "withdrawn")
HISTORY = {
    "Supply": "supply",
    "Withdraw": "withdraw",
    "Borrow": "borrow",
    "Repay": "repay",
    "LiquidationCall": "liquidation",
}
"""Events of a market that are a line of human history each, and what the journal calls it."""

_IMPORTED = (
    "crossmargin.cli.main",
    "crossmargin.cli.indexing",
    "chains.evm.chain",
    "chains.evm.escrow",
    "chains.evm.aave_v3",
    "chains.evm.provider",
)
_PROTOCOLS = {"escrow": 'protocol = "escrow"\nliabilities = "none"', "aave": 'protocol = "aave-v3"'}


class Crossmargin:
    """The full job: raw logs, headers, decoded history, journals, current tables, coverage, block window and cursor."""

    name = "crossmargin"
    stores = "DuckDB: raw logs, history, journal, current table, coverage, block window, cursor"
    slow = False

    def install(self, cache: Path) -> None:
        """Let Python compile what the command imports: it is this checkout."""
        del cache
        program = f"import {', '.join(_IMPORTED)}"
        subprocess.run([sys.executable, "-c", program], check=True, env=measured.surroundings())

    def run(self, task: Task, folder: Path, cores: frozenset[int]) -> Run:
        """Index to the chain's head and compare every table with the book."""
        (folder / "crossmargin.toml").write_text(configuration(task), encoding="utf-8")
        found, said = measured.run([COMMAND, "index", "--until", "latest"], folder=folder, cores=cores)
        check(task, folder / STORE)
        return replace(found, stages=stages_of(said))


def stages_of(said: str) -> dict[str, int]:
    """Read the last line of progress: the per cent of its time that each stage took."""
    lines = [line for line in said.splitlines() if " logs/s " in line]
    return {stage: int(share) for stage, share in re.findall(r"([a-z]+) (\d+)%", lines[-1])} if lines else {}


def configuration(task: Task) -> str:
    """Return the configuration of one chain with one venue."""
    return f"""
[store]
path = "{STORE}"

[[chain]]
id = "eip155:{task.chain_id}"
name = "bench"
rpc = ["{task.url}"]
finality = "finalized"
start_block = 0

[[venue]]
id = "bench"
{_PROTOCOLS[task.workload.partition("-")[0]]}
chain = "eip155:{task.chain_id}"
address = "{task.contract}"
start_block = {task.start_block}
"""


def check(task: Task, path: Path) -> None:
    """Compare a store with the book; raises `Incomplete`."""
    with opened(path) as con:
        must_be("cursor", con.execute("SELECT block_number FROM cursor").fetchall(), [(task.head,)])
        must_be("logs", con.execute("SELECT count(*) FROM evm_log").fetchall(), [(task.logs,)])
        must_be("quarantined rows", con.execute("SELECT count(*) FROM quarantine").fetchall(), [(0,)])
        (check_escrow if task.workload == "escrow" else check_aave)(task, con)


@contextmanager
def opened(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(path), read_only=True) as con:
        yield con


def check_escrow(task: Task, con: duckdb.DuckDBPyConnection) -> None:
    held = con.execute("SELECT '0x' || lower(hex(owner)), '0x' || lower(hex(asset)), amount_raw FROM position_current")
    must_be(
        "balances", {(owner, asset): int(amount) for owner, asset, amount in held.fetchall()}, escrow_balances(task)
    )
    rows = con.execute(
        "SELECT '0x' || lower(hex(asset)), kind, count(*), sum(amount_raw) FROM lending_event GROUP BY ALL"
    ).fetchall()
    must_be(
        "sums", sums_of((token, kind == "supply", n, int(total)) for token, kind, n, total in rows), book_sums(task)
    )
    must_be("journal rows", con.execute("SELECT count(*) FROM position_change").fetchall(), [(task.logs,)])


def check_aave(task: Task, con: duckdb.DuckDBPyConnection) -> None:
    held = con.execute(
        "SELECT '0x' || lower(hex(owner)), '0x' || lower(hex(asset)), side, amount_raw FROM position_current WHERE amount_raw <> 0"
    )
    mine = {(owner, asset, side): int(amount) for owner, asset, side, amount in held.fetchall()}
    with (task.book / "balances.csv").open(newline="") as stream:
        book = {(r["account"], r["token"], r["side"]): int(r["amount"]) for r in csv.DictReader(stream)}
    must_be("scaled balances", mine, {key: amount for key, amount in book.items() if amount})
    told = json.loads((task.book / "book.json").read_text())
    rows = con.execute("SELECT kind, count(*), sum(amount_raw) FROM lending_event GROUP BY ALL").fetchall()
    history = {kind: (n, int(total)) for kind, n, total in rows if kind in HISTORY.values()}
    expected = {kind: (told["counts"][event], int(told["amounts"][event])) for event, kind in HISTORY.items()}
    must_be("history", history, {kind: found for kind, found in expected.items() if found[0]})
    answers = con.execute("SELECT count(*) FROM price_observation").fetchall()[0][0]
    if answers < told["counts"]["AnswerUpdated"]:
        raise Incomplete(f"prices: {answers} stored, {told['counts']['AnswerUpdated']} told")


def escrow_balances(task: Task) -> dict[tuple[str, str], int]:
    with (task.book / "balances.csv").open(newline="") as stream:
        return {(row["account"], row["token"]): int(row["amount"]) for row in csv.DictReader(stream)}


def book_sums(task: Task) -> Sums:
    """Return what the vault saw of each token."""
    return dict(json.loads((task.book / "book.json").read_text()))


def sums_of(rows: Iterator[tuple[str, bool, int, int]]) -> Sums:
    """Lay out (token, incoming, count, sum) as the book does."""
    found: Sums = {}
    for token, incoming, count, total in rows:
        sums = found.setdefault(token, dict.fromkeys(NAMES, 0))
        sums["deposits" if incoming else "withdrawals"] += count
        sums["deposited" if incoming else "withdrawn"] += total
    return found


def must_be(what: str, found: object, expected: object) -> None:
    """Raise `Incomplete` where a store differs from the book."""
    if found != expected:
        raise Incomplete(f"{what}: {str(found)[:300]} is stored, the chain holds {str(expected)[:300]}")
