"""A process that checks one snapshot and writes a line for each check; `python -m crossmargin.verification_worker`.

It reads its question from its standard input, cannot write a file, and is bounded in memory and processor time.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aggregator.audit import recomputed, snapshot
from aggregator.audit.message_verifier import trust_in
from aggregator.audit.pack import Pack, open_pack
from aggregator.audit.verifier import Fault
from aggregator.margin.inputs import OtherMethodology

ADDRESS_SPACE = 6 << 30
CHECKS = {
    "signature": "Signed by the key that was in force",
    "ledger": "The same as in the ledger",
    "chain": "Follows the snapshot before it",
    "files": "Every file has the size and hash of the manifest",
    "tables": "Tables whole and in order, tree and sums, copies, proofs, what was signed, witnesses",
    "recomputed": "Every number computed again from the inputs",
}
"""By code, in the order in which they are made."""

Outcome = tuple[str, list[str], list[str]]
"""`right`, `wrong` or `skipped`, faults, notes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be checked; `recorded`: the hash in a ledger; `before`: name and hash of the snapshot before it, where it is there.

    `trust`: whose signatures of prices and messages count, as `message_verifier.trust_in` reads it.
    """

    folder: Path
    recorded: str | None
    before: tuple[str, str] | None
    recompute: bool
    trust: str | None = None

    def text(self, most_seconds: int) -> str:
        """Write it as the process reads it."""
        said = {"folder": str(self.folder), "recorded": self.recorded, "before": self.before}
        return json.dumps({**said, "recompute": self.recompute, "trust": self.trust, "seconds": most_seconds})


def main() -> None:
    """Answer the one question on the standard input."""
    said = json.loads(sys.stdin.read())
    _bound(int(said["seconds"]))
    before = None if said["before"] is None else (said["before"][0], said["before"][1])
    question = Question(
        folder=Path(said["folder"]),
        recorded=said["recorded"],
        before=before,
        recompute=bool(said["recompute"]),
        trust=said["trust"],
    )
    for check in checks(question):
        sys.stdout.write(json.dumps(check) + "\n")
        sys.stdout.flush()


def checks(question: Question) -> Iterator[dict[str, Any]]:
    """Yield each check as it is made; without a signed manifest the others have nothing to go by."""
    try:
        pack = open_pack(question.folder)
    except (Fault, KeyError, OSError, TypeError, ValueError) as error:
        yield _written("signature", ("wrong", [str(error)], []))
        yield from (
            _written(code, ("skipped", [], ["the manifest is not signed as it must be"])) for code in list(CHECKS)[1:]
        )
        return
    yield _written("signature", ("right", [], [f"manifest {pack.hash}"]))
    ways: dict[str, Callable[[Question, Pack], Outcome]] = {
        "ledger": _ledger,
        "chain": _chain,
        "files": _files,
        "tables": _tables,
        "recomputed": _recomputed,
    }
    for code, way in ways.items():
        yield _written(code, way(question, pack))


def _bound(seconds: int) -> None:
    """Limit what the process may have, whatever a file makes it do."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (2 * seconds, 2 * seconds))


def _ledger(question: Question, pack: Pack) -> Outcome:
    if question.recorded is None:
        return "skipped", [], ["no ledger here has it"]
    if question.recorded != pack.hash:
        return "wrong", [f"the ledger has {question.recorded}, the manifest has {pack.hash}"], []
    return "right", [], []


def _chain(question: Question, pack: Pack) -> Outcome:
    number, previous = pack.manifest["sequence"], pack.manifest["previous"]
    if number == 1:
        faults = [f"it is the first, and names {previous} before it"] if previous is not None else []
        return _by(faults, ["it is the first of its chain"])
    if question.before is None:
        return "skipped", [], [f"number {number - 1} of its chain is not here"]
    name, hashed = question.before
    faults = [] if previous == hashed else [f"it follows {previous}, number {number - 1} is {name} with {hashed}"]
    return _by(faults, [f"number {number}, after {name}"])


def _files(question: Question, pack: Pack) -> Outcome:
    del question
    faults = []
    for name in sorted(pack.manifest["files"]):
        try:
            pack.checked(name)
        except (Fault, OSError) as error:
            faults.append(str(error))
    return _by(faults, [f"{len(pack.manifest['files'])} files"])


def _tables(question: Question, pack: Pack) -> Outcome:
    trust = None if question.trust is None else trust_in(question.trust)
    found = snapshot.verify(question.folder, expected=pack.hash, trust=trust)
    return _by(found.faults, found.notes)


def _recomputed(question: Question, pack: Pack) -> Outcome:
    if not question.recompute:
        return "skipped", [], ["not asked for"]
    try:
        faults = list(recomputed.faults(question.folder))
    except OtherMethodology as error:
        return "skipped", [], [f"another version made it: {error}"]
    except (Fault, KeyError, ValueError) as error:
        return "wrong", [f"it cannot be computed again: {type(error).__name__} {error}"], []
    return _by(faults, [f"{pack.tables['accounts']['rows']:,} accounts"])


def _by(faults: list[str], notes: list[str]) -> Outcome:
    return "wrong" if faults else "right", faults, notes


def _written(code: str, outcome: Outcome) -> dict[str, Any]:
    word, faults, notes = outcome
    return {"code": code, "title": CHECKS[code], "outcome": word, "faults": faults, "notes": notes}


if __name__ == "__main__":
    main()
