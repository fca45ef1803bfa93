"""Progress of what is read beside the store, and what came of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rich.console import Console

from chains.errors import ChainError
from chains.ports import Head
from crossmargin.cli.output import add_rows, table
from crossmargin.documents import Document
from crossmargin.restating import restatement_document
from crossmargin.settings import Settings
from indexer.loop import Listener, Progress
from indexer.store import Restatement

BESIDE = " (filling in)"


def names_of(settings: Settings) -> dict[str, str]:
    """Return what people call each chain, and what is filled in of it."""
    names = {chain.spec.id: chain.spec.name for chain in settings.chains}
    return names | {f"{chain_id}{BESIDE}": f"{name}{BESIDE}" for chain_id, name in names.items()}


class Aside:
    """Shows what is read beside the store as if it were a chain of its own; see `indexer.restating.Told`."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._lines: list[Restatement] = []

    def documents(self) -> list[dict[str, Any]]:
        """Return what was restated."""
        return [restatement_document(line) for line in self._lines]

    def appended(self, progress: Progress) -> None:
        self._listener.appended(replace(progress, chain_id=f"{progress.chain_id}{BESIDE}"))

    def rewound(self, chain_id: str, depth: int, to: int) -> None:
        self._listener.rewound(f"{chain_id}{BESIDE}", depth, to)

    def polled(self, chain_id: str, head: Head) -> None:
        """The chain itself is asked too."""

    def failed(self, chain_id: str, error: ChainError, retry_in: float) -> None:
        self._listener.failed(f"{chain_id}{BESIDE}", error, retry_in)

    def restated(self, line: Restatement) -> None:
        self._lines.append(line)

    def abandoned(self, chain_id: str, error: Exception) -> None:
        """A command that ends raises it."""


def show_restated(console: Console, document: Document) -> None:
    """Print a table of what was restated, if anything was."""
    columns = ("chain", "interest", "from", "to", "logs added", "logs removed", "rows before", "rows after", "cause")
    keys = (
        "chain",
        "interest",
        "from_block",
        "to_block",
        "logs_added",
        "logs_removed",
        "rows_before",
        "rows_after",
        "cause",
    )
    rows = [tuple(line[key] for key in keys) for line in document["restated"]]
    if rows:
        console.print(add_rows(table(*columns, right=columns[2:8]), rows))
