"""What every command is given: the global options, the settings they lead to, and the two streams."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from chains.redaction import Redactor

if TYPE_CHECKING:
    from rich.console import Console

    from crossmargin.settings import Settings

PIPE_WIDTH = 240
GLOBAL_FLAGS = ("--json", "--quiet", "-q", "--verbose", "-v", "-vv", "--log-json", "--accept-policy")
GLOBAL_VALUES = ("--config",)


@dataclass(slots=True, kw_only=True)
class Context:
    """The global options of one call."""

    config: Path | None = None
    json: bool = False
    quiet: bool = False
    verbosity: int = 0
    log_json: bool = False
    accept_policy: bool = False
    redactor: Redactor = field(default_factory=Redactor)

    def settings(self) -> Settings:
        """Read the configuration; from here on its secrets are kept out of every message."""
        from crossmargin.settings import load, locate

        settings = load(locate(self.config))
        indexers = [chain.indexer for chain in settings.chains if chain.indexer is not None]
        self.redactor = Redactor(
            [
                *(url for chain in settings.chains for url in (*chain.spec.rpc, *chain.spec.ws)),
                *(indexer.url for indexer in indexers),
            ],
            secrets=[indexer.key for indexer in indexers if indexer.key is not None],
        )
        return settings

    def stdout(self) -> Console:
        """Where data goes."""
        from rich.console import Console

        return _wide(Console(highlight=False, markup=False, emoji=False))

    def stderr(self) -> Console:
        """Where progress and errors go."""
        from rich.console import Console

        return _wide(Console(stderr=True, highlight=False, markup=False, emoji=False))


def _wide(console: Console) -> Console:
    """A file or a pipe has no width: nothing is cut to fit one, unless COLUMNS asks for it."""
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPE_WIDTH
    return console


def hoisted(arguments: Iterable[str]) -> list[str]:
    """Move the global options in front of the command, so that they may stand behind it too."""
    words = iter(arguments)
    front: list[str] = []
    rest: list[str] = []
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in GLOBAL_FLAGS or word.startswith(tuple(f"{name}=" for name in GLOBAL_VALUES)):
            front.append(word)
        elif word in GLOBAL_VALUES:
            front += [word, *([value] if (value := next(words, None)) is not None else [])]
        else:
            rest.append(word)
    return [*front, *rest]
