"""Files that a command is given: read as text, or refused with what is wrong with them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crossmargin.errors import UsageError

STDIN = "-"


def read_text(source: str | Path, *, most: int, instead: str) -> str:
    """Read a file, or stdin where it is called `-`; raises `UsageError`.

    `most`: how many bytes it may have; `instead`: what to know or do where it has more.
    """
    if source == STDIN:
        raw = sys.stdin.buffer.read(most + 1)
    else:
        with readable(source), Path(source).open("rb") as file:
            raw = file.read(most + 1)
    if len(raw) > most:
        raise UsageError(f"{source} is larger than {most:,} bytes{instead}")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{source} is no text in UTF-8: {error}") from error


@contextmanager
def readable(source: str | Path) -> Iterator[None]:
    """Refuse a file that cannot be read."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror or error}") from error
