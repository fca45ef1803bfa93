"""Canonical lines of a table by column: the same bytes as a line at a time, for millions of rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ROWS_AT_ONCE = 16_384
"""Rows that are written together: what is made of them stays near."""

SPACE, QUOTE, BACKSLASH = " ", '"', "\\"
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
    else:
        texts = _escaped_words(column) if pa.types.is_dictionary(column.type) else _escaped(column)
        if texts.null_count == 0:
            return texts, QUOTE
        written = pc.binary_join_element_wise(_word(QUOTE), texts, _word(QUOTE), _word(""))
    return pc.fill_null(written.cast(pa.large_string()), _word("null")), ""


def _escaped_words(column: pa.DictionaryArray) -> pa.Array:
    """Do what `_escaped` does where texts repeat."""
    return _escaped(column.dictionary).take(column.indices)


def _escaped(texts: pa.Array) -> pa.Array:
    """Write texts as they stand between the marks of JSON."""
    texts = texts.cast(pa.large_string())
    raw = bytes(_contiguous(texts))
    if raw and np.frombuffer(raw, np.uint8).min() < ord(SPACE):
        words = texts.dictionary_encode()
        spelled = [json.dumps(word, ensure_ascii=False)[1:-1] for word in words.dictionary.to_pylist()]
        return pa.array(spelled, pa.large_string()).take(words.indices)
    for sign in (BACKSLASH, QUOTE):
        if sign.encode() in raw:
            texts = pc.replace_substring(texts, sign, BACKSLASH + sign)
    return texts
