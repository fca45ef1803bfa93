"""Canonical lines of a table by column: the same bytes as a line at a time, for millions of rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregator.audit import weaving
from aggregator.audit.weaving import Codes, Piece, contiguous
from aggregator.preferring import NotCompiled

ROWS_AT_ONCE = 16_384
"""Rows that are made into columns together: what is made of them stays near."""

ROWS_PER_GROUP = 65_536
"""Rows that share the texts they hold, in memory as in Parquet, and are written together."""

MANY = 500_000
"""Rows for which it is worth to load what is compiled."""

MOST_WORDS, MOST_NUMBERS = 4_096, 64
"""Texts that columns beside each other may come to, and integers of a column that are worth to be told apart."""

SPACE, QUOTE, BACKSLASH = " ", '"', "\\"
"""Signs below the first, and the others, are what JSON writes otherwise within a text."""


def write_columns(table: pa.Table, path: Path) -> None:
    """Write a table of texts, integers and truths as canonical lines."""
    with path.open("wb") as file:
        for lines in lines_of_table(table, many=len(table) >= MANY):
            file.write(lines)


def lines_of_table(table: pa.Table, *, many: bool = False) -> Iterator[memoryview]:
    """Yield the lines of some rows at a time, which are there until the next are asked for.

    `many`: they are of so many that it is worth to load what is compiled.
    """
    for batch in filter(len, table.to_batches(max_chunksize=ROWS_PER_GROUP)):
        pieces = [*_pieces(batch)]
        if many and weaving.is_there():
            try:
                yield from weaving.woven(pieces, len(batch))
                continue
            except NotCompiled as error:
                weaving.give_up(str(error))
        yield _plain(pieces)


def _plain(pieces: Sequence[Piece]) -> memoryview:
    return contiguous(pc.binary_join_element_wise(*map(_of_rows, pieces), _word("")))


def _of_rows(piece: Piece) -> pa.Array | pa.Scalar:
    if piece.is_one:
        return piece.words[0]
    return piece.words if piece.which is None else piece.words.take(pa.array(piece.which))


def _pieces(batch: pa.RecordBatch) -> Iterator[Piece]:
    """Yield what rows are joined of, in few pieces: values and what stands between them, where neighbours of few values are one."""
    run, pending = _Run(), "{"
    for name in sorted(batch.schema.names):
        pending += f"{json.dumps(name)}:"
        repeated = _repeated(batch[name])
        if repeated is None:
            values, mark = _values(batch[name])
            yield from run.pieces(pending + mark)
            yield Piece(values)
            run = _Run()
        else:
            words, which, mark = repeated
            if not run.takes(len(words)):
                yield from run.pieces("")
                run = _Run()
            run.take(pending + mark, words, which)
        pending = f"{mark},"
    yield from run.pieces(pending[:-1] + "}\n")


class _Run:
    """What some columns beside each other, whose values repeat, are in each row: one of a few texts."""

    def __init__(self) -> None:
        self._columns: list[tuple[str, pa.Array]] = []
        self._size = 1
        self._which: Codes | None = None

    def takes(self, words: int) -> bool:
        """Say whether it stays few texts with so many words more."""
        return not self._columns or self._size * words <= MOST_WORDS

    def take(self, before: str, words: pa.Array, which: Codes) -> None:
        """Add a column: what stands before it, its words, and which of them each row has."""
        self._columns.append((before, words))
        self._size *= len(words)
        self._which = which if self._which is None else self._which * len(words) + which

    def pieces(self, end: str) -> Iterator[Piece]:
        """Yield the text of each row with what stands behind it, or only that."""
        if self._which is None:
            if end:
                yield Piece(pa.array([end], pa.large_string()), is_one=True)
            return
        parts, later = [], self._size
        for before, words in self._columns:
            later //= len(words)
            places = np.arange(self._size) // later % len(words)
            parts += [_word(before), words if len(words) == self._size else words.take(places)]
        yield Piece(pc.binary_join_element_wise(*parts, _word(end), _word("")), self._which)


def _repeated(column: pa.Array) -> tuple[pa.Array, Codes, str] | None:
    """Return what the values of a column are in JSON, which of these each row has, and the mark that is to stand on both sides of all.

    Nothing where they hardly repeat.
    """
    kind, mark = column.type, ""
    if pa.types.is_dictionary(kind):
        words, mark, which = _escaped(column.dictionary), QUOTE, column.indices
    elif pa.types.is_boolean(kind):
        words, which = pa.array(["false", "true"], pa.large_string()), column.cast(pa.int8())
    elif pa.types.is_integer(kind) and len((found := column.dictionary_encode()).dictionary) <= MOST_NUMBERS:
        words, which = found.dictionary.cast(pa.large_string()), found.indices
    else:
        return None
    if which.null_count:
        spelled = pc.binary_join_element_wise(_word(mark), words, _word(mark), _word(""))
        words, mark = pa.concat_arrays([spelled, pa.array(["null"], pa.large_string())]), ""
        which = pc.fill_null(which, len(words) - 1)
    return words, which.to_numpy().astype(np.int64), mark


def _word(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())


def texts_of(column: pa.Array) -> bytes:
    """Return the texts of a column, each with an end of line."""
    return bytes(contiguous(pc.binary_join_element_wise(column.cast(pa.large_string()), _word(""), _word("\n"))))


def _values(column: pa.Array) -> tuple[pa.Array, str]:
    """Write each value of a column as JSON, but for the mark that is to stand on both sides of all."""
    if pa.types.is_integer(column.type):
        written = column.cast(pa.string())
    else:
        texts = _escaped(column)
        if texts.null_count == 0:
            return texts, QUOTE
        written = pc.binary_join_element_wise(_word(QUOTE), texts, _word(QUOTE), _word(""))
    return pc.fill_null(written.cast(pa.large_string()), _word("null")), ""


def _escaped(texts: pa.Array) -> pa.Array:
    """Write texts as they stand between the marks of JSON."""
    texts = texts.cast(pa.large_string())
    raw = bytes(contiguous(texts))
    if raw and np.frombuffer(raw, np.uint8).min() < ord(SPACE):
        words = texts.dictionary_encode()
        spelled = [json.dumps(word, ensure_ascii=False)[1:-1] for word in words.dictionary.to_pylist()]
        return pa.array(spelled, pa.large_string()).take(words.indices)
    for sign in (BACKSLASH, QUOTE):
        if sign.encode() in raw:
            texts = pc.replace_substring(texts, sign, BACKSLASH + sign)
    return texts
