"""The process that verifies one snapshot, see `crossmargin.verified_apart`."""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

from aggregator.audit import snapshot
from aggregator.audit.message_verifier import trust_in
from aggregator.margin.inputs import OtherMethodology

KINDNESS = 10


def main(arguments: Sequence[str]) -> None:
    """Verify a folder within so many bytes of memory, and print what came of it."""
    folder, most_bytes, question = arguments
    os.nice(KINDNESS)
    resource.setrlimit(resource.RLIMIT_AS, (int(most_bytes), int(most_bytes)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asked = json.loads(question)
    trust = None if asked["trust"] is None else trust_in(asked["trust"])
    try:
        found = snapshot.verify(
            Path(folder), key=asked["key"], witnesses=asked["witnesses"], recompute=asked["recompute"], trust=trust
        )
        said = {
            "manifest_hash": found.hash,
            "faults": found.faults,
            "notes": found.notes,
            "recomputed": asked["recompute"],
        }
    except OtherMethodology as error:
        note = f"it was not computed again: {error}; the version that made it can"
        found = snapshot.verify(Path(folder), key=asked["key"], witnesses=asked["witnesses"], trust=trust)
        said = {"manifest_hash": found.hash, "faults": found.faults, "notes": [*found.notes, note], "recomputed": False}
    sys.stdout.write(json.dumps(said))
