"""Brings what subscribers are told up to the book in memory: what crossed, and what is remembered of it, in one transaction."""

from __future__ import annotations

from collections.abc import Callable

from aggregator.book import Book
from aggregator.crossings import Crossing, Told, crossings
from aggregator.live import Version
from crossmargin.settings.model import EventSettings
from crossmargin.watch import Clock
from indexer.store import Store

FORGET_EVERY_S = 3600


class Teller:
    """Tells of each version of the book that `take` brings; one call at a time.

    What was told last is in the store, so that what crossed while the service was down is told when it is back.
    """

    def __init__(self, store: Store, take: Callable[[], Version], settings: EventSettings, clock: Clock) -> None:
        self._store, self._take, self._settings, self._clock = store, take, settings, clock
        self._memory: dict[str, Told] | None = None
        self._book: Book | None = None
        self._forget_at = 0.0

    def take(self) -> Version:
        """Take the book anew, tell of it and return it; raises what taking it does, and `StoreError` where nothing could be told."""
        version = self._take()
        self._tell(version.book)
        return version

    def _tell(self, book: Book) -> None:
        memory, now = self._remembered(), self._clock()
        found = crossings(memory, book, self._book, mark_move=self._settings.mark_move)
        if found or now >= self._forget_at:
            self._write(found, now)
        for each in found:
            if each.told is None:
                memory.pop(each.subject, None)
            else:
                memory[each.subject] = each.told
        self._book = book

    def _write(self, found: list[Crossing], now: float) -> None:
        with self._store.events(now) as ledger:
            ledger.tell([(each.kind, each.body) for each in found if each.body is not None])
            ledger.remember({each.subject: None if each.told is None else each.told.written() for each in found})
            if now >= self._forget_at:
                ledger.forget(int(now) - self._settings.keep_s)
        if now >= self._forget_at:
            self._forget_at = now + FORGET_EVERY_S

    def _remembered(self) -> dict[str, Told]:
        if self._memory is None:
            with self._store.reading() as reader:
                self._memory = {subject: Told.read(text) for subject, text in reader.event_subjects().items()}
        return self._memory
