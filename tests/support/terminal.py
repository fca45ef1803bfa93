"""Commands at a terminal of their own, a real pseudo-terminal: what they say there, and what is typed."""

from __future__ import annotations

import os
import pty
import select
from codecs import getincrementaldecoder
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.forked import Running, at_terminal


class Terminal:
    """A command that runs at a terminal of its own."""

    def __init__(self, process: Running, line: int) -> None:
        self._process, self._line = process, line
        self._decoder = getincrementaldecoder("utf-8")()
        self.seen = ""

    def until(self, wanted: str) -> str:
        """Read until it says something; gives what came since the last time. What never says it ends, and the test fails."""
        start = len(self.seen)
        while wanted not in self.seen[start:]:
            more = self._read()
            assert more, f"ended without saying {wanted!r}: {self.seen}"
            self.seen += more
        return self.seen[start:]

    def type(self, text: str) -> None:
        os.write(self._line, text.encode())

    def end(self) -> int:
        while more := self._read():
            self.seen += more
        return self._process.wait()

    def _read(self) -> str:
        assert select.select([self._line], [], [], 60)[0], f"says nothing more: {self.seen}"
        try:
            return self._decoder.decode(os.read(self._line, 65_536)) or self._read()
        except OSError:  # the other side is gone
            return ""


@contextmanager
def terminal(folder: Path, *arguments: str, environment: Mapping[str, str] = os.environ) -> Iterator[Terminal]:
    line, theirs = pty.openpty()
    told = {**environment, "COLUMNS": "200", "NO_COLOR": "1"}
    try:
        with at_terminal(arguments, folder=folder, environment=told, line=theirs) as process:
            os.close(theirs)
            yield Terminal(process, line)
    finally:
        os.close(line)
