"""How rows are written for who asked: JSON, CSV, Arrow and Parquet, none longer than so many bytes.

Text is made of DuckDB's own values. Arrow cannot hold all of them: wider integers than 38 digits are refused there, never wrapped.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from crossmargin.documents import cell, encode
from crossmargin.rows import plain, rows_document
from crossmargin.sql.answers import CONTENT_TYPES, Answer, Form
from indexer.store import QueryRefused, QueryResult, QueryTable

INEXACT = ("UHUGEINT", "BIGNUM", "BIT", "TIME_NS", "TIMETZ", "TIME WITH TIME ZONE", "UNION", "VARIANT")
"""Types, or types with such a part, whose values Arrow does not carry as they are."""


class TooLarge(Exception):
    """A single row is longer than an answer may be."""


def text_answer(found: QueryResult, form: Form, *, formulas: bool, most_bytes: int) -> Answer:
    """Write as many rows as fit into `most_bytes` as JSON or CSV; raises `TooLarge` where not even one does.

    `formulas`: text that a spreadsheet would compute is left as it is.
    """

    def written(count: int) -> bytes:
        some = replace(found, rows=found.rows[:count], truncated=found.truncated or count < len(found.rows))
        return encode(rows_document(some)) if form is Form.JSON else csv_text(some, formulas=formulas)

    return _fitting(form, len(found.rows), written, truncated=found.truncated, most_bytes=most_bytes)


def table_answer(found: QueryTable, form: Form, *, most_bytes: int) -> Answer:
    """Write as many rows likewise as Arrow or Parquet; raises `TooLarge`, and `QueryRefused` for what Arrow cannot hold."""
    _check_exact(found)
    total = int(found.table.num_rows)

    def written(count: int) -> bytes:
        truncated = found.truncated or count < total
        rows = found.table.slice(0, count).replace_schema_metadata({"crossmargin.truncated": str(truncated).lower()})
        return _arrow(rows) if form is Form.ARROW else _parquet(rows)

    return _fitting(form, total, written, truncated=found.truncated, most_bytes=most_bytes)


def csv_text(found: QueryResult, *, formulas: bool) -> bytes:
    """Write rows as CSV in UTF-8, with a line of names."""
    said = io.StringIO()
    writer = csv.writer(said, lineterminator="\n")
    writer.writerow(_cells(found.columns, formulas=formulas))
    for row in rows_document(found)["rows"]:
        writer.writerow(_cells(row, formulas=formulas))
    return said.getvalue().encode("utf-8")


def _cells(values: Iterable[object], *, formulas: bool) -> list[object]:
    return [plain(value) if formulas else cell(value) for value in values]


def _fitting(form: Form, count: int, written: Callable[[int], bytes], *, truncated: bool, most_bytes: int) -> Answer:
    rows = count
    while len(body := written(rows)) > most_bytes:
        if rows <= 1:
            raise TooLarge("a single row is longer than an answer may be; ask for fewer or shorter columns")
        rows = max(rows * most_bytes // len(body) * 9 // 10, 1)
    return Answer(body=body, content_type=CONTENT_TYPES[form], rows=rows, truncated=truncated or rows < count)


def _check_exact(found: QueryTable) -> None:
    """Refuse columns whose values would become others."""
    for name, kind, column in zip(found.columns, found.types, found.table.columns, strict=True):
        if any(word in kind for word in INEXACT):
            raise QueryRefused(
                f'column "{name}" is {kind}, which Arrow and Parquet do not hold exactly; CAST it to VARCHAR'
            )
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            raise QueryRefused(f'column "{name}" has numbers of more than 38 digits; CAST it to VARCHAR') from error


def _arrow(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())


def _parquet(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    try:
        pq.write_table(rows, sink, compression="zstd")
    except pa.ArrowNotImplementedError as error:
        raise QueryRefused(f"Parquet does not hold this: {error}; CAST it to VARCHAR") from error
    return bytes(sink.getvalue())
