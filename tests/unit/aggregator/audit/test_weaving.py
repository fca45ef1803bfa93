"""Lines that a compiled kernel joins are those that Arrow joins, and the latter where it fails."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from aggregator.audit import columns, weaving
from aggregator.audit.columns import lines_of_table, write_columns
from aggregator.audit.tables import SCHEMAS, held_schema, schema
from aggregator.preferring import NotCompiled
from tests.support.lines import line
from tests.unit.aggregator.audit.test_columns import value


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    """A kernel that failed is not asked again in a process: neither before a test nor after it."""
    weaving._failed().clear()
    yield
    weaving._failed().clear()


def table_of(name: str, count: int) -> pa.Table:
    chance = random.Random(name)
    rows = [{column: value(chance, kind) for column, kind in SCHEMAS[name].items()} for _ in range(count)]
    return pa.Table.from_pylist(rows, schema=schema(name))


def joined(table: pa.Table) -> bytes:
    return b"".join(map(bytes, lines_of_table(table, many=True)))


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("room", [1, 1_000, weaving.ROOM])
def test_lines_are_the_same_however_much_is_joined_together(
    name: str, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weaving, "ROOM", room)
    monkeypatch.setattr(columns, "ROWS_PER_GROUP", 70)
    monkeypatch.setattr(columns, "_plain", None)
    assert weaving.is_there()
    for count in (0, 1, 200):
        table = table_of(name, count)
        for written in (table, table.cast(held_schema(name)), table.slice(count // 3)):
            assert joined(written) == b"".join(map(line, written.to_pylist()))


def test_many_rows_are_joined_by_the_kernel_and_few_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of("units", 20)
    expected = joined(table)

    with monkeypatch.context() as few:
        few.setattr(weaving, "is_there", lambda: pytest.fail("numba was asked for"))
        write_columns(table, tmp_path / "few")
    monkeypatch.setattr(columns, "MANY", 20)
    monkeypatch.setattr(columns, "_plain", None)
    write_columns(table, tmp_path / "many")

    assert (tmp_path / "few").read_bytes() == (tmp_path / "many").read_bytes() == expected


def failing(*_: Any) -> None:
    raise NotCompiled("OSError: [Errno 28] No space left on device")


def test_a_kernel_that_is_not_compiled_leaves_the_same_lines_and_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(columns, "ROWS_PER_GROUP", 7)
    table = table_of("positions", 20)
    asked: list[object] = []

    def compile_for(*given: object) -> None:
        asked.append(given)
        failing()

    monkeypatch.setattr(weaving, "_kernel", lambda: SimpleNamespace(compile_for=compile_for, woven=None))

    assert joined(table) == joined(table) == b"".join(map(line, table.to_pylist()))
    assert len(asked) == 1
    (record,) = caplog.records
    assert vars(record)["word"] == "not_compiled"
    assert "the lines of a snapshot without compiled code, slower: OSError" in record.getMessage()


def test_without_numba_nothing_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(weaving, "_kernel", lambda: None)
    table = table_of("positions", 20)

    assert joined(table) == b"".join(map(line, table.to_pylist()))
    assert not caplog.records
