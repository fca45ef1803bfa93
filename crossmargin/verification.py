"""Checks snapshots for somebody who looks at them in a browser: one at a time, in a process that may not take long, check by check."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from threading import Lock
from time import monotonic
from typing import Any

from aggregator.audit.message_verifier import Trust
from aggregator.audit.messages import written
from crossmargin.archive import Archive
from crossmargin.documents import Document
from crossmargin.errors import Busy, Unverified
from crossmargin.verification_worker import CHECKS, Question

MOST_S = 50
"""How long all checks of one snapshot may take."""

START = "import sys; sys.path[:0] = sys.argv[1:]; sys.argv[1:] = []; from crossmargin.verification_worker import main; main()"
UNFINISHED = "unfinished"
WHERE_ELSE = "`crossmargin snapshot verify`, or the verify.py of somebody whom you trust, takes its time"


class Verification:
    """Runs the checks; may be asked from any thread. `trust`: whose signatures of prices and messages count."""

    def __init__(self, *, most_seconds: int = MOST_S, trust: Trust | None = None) -> None:
        self._trust = None if trust is None else written(trust)
        self._most_seconds = most_seconds
        self._lock = Lock()

    def check(self, archive: Archive, name: str, *, recorded: str | None, recompute: bool) -> Document:
        """Check one snapshot of an archive; raises `NoSuchThing`, and `Busy` while another one is being checked.

        `recorded`: the hash that a ledger has of it. Each of `checks` has a `code`, a `title`, an `outcome` (`right`, `wrong`, `skipped`,
        `unfinished`), `faults` and `notes`; `right` is whether all of them were made and nothing is wrong; `manifest` is
        empty where nobody signed it.
        """
        folder = archive.folder_of(name)
        question = Question(
            folder=folder, recorded=recorded, before=_before(archive, name), recompute=recompute, trust=self._trust
        )
        if not self._lock.acquire(blocking=False):
            raise Busy("another snapshot is being checked; ask again in a moment")
        try:
            began = monotonic()
            done = {each["code"]: each for each in self._run(question)}
            took_s = monotonic() - began
        finally:
            self._lock.release()
        checks = [done.get(code, _unfinished(code, title)) for code, title in CHECKS.items()]
        return {
            "snapshot": folder.name,
            "manifest": _manifest(archive, name),
            "checks": checks,
            "right": all(each["outcome"] in {"right", "skipped"} for each in checks),
            "took_s": round(took_s, 1),
        }

    def _run(self, question: Question) -> Iterator[dict[str, Any]]:
        with subprocess.Popen(  # noqa: S603 - this program, by its own interpreter
            [sys.executable, "-I", "-c", START, *(path for path in sys.path if path)],
            env={"LANG": "C.UTF-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            asked = question.text(self._most_seconds).encode()
            try:
                said, _ = process.communicate(asked, timeout=self._most_seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                said, _ = process.communicate()
        for line in said.splitlines(keepends=True):
            if line.endswith(b"\n"):
                yield json.loads(line)


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
