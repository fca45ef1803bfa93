"""`--at`: a block, a block per chain, or a time, for people and for HTTP alike.

`20100000` a block (when one chain is asked about) · `eip155:1=20100000,eip155:10=1200` · `2026-01-31T00:00:00Z` ·
Unix seconds: `@1769817600`, or any bare number from 1000000000 on · `eip155:1=20100000,@1769817600` a block, and a time for all
other chains.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from crossmargin.errors import UsageError

FIRST_TIME = 1_000_000_000
"""A bare number from here on is a time (2001 and later): no chain has so many blocks."""

LAST_TIME = 253_402_300_799
"""The end of the year 9999: no calendar here goes further."""

NUMBER = re.compile(r"\d{1,15}")
EXAMPLES = (
    'write a block (20100000), a block per chain ("eip155:1=20100000,eip155:10=1200"), '
    "a time (2026-01-31T00:00:00Z) or Unix seconds (@1769817600)"
)


@dataclass(frozen=True, slots=True)
class AtTime:
    """The last stored block of each chain at or before a Unix time."""

    time: int


@dataclass(frozen=True, slots=True)
class AtBlock:
    """One block, where only one chain is asked about."""

    number: int


@dataclass(frozen=True, slots=True)
class AtBlocks:
    """A block of each chain; `rest`: the Unix time for those that are not named, where one is said."""

    numbers: dict[str, int]
    rest: int | None = None


At = AtTime | AtBlock | AtBlocks


def parse_at(text: str) -> At:
    """Read what `--at` says; raises `UsageError`."""
    word = text.strip()
    if "=" in word:
        blocks, _, last = word.rpartition(",")
        rest = None if "=" in last else parse_at(last)
        return AtBlocks(_blocks(blocks), rest.time) if isinstance(rest, AtTime) else AtBlocks(_blocks(word))
    if word.startswith("@") and NUMBER.fullmatch(word[1:]):
        return AtTime(_seconds(word[1:]))
    if NUMBER.fullmatch(word):
        return AtTime(_seconds(word)) if int(word) >= FIRST_TIME else AtBlock(int(word))
    return AtTime(_moment(word))


def time_of(text: str) -> int:
    """Read what `--at` says where only a time makes sense; raises `UsageError`."""
    at = parse_at(text)
    if not isinstance(at, AtTime):
        raise UsageError(
            f'"{text}" names a block; here only a time counts: 2026-01-31T00:00:00Z or Unix seconds (@1769817600)'
        )
    return at.time


def blocks_of(at: AtBlock | AtBlocks, chains: Collection[str], known: Collection[str] = ()) -> dict[str, int]:
    """Name a block for each of `chains`, and for others only where they are `known`; raises `UsageError`.

    With a time for the rest not each of them must be named.
    """
    if isinstance(at, AtBlock):
        if len(chains) != 1:
            raise UsageError(f"block {at.number} of which chain? {_wanted(chains)}")
        return dict.fromkeys(chains, at.number)
    lacking = at.rest is None and not set(chains) <= at.numbers.keys()
    if lacking or not at.numbers.keys() <= {*chains, *known}:
        raise UsageError(f"blocks of {', '.join(sorted(at.numbers))} are named; {_wanted(chains)}")
    return dict(at.numbers)


def _wanted(chains: Collection[str]) -> str:
    example = ",".join(f"{chain_id}=N" for chain_id in sorted(chains))
    return f'the question concerns {len(chains)} chains; write "{example}", or a time'


def _blocks(word: str) -> dict[str, int]:
    """Read a block for each chain; a chain that is named twice is asked back, for two blocks are two questions."""
    pairs = [_pair(part) for part in word.split(",")]
    numbers = dict(pairs)
    if len(numbers) < len(pairs):
        raise UsageError(f'"{word}" names a chain twice; name one block of each')
    return numbers


def _seconds(digits: str) -> int:
    if int(digits) > LAST_TIME:
        raise UsageError(f"{digits} s after 1970 is beyond the year 9999; write Unix seconds, not thousandths of them")
    return int(digits)


def _pair(part: str) -> tuple[str, int]:
    chain_id, _, number = part.partition("=")
    if not chain_id.strip() or not NUMBER.fullmatch(number.strip()):
        raise UsageError(f'"{part}" is no block of a chain; {EXAMPLES}')
    return chain_id.strip(), int(number)


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f'"{text}" is neither a block nor a time; {EXAMPLES}') from error
    if moment.tzinfo is None:
        raise UsageError(f'"{text}" has no time zone; write 2026-01-31T00:00:00Z')
    return int(moment.timestamp())
