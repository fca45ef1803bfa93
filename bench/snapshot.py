"""A snapshot of 1,000,000 accounts with 5,000,000 positions, from tables to files, and as-of reads over a journal of 10,000,000 rows.

The tables are given: opening venues and judging accounts is not in it. Each part runs in a process of its own, whose peak memory is read.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import tempfile
from collections.abc import Callable, Sized
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pyarrow as pa

from aggregator.audit import copies, verifier
from aggregator.audit.columns import ROWS_PER_GROUP
from aggregator.audit.lines import KEYS
from aggregator.audit.manifest import sha256_of
from aggregator.audit.proofs import prove
from aggregator.audit.snapshot import write_tables
from aggregator.audit.tables import SCHEMAS, held_schema, schema
from aggregator.audit.verifier import MANIFEST, canonical, described
from indexer.store import Store
from indexer.store.asof import AsOf, holding, unit_snapshots
from indexer.store.journals import tags_of

SCALE = float(os.environ.get("BENCH_SCALE", "1"))
"""How much of it, for machines that have little time."""

ACCOUNTS, POSITIONS = int(1_000_000 * SCALE), int(5_000_000 * SCALE)
JOURNAL = int(10 * SCALE) * 1_000_000
TABLES = ("accounts", "marks", "positions", "units")
PROOFS = 500
CHAIN = "eip155:1"
VENUES, ASSETS = 4, 30
OWNERS = 200_000


def main() -> None:
    print(
        f"snapshot · {ACCOUNTS:,} accounts, {POSITIONS:,} positions; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    print(f"  Python {platform.python_version()}, pyarrow {version('pyarrow')}, duckdb {version('duckdb')}")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for work in (tables, written, hashed, verified, alone, proven, *((journal, read) if JOURNAL else ())):
            show(work, folder)


def show(work: Callable[[Path], dict[str, float]], folder: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for name, seconds in pool.submit(measured, work, folder).result().items():
            print(f"  {name:<46}{seconds:>12,.3f}")


def measured(work: Callable[[Path], dict[str, float]], folder: Path) -> dict[str, float]:
    began, cpu = perf_counter(), process_time()
    told = work(folder)
    elapsed, beside = perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, beside.ru_maxrss) / 1024**2
    spent = process_time() - cpu + beside.ru_utime + beside.ru_stime
    whole = {f"{work.__name__}: s": elapsed, f"{work.__name__}: CPU s": spent}
    return {**whole, f"{work.__name__}: peak GiB": peak, **told}


def tables(folder: Path) -> dict[str, float]:
    """Make the tables, as files that Arrow maps."""
    rng = np.random.default_rng(1)
    owners = np.char.add("0x", np.sort([f"{n:040}" for n in rng.integers(0, 2**62, ACCOUNTS)]))
    venue = np.sort(rng.integers(0, VENUES, ACCOUNTS))
    order = np.lexsort((owners, venue))
    units = {"venue_id": [f"venue-{n}" for n in venue[order]], "unit_id": owners[order], "owner": owners[order]}
    filled = {
        "protocol": "aave-v3",
        "chain_id": CHAIN,
        "status": "healthy",
        "health_factor": "1.500000",
        "has_debt": True,
        "liquidatable": False,
        "native": json.dumps({"healthFactor": "1500000000000000000", "totalDebtBase": "123456789012"}),
        "engine": "aave-3.5",
        "evidence": "D",
        "observed_slot": None,
        "skew_slots": None,
        "roles": "[]",
        "reasons": "[]",
    }
    save(folder, "units", units, filled)
    held = np.sort(rng.integers(0, ACCOUNTS, POSITIONS))
    assets = [f"{CHAIN}/erc20:0x{n:040x}" for n in range(ASSETS)]
    which = rng.integers(0, ASSETS, POSITIONS)
    sides = np.where(rng.random(POSITIONS) < 0.4, "borrow", "supply")
    drawn = np.array([str(int(n) * 10**9) for n in rng.integers(1, 2**60, POSITIONS)])
    placed = np.lexsort((drawn, sides, which, held))
    held, which, sides, amounts = held[placed], which[placed], sides[placed], drawn[placed]
    positions = {
        "venue_id": np.array(units["venue_id"])[held],
        "unit_id": owners[order][held],
        "owner": owners[order][held],
        "market": [assets[n][-42:] for n in which],
        "asset": [assets[n] for n in which],
        "side": sides,
        "amount_raw": amounts,
        "protocol_raw": amounts,
    }
    filled = {
        "symbol": "WETH",
        "decimals": 18,
        "counts": True,
        "counted": True,
        "venue_answer_raw": "200000000000",
        "venue_unit_raw": "100000000",
        "asset_class": "major",
        "evidence": "D",
    }
    save(folder, "positions", positions, filled)
    accounts = {
        "account": np.char.add(f"{CHAIN}:", owners),
        "members": np.char.add(f'["{CHAIN}:', np.char.add(owners, '"]')),
    }
    filled = {
        "status": "healthy",
        "score": 80,
        "health_factor": "1.500000",
        "health_factor_low": "1.400000",
        "health_factor_high": "1.600000",
        "min_unit_health_factor": "1.500000",
        "collateral_usd": "12345.67000000",
        "debt_usd": "6789.01000000",
        "headroom_usd": "3456.78000000",
        "evidence": "D",
        "reasons": "[]",
    }
    save(folder, "accounts", accounts, filled)
    feeds = [json.dumps([{"feed": asset, "answer_raw": "200000000000", "used": True}]) for asset in assets]
    filled = {"low_usd": "1990.000000", "mid_usd": "2000.000000", "high_usd": "2010.000000", "state": "valid"}
    save(folder, "marks", {"identity": assets, "feeds": feeds}, filled)
    return {}


def save(folder: Path, name: str, columns: dict[str, Any], filled: dict[str, Any]) -> None:
    """Keep a table as a snapshot does until it is written: texts that repeat are held once for so many rows."""
    rows = len(next(iter(columns.values())))
    arrays = {
        field.name: pa.array(columns[field.name], field.type)
        if field.name in columns
        else pa.repeat(pa.scalar(filled[field.name], field.type), rows)
        for field in schema(name)
    }
    whole, kinds = pa.table(arrays, schema(name)), held_schema(name)
    with pa.OSFile(str(folder / f"{name}.arrow"), "wb") as sink, pa.ipc.new_stream(sink, kinds) as writer:
        for first in range(0, rows, ROWS_PER_GROUP):
            writer.write_table(whole.slice(first, ROWS_PER_GROUP).combine_chunks().cast(kinds))


def mapped(folder: Path, name: str) -> pa.Table:
    return pa.ipc.open_stream(pa.memory_map(str(folder / f"{name}.arrow"))).read_all()


def written(folder: Path) -> dict[str, float]:
    """Write lines and Parquet of all tables, and build the tree and its index."""
    (folder / "pack").mkdir()
    root = write_tables(folder / "pack", {name: mapped(folder, name) for name in TABLES})
    assert root.sums["units"] == ACCOUNTS
    (folder / "tree.json").write_text(json.dumps(described(root)))
    return {}


def hashed(folder: Path) -> dict[str, float]:
    """Hash all files for the manifest, which is not signed here."""
    paths = list((folder / "pack").iterdir())
    said = {
        "files": {path.name: {"sha256": sha256_of(path), "bytes": path.stat().st_size} for path in paths},
        "tables": {
            name: {
                "rows": {"positions": POSITIONS, "marks": ASSETS}.get(name, ACCOUNTS),
                "columns": list(SCHEMAS[name]),
                "key": list(KEYS[name]),
            }
            for name in TABLES
        },
        "tree": json.loads((folder / "tree.json").read_text()),
    }
    (folder / "pack" / MANIFEST).write_bytes(canonical(said))
    return {"GiB in the snapshot": sum(entry["bytes"] for entry in said["files"].values()) / 1024**3}


def verified(folder: Path) -> dict[str, float]:
    """Check files, and then tables with their copies, tree and sums, as `snapshot verify` does."""
    pack = folder / "pack"
    manifest = json.loads((pack / MANIFEST).read_bytes())
    found = verifier.Found(manifest=manifest)
    verifier.look_at_files(pack, found, copies.is_sound)
    assert not found.faults
    return {}


def alone(folder: Path) -> dict[str, float]:
    """Check the same line by line, as the stand-alone verifier does, which needs none of this project."""
    pack = folder / "pack"
    manifest = json.loads((pack / MANIFEST).read_bytes())
    found = verifier.Found(manifest=manifest)
    verifier.look_at_files(pack, found)
    assert not found.faults
    return {}


def proven(folder: Path) -> dict[str, float]:
    """Prove accounts, which is followed to the root each time."""
    rng = np.random.default_rng(3)
    accounts = mapped(folder, "accounts")["account"]
    wanted = [accounts[int(number)].as_py() for number in rng.integers(0, ACCOUNTS, PROOFS + 1)]
    prove(folder / "pack", wanted.pop())
    took = []
    for account in wanted:
        began = process_time(), perf_counter()
        assert prove(folder / "pack", account)["units"]
        took.append((process_time() - began[0], perf_counter() - began[1]))
    cpu, seconds = np.array(took).T * 1000
    return {
        "proof of an account, median: CPU ms": float(np.median(cpu)),
        "proof of an account, median: ms": float(np.median(seconds)),
        "proof of an account, of 20 the slowest: ms": float(np.percentile(seconds, 95)),
    }


def journal(folder: Path) -> dict[str, float]:
    """Make a store with a journal of positions, in the order of the chain."""
    rng = np.random.default_rng(2)
    owners = [hashlib.sha256(n.to_bytes(8, "big")).digest()[:20] for n in range(OWNERS)]
    assets = [n.to_bytes(20, "big") for n in range(ASSETS)]
    with Store.open(folder / "store.duckdb") as store:
        con = store._writer  # noqa: SLF001 - a benchmark may look inside
        con.execute("BEGIN")
        for first in range(0, JOURNAL, 1_000_000):
            count = 1_000_000
            who = pa.chunked_array([pa.array(owners, pa.binary()).take(pa.array(rng.integers(0, OWNERS, count)))])
            what = pa.array(assets, pa.binary()).take(pa.array(rng.integers(0, ASSETS, count)))
            rows = {"owner": who, "tag": tags_of(who), "asset": what, "n": np.arange(first, first + count)}
            con.register("staged", pa.table(rows))
            con.execute(
                "INSERT INTO position_change BY NAME SELECT $chain AS chain_id, n // 10 AS block_number, 0 AS tx_index, n % 10 AS ordinal, "
                "'venue' AS venue_id, owner AS unit_id, owner, asset AS market, 'supply' AS side, asset, n AS amount_raw, "
                "'aave-3.5' AS engine_version, 'exact' AS basis, tag AS unit_tag, tag AS owner_tag FROM staged",
                {"chain": CHAIN},
            )
        con.execute("COMMIT")
        con.execute("CHECKPOINT")
    return {}


def read(folder: Path) -> dict[str, float]:
    """Read what everybody, and what one account held at a block in the middle: its unit, and the unit looked for by who owns it."""
    told: dict[str, float] = {}
    owner = hashlib.sha256((7).to_bytes(8, "big")).digest()[:20]
    with Store.open(folder / "store.duckdb") as store:
        con = store._writer  # noqa: SLF001 - a benchmark may look inside
        at = AsOf(con=con, chain_id=CHAIN, number=JOURNAL // 20, tips=False)
        wanted: dict[str, tuple[int, Callable[[], Sized]]] = {
            "all keys": (5, lambda: holding(at, "venue")),
            "all units as they are judged": (1, lambda: unit_snapshots(at, "venue")),
            "one unit": (15, lambda: unit_snapshots(at, "venue", units=[owner])),
            "one owner": (15, lambda: unit_snapshots(at, "venue", owner=owner)),
        }
        for name, (times, work) in wanted.items():
            took = []
            for _ in range(times):
                began = process_time(), perf_counter()
                assert len(work())
                took.append((process_time() - began[0], perf_counter() - began[1]))
            cpu, seconds = np.median(took, axis=0)
            told |= {f"as-of read of {name}: s": float(seconds), f"as-of read of {name}: CPU s": float(cpu)}
    return told
