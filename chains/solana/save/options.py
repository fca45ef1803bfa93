"""What a venue's configuration says beyond its address, and what is wrong with it.

`address`: the lending market. `engine`: how the program computes, a name of `ENGINES`; without it, as the program on mainnet did at
the slot that is looked at. `program_slots`: slots of deployments of the program that compute so. `history`: see `chains/solana/options.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from chains.solana.options import HISTORY, check_history
from chains.solana.programs import PROGRAM_SLOTS, check_program_slots

ENGINE = "engine"
KEYS = (ENGINE, PROGRAM_SLOTS, HISTORY)
VALUED = (ENGINE, PROGRAM_SLOTS)
"""Options that decide what is valued, not what is taken in."""


class Engine(NamedTuple):
    """A version of the program: between which bounds a price offset counts, in basis points.

    `clamps`: what lies beyond them counts as the bound; else what it counts as is not known here.
    """

    name: str
    least_offset: int
    most_offset: int
    clamps: bool


_FIRST = Engine("save-2024", -2_000, 2_000, clamps=False)
_WIDER_OFFSETS = Engine("save-2025-07", -2_000, 5_000, clamps=True)
ENGINES: Mapping[str, Engine] = {engine.name: engine for engine in (_FIRST, _WIDER_OFFSETS)}

_DEPLOYED = ((350_614_570, _WIDER_OFFSETS),)
"""Slots at which mainnet's program was replaced, newest first (branch `mainnet`, commit d04ce00b: wider price offsets)."""


def engine_of(options: Mapping[str, Any], slot: int) -> Engine:
    """Return the engine of a venue at a slot."""
    if ENGINE in options:
        return ENGINES[options[ENGINE]]
    return next((engine for since, engine in _DEPLOYED if slot >= since), _FIRST)


def check_options(options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the options of a venue; empty for nothing."""
    problems, name = [*check_program_slots(options), *check_history(options)], options.get(ENGINE)
    if name is None or (isinstance(name, str) and name in ENGINES):
        return problems
    return [f"engine {name!r} is not known; use one of {', '.join(ENGINES)}, or leave it out", *problems]
