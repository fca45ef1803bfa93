"""Publishing ten million rows: how long it takes, how long blocks wait meanwhile, and how long questions about one owner take then.

`python -m bench publish`, or `python -m bench.publish ROWS`.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from threading import Thread
from time import monotonic, sleep
from typing import Any

from bench.sync.machine import described
from chains.model import Rows
from chains.redaction import Redactor
from crossmargin.logs import logger
from crossmargin.sql.guard import Guard, Limits
from indexer.publish import Publisher
from indexer.store import Registry, Store
from tests.unit.store.builders import CHAIN, append, batch, block, finalize, position
from tests.unit.store.test_register import REGISTRY

ROWS = 10_000_000
ROWS_PER_BLOCK = 200
OWNERS = 200_000
ASKED = 20

POSITIONS = """
INSERT INTO position_change
SELECT 'eip155:31337', 1 + n // {per_block}, 0, n % {per_block}, 'aave-devnet', owner, owner, '\\x0A'::BLOB, 'supply', '\\x0A'::BLOB,
    hash(n) % 1000000000000, 'aave-v3/1', 'exact'
FROM (SELECT range AS n, unhex(lpad(hex(hash(range % {owners})), 40, '0')) AS owner FROM range({rows}))
"""
EVENTS = """
INSERT INTO lending_event
SELECT chain_id, block_number, tx_index, ordinal, unhex(lpad(hex(block_number), 64, '0')), venue_id, 'supply', market, owner, owner, asset,
    amount_raw, '{{}}', 'exact'
FROM position_change
"""
TIPS = """
INSERT INTO position_current
SELECT * FROM position_change QUALIFY row_number() OVER (PARTITION BY unit_id ORDER BY block_number DESC, ordinal DESC) = 1
"""
BLOCKS = """
INSERT INTO evm_block
SELECT 'eip155:31337', range, unhex(lpad(hex(range), 64, '0')), unhex(lpad(hex(range - 1), 64, '0')), 1000 + 12 * range
FROM range(1, {last})
"""


def main(words: Sequence[str] = ()) -> None:
    rows = int(words[0]) if words else ROWS
    print(described())
    folder = Path(tempfile.mkdtemp(prefix="bench-publish-"))
    try:
        with Store.open(folder / "store.duckdb", allowed=[folder / "published"]) as store:
            last = _filled(store, rows)
            publisher = Publisher(folder / "published")
            for name in ("first set", "nothing new", "some blocks more"):
                if name == "some blocks more":
                    finalize(store, last)
                alone, last = _waits(store, last, lambda: sleep(3))
                began = monotonic()
                beside, last = _waits(store, last, lambda: publisher.publish(store, 1))
                took = f"{monotonic() - began:.1f} s"
                print(
                    f"  {name}: {took}; storing a block of 50 rows {_told(beside)}, without publishing {_told(alone)}"
                )
        _point_queries(folder / "published")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _filled(store: Store, rows: int) -> int:
    """A store with so many changes of positions and as many events; gives its last block."""
    store.register(Registry(chains=REGISTRY.chains, venues=REGISTRY.venues))
    last = rows // ROWS_PER_BLOCK
    names: dict[str, Any] = {"rows": rows, "per_block": ROWS_PER_BLOCK, "owners": OWNERS, "last": last}
    for text in (BLOCKS, POSITIONS, EVENTS, TIPS):
        store._writer.execute(text.format(**names))  # noqa: SLF001 - rows that no chain told
    tip = block(last)
    row = [CHAIN, tip.number, tip.hash, tip.parent_hash, tip.time]
    store._writer.execute("INSERT INTO evm_block VALUES (?, ?, ?, ?, ?)", row)  # noqa: SLF001 - ditto
    store._writer.execute("INSERT INTO cursor VALUES (?, ?, ?, ?, ?, ?)", [*row, last])  # noqa: SLF001 - ditto
    store._writer.execute("CHECKPOINT")  # noqa: SLF001 - ditto
    print(f"  {rows:,} changes of positions of {OWNERS:,} owners, and as many events")
    return last


def _waits(store: Store, last: int, work: Callable[[], object]) -> tuple[list[float], int]:
    """Run some work and append blocks meanwhile; gives how long each took, in seconds, and the last block."""
    thread = Thread(target=work)
    thread.start()
    waits = []
    while thread.is_alive():
        last += 1
        rows = Rows(positions=[position(last, last, ordinal=n, owner=n.to_bytes(20, "big")) for n in range(50)])
        prepared = batch(last, last, rows)
        began = monotonic()
        append(store, prepared)
        waits.append(monotonic() - began)
        sleep(0.02)
    thread.join()
    return waits, last


def _point_queries(folder: Path) -> None:
    guard = Guard(folder, Limits(timeout_s=60), logger(Redactor(), quiet=True))
    for view, column in (
        ("fct_position", "owner_address"),
        ("lending_event", "owner_address"),
        ("fct_position_change", "unit_id"),
    ):
        (owner,) = _rows(guard, f"SELECT {column} FROM {view} LIMIT 1 OFFSET 4321")[0]  # noqa: S608 - our own names
        took = []
        for _ in range(ASKED):
            began = monotonic()
            _rows(guard, f"SELECT * FROM {view} WHERE {column} = '{owner}'")  # noqa: S608 - ditto
            took.append(monotonic() - began)
        print(f"  rows of one owner in {view}, through the guard: {_told(took)}")
    guard.close()


def _rows(guard: Guard, sql: str) -> list[list[Any]]:
    return list(json.loads(guard.ask(sql, key="bench").body)["rows"])


def _told(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    return f"{median(ordered) * 1000:.1f} ms, at most {ordered[-1] * 1000:.0f} ms ({len(ordered)})"


if __name__ == "__main__":
    main(sys.argv[1:])
