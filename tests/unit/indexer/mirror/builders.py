"""A store that indexes and one that mirrors it, and what both hold."""

from __future__ import annotations

from typing import Any

from chains.model import Rows
from indexer.mirror import Given, Outcome, give, held_of, take
from indexer.mirror.giving import MOST_ROWS
from indexer.mirror.pieces import by_block, whole
from indexer.store import MEMORY, Store
from indexer.store.journals import JOURNALS
from tests.unit.store.builders import CHAIN, OWNER, append, batch, event, market, position, price, setting

TABLES = (*by_block(CHAIN), *whole(), "cursor", *(journal.tip for journal in JOURNALS if journal.tip))
OWNERS = tuple(bytes([number]) * 20 for number in range(1, 4))


class Mirroring:
    """A store that is filled from another; `forgetful`: as if its process had been started again."""

    def __init__(self, source: Store, *, most_rows: int = MOST_ROWS) -> None:
        self.source, self.store = source, Store.open(MEMORY)
        self._most_rows = most_rows
        self.given: Given | None = None

    def forget(self) -> None:
        self.given = None

    def step(self) -> Outcome:
        """Ask once, compare where that is asked for, and take what is given."""
        held = held_of(self.store, CHAIN, self.given)
        piece = give(self.source, CHAIN, held, most_rows=self._most_rows)
        if piece.outcome is Outcome.COMPARE:
            held = held_of(self.store, CHAIN, None, compared=True)
            piece = give(self.source, CHAIN, held, most_rows=self._most_rows)
        take(self.store, CHAIN, held, piece)
        self.given = piece.given
        return piece.outcome

    def catch_up(self) -> int:
        """Ask until there is nothing new; returns how many pieces that took."""
        pieces = 0
        while self.step() is not Outcome.SAME:
            pieces += 1
        return pieces


def rows_of(store: Store, chain_id: str = CHAIN) -> dict[str, list[Any]]:
    """Every row of a chain that a mirror has to have, each table in an order of its own."""
    with store.reading() as reader:
        found = {
            name: reader._con.table(f"main.{name}").filter(f"chain_id = '{chain_id}'").fetchall() for name in TABLES
        }
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


def some(first: int, last: int, mark: int = 0) -> Rows:
    """Rows of all kinds in every second block; `mark` makes others of them."""
    numbers = [number for number in range(first, last + 1) if number % 2 == 0]
    return Rows(
        positions=[
            position(number, number * 10 + mark, ordinal=place, owner=OWNERS[(number // 2 + place) % len(OWNERS)])
            for number in numbers
            for place in range(2)
        ],
        markets=[market(number, f"{number}/{mark}") for number in numbers if number % 4 == 0],
        accounts=[setting(number, str(mark + number), owner=OWNER) for number in numbers if number % 6 == 0],
        prices=[price(number, 100 + number + mark) for number in numbers],
        events=[event(number, 10**30 + number + mark) for number in numbers if number % 4 == 2],
    )


def grow(store: Store, blocks: int, *, mark: int = 0, fork: str = "", forked_at: int = 0) -> None:
    """Append so many blocks with rows."""
    held = store.cursor(CHAIN)
    first = held.block.number + 1 if held else 1
    last = first + blocks - 1
    append(store, batch(first, last, some(first, last, mark), logs=[(last, 0)], fork=fork, forked_at=forked_at))
