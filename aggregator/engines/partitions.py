"""Units and accounts of a book as files, each of which comes to tallies by itself, wherever it is read.

books/<id>/risk_task/part-00000.parquet      one row: JSON of what every part needs
books/<id>/risk_unit/part-<n>.parquet        units with debt, an owner's side by side in one file
books/<id>/risk_account/part-<n>.parquet     accounts as arrays hold them
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from aggregator.arrays import stacked
from aggregator.arrays.book import Entry
from aggregator.arrays.entries import estimates_of
from aggregator.arrays.estimates import Estimates
from aggregator.arrays.legs import Leg
from aggregator.at_risk import units_at_risk
from aggregator.engines.laying import Laid
from aggregator.pooled import FEW, each_in_processes
from aggregator.risk.exposures import Exposures
from aggregator.risk.scenarios import Held, Library, Scenario, parse_library
from aggregator.risk.tallies import Key, Tallies, Tally, added
from aggregator.stressed_house import HouseBook, Marks
from aggregator.stressed_units import Units
from aggregator.stressing import Outline, units_fallen

TASK, UNITS, ACCOUNTS = "risk_task", "risk_unit", "risk_account"
ROWS_A_FILE = 20_000
WORTH_COMPILING = 10**7
"""Accounts times scenarios of a book from which on each process that works on it compiles numba's kernel; both give the same bits."""

SAID = "said"
TALLIES = pa.schema(
    {
        "of": pa.string(),
        "place": pa.int32(),
        "name": pa.string(),
        "count": pa.int64(),
        "newly": pa.int64(),
        "owed": pa.list_(pa.float64()),
        "lacking": pa.list_(pa.float64()),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be computed: `scenarios`, none: no stress; `curves`: what is at risk at which price, too.

    `library`: the text of the scenarios' file; `said`: what documents say beside the numbers.
    """

    library: str
    scenarios: tuple[Scenario, ...]
    curves: bool
    said: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What every part needs; `assets`, `venues`, `legs`: what places in files are places of."""

    asked: Asked
    outline: Outline
    held: tuple[Held, ...]
    assets: tuple[str, ...]
    legs: tuple[Leg, ...]
    marks: Marks
    estimates: Estimates

    @property
    def library(self) -> Library:
        return parse_library(tomllib.loads(self.asked.library))


READ: TypeAdapter[Task] = TypeAdapter(Task)


def put_risk(book: Laid, asked: Asked, folder: Path) -> None:
    """Write a book's units and accounts below a folder; raises `ScenarioError` where nobody has anything."""
    units, entries = book.units, book.part.house
    legs = sorted({leg for entry in entries for leg, _ in entry.holdings})
    task = Task(
        asked=asked,
        outline=book.outline(units),
        held=book.held(parse_library(tomllib.loads(asked.library)).mapping.market),
        assets=units.assets,
        legs=tuple(legs),
        marks=book.part.house_marks,
        estimates=estimates_of(book.context),
    )
    put_task(task, folder)
    put_parts(folder / UNITS, _by_owner(unit_rows(units)))
    if asked.scenarios:
        rows = account_rows(entries, {leg: place for place, leg in enumerate(legs)})
        put_parts(folder / ACCOUNTS, (rows.slice(first, ROWS_A_FILE) for first in range(0, len(rows), ROWS_A_FILE)))


def put_task(task: Task, folder: Path) -> None:
    """Write what every part needs."""
    put_said(json.dumps(READ.dump_python(task, mode="json"), sort_keys=True), folder / TASK)


def put_parts(folder: Path, parts: Iterator[pa.Table]) -> None:
    """Write tables as the files of a folder."""
    folder.mkdir(parents=True)
    for number, rows in enumerate(parts):
        pq.write_table(rows, folder / f"part-{number:05d}.parquet")


def put_said(text: str, folder: Path) -> None:
    """Write a text as a file of one row."""
    put_parts(folder, iter([pa.table({SAID: [text]})]))


def read_said(folder: Path) -> str:
    """Read what `put_said` wrote."""
    return str(pq.read_table(folder / "part-00000.parquet")[SAID][0])


@lru_cache(maxsize=1)
def task_of(book: Path) -> Task:
    """Return what every part of a book needs."""
    return READ.validate_python(json.loads(read_said(book / TASK)))


def parts_of(book: Path) -> list[str]:
    """Return the files of a book that come to tallies, none where it has no task."""
    return sorted(str(path.relative_to(book)) for name in (UNITS, ACCOUNTS) for path in (book / name).glob("*.parquet"))


def tallied(book: Path, part: str) -> dict[Key, Tally]:
    """Return what one file comes to."""
    task, rows = task_of(book), pq.read_table(book / part)
    asked = task.asked
    if part.startswith(ACCOUNTS):
        small = task.outline.accounts * len(asked.scenarios) < WORTH_COMPILING
        house = HouseBook(
            list(_entries(rows, task.legs)), task.marks, task.estimates, stacked.revalue if small else None
        )
        return house.fallen(asked.scenarios)
    units = _units(rows, task)
    found = units_fallen(units, asked.scenarios) if asked.scenarios else {}
    return found | units_at_risk(units, task.library, task.held) if asked.curves else found


def in_processes(book: Path, parts: Sequence[str]) -> dict[Key, Tally]:
    """Return what all parts of a book come to, in processes of this machine; raises `PartFailed`, which names the part they die of."""
    if len(parts) <= FEW:
        return added(tallied(book, part) for part in parts)
    return added(each_in_processes(partial(tallied, book), parts, str))


def table_of_tallies(tallies: Tallies) -> pa.Table:
    """Return tallies as rows."""
    rows = [
        {**key._asdict(), "count": each.count, "newly": each.newly, "owed": each.owed, "lacking": each.lacking}
        for key, each in tallies.items()
    ]
    return pa.Table.from_pylist(rows, schema=TALLIES)


def tallies_of_table(rows: pa.Table) -> Iterator[dict[Key, Tally]]:
    """Yield the tallies of each row by themselves."""
    for row in rows.to_pylist():
        tally = Tally(count=row["count"], newly=row["newly"], owed=tuple(row["owed"]), lacking=tuple(row["lacking"]))
        yield {Key(row["of"], row["place"], row["name"]): tally}


def as_arrow(book: str, part: str) -> bytes:
    """Return what one file comes to as a stream of Arrow: what a worker of a cluster sends."""
    sink, rows = pa.BufferOutputStream(), table_of_tallies(tallied(Path(book), part))
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())


def unit_rows(units: Units) -> pa.Table:
    """Return units as rows."""
    starts = pa.array(units.counted.starts, pa.int32())
    return pa.table(
        {
            "name": units.names,
            "owner": units.owners,
            "venue": pa.array([units.venues[group] for group in units.counted.groups], pa.string()),
            "assets": pa.ListArray.from_arrays(starts, pa.array(units.counted.assets)),
            "counted": pa.ListArray.from_arrays(starts, pa.array(units.counted.amounts)),
            "whole": pa.ListArray.from_arrays(starts, pa.array(units.whole.amounts)),
            "counted_base": units.counted.bases,
            "whole_base": units.whole.bases,
        },
    )


def _by_owner(rows: pa.Table) -> Iterator[pa.Table]:
    """Cut units where another owner begins: whose debt is largest is told by the one part that has all of it."""
    rows = rows.sort_by([("owner", "ascending"), ("name", "ascending")])
    owners, first = rows["owner"].to_pylist(), 0
    while first < len(owners):
        last = min(first + ROWS_A_FILE, len(owners))
        while last < len(owners) and owners[last] == owners[last - 1]:
            last += 1
        yield rows.slice(first, last - first)
        first = last


def _units(rows: pa.Table, task: Task) -> Units:
    rows = rows.combine_chunks()
    venues = task.outline.venues
    places = {venue: place for place, venue in enumerate(venues)}
    groups = np.array([places[name] for name in rows["venue"].to_pylist()], np.int32)
    counted = _exposures(rows, "counted", groups)
    return Units(
        names=tuple(rows["name"].to_pylist()),
        owners=tuple(rows["owner"].to_pylist()),
        venues=venues,
        assets=task.assets,
        counted=counted,
        whole=replace(_exposures(rows, "whole", groups), starts=counted.starts, assets=counted.assets),
        left_out=(),
    )


def _exposures(rows: pa.Table, name: str, groups: np.ndarray[Any, np.dtype[np.int32]]) -> Exposures:
    amounts, assets = _column(rows, name), _column(rows, "assets")
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(assets.value_lengths().to_numpy(), dtype=np.int64)])
    return Exposures(
        starts=starts,
        assets=assets.flatten().to_numpy(),
        amounts=amounts.flatten().to_numpy(),
        bases=_column(rows, f"{name}_base").to_numpy(),
        groups=groups,
    )


def _column(rows: pa.Table, name: str) -> Any:  # noqa: ANN401 - an array of whatever the column has
    return pa.concat_arrays(rows[name].chunks) if rows[name].num_chunks != 1 else rows[name].chunk(0)


def account_rows(entries: Sequence[Entry], legs: Mapping[Leg, int]) -> pa.Table:
    """Return accounts as rows; `legs`: the place of each."""
    return pa.table(
        {
            "name": [entry.name for entry in entries],
            "said": pa.array([entry.said for entry in entries], pa.uint8()),
            "besides": pa.array([list(entry.besides) for entry in entries], pa.list_(pa.float64())),
            "legs": pa.array([[legs[leg] for leg, _ in entry.holdings] for entry in entries], pa.list_(pa.int32())),
            "amounts": pa.array(
                [[amount for _, amount in entry.holdings] for entry in entries], pa.list_(pa.float64())
            ),
        }
    )


def _entries(rows: pa.Table, legs: Sequence[Leg]) -> Iterator[Entry]:
    columns = (rows[name].to_pylist() for name in ("name", "said", "besides", "legs", "amounts"))
    for name, said, besides, places, amounts in zip(*columns, strict=True):
        holdings = [(legs[place], amount) for place, amount in zip(places, amounts, strict=True)]
        yield Entry(name=name, holdings=holdings, besides=tuple(besides), said=said)
