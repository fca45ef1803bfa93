"""Scaled balances: token events by column, and one exact running balance for each holder of each token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chains.columns import POSITION_KEYS, integers
from chains.evm.aave_v3.epochs import Numbers, Token, places_of
from chains.evm.aave_v3.rounding import RULES, SCALED, Rounding, Settle, moved
from chains.evm.abi import EventColumns

T = TypeVar("T")

PLACED = ("block_number", "tx_index", "log_index", "address")
"""What is kept of a log: where it stands, and who told it."""

Prior = Callable[[pa.Table], pa.Array]
"""Holdings (`POSITION_KEYS`) → their scaled balances before the span, null for those that never changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What logs do to balances, a line for each holder concerned; `changes` as `chains.evm.aave_v3.rounding` takes them.

    `tokens`: which token each log came from, by the numbers of `Epochs`; `transfer`: the changes are scaled amounts.
    """

    logs: pa.Table
    holders: pa.Array
    tokens: Numbers
    changes: list[int]
    indexes: list[int]
    transfer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Balances:
    """Scaled balances after each line, in chain order, and by how much each line changed one."""

    logs: pa.Table
    holders: pa.Array
    tokens: Numbers
    amounts: list[int]
    changes: list[int]


def minted(events: EventColumns, tokens: Numbers) -> Moves:
    """Return what `Mint` does to its receiver; interest that outgrows what is taken away is told as a `Mint` too."""
    changes = [value - increase for value, increase in zip(events.integers(2), events.integers(3), strict=True)]
    indexes = events.integers(4)
    return Moves(logs=events.table, holders=events.addresses(1), tokens=tokens, changes=changes, indexes=indexes)


def burnt(events: EventColumns, tokens: Numbers) -> Moves:
    """Return what `Burn` does to its holder."""
    changes = [-value - increase for value, increase in zip(events.integers(2), events.integers(3), strict=True)]
    indexes = events.integers(4)
    return Moves(logs=events.table, holders=events.addresses(0), tokens=tokens, changes=changes, indexes=indexes)


def transferred(events: EventColumns, tokens: Numbers, known: Sequence[Token]) -> tuple[Moves, Moves]:
    """Return what `BalanceTransfer` does to senders and receivers; who sends to himself keeps what he has."""
    to_another = pc.not_equal(events.addresses(0), events.addresses(1)).to_numpy(zero_copy_only=False)
    events, tokens = replace(events, table=events.table.filter(pa.array(to_another))), tokens[to_another]
    scaled, indexes = events.integers(2), events.integers(3)
    if any(token.rounding is Rounding.UNSCALED for token in known):
        rules = [SCALED[token.rounding or Rounding.HALF_UP] for token in known]
        scaled = [
            rules[token](said, index) for token, said, index in zip(tokens.tolist(), scaled, indexes, strict=True)
        ]
    given, taken = (
        Moves(
            logs=events.table, holders=events.addresses(i), tokens=tokens, changes=changes, indexes=indexes,
            transfer=True,
        )
        for i, changes in enumerate(([-amount for amount in scaled], scaled))
    )  # fmt: skip
    return given, taken


def settled(moves: Sequence[Moves], tokens: Sequence[Token], prior: Prior) -> Balances:
    """Run through all lines in chain order, upon the balances before; those of one log in the order given."""
    order = np.argsort(np.concatenate([places_of(part.logs) for part in moves]), kind="stable")
    lines = pa.array(order)
    holders = pa.concat_arrays([part.holders for part in moves]).take(lines)
    numbers = np.concatenate([part.tokens for part in moves])[order]
    holdings, ids = _interned(holders, numbers, tokens)
    amounts, changes = _run(
        integers(prior(holdings).fill_null(0)),
        ids,
        _sorted([_rules(part, tokens) for part in moves], order),
        _sorted([part.changes for part in moves], order),
        _sorted([part.indexes for part in moves], order),
    )
    logs = pa.concat_tables([part.logs.select(PLACED) for part in moves]).take(lines)
    return Balances(logs=logs, holders=holders, tokens=numbers, amounts=amounts, changes=changes)


def _interned(holders: pa.Array, numbers: Numbers, tokens: Sequence[Token]) -> tuple[pa.Table, list[int]]:
    """Return all holdings, and which of them each line changes."""
    sides = list(dict.fromkeys((token.asset, token.side) for token in tokens))
    side_of = np.array([sides.index((token.asset, token.side)) for token in tokens], np.int64)
    people = holders.dictionary_encode()
    pairs = pa.array(people.indices.to_numpy().astype(np.int64) * len(sides) + side_of[numbers]).dictionary_encode()
    person, side = np.divmod(pairs.dictionary.to_numpy(), len(sides))
    assets = pa.array([asset for asset, _ in sides], pa.binary()).take(pa.array(side))
    names = pa.array([name for _, name in sides], pa.string()).take(pa.array(side))
    holdings = [people.dictionary.take(pa.array(person)), assets, names]
    return pa.table(holdings, schema=POSITION_KEYS), pairs.indices.to_pylist()


def _rules(moves: Moves, tokens: Sequence[Token]) -> list[Settle]:
    if moves.transfer:
        return [moved] * len(moves.changes)
    rules = [RULES[token.rounding, token.side] if token.rounding else moved for token in tokens]
    return [rules[token] for token in moves.tokens.tolist()]


def _sorted(parts: Sequence[Sequence[T]], order: Numbers) -> list[T]:
    values = list(chain.from_iterable(parts))
    return [values[i] for i in order.tolist()]


def _run(
    balances: list[int], ids: list[int], rules: list[Settle], changes: list[int], indexes: list[int]
) -> tuple[list[int], list[int]]:
    """Return the balance after each line, and what the line made of it: the only loop over values, and exact."""
    amounts, moves = [], []
    for i, settle, change, index in zip(ids, rules, changes, indexes, strict=True):
        before = balances[i]
        balances[i] = after = settle(before, change, index)
        amounts.append(after)
        moves.append(after - before)
    return amounts, moves
