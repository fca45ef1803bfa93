"""What a venue's configuration says beyond its address, which is the program's state account, and what is wrong with it.

`program`: the deployed program (default: the one on mainnet). `version`: the version of its code, one of `ENGINES` (the default).
`program_slots`: slots of deployments that compute so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chains.identifiers import from_base58
from chains.solana.drift.layout import PROGRAM
from chains.solana.programs import PROGRAM_SLOTS, check_program_slots

PROGRAM_ID, VERSION = "program", "version"
KEYS = (PROGRAM_ID, VERSION, PROGRAM_SLOTS)
VALUED = (PROGRAM_SLOTS,)
"""Options that decide what is valued, not what is taken in."""

NEWEST = "2.156"
ENGINES: Mapping[str, str] = {NEWEST: "drift-2.156"}
"""By the version that the configuration names: the arithmetic with isolated positions and without LP shares."""

_KEY = 32


def engine_of(options: Mapping[str, Any]) -> str:
    """Return the name of the arithmetic of the version that is configured; raises `ValueError` for an unknown one."""
    version = options.get(VERSION, NEWEST)
    if not isinstance(version, str) or version not in ENGINES:
        raise ValueError(f"version {version!r} of the program is not known; use one of {', '.join(ENGINES)}")
    return ENGINES[version]


def program_of(options: Mapping[str, Any]) -> bytes:
    """Return the address of the program; raises `ValueError`."""
    text = options.get(PROGRAM_ID, PROGRAM)
    try:
        found = from_base58(str(text))
    except ValueError as error:
        raise ValueError(f"{PROGRAM_ID}: {text!r} is no address in base58") from error
    if len(found) != _KEY:
        raise ValueError(f"{PROGRAM_ID}: {text!r} is no address of {_KEY} bytes in base58")
    return found


def check_options(options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the options, one sentence each."""
    problems = check_program_slots(options)
    for read in (engine_of, program_of):
        try:
            read(options)
        except ValueError as error:
            problems.append(str(error))
    return problems
