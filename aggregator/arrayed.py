"""The book at one cut in arrays, and as the tables from which SQL computes it."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from aggregator.arrays.book import ArrayBook, Entry
from aggregator.arrays.entries import entry_of, estimates_of, marks_of
from aggregator.arrays.kernels import Revalue
from aggregator.arrays.legs import Price
from aggregator.arrays.tables import margin_tables
from aggregator.book import Book


def arrays_of(book: Book, kernel: Revalue | None = None) -> ArrayBook:
    """Lay a book out: each account that is not held back has the numbers of its assessment."""
    return ArrayBook.build(entries_of(book), marks_of_book(book), estimates_of(book.context), kernel)


def tables_of(book: Book, *, snapshot_id: str, slot_time: int) -> dict[str, pa.Table]:
    """Return what `Store.replace_margin` takes."""
    return margin_tables(
        entries_of(book), marks_of_book(book), estimates_of(book.context), snapshot_id=snapshot_id, slot_time=slot_time
    )


def entries_of(book: Book) -> list[Entry]:
    """Return what arrays hold of each account."""
    return [entry_of(each.account.id, each.assessment, book.context) for each in book.accounts]


def marks_of_book(book: Book) -> Mapping[str, Price | None]:
    """Return what some account is valued at, by name."""
    return marks_of((each.assessment for each in book.accounts), book.context)
