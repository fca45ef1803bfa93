"""Down to which block a chain's rows are still those of before: what was taken back, filled in or replaced since a moment.

It is remembered for as long as the store is open. Whoever comes with a place of another opening has to compare rows.
"""

from __future__ import annotations

import secrets
from collections import deque
from threading import Lock
from typing import NamedTuple

from indexer.steps import Forget, Restate, Rewind, Step

MOST = 1000
"""How many changes are remembered, the newest."""

NONE_STAYS = -1
ANYWHERE = None
"""The floor of a change that may have touched rows of any block: only comparing tells which."""


class Place(NamedTuple):
    """A moment of a store: of one opening, and how many changes of floors it had seen."""

    opening: str
    number: int


class Changes:
    """Told of every change before it is committed and again after, so that no reader can see one that is not noted."""

    def __init__(self) -> None:
        self._opening = secrets.token_hex(8)
        self._number = 0
        self._noted: deque[tuple[int, str | None, int | None]] = deque(maxlen=MOST)
        self._lock = Lock()

    def here(self) -> Place:
        """Where the store is; to be asked before rows are read."""
        with self._lock:
            return Place(self._opening, self._number)

    def note(self, chain_id: str | None, floor: int | None) -> None:
        """Note that rows of a chain (`None`: of any) above a block may be others; `ANYWHERE`: any row may be."""
        with self._lock:
            self._number += 1
            self._noted.append((self._number, chain_id, floor))

    def floor(self, chain_id: str, since: Place, block: int) -> int | None:
        """The highest block, at most `block`, up to which rows are those of a place, `None` where that is not known.

        To be asked while the rows are read, so that whatever they show was noted before.
        """
        with self._lock:
            oldest = self._number - len(self._noted)
            if since.opening != self._opening or not oldest <= since.number <= self._number:
                return None
            floors = [
                floor for number, chain, floor in self._noted if number > since.number and chain in {chain_id, None}
            ]
        known = [floor for floor in floors if floor is not None]
        return min([block, *known]) if len(known) == len(floors) else None


def change_of(step: Step) -> tuple[str, int | None] | None:
    """The chain and the floor of a step, `None` for one that leaves all rows of before as they are."""
    match step:
        case Rewind(chain_id=chain_id, to=to) | Restate(chain_id=chain_id, change=Forget(to=to)):
            return chain_id, to.number if to else NONE_STAYS
        case Restate(chain_id=chain_id):
            return chain_id, ANYWHERE
        case _:
            return None
