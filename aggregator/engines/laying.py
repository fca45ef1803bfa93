"""A book as engines take it: judged by parts in processes of this machine, so that no process has to hold everybody's assessment."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from aggregator.arrays.book import Entry
from aggregator.arrays.entries import entry_of, estimates_of, marks_of, sharing
from aggregator.arrays.legs import Leg, Price
from aggregator.arrays.tables import margin_tables
from aggregator.book import Book, BookInputs, context_of, judged, parted
from aggregator.margin.inputs import Cut
from aggregator.margin.valuation import Context
from aggregator.pooled import FEW, each_in_processes
from aggregator.risk.scenarios import Held
from aggregator.stressed_assets import assets_of, held_among
from aggregator.stressed_house import Marks, house_entries
from aggregator.stressed_units import UnitLine, Units, laid_out, unit_lines
from aggregator.stressing import Outline
from chains.model import Reason

ACCOUNTS_A_PART = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some accounts of a book: `entries` and `marks` by what is one across chains, `house` and its marks by each asset.

    `assets`: the chain of each that somebody has or owes, by id.
    """

    entries: tuple[Entry, ...]
    marks: Mapping[str, Price | None]
    house: tuple[Entry, ...]
    house_marks: Marks
    units: tuple[UnitLine, ...]
    left_out: tuple[Reason, ...]
    assets: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """All of a book that tables of margin accounts and of scenarios are made of; `part`: all accounts."""

    inputs: BookInputs
    context: Context
    part: Part

    @property
    def cuts(self) -> Mapping[str, Cut]:
        return self.inputs.cuts

    @property
    def units(self) -> Units:
        """The units that scenarios judge, and those that they do not."""
        return laid_out(self.part.units, self.part.left_out)

    def outline(self, units: Units) -> Outline:
        """Say what of the book is stressed."""
        return Outline(
            accounts=len(self.part.entries), units=len(units.names), venues=units.venues, left_out=units.left_out
        )

    def held(self, market: str) -> tuple[Held, ...]:
        """See `aggregator.stressed_assets.held_of`."""
        return held_among(self.part.assets, self.context, self.inputs.catalogue.feeds, market)

    def tables(self, *, snapshot_id: str, slot_time: int) -> dict[str, pa.Table]:
        """Return what `Store.replace_margin` takes."""
        estimates = estimates_of(self.context)
        return margin_tables(
            self.part.entries, self.part.marks, estimates, snapshot_id=snapshot_id, slot_time=slot_time
        )


def laid(inputs: BookInputs, *, accounts: int = ACCOUNTS_A_PART) -> Laid:
    """Judge a book by parts of so many accounts; raises `PartFailed`, which says of which accounts processes died."""
    with TemporaryDirectory(prefix="crossmargin-book-") as folder:
        parts = [_put(part, Path(folder, f"{number:05d}")) for number, part in enumerate(parted(inputs, accounts))]
        made = map(_judged, parts) if len(parts) <= FEW else each_in_processes(_judged, parts, _named)
        return Laid(inputs=inputs, context=context_of(inputs), part=_merged(made))


def part_of(book: Book) -> Part:
    """Return what is taken of a judged book."""
    legs: dict[Leg, Leg] = {}
    lines, left_out = unit_lines(book)
    house, house_marks = house_entries(book)
    entries = [entry_of(each.account.id, each.assessment, book.context) for each in book.accounts]
    return Part(
        entries=sharing(entries, legs),
        marks=marks_of((each.assessment for each in book.accounts), book.context),
        house=sharing(house, legs),
        house_marks=house_marks,
        units=tuple(sorted(lines)),
        left_out=tuple(left_out),
        assets=assets_of(book),
    )


def _put(part: BookInputs, path: Path) -> Path:
    path.write_bytes(pickle.dumps(part))
    return path


def _judged(path: Path) -> Part:
    return part_of(judged(pickle.loads(path.read_bytes())))  # noqa: S301 - a file of this process's own, which nobody else can write


def _named(path: Path) -> str:
    first = int(path.name) * ACCOUNTS_A_PART
    return f"judging accounts {first + 1:,} to {first + ACCOUNTS_A_PART:,}"


def _merged(parts: Iterable[Part]) -> Part:
    legs: dict[Leg, Leg] = {}
    found = [replace(part, entries=sharing(part.entries, legs), house=sharing(part.house, legs)) for part in parts]
    return Part(
        entries=tuple(sorted((each for part in found for each in part.entries), key=_by_name)),
        marks={name: price for part in found for name, price in part.marks.items()},
        house=tuple(sorted((each for part in found for each in part.house), key=_by_name)),
        house_marks={name: price for part in found for name, price in part.house_marks.items()},
        units=tuple(sorted(line for part in found for line in part.units)),
        left_out=tuple(reason for part in found for reason in part.left_out),
        assets={asset: chain for part in found for asset, chain in part.assets.items()},
    )


def _by_name(entry: Entry) -> str:
    return entry.name
