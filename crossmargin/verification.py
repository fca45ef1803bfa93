"""Snapshots verified for whoever asks: by a process of their own, one at a time, with bounds of time and memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any

from aggregator.audit.message_verifier import Trust
from aggregator.audit.messages import written
from crossmargin.archive import Archive
from crossmargin.documents import Document
from crossmargin.errors import Busy, TooSlow, Unverified
from crossmargin.sql.guard import import_paths
from crossmargin.verification_worker import CHECKS, SKIPPED, Check, Question

LONGEST_S = 900.0
SHOWN_S = 50
"""How long the checks may take that somebody waits for in a browser."""

MOST_BYTES = 4 << 30
TOLD_FAULTS = 1000

START = "import sys; sys.path[:0] = sys.argv[1:]; sys.argv[1:] = []; from crossmargin.verification_worker import main; main()"
"""What the process runs: its imports are ours, whatever its environment lacks."""

UNFINISHED = "unfinished"
WHERE_ELSE = "`crossmargin snapshot verify`, or the verify.py of somebody whom you trust, takes its time"


class Verification:
    """Verifies one snapshot at a time; may be called from any thread. `trust`: whose signatures of prices and messages count."""

    def __init__(
        self,
        *,
        longest_s: float = LONGEST_S,
        shown_s: float = SHOWN_S,
        most_bytes: int = MOST_BYTES,
        trust: Trust | None = None,
    ) -> None:
        self._trust = None if trust is None else written(trust)
        self._longest_s = longest_s
        self._shown_s = shown_s
        self._most_bytes = most_bytes
        self._running = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def close(self) -> None:
        """Stop what is being verified, and verify nothing any more: nobody who asked keeps a service from ending."""
        self._closed = True
        if (process := self._process) is not None:
            _kill(process)

    def verify(self, folder: Path, *, key: str | None, witnesses: Sequence[str], recompute: bool) -> Document:
        """Return what is wrong with a snapshot (`faults`) and what has to be known beside it (`notes`).

        Raises `Busy` while another one is verified or the service ends, and `TooSlow` where the process had to be stopped.
        """
        question = Question(
            folder=str(folder.resolve()),
            key=key,
            witnesses=tuple(witnesses),
            recompute=recompute,
            alone=True,
            trust=self._trust,
        )
        with self._alone():
            done, took_s = self._said(question, self._longest_s)
        if {"tables", "recomputed"} - done.keys():
            why = (
                f"took longer than {self._longest_s:g} s"
                if took_s >= self._longest_s
                else "used more of the machine than it may"
            )
            raise TooSlow(f"verifying {why} and was stopped; take the folder and run its verify.py")
        tables, again = done["tables"], done["recomputed"]
        faults = [*tables["faults"], *again["faults"]]
        if left_out := max(len(faults) - TOLD_FAULTS, 0):
            faults = [*faults[:TOLD_FAULTS], f"and {left_out} more; `crossmargin snapshot verify` names all"]
        return {
            "snapshot": folder.name,
            "manifest_hash": tables["manifest_hash"],
            "faults": faults,
            "notes": [*tables["notes"], *(again["notes"] if recompute else ())],
            "recomputed": again["outcome"] != SKIPPED,
            "intact": not faults,
        }

    def check(self, archive: Archive, name: str, *, recorded: str | None, recompute: bool) -> Document:
        """Check one snapshot of an archive; raises `NoSuchThing`, and `Busy` while another one is being checked or the service ends.

        `recorded`: the hash that a ledger has of it. Each of `checks` has a `code`, a `title`, an `outcome` (`right`, `wrong`, `skipped`,
        `unfinished`), `faults` and `notes`; `right` is whether all of them were made and nothing is wrong; `manifest` is
        empty where nobody signed it.
        """
        folder = archive.folder_of(name)
        question = Question(
            folder=str(folder.resolve()),
            recorded=recorded,
            before=_before(archive, name),
            recompute=recompute,
            trust=self._trust,
        )
        with self._alone():
            done, took_s = self._said(question, self._shown_s)
        checks = [done.get(code, _unfinished(code, title)) for code, title in CHECKS.items()]
        return {
            "snapshot": folder.name,
            "manifest": _manifest(archive, name),
            "checks": checks,
            "right": all(each["outcome"] in {"right", SKIPPED} for each in checks),
            "took_s": round(took_s, 1),
        }

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._running.acquire(blocking=False):
            raise Busy("a snapshot is being verified already, and one is at a time; ask again in a moment")
        try:
            yield
        finally:
            self._running.release()

    def _said(self, question: Question, longest_s: float) -> tuple[dict[str, Check], float]:
        """Return the checks that were made in time, by code, and how many seconds they took."""
        began = monotonic()
        with subprocess.Popen(  # noqa: S603 - this program, by its own interpreter
            [sys.executable, "-I", "-c", START, *import_paths()],
            env={"LANG": "C.UTF-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            self._process = process
            asked = question.text(max(int(longest_s), 1), self._most_bytes).encode()
            try:
                if self._closed:
                    _kill(process)
                said, _ = process.communicate(asked, timeout=longest_s)
            except subprocess.TimeoutExpired:
                _kill(process)
                said, _ = process.communicate()
            finally:
                self._process = None
        if self._closed:
            raise Busy("the service ends; ask again in a moment")
        lines = [json.loads(line) for line in said.splitlines(keepends=True) if line.endswith(b"\n")]
        return {each["code"]: each for each in lines}, monotonic() - began


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and those that it made; one that has ended already is no fault."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _manifest(archive: Archive, name: str) -> Document:
    """Return the manifest, of one that is not signed as it must be nothing."""
    try:
        return archive.opened(name).manifest
    except Unverified:
        return {}


def _before(archive: Archive, name: str) -> tuple[str, str] | None:
    """Return the name and the hash of the snapshot that was made before another one, as far as it is here and intact."""
    try:
        number = archive.opened(name).manifest["sequence"]
    except Unverified:
        return None
    for other in archive.names():
        try:
            pack = archive.opened(other)
        except Unverified:
            continue
        if pack.manifest["sequence"] == number - 1:
            return pack.name, pack.hash
    return None


def _unfinished(code: str, title: str) -> dict[str, Any]:
    notes = [f"it took too long here, or more of the machine than it may; {WHERE_ELSE}"]
    return {"code": code, "title": title, "outcome": UNFINISHED, "faults": [], "notes": notes}
