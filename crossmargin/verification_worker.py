"""A process that checks one snapshot and writes a line for each check, see `crossmargin.verification`.

It reads its question from its standard input, cannot write a file, and is bounded in memory and processor time.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aggregator.audit import snapshot
from aggregator.audit.message_verifier import trust_in
from aggregator.audit.pack import Pack, open_pack
from aggregator.audit.verifier import Fault
from aggregator.margin.inputs import OtherMethodology

KINDNESS = 10
"""By how much others go before it."""

CHECKS = {
    "signature": "Signed by the key that was in force",
    "ledger": "The same as in the ledger",
    "chain": "Follows the snapshot before it",
    "files": "Every file has the size and hash of the manifest",
    "tables": "Tables whole and in order, tree and sums, copies, proofs, what was signed, witnesses",
    "recomputed": "Every number computed again from the inputs",
}
"""By code, in the order in which they are made."""

SKIPPED = "skipped"

Check = dict[str, Any]
"""`code`, `title`, `outcome` (`right`, `wrong` or `skipped`), `faults`, `notes`; of `tables` the hash of the manifest too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be checked; `recorded`: the hash in a ledger; `before`: name and hash of the snapshot before it, where it is there.

    `key` and `witnesses`: public keys that must stand for it; `alone`: nothing but what `snapshot verify` says.
    `trust`: whose signatures of prices and messages count, as `message_verifier.trust_in` reads it.
    """

    folder: str
    recorded: str | None = None
    before: tuple[str, str] | None = None
    recompute: bool = False
    key: str | None = None
    witnesses: Sequence[str] = ()
    alone: bool = False
    trust: str | None = None

    def text(self, most_seconds: int, most_bytes: int) -> str:
        """Write it as the process reads it, with how much processor time and memory it may have."""
        return json.dumps({"question": asdict(self), "seconds": most_seconds, "bytes": most_bytes})


def main() -> None:
    """Answer the one question on the standard input."""
    said = json.loads(sys.stdin.read())
    _bound(int(said["seconds"]), int(said["bytes"]))
    for check in checks(Question(**said["question"])):
        sys.stdout.write(json.dumps(check) + "\n")
        sys.stdout.flush()


def checks(question: Question) -> Iterator[Check]:
    """Yield each check as it is made; what rests on another one that went wrong is not made."""
    if question.alone:
        yield from _verified(question)
        return
    try:
        pack = open_pack(Path(question.folder))
    except (Fault, KeyError, OSError, TypeError, ValueError) as error:
        yield _written("signature", [str(error)], [])
        yield from (_skipped(code, "the manifest is not signed as it must be") for code in list(CHECKS)[1:])
        return
    yield _written("signature", [], [f"manifest {pack.hash}"])
    yield _ledger(question, pack)
    yield _chain(question, pack)
    yield _files(pack)
    yield from _verified(question, pack.hash)


def _bound(seconds: int, most_bytes: int) -> None:
    """Limit what the process may have, whatever a file makes it do."""
    os.nice(KINDNESS)
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (2 * seconds, 2 * seconds))


def _ledger(question: Question, pack: Pack) -> Check:
    if question.recorded is None:
        return _skipped("ledger", "no ledger here has it")
    same = question.recorded == pack.hash
    return _written("ledger", [] if same else [f"the ledger has {question.recorded}, the manifest has {pack.hash}"], [])


def _chain(question: Question, pack: Pack) -> Check:
    number, previous = pack.manifest["sequence"], pack.manifest["previous"]
    if number == 1:
        faults = [f"it is the first, and names {previous} before it"] if previous is not None else []
        return _written("chain", faults, ["it is the first of its chain"])
    if question.before is None:
        return _skipped("chain", f"number {number - 1} of its chain is not here")
    name, hashed = question.before
    faults = [] if previous == hashed else [f"it follows {previous}, number {number - 1} is {name} with {hashed}"]
    return _written("chain", faults, [f"number {number}, after {name}"])


def _files(pack: Pack) -> Check:
    faults = []
    for name in sorted(pack.manifest["files"]):
        try:
            pack.checked(name)
        except (Fault, OSError) as error:
            faults.append(str(error))
    return _written("files", faults, [f"{len(pack.manifest['files'])} files"])


def _verified(question: Question, expected: str | None = None) -> Iterator[Check]:
    """Do what `snapshot verify` does, and compute everything again where that was asked and tables are whole."""
    folder = Path(question.folder)
    trust = None if question.trust is None else trust_in(question.trust)
    found = snapshot.verify(folder, expected=expected, key=question.key, witnesses=question.witnesses, trust=trust)
    yield _written("tables", found.faults, found.notes) | {"manifest_hash": found.hash}
    if not question.recompute:
        yield _skipped("recomputed", "not asked for")
        return
    if found.faults:
        yield _skipped("recomputed", "its tables are not as they must be")
        return
    try:
        yield _written("recomputed", *snapshot.recompute_all(folder, found.manifest))
    except OtherMethodology as error:
        yield _skipped("recomputed", f"it was not computed again: {error}; the version that made it can")


def _written(code: str, faults: Sequence[str], notes: Sequence[str]) -> Check:
    outcome = "wrong" if faults else "right"
    return {"code": code, "title": CHECKS[code], "outcome": outcome, "faults": list(faults), "notes": list(notes)}


def _skipped(code: str, why: str) -> Check:
    return _written(code, [], [why]) | {"outcome": SKIPPED}


if __name__ == "__main__":
    main()
