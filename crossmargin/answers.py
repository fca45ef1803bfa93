"""What was answered at the tip, kept as it was sent: `--known-at` gives it back."""

from __future__ import annotations

from collections.abc import Iterable

from aggregator.margin.document import HealthDocument
from crossmargin.documents import Document, encode
from crossmargin.watch import Clock
from indexer.store import Answer

KEPT_IN_MIND = 10_000


class Answers:
    """Which answers are to be kept: the last answer about an account, given again, is not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[str, str] = {}

    def new(self, answered: Iterable[tuple[HealthDocument, Document]]) -> list[Answer]:
        """Return what is to be kept of documents that are answered now, each as it is sent."""
        now = int(self._clock())
        new = {document.account: (document, sent) for document, sent in answered if self._is_new(document)}
        return [
            Answer(
                account_id=account,
                served_at=now,
                digest=document.input_digest,
                document=encode(sent).decode("ascii"),
            )
            for account, (document, sent) in new.items()
        ]

    def kept(self, answers: Iterable[Answer]) -> None:
        """Remember that they are stored."""
        self._last.update({answer.account_id: answer.digest for answer in answers})
        while len(self._last) > KEPT_IN_MIND:
            self._last.pop(next(iter(self._last)), None)

    def _is_new(self, document: HealthDocument) -> bool:
        return self._last.get(document.account) != document.input_digest
