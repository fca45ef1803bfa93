"""A book that is judged and written down by parts, in processes, is the snapshot of the book that is judged at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aggregator.arrayed import tables_of
from aggregator.audit import parts
from aggregator.audit.lines import Columns
from aggregator.audit.parts import Part, Rows, written_down
from aggregator.audit.tables import held_schema, rows_of
from aggregator.book import Book, judged
from aggregator.margin.inputs import MarginAccount
from chains.registry import PROTOCOLS
from tests.unit.aggregator import test_snapshot
from tests.unit.aggregator.builders import CHAIN, OTHER_CHAIN, USDC, WETH, Holding
from tests.unit.aggregator.test_stressing import book, borrowers, owner

SLOT = 1_700_000_000


def many() -> Book:
    """Owners on one chain and on both, one of several owners, one who has nothing, and one unit that is known to be sure."""
    tiny = [Holding(supplied={WETH: 1e-9}, owed={USDC: 500.0}, owner=owner(900))]
    found = book({CHAIN: [*borrowers(20, 1), *tiny], OTHER_CHAIN: borrowers(12, 2)})
    names = [each.account.id for each in found.accounts]
    together = MarginAccount(id="together", members=(names[0], names[1], names[-1]))
    nothing = MarginAccount(id="nothing", members=("eip155:1:0x" + "9" * 40,))
    catalogue = replace(found.inputs.catalogue, accounts=(together, nothing))
    levels = {venue.id: "B" for venue in catalogue.venues[:1]}
    return replace(judged(replace(found.inputs, catalogue=catalogue)), levels=levels)


BOOKS: dict[str, Callable[[], Book]] = {
    "many": many,
    "claimed": test_snapshot.book,
    "silent": lambda: test_snapshot.book(silent=True),
}


def in_turn(work: Callable[[Any], Any], places: Sequence[Any], _named: object, **_: object) -> Iterator[Any]:
    """Do parts here, the last one first."""
    return map(work, reversed(places))


@pytest.fixture(autouse=True)
def by_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "FEW", 0)
    monkeypatch.setattr(parts, "each_in_processes", in_turn)


def unjudged(whole: Book) -> Book:
    return replace(whole, accounts=(), units=())


def files(rows: Rows, folder: Path) -> dict[str, bytes]:
    """What becomes of tables in files, in which the texts that rows share are, too."""
    folder.mkdir()
    for name, each in rows.items():
        pq.write_table(each.table, folder / name, store_schema=False)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("how", ["apart", "here"])
@pytest.mark.parametrize("accounts", [1, 7, 1_000])
@pytest.mark.parametrize("name", BOOKS)
def test_parts_are_written_as_the_whole(name: str, accounts: int, how: str, tmp_path: Path) -> None:
    whole = BOOKS[name]()

    rows, margin_tables = written_down(unjudged(whole), accounts=accounts, apart=how == "apart")

    wanted = {table: Columns(each, held_schema(table)) for table, each in rows_of(whole).items()}
    assert rows.keys() == wanted.keys()
    for table, each in wanted.items():
        assert [*rows[table]] == [*each], table
    assert len(rows["accounts"]) == len(whole.accounts) > 0
    assert files(rows, tmp_path / "parts") == files(wanted, tmp_path / "whole")
    assert margin_tables("one", SLOT) == tables_of(whole, snapshot_id="one", slot_time=SLOT)


def test_processes_come_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setitem(PROTOCOLS, "toy", "tests.unit.aggregator.builders")
    monkeypatch.setattr(parts, "_judged", judged_of_toys)
    monkeypatch.setattr(parts, "FEW", 5)
    whole = many()
    told: list[tuple[str, int, int]] = []

    rows, _ = written_down(unjudged(whole), accounts=6, told=lambda *said: told.append(said))

    wanted = {name: Columns(each, held_schema(name)) for name, each in rows_of(whole).items()}
    assert files(rows, tmp_path / "parts") == files(wanted, tmp_path / "whole")
    assert told == [("judging accounts", done, 6) for done in range(7)]


def judged_of_toys(place: Path) -> Part:
    """What a process does that knows the toy protocol too."""
    PROTOCOLS["toy"] = "tests.unit.aggregator.builders"
    return parts._judged(place)


def test_rows_in_another_order_are_held_as_if_they_were_made_in_it() -> None:
    kinds = held_schema("positions")
    made = [
        {**{field.name: None for field in kinds}, "venue_id": name, "amount_raw": str(number)}
        for number, name in enumerate("babcab" * 20_000)
    ]
    order = np.arange(len(made))[::-1]
    tables = [Columns(made[:50_000], kinds).table, Columns(made[50_000:], kinds).table]

    found = Columns.of_tables(tables, order, kinds)

    wanted = Columns(made[::-1], kinds)
    assert [*found] == [*wanted]
    ours, theirs = (each.table["venue_id"] for each in (found, wanted))
    assert isinstance(ours.chunk(0), pa.DictionaryArray)
    assert [each.dictionary.to_pylist() for each in ours.chunks] == [
        each.dictionary.to_pylist() for each in theirs.chunks
    ]
