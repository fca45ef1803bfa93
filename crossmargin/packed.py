"""One snapshot in short: who is in which state, the worst, what of each token is held and owed, and what its totals came to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aggregator.audit.pack import Pack
from aggregator.audit.verifier import UNITS, UNKNOWN, Fault
from aggregator.margin.status import Status
from crossmargin.archive import Archive
from crossmargin.documents import Document
from crossmargin.errors import Unverified
from indexer.store.parquet import ParquetViews, parquet_views

MEMORY = "512MB"
WORST = 25
READ = ("accounts", "positions", "totals", "holdings")
STATUSES = "SELECT status, count(*) FROM accounts GROUP BY status"
SEVERITY = " ".join(f"WHEN '{status.value}' THEN {-place}" for place, status in enumerate(Status))
WORST_FIRST = f"""
SELECT account, status, health_factor, min_unit_health_factor, collateral_usd, debt_usd FROM accounts
ORDER BY CASE status {SEVERITY} END, least(CAST(health_factor AS DECIMAL(38, 6)), CAST(min_unit_health_factor AS DECIMAL(38, 6))), account
LIMIT {WORST}
"""  # noqa: S608 - our own words
TOKENS = "SELECT asset, min(symbol), min(decimals), max(decimals) FROM positions GROUP BY asset"
OUTCOMES = "SELECT outcome, count(*) FROM {table} GROUP BY outcome ORDER BY outcome"
ACCOUNT = ("account", "status", "health_factor", "min_unit_health_factor", "collateral_usd", "debt_usd")


def summary(archive: Archive, name: str) -> Document:
    """Return a snapshot in short, once the hashes of what is read were compared; raises `NoSuchThing`, `Unverified`, `StoreError`."""
    pack = archive.opened(name)
    try:
        files = pack.copies([table for table in READ if table in pack.tables])
    except (Fault, OSError) as error:
        raise Unverified(f"{pack.folder} is no intact snapshot: {error}") from error
    with parquet_views(files, memory=MEMORY) as tables:
        return {
            "snapshot": pack.name,
            "manifest_hash": pack.hash,
            "manifest": pack.manifest,
            "statuses": dict(tables.rows(STATUSES)),
            "worst": [dict(zip(ACCOUNT, row, strict=True)) for row in tables.rows(WORST_FIRST)],
            "sums": _sums(pack, tables),
            "outcomes": {
                table: dict(tables.rows(OUTCOMES.format(table=table)))
                for table in ("totals", "holdings")
                if table in files
            },
        }


def _sums(pack: Pack, tables: ParquetViews) -> list[dict[str, Any]]:
    """Put the sums of the tree beside each other, by token; `decimals` `None` where positions disagree about them."""
    tokens = {row[0]: row[1:] for row in tables.rows(TOKENS)}
    found: dict[str, dict[str, str]] = {}
    said: Mapping[str, str] = pack.manifest["tree"]["sums"]
    for key, amount in said.items():
        if key not in {UNITS, UNKNOWN}:
            asset, _, side = key.partition("|")
            found.setdefault(asset, {})[side] = amount
    return [_line(asset, sides, tokens.get(asset)) for asset, sides in sorted(found.items())]


def _line(asset: str, sides: Mapping[str, str], token: tuple[Any, ...] | None) -> dict[str, Any]:
    symbol, least, most = token or (None, None, None)
    return {
        "asset": asset,
        "symbol": symbol,
        "decimals": least if least == most else None,
        "supply": sides.get("supply"),
        "borrow": sides.get("borrow"),
    }
