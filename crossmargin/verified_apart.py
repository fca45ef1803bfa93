"""Snapshots verified for whoever asks: by a process of their own, one at a time, with bounds of time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from aggregator.audit.message_verifier import Trust
from aggregator.audit.messages import written
from crossmargin.documents import Document
from crossmargin.errors import Busy, TooSlow
from crossmargin.sql.guard import import_paths

LONGEST_S = 900.0
MOST_BYTES = 4 << 30
TOLD_FAULTS = 1000

START = (
    "import sys; at = sys.argv.index('--'); asked = sys.argv[at + 1 :]; sys.path[:0] = sys.argv[1:at]; "
    "from crossmargin.verified import main; main(asked)"
)
"""What the process runs: its imports are ours, whatever its environment lacks."""


class VerifiedApart:
    """Verifies one snapshot at a time; may be called from any thread. `trust`: whose signatures of prices and messages count."""

    def __init__(self, longest_s: float = LONGEST_S, most_bytes: int = MOST_BYTES, trust: Trust | None = None) -> None:
        self._longest_s = longest_s
        self._most_bytes = most_bytes
        self._trust = None if trust is None else written(trust)
        self._running = Lock()

    def verify(self, folder: Path, *, key: str | None, witnesses: Sequence[str], recompute: bool) -> Document:
        """Return what is wrong with a snapshot (`faults`) and what has to be known beside it (`notes`).

        Raises `Busy` while another one is verified, and `TooSlow` where the process had to be stopped.
        """
        if not self._running.acquire(blocking=False):
            raise Busy("a snapshot is being verified already, and one is at a time; ask again when it is done")
        try:
            said = self._said(
                folder, {"key": key, "witnesses": list(witnesses), "recompute": recompute, "trust": self._trust}
            )
        finally:
            self._running.release()
        faults = said["faults"]
        if left_out := max(len(faults) - TOLD_FAULTS, 0):
            faults = [*faults[:TOLD_FAULTS], f"and {left_out} more; `crossmargin snapshot verify` names all"]
        return {"snapshot": folder.name, **said, "intact": not faults, "faults": faults}

    def _said(self, folder: Path, question: Document) -> Document:
        arguments = [str(folder.resolve()), str(self._most_bytes), json.dumps(question)]
        try:
            done = subprocess.run(  # noqa: S603 - this program, by its own interpreter
                [sys.executable, "-I", "-c", START, *import_paths(), "--", *arguments],
                cwd=folder,
                env={"LANG": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self._longest_s,
                check=False,
            )
            found: Document = json.loads(done.stdout)
        except subprocess.TimeoutExpired as error:
            raise TooSlow(
                f"verifying took longer than {self._longest_s:g} s and was stopped; take the folder and run its verify.py"
            ) from error
        except ValueError as error:
            raise TooSlow(
                "verifying used more of the machine than it may and was stopped; take the folder and run its verify.py"
            ) from error
        return found
