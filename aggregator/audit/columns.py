"""Canonical lines of a table by column: the same bytes as a line at a time, for millions of rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ROWS_AT_ONCE = 65_536
SPACE, QUOTE, BACKSLASH = b' "\\'
"""Signs below the first, and the others, are what JSON writes otherwise within a text."""


def write_columns(table: pa.Table, path: Path) -> None:
    """Write a table of texts, integers and truths as canonical lines."""
    with path.open("wb") as file:
        for lines in lines_of_table(table):
            file.write(lines)


def lines_of_table(table: pa.Table) -> Iterator[memoryview]:
    """Yield the lines of some rows at a time."""
    for batch in table.to_batches(max_chunksize=ROWS_AT_ONCE):
        if batch.num_rows:
            yield _lines(batch)


def _lines(batch: pa.RecordBatch) -> memoryview:
    return _contiguous(_joined(batch))


def _joined(batch: pa.RecordBatch) -> pa.Array:
    """Join what stands between values, as one word for each gap, and the values."""
    parts: list[pa.Array | pa.Scalar] = []
    pending = "{"
    for name in sorted(batch.schema.names):
        values, mark = _values(batch[name])
        parts += [_word(f"{pending}{json.dumps(name)}:{mark}"), values]
        pending = f"{mark},"
    return pc.binary_join_element_wise(*parts, _word(pending[:-1] + "}\n"), _word(""))


def _word(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())


def texts_of(column: pa.Array) -> bytes:
    """Return the texts of a column, each with an end of line."""
    return bytes(_contiguous(pc.binary_join_element_wise(column.cast(pa.large_string()), _word(""), _word("\n"))))


def _contiguous(texts: pa.Array) -> memoryview:
    """Return the bytes of all texts, one after another."""
    offsets = _offsets(texts)
    return memoryview(texts.buffers()[2] or b"")[offsets[0] : offsets[-1]]


def _offsets(texts: pa.Array) -> list[int]:
    return memoryview(texts.buffers()[1]).cast("q")[texts.offset : texts.offset + len(texts) + 1].tolist()


def _values(column: pa.Array) -> tuple[pa.Array, str]:
    """Write each value of a column as JSON, but for the mark that is to stand on both sides of all."""
    if pa.types.is_boolean(column.type):
        written = pc.if_else(column, "true", "false")
    elif pa.types.is_integer(column.type):
        written = column.cast(pa.string())
    elif column.null_count == 0 and _is_plain(column):
        return column.cast(pa.large_string()), '"'
    else:
        written = _texts(column)
    return pc.fill_null(written.cast(pa.large_string()), _word("null")), ""


def _texts(column: pa.Array) -> pa.Array:
    words = column.dictionary_encode()
    dictionary = [json.dumps(word, ensure_ascii=False) for word in words.dictionary.to_pylist()]
    return pa.array(dictionary, pa.large_string()).take(words.indices)


def _is_plain(column: pa.Array) -> bool:
    """Whether no text of a column has a sign that JSON writes otherwise."""
    raw = np.frombuffer(_contiguous(column.cast(pa.large_string())), dtype=np.uint8)
    return not (raw < SPACE).any() and not (raw == QUOTE).any() and not (raw == BACKSLASH).any()
