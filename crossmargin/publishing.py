"""Publishing what is final: on request, and when a slot of the schedule has come."""

from __future__ import annotations

from threading import Lock

from crossmargin.documents import Document, moment
from crossmargin.schedule import parse
from crossmargin.settings import PublishSettings
from crossmargin.watch import Clock
from indexer.publish import Manifest, Publisher, PublishRefused
from indexer.store import Store


class Publishing:
    """Publishes a store into the configured folder, one set after the other."""

    def __init__(self, settings: PublishSettings, store: Store, clock: Clock) -> None:
        self._schedule = None if settings.schedule is None else parse(settings.schedule)
        self._store = store
        self._clock = clock
        self._publisher = Publisher(settings.folder)
        self._lock = Lock()

    def publish(self) -> Document:
        """Publish now, and return what the set holds; raises `StoreError`."""
        with self._lock:
            held = self._publisher.current()
            made = self._publisher.publish(self._store, int(self._clock()))
        return _document(made, held)

    def publish_due(self) -> Document | None:
        """Publish where a slot has come since the last set was made; a store without a final block is not due."""
        if self._schedule is None:
            return None
        held = self._publisher.current()
        if held is not None and self._schedule.after(held.published_at) > self._clock():
            return None
        try:
            return self.publish()
        except PublishRefused:
            return None


def _document(made: Manifest, held: Manifest | None) -> Document:
    before = {segment.path for segment in held.segments} if held is not None else set()
    return {
        "set": made.number,
        "published_at": moment(made.published_at),
        "final": dict(made.final),
        "files": len(made.segments),
        "files_new": sum(segment.path not in before for segment in made.segments),
        "rows": sum(segment.rows for segment in made.segments),
        "bytes": sum(segment.bytes for segment in made.segments),
    }
