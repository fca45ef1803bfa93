"""A run is due when a slot went by since the last one, and old runs make room."""

from __future__ import annotations

import pyarrow as pa

from crossmargin.risk_runs import RiskRuns
from crossmargin.settings import RiskSettings
from indexer.store import Store
from indexer.store.risk_runs import PARTS, RiskRun

HOUR = 3600


class Clock:
    now = 10 * HOUR + 5

    def __call__(self) -> float:
        return self.now


def run(made_at: int) -> RiskRun:
    return RiskRun(
        made_at=made_at,
        as_of="{}",
        library="1",
        methodology="5",
        policy=None,
        paths=10,
        seed=0,
        accounts=0,
        units=0,
        left_out="[]",
    )


def parts() -> dict[str, pa.Table]:
    scenario = {
        "scenario": ["s"],
        "name": ["S"],
        "falling": [1],
        "newly_falling": [1],
        "debt_usd": [1.0],
        "shortfall_usd": [0.0],
    }
    curve = {"move": [-0.5], "units": [1], "debt_usd": [1.0], "shortfall_usd": [0.0]}
    return dict(
        zip(
            PARTS,
            (pa.table(scenario), pa.table(curve), pa.table({"account": ["a"], "status": ["danger"]}), liquidations()),
            strict=True,
        )
    )


def liquidations() -> pa.Table:
    usd = {f"{name}_usd": [0.0] for name in ("sold", "impact", "accounts_lose", "bad_debt", "lenders_lose")}
    terms = {
        "sale_order": ["pro_rata"],
        "depth": [1.0],
        "impact_cap": [0.05],
        "seed": [0],
        "policy_digest": ["sha256:0"],
    }
    return pa.table({"scenario": ["s"], "ended": [True], "liquidated": [0]} | terms | usd)


def test_the_first_run_waits_for_a_slot_and_the_next_for_the_next(store: Store) -> None:
    clock = Clock()
    runs = RiskRuns(store, RiskSettings(schedule="every 6h", keep=2), clock)

    assert not runs.is_due()
    clock.now = 12 * HOUR
    assert runs.is_due()
    store.add_risk_run(run(int(clock.now)), parts(), keep=2)
    assert not runs.is_due()
    clock.now = 19 * HOUR
    assert runs.is_due()
    assert not RiskRuns(store, RiskSettings(schedule=None, keep=2), clock).is_due()


def test_only_the_newest_runs_are_kept_and_numbers_go_on(store: Store) -> None:
    numbers = [store.add_risk_run(run(time), parts(), keep=2) for time in (1, 2, 3)]

    assert numbers == [1, 2, 3]
    for view in ("fct_risk_run", "fct_stress", "fct_at_risk", "fct_breach_forecast", "fct_simulated_liquidation"):
        found = store.query(f"SELECT run_id FROM public.{view} ORDER BY 1", timeout_s=9, max_rows=9)  # noqa: S608 - names of ours
        assert [number for (number,) in found.rows] == [2, 3]
