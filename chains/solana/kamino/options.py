"""What a venue's configuration says beyond its address, and what is wrong with it.

`address`: the lending market. `program_version`: which version of klend runs, "1.22", or a list of [slot, version] pairs, each from its
slot on; no account says it. `program_slots`: slots of deployments that the one version stands for; those of pairs count besides.
`program`: the program, where it is not the one on the main cluster. `history`: see `chains/solana/options.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chains.identifiers import IdentifierError, from_base58
from chains.solana.kamino.engines import KNOWN, engine_of
from chains.solana.kamino.layout import PROGRAM
from chains.solana.options import HISTORY, check_history
from chains.solana.programs import PROGRAM_SLOTS, check_program_slots, is_slot

PROGRAM_VERSION = "program_version"
PROGRAM_ADDRESS = "program"
KEYS = (PROGRAM_VERSION, PROGRAM_ADDRESS, PROGRAM_SLOTS, HISTORY)
VALUED = (PROGRAM_VERSION, PROGRAM_SLOTS)
"""Options that decide what is valued, not what is taken in."""

_VERSION = re.compile(r"(\d+)\.(\d+)(\.\d+)?")
_KEY = 32
_PAIR = 2

Version = tuple[int, int]


def program_of(options: Mapping[str, Any]) -> bytes:
    """Return the program; raises `ValueError` that says what is wrong."""
    if PROGRAM_ADDRESS not in options:
        return PROGRAM
    said = options[PROGRAM_ADDRESS]
    try:
        program = from_base58(said) if isinstance(said, str) else b""
    except IdentifierError as error:
        raise ValueError(f"{PROGRAM_ADDRESS}: {error}") from error
    if len(program) != _KEY:
        raise ValueError(f"{PROGRAM_ADDRESS} {said!r} is no Solana address; write {_KEY} bytes in base58")
    return program


def version_at(options: Mapping[str, Any], slot: int) -> Version | None:
    """Return the version that runs at a slot, `None` where none is said; raises `ValueError` that says what is wrong."""
    begun = [version for first, version in _versions(options) if first <= slot]
    return begun[-1] if begun else None


def stated_slots(options: Mapping[str, Any]) -> list[int]:
    """Return the slots from which on pairs say that a version runs; raises `ValueError` that says what is wrong."""
    return [first for first, _ in _versions(options) if first]


def check_options(options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a venue's options, in words."""
    problems = check_program_slots(options)
    for check in (program_of, _supported):
        try:
            check(options)
        except ValueError as error:
            problems.append(str(error))
    return problems + check_history(options)


def _supported(options: Mapping[str, Any]) -> None:
    versions = _versions(options)
    if not versions:
        raise ValueError(
            f'{PROGRAM_VERSION} is missing: say which version of klend runs, as {PROGRAM_VERSION} = "1.22"'
        )
    for _, version in versions:
        if engine_of(version) is None:
            raise ValueError(f"{PROGRAM_VERSION} {version[0]}.{version[1]} is not known; known are {KNOWN}")


def _versions(options: Mapping[str, Any]) -> list[tuple[int, Version]]:
    said = options.get(PROGRAM_VERSION)
    if said is None:
        return []
    pairs = [(0, said)] if isinstance(said, str) else said
    if not isinstance(pairs, list | tuple):
        message = f'{PROGRAM_VERSION} {said!r} is no version; write "1.22", or [[slot, "1.22"], …]'
        raise ValueError(message)  # noqa: TRY004 - an option that is wrong, whatever its type
    return sorted(_pair(pair) for pair in pairs)


def _pair(pair: object) -> tuple[int, Version]:
    if not isinstance(pair, list | tuple) or len(pair) != _PAIR or not is_slot(pair[0]):
        raise ValueError(f'{PROGRAM_VERSION} has {pair!r}; write each as [slot, "1.22"]')
    found = _VERSION.fullmatch(pair[1]) if isinstance(pair[1], str) else None
    if found is None:
        raise ValueError(f'{PROGRAM_VERSION} has {pair[1]!r}, which is no version; write it like "1.22"')
    return pair[0], (int(found[1]), int(found[2]))
