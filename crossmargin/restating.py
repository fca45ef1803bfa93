"""What is said of filling in and restating: in logs, and as documents."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from chains.errors import ChainError
from chains.ports import Head
from crossmargin.documents import moment
from crossmargin.logs import Logger
from indexer.loop import Progress
from indexer.store import Restatement


class LogRestating:
    """Writes events of what is read beside the store, see `indexer.restating.Told`."""

    def __init__(self, log: Logger) -> None:
        self._log = log

    def appended(self, progress: Progress) -> None:
        self._log.info("filling", chain=progress.chain_id, read=progress.indexed, target=progress.target)

    def rewound(self, chain_id: str, depth: int, to: int) -> None:
        self._log.debug("filling_rewound", chain=chain_id, depth=depth, to=to)

    def polled(self, chain_id: str, head: Head) -> None:
        """The chain's follower tells that too."""

    def failed(self, chain_id: str, error: ChainError, retry_in: float) -> None:
        kind = type(error).__name__
        self._log.warning("filling_failed", chain=chain_id, kind=kind, error=str(error), retry_in=retry_in)

    def restated(self, line: Restatement) -> None:
        self._log.info("restated", **restatement_document(line))

    def abandoned(self, chain_id: str, error: Exception) -> None:
        self._log.error("filling_ended", chain=chain_id, kind=type(error).__name__, error=str(error))


def restatement_document(line: Restatement) -> dict[str, Any]:
    """Return a line of the ledger as people and scripts read it."""
    said = asdict(line)
    return {"chain": said.pop("chain_id"), **said, "at": moment(line.at)}
