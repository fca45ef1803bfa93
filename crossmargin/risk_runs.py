"""Runs of all that is asked of risk, when they are due, into the tables that SQL and pages read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from aggregator.book import Book
from aggregator.liquidating import Stage, stage_of
from aggregator.margin.inputs import METHODOLOGY_VERSION
from aggregator.told import Told, untold
from crossmargin.documents import Document
from crossmargin.forecast_documents import forecasts
from crossmargin.liquidation_known import Known
from crossmargin.liquidation_runs import COLUMNS as LIQUIDATIONS
from crossmargin.liquidation_runs import liquidations
from crossmargin.schedule import parse
from crossmargin.settings import RiskSettings
from crossmargin.stress_documents import Wanted, risked, stressed
from crossmargin.watch import Clock
from indexer.store import Store
from indexer.store.risk_runs import CURVE, FORECAST, LIQUIDATION, SCENARIO, RiskRun

NOT_LIQUIDATED = "liquidation_unknown"
MOST_FORECASTS = 10_000
SEED = 0

NUMBERS = dict.fromkeys(("falling", "newly_falling", "units", "liquidated", "seed"), pa.int64()) | {"ended": pa.bool_()}
AMOUNTS = ("move", "depth", "impact_cap", "breach_1h", "breach_24h", "breach_7d")
COLUMNS = {
    SCENARIO: ("scenario", "name", "venue_id", "falling", "newly_falling", "debt_usd", "shortfall_usd"),
    CURVE: ("identity", "move", "units", "debt_usd", "shortfall_usd"),
    FORECAST: ("account", "status", "breach_1h", "breach_24h", "breach_7d", "debt_usd", "reason"),
    LIQUIDATION: LIQUIDATIONS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The book of a run, what is known beside it, and the version of the policy in force."""

    book: Book
    known: Known
    policy: str | None


class RiskRuns:
    """The runs of one store."""

    def __init__(self, store: Store, settings: RiskSettings, clock: Clock) -> None:
        self._store, self._settings, self._clock = store, settings, clock
        self._since = int(clock())

    def is_due(self) -> bool:
        """Whether a slot of the schedule went by since the last run; of a store without any, since this began."""
        if self._settings.schedule is None:
            return False
        with self._store.reading() as reader:
            last = reader.last_risk_run()
        return parse(self._settings.schedule).after(self._since if last is None else last) <= self._clock()

    def run(self, judge: Callable[[], Judged], told: Told = untold) -> Document:
        """Take the book through everything and keep what it comes to; raises `UsageError` for a book that is empty."""
        judged, now = judge(), int(self._clock())
        stress, curves = stressed(judged.book, Wanted(), judged.known.series, told), risked(judged.book)
        chances = forecasts(judged.book, judged.known.series, top=MOST_FORECASTS, seed=SEED)
        stage = stage_of(judged.book, judged.known.curves)
        run = RiskRun(
            made_at=now,
            as_of=json.dumps(stress["as_of"]),
            library=stress["library"],
            methodology=f"{METHODOLOGY_VERSION}, {chances['model']}",
            policy=judged.policy,
            paths=chances["paths"],
            seed=chances["seed"],
            accounts=stress["accounts"],
            units=stress["units"],
            left_out=left_out_of(stress, _not_liquidated(stage)),
        )
        rows = {
            SCENARIO: scenario_rows(stress),
            CURVE: curve_rows(curves),
            FORECAST: _forecasts(chances),
            LIQUIDATION: liquidations(judged.book, stage.scene, judged.known, SEED, told),
        }
        tables = {name: table_of(COLUMNS[name], list(found)) for name, found in rows.items()}
        number = self._store.add_risk_run(run, tables, self._settings.keep)
        return {
            "run": number,
            "as_of": stress["as_of"],
            "scenarios": len(stress["scenarios"]),
            "accounts": run.accounts,
            "units": run.units,
            "forecasts": chances["accounts"],
            "unknown_accounts": chances["unknown_accounts"],
        }


def left_out_of(stress: Document, besides: Iterable[Document] = ()) -> str:
    """Return what no scenario judges, with why, and what is left out `besides`, as JSON text."""
    unmeasured = ({"code": "unmeasured", "subject": name} for name in stress["unmeasured"])
    return json.dumps([*stress["left_out"], *unmeasured, *besides])


def scenario_rows(document: Document) -> Iterator[dict[str, Any]]:
    """Yield the rows of a stress document."""
    for each in document["scenarios"]:
        house = each["house"]
        of = {"scenario": each["id"], "name": each["name"]}
        yield of | {"venue_id": None, "falling": house["below"], "newly_falling": house["newly_below"]} | _usd(house)
        for venue, group in each["venues"].items():
            falls = {"falling": group["liquidatable"], "newly_falling": group["newly_liquidatable"]}
            yield of | {"venue_id": venue} | falls | _usd(group)


def _usd(group: Mapping[str, str]) -> dict[str, float]:
    return {name: float(group[name]) for name in ("debt_usd", "shortfall_usd")}


def curve_rows(document: Document) -> Iterator[dict[str, Any]]:
    """Yield the rows of a document of what is at risk."""
    curves = [(None, document["jointly"]), *((each["identity"], each["points"]) for each in document["alone"])]
    for identity, points in curves:
        for point in points:
            yield {"identity": identity, "move": float(point["move"]), "units": point["units"]} | _usd(point)


def _not_liquidated(stage: Stage) -> Iterator[dict[str, str]]:
    """Yield of whom simulated liquidations say nothing: how many units of a venue, and why."""
    for (venue, detail), units in stage.units_left_out.items():
        yield {"code": NOT_LIQUIDATED, "subject": venue, "detail": f"{units:,} units: {detail}"}


def _forecasts(document: Document) -> Iterator[dict[str, Any]]:
    for each in document["forecasts"]:
        chances = {f"breach_{name}": float(chance) for name, chance in each["breach_probability"].items()}
        yield {name: each[name] for name in ("account", "status")} | chances | {"debt_usd": float(each["debt_usd"])}
    for each in document["unknown"]:
        reason = each["reason"]
        yield {"account": each["account"], "status": "unknown", "reason": f"{reason['code']}: {reason['detail']}"}


def table_of(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> pa.Table:
    """Return rows as a table of these columns."""
    return pa.table({name: pa.array([row.get(name) for row in rows], _type(name)) for name in columns})


def _type(name: str) -> pa.DataType:
    return NUMBERS.get(name, pa.float64() if name in AMOUNTS or name.endswith("_usd") else pa.string())
