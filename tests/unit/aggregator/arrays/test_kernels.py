"""The compiled kernel takes over once it is ready, with the same bits; and nothing fails where none of it can be kept."""

from __future__ import annotations

import logging
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aggregator.arrays import kernels, stacked
from aggregator.arrays.book import ArrayBook, Entry
from aggregator.arrays.columns import HAS_DEBT
from aggregator.arrays.estimates import STATIC
from aggregator.arrays.legs import Leg, Pair, Price, Weight
from aggregator.patience import Patient

HELD = Leg(is_debt=False, identity="ETH", mark="ETH", weight=Weight(static=Pair(0.8, 0.7)))
OWED = Leg(is_debt=True, identity="USD", mark="USD", weight=Weight(static=Pair(1.0, 1.1)))
MARKS = {"ETH": Price(1990.0, 2000.0, 2010.0), "USD": Price(0.99, 1.0, 1.01)}
ENTRIES = [
    Entry(name=f"a{place}", holdings=[(HELD, 1.0 + place), (OWED, 700.0 + place)], said=HAS_DEBT) for place in range(99)
]


def test_the_compiled_kernel_takes_over_and_compiles_nothing_else() -> None:
    numba = pytest.importorskip("numba")
    kernel = Patient(worth_s=0)
    book = ArrayBook.build(ENTRIES, MARKS, STATIC, kernel)
    before = book.standing.rows.copy()

    kernel.wait(300)

    from aggregator.arrays.compiled import over_all  # noqa: PLC0415

    compiled: Any = over_all
    known = len(compiled.signatures)
    assert kernel.compiled
    assert np.array_equal(before, book.revalue().rows)
    book.reprice({"ETH": Price(1890.0, 1900.0, 1910.0)})
    book.change([Entry(name="a1", holdings=[(HELD, 7.0), (OWED, 9000.0)], said=HAS_DEBT)])
    assert len(compiled.signatures) == known, numba.__version__
    assert book.standing.account("a1") == _by_numpy(book).standing.account("a1")


def test_nothing_is_compiled_before_numpy_has_computed_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0.0, 0.2, 5.0, 5.2, 9.0, 9.2])  # three runs of 0.2 s, whatever passes between them
    begun: list[str] = []

    class Begun:
        def __init__(self, *, name: str, **_: object) -> None:
            self._name = name

        def start(self) -> None:
            begun.append(self._name)

        def join(self, limit_s: float | None = None) -> None:
            """It has ended."""

    monkeypatch.setattr("aggregator.patience.thread_time", lambda: next(seconds))
    monkeypatch.setattr("aggregator.patience.Thread", Begun)
    book = ArrayBook.build(ENTRIES, MARKS, STATIC, Patient(worth_s=0.5))

    book.revalue()
    assert begun == []
    book.revalue()
    assert begun == ["compiling"]
    book.revalue()
    assert begun == ["compiling"]


def _by_numpy(book: ArrayBook) -> ArrayBook:
    changed = [*ENTRIES[:1], Entry(name="a1", holdings=[(HELD, 7.0), (OWED, 9000.0)], said=HAS_DEBT), *ENTRIES[2:]]
    marks = {**MARKS, "ETH": Price(1890.0, 1900.0, 1910.0)}
    again = ArrayBook.build(changed, marks, STATIC, stacked.revalue)
    assert len(again.standing) == len(book.standing)
    return again


def test_what_one_account_has_besides_changes_nobody_else() -> None:
    charged = [replace(entry, besides=(0.0, 0.0, 0.0, 0.0, 30.0, 30.0)) for entry in ENTRIES[:2]]
    book = ArrayBook.build(charged, MARKS, STATIC, stacked.revalue)
    before = book.standing.account("a1")

    book.change([replace(charged[0], besides=(0.0, 0.0, 0.0, 0.0, 900.0, 900.0))])

    book.revalue()
    assert book.standing.account("a1") == before
    changed = book.standing.account("a0")
    assert changed is not None
    assert changed.maintenance_debt == 700.0 + 900.0
    book.change([charged[0]])
    again = book.standing.account("a0")
    assert again is not None
    assert again.maintenance_debt == 700.0 + 30.0


@pytest.mark.parametrize(
    "price",
    [
        Price(1.0, 1.0, math.inf),
        Price(1.0, 0.5, 2.0),
        Price(1.0, 2.0, 1.5),
        Price(0.0, 0.0, 0.0),
        Price(-1.0, 1.0, 1.0),
        Price(1.0, math.nan, 2.0),
    ],
)
def test_a_mark_that_is_none_is_refused_and_changes_nothing(price: Price) -> None:
    book = ArrayBook.build(ENTRIES, MARKS, STATIC, stacked.revalue)
    before = book.standing

    with pytest.raises(ValueError, match="the mark of ETH"):
        book.reprice({"USD": Price(2.0, 2.0, 2.0), "ETH": price})

    assert book.standing is before
    assert np.array_equal(book.revalue().rows, before.rows)


@pytest.mark.parametrize("amount", [-1.0, math.nan, math.inf])
def test_an_amount_that_is_none_is_refused(amount: float) -> None:
    with pytest.raises(ValueError, match="an amount of ETH"):
        ArrayBook.build([Entry(name="a", holdings=[(HELD, amount)])], MARKS, STATIC, stacked.revalue)


def test_a_compiler_that_fails_leaves_numpy_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    compiled: Any = pytest.importorskip("aggregator.arrays.compiled")

    class Full:
        @staticmethod
        def compile(kinds: object) -> None:
            raise OSError(f"no space left for {kinds}")

    monkeypatch.setattr(compiled, "over_all", Full)
    kernel = Patient(worth_s=0)

    book = ArrayBook.build(ENTRIES, MARKS, STATIC, kernel)
    kernel.wait(300)

    assert not kernel.compiled
    assert "the book in memory without compiled code, slower" in caplog.text
    assert "no space left" in caplog.text
    assert np.array_equal(book.revalue().rows, ArrayBook.build(ENTRIES, MARKS, STATIC, stacked.revalue).standing.rows)


def test_threads_that_compute_at_once_get_what_each_gets_alone() -> None:
    compiled: Any = pytest.importorskip("aggregator.arrays.compiled")
    books = [ArrayBook.build(ENTRIES[: 10 + 20 * count], MARKS, STATIC, compiled.revalue) for count in range(4)]
    alone = [book.standing.rows.copy() for book in books]

    def again(book: ArrayBook) -> list[bool]:
        return [np.array_equal(book.standing.rows, book.revalue().rows) for _ in range(50)]

    with ThreadPoolExecutor(len(books)) as pool:
        assert all(all(same) for same in pool.map(again, books))
    assert all(np.array_equal(book.standing.rows, rows) for book, rows in zip(books, alone, strict=True))


def test_cores_that_share_the_work_leave_nobody_out() -> None:
    """The accounts are of five shapes, and more than any core takes at a time."""
    compiled: Any = pytest.importorskip("aggregator.arrays.compiled")
    kinds = [HELD, OWED, *(replaced(HELD, f"B{place}") for place in range(3))]
    many = [
        Entry(name=f"a{place}", holdings=[(leg, 1.0 + place) for leg in kinds[: 1 + place % 5]], said=HAS_DEBT)
        for place in range(3 * compiled.CHUNK + 1)
    ]
    marks = {**MARKS, **{f"B{place}": Price(1.0, 2.0, 3.0 + place) for place in range(3)}}
    by_numpy = ArrayBook.build(many, marks, STATIC, stacked.revalue).standing

    for threads in (1, 2, 7):
        told: list[Any] = []

        def by_turns(*given: Any, threads: int = threads, told: list[Any] = told) -> None:
            told.append(threads)
            given[-2][:] = np.nan
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr("aggregator.jitted.config.NUMBA_NUM_THREADS", threads)
                compiled.revalue(*given)

        book = ArrayBook.build(many, marks, STATIC, by_turns)

        assert told == [threads]
        assert np.array_equal(book.standing.rows, by_numpy.rows)
        assert np.array_equal(book.standing.flags, by_numpy.flags)


def test_what_any_core_raises_is_raised_once_all_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    jitted: Any = pytest.importorskip("aggregator.jitted")
    monkeypatch.setattr("aggregator.jitted.config.NUMBA_NUM_THREADS", 3)
    ended: list[int] = []

    class Failing:
        @staticmethod
        def compile(kinds: object) -> None:
            """Nothing is."""

        def __call__(self, turn: Any) -> None:
            turn[0] += 1
            if turn[0] == 2:
                raise MemoryError("of one core")
            ended.append(int(turn[0]))

    with pytest.raises(MemoryError, match="of one core"):
        jitted.in_turns(Failing(), 3)
    assert len(ended) == 2
    jitted.in_turns(Failing(), 1)
    assert len(ended) == 3


def test_where_no_thread_can_be_started_this_one_takes_all_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: Any = pytest.importorskip("aggregator.arrays.compiled")
    monkeypatch.setattr("aggregator.jitted.config.NUMBA_NUM_THREADS", 3)
    many = [replace(entry, name=f"{entry.name} {again}") for again in range(50) for entry in ENTRIES]
    asked: list[object] = []

    class Refused:
        def __init__(self, **_: object) -> None:
            """Takes what a thread takes."""

        def start(self) -> None:
            asked.append(self)
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr("aggregator.jitted.Thread", Refused)

    book = ArrayBook.build(many, MARKS, STATIC, compiled.revalue)

    assert len(many) > 2 * compiled.CHUNK
    assert len(asked) == 1
    assert np.array_equal(book.standing.rows, ArrayBook.build(many, MARKS, STATIC, stacked.revalue).standing.rows)


def replaced(leg: Leg, name: str) -> Leg:
    return leg._replace(identity=name, mark=name)


def test_where_nothing_can_be_written_it_compiles_without_keeping(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    jitted: Any = pytest.importorskip("aggregator.jitted")
    caching: Any = pytest.importorskip("numba.core.caching")
    monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
    monkeypatch.setattr(caching.CodeLibraryCacheImpl, "_locator_classes", [])
    caplog.set_level(logging.INFO, "aggregator")

    def twice(number: float) -> float:
        return number * 2

    assert jitted.jitted()(twice)(21.0) == 42.0
    assert "NUMBA_CACHE_DIR" in caplog.text


def test_a_book_that_is_laid_out_once_is_computed_without_a_compiler_that_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    compiled: Any = pytest.importorskip("aggregator.arrays.compiled")

    class Full:
        @staticmethod
        def compile(kinds: object) -> None:
            raise OSError(f"no space left for {kinds}")

    monkeypatch.setattr(compiled, "over_all", Full)
    kernel = kernels.fastest.__wrapped__()

    book = ArrayBook.build(ENTRIES, MARKS, STATIC, kernel)

    assert np.array_equal(book.revalue().rows, ArrayBook.build(ENTRIES, MARKS, STATIC, stacked.revalue).standing.rows)
    assert len(caplog.records) == 1
    assert "no space left" in caplog.text
