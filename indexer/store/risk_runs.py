"""Runs of scenarios, prices and paths over the whole book: the newest of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from indexer.store.session import Con, insert, staged
from indexer.store.statements import statement

SCENARIO, CURVE, FORECAST, LIQUIDATION = "risk_scenario", "risk_curve", "risk_forecast", "risk_liquidation"
PARTS = (SCENARIO, CURVE, FORECAST, LIQUIDATION)
TABLES = ("risk_run", *PARTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskRun:
    """One run; `made_at` in Unix seconds, `as_of` and `left_out` JSON text; see the comments of `public.fct_risk_run`."""

    made_at: int
    as_of: str
    library: str
    methodology: str
    policy: str | None
    paths: int
    seed: int
    accounts: int
    units: int
    left_out: str


def add_run(con: Con, run: RiskRun, parts: Mapping[str, pa.Table], keep: int) -> int:
    """Enter a run with its parts (columns by name, without the run), let go of all but the newest `keep`; return its number."""
    ((number,),) = con.execute("SELECT coalesce(max(run), 0) + 1 FROM risk_run").fetchall()
    said = (
        run.made_at,
        run.as_of,
        run.library,
        run.methodology,
        run.policy,
        run.paths,
        run.seed,
        run.accounts,
        run.units,
    )
    insert(con, "risk_run", (number, *said, run.left_out))
    for name in PARTS:
        rows = parts[name]
        whole = rows.append_column("run", pa.array([number] * len(rows), pa.int64()))
        with staged(con, whole):
            con.execute(statement("append_named", table=name))
    for name in TABLES:
        con.execute(statement("risk_forget", table=name), {"last": number - keep})
    return int(number)


def last_run(con: Con) -> int | None:
    """Return when the newest run was made, in Unix seconds; `None` before the first."""
    ((made_at,),) = con.execute("SELECT max(made_at) FROM risk_run").fetchall()
    return None if made_at is None else int(made_at)
