"""The book at the newest cut in memory: everybody's row, worst first, and the arrays beside it; a new version for each cut.

There is one writer (`LiveBook.take`); readers hold a version, which does not change any more. A version is as of its own cuts
(`Version.cuts`), never as of now: who shows one shows them too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from threading import Lock

from aggregator.arrayed import arrays_of
from aggregator.arrays.book import ArrayBook
from aggregator.arrays.entries import entry_of, estimates_of, marks_of
from aggregator.arrays.kernels import Revalue
from aggregator.arrays.standing import Standing
from aggregator.book import Book, BookInputs, BookRow, judged, row
from aggregator.courtesy import ALONE, Courtesy
from aggregator.margin.inputs import Cut
from aggregator.margin.status import Status
from aggregator.patience import patient

SEVERITY = {status: severity for severity, status in enumerate(Status)}
BEYOND = Decimal("Infinity")
MORE_LEGS = 1_000
"""How many more legs than twice what they began with arrays may come to have before they are laid out anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One state of the book.

    `number` counts from 1. `rows`: by account id, the numbers of its health document in short; `order`: the ids, the worst status first
    (`unknown`, `liquidatable`, …), within one the lowest health factor of house and units, then by id. `standing`: the house's numbers
    as float64, of those accounts that arrays hold (`Standing.account`, `Standing.below`).
    """

    number: int
    book: Book = field(repr=False)
    rows: Mapping[str, BookRow] = field(repr=False)
    order: Sequence[str] = field(repr=False)
    standing: Standing = field(repr=False)

    def __len__(self) -> int:
        return len(self.order)

    @property
    def cuts(self) -> Mapping[str, Cut]:
        """The block of each chain that it is as of."""
        return self.book.cuts

    @property
    def statuses(self) -> Mapping[Status, int]:
        """How many accounts are in each status; all statuses are named."""
        found = Counter(each.status for each in self.rows.values())
        return {status: found[status] for status in Status}

    def account(self, account_id: str) -> BookRow | None:
        """Return one account, `None` if there is none of this id."""
        return self.rows.get(account_id)

    def page(self, *, offset: int = 0, limit: int = 100, status: Status | None = None) -> tuple[BookRow, ...]:
        """Return accounts, the worst first, all or those in one status; raises `ValueError` for a negative offset or limit."""
        if offset < 0 or limit < 0:
            raise ValueError(f"offset and limit must not be negative, not {offset} and {limit}")
        chosen = self.order if status is None else [name for name in self.order if self.rows[name].status is status]
        return tuple(self.rows[name] for name in chosen[offset : offset + limit])


class LiveBook:
    """Keeps the newest version; `kernel`: what computes the arrays, unless said numpy until the compiled one is ready.

    `courtesy`: to whom it gives way while it values.
    """

    def __init__(self, kernel: Revalue | None = None, courtesy: Courtesy = ALONE) -> None:
        self._kernel, self._courtesy = kernel or patient(), courtesy
        self._arrays: ArrayBook | None = None
        self._room = 0
        self._lock = Lock()
        self.version: Version | None = None

    def take(self, inputs: BookInputs) -> Version:
        """Value everybody whom the inputs concern anew, and keep the others as they are; the same as a book that is made anew.

        Raises what `judged` raises; the version of before then stays.
        """
        with self._lock:
            before = self.version
            book = judged(inputs, None if before is None else before.book, courtesy=self._courtesy)
            standing = self._valued(book, None if before is None else before.book)
            rows = _rows(book, before, self._courtesy)
            number = 1 if before is None else before.number + 1
            order = sorted(rows, key=lambda name: _worst_first(rows[name]))
            self.version = Version(number=number, book=book, rows=rows, order=order, standing=standing)
            return self.version

    def _valued(self, book: Book, before: Book | None) -> Standing:
        """Bring the arrays up to a book; another κ or other correlations lay them out anew."""
        if self._arrays is None or before is None or self._outgrown(before, book):
            self._arrays = arrays_of(book, self._kernel)
            self._room = MORE_LEGS + 2 * self._arrays.legs
            return self._arrays.standing
        old = {each.account.id: each for each in before.accounts}
        changed = [each for each in book.accounts if old.pop(each.account.id, None) is not each]
        marks = marks_of((each.assessment for each in changed), book.context)
        entries = [entry_of(each.account.id, each.assessment, book.context) for each in self._courtesy.paced(changed)]
        try:
            standing = self._arrays.change(entries, marks)
            return self._arrays.remove(old) if old else standing
        except BaseException:
            self._arrays = None
            raise

    def _outgrown(self, before: Book, book: Book) -> bool:
        """Whether correlations are others, or most of the legs are prices of venues that nobody is valued at any more."""
        legs = 0 if self._arrays is None else self._arrays.legs
        return legs > self._room or estimates_of(before.context) != estimates_of(book.context)


def _rows(book: Book, before: Version | None, courtesy: Courtesy) -> dict[str, BookRow]:
    if before is None:
        return {each.account.id: row(each) for each in courtesy.paced(book.accounts)}
    old = {each.account.id: each for each in before.book.accounts}
    return {
        each.account.id: before.rows[each.account.id] if old.get(each.account.id) is each else row(each)
        for each in courtesy.paced(book.accounts)
    }


def _worst_first(account: BookRow) -> tuple[int, Decimal, str]:
    factors = (account.health_factor, account.min_unit_health_factor)
    lowest = min((factor for factor in factors if factor is not None), default=BEYOND)
    return -SEVERITY[account.status], lowest, account.account
