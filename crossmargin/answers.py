"""What was answered at the tip, kept as it was sent: `--known-at` gives it back."""

from __future__ import annotations

from collections.abc import Iterable

from aggregator.margin.document import HealthDocument
from crossmargin.documents import Document, encode
from crossmargin.watch import Clock
from indexer.store import Answer, Store

KEPT_IN_MIND = 10_000


class Answers:
    """Keeps each answer once: the last answer about an account, given again, writes nothing."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._last: dict[str, str] = {}

    def keep(self, answered: Iterable[tuple[HealthDocument, Document]]) -> None:
        """Keep documents that were answered now, each as it was sent."""
        new = {
            document.account: (document.input_digest, sent)
            for document, sent in answered
            if self._last.get(document.account) != document.input_digest
        }
        if not new:
            return
        now = int(self._clock())
        self._store.save_answers(
            [
                Answer(account_id=account, served_at=now, digest=digest, document=encode(sent).decode("ascii"))
                for account, (digest, sent) in new.items()
            ]
        )
        self._last.update({account: digest for account, (digest, _) in new.items()})
        while len(self._last) > KEPT_IN_MIND:
            self._last.pop(next(iter(self._last)), None)
