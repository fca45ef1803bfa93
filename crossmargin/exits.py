"""How a command ends, as a number for scripts."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command line; `docs/cli.md` explains each."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNKNOWN = 3
    UNVERIFIED = 4
    BELOW = 5
    INTERRUPTED = 130
    CUT = 141
