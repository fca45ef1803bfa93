"""What a venue's configuration says beyond its address, which is the vaults program's, and what is wrong with it.

`vaults`: the numbers of the vaults that are followed (default: all of them). `version`: the version of the programs' code, one of
`VERSIONS` (default: the newest known; the programs do not say theirs). `program_slots`: slots of deployments that compute so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chains.solana.programs import PROGRAM_SLOTS, check_program_slots

VAULTS, VERSION = "vaults", "version"
KEYS = (VAULTS, VERSION, PROGRAM_SLOTS)
VALUED = (PROGRAM_SLOTS,)
"""Options that decide what is valued, not what is taken in."""

VERSIONS = ("2026-02",)
"""By the month of the source that this arithmetic follows."""

_MOST = 2**16 - 1


def vaults_of(options: Mapping[str, Any]) -> Sequence[int] | None:
    """Return the vaults that are followed, `None` for all; raises `ValueError`."""
    named = options.get(VAULTS)
    if named is None:
        return None
    if not isinstance(named, list) or not named or not all(type(each) is int and 0 <= each <= _MOST for each in named):
        raise ValueError(f"{VAULTS} is a list of numbers of vaults, each 0 to {_MOST}; leave it out to follow all")
    return sorted(set(named))


def version_of(options: Mapping[str, Any]) -> str:
    """Return the version that is configured; raises `ValueError` for an unknown one."""
    version = options.get(VERSION, VERSIONS[-1])
    if version not in VERSIONS:
        raise ValueError(f"version {version!r} of the programs is not known; use one of {', '.join(VERSIONS)}")
    return str(version)


def check_options(options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the options, one sentence each."""
    problems = check_program_slots(options)
    for read in (vaults_of, version_of):
        try:
            read(options)
        except ValueError as error:
            problems.append(str(error))
    return problems
