"""What a vault's events say moved, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chains.columns import binaries
from chains.evm.abi import EventColumns, LoggedEvent, Misfit, Words
from chains.evm.escrow.events import Declared, Terms

ADDRESS = 20
PLACE = ("block_number", "tx_index", "log_index", "tx_hash")

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Movements:
    """Deposits and withdrawals in chain order.

    `place`: the columns `PLACE` of their logs; `accounts` and `tokens`: binary, 20 bytes each; `words`: raw units as EVM words, and
    `amounts` the same as integers; `incoming`: whether it is a deposit; `misfits`: logs whose content is not what their declaration says.
    """

    place: pa.Table
    accounts: pa.Array
    tokens: pa.Array
    words: Words
    amounts: list[int]
    incoming: Flags
    misfits: list[Misfit]


def movements_of(logs: pa.Table, terms: Terms) -> Movements:
    """Decode the logs of one vault."""
    logs = logs.drop_columns(["block_hash"])
    parts = [_moved(logs, terms.deposit, terms, incoming=True), _moved(logs, terms.withdraw, terms, incoming=False)]
    first, second = parts
    place = pa.concat_tables([first.place, second.place])
    order = np.lexsort((place["log_index"].to_numpy(), place["block_number"].to_numpy()))
    rows, amounts = pa.array(order), [*first.amounts, *second.amounts]
    return Movements(
        place=place.take(rows).combine_chunks(),
        accounts=pa.concat_arrays([first.accounts, second.accounts]).take(rows),
        tokens=pa.concat_arrays([first.tokens, second.tokens]).take(rows),
        words=np.concatenate([first.words, second.words])[order],
        amounts=[amounts[i] for i in order.tolist()],
        incoming=np.concatenate([first.incoming, second.incoming])[order],
        misfits=sorted([*first.misfits, *second.misfits], key=lambda misfit: misfit[:2]),
    )


def _moved(logs: pa.Table, declared: Declared, terms: Terms, *, incoming: bool) -> Movements:
    event = declared.event
    if any(argument.dynamic for argument in event.arguments if not argument.indexed):
        return _row_by_row(*event.rows(logs), declared, terms, incoming=incoming)
    columns = event.columns(logs)
    return Movements(
        place=columns.table.select(PLACE),
        accounts=columns.addresses(declared.account),
        tokens=_tokens(columns, declared, terms),
        words=columns.words(declared.amount),
        amounts=columns.integers(declared.amount),
        incoming=np.full(columns.table.num_rows, incoming),
        misfits=columns.misfits,
    )


def _tokens(columns: EventColumns, declared: Declared, terms: Terms) -> pa.Array:
    if declared.token is None:
        return binaries(terms.token * columns.table.num_rows, ADDRESS)
    return columns.addresses(declared.token)


def _row_by_row(
    rows: Sequence[LoggedEvent], misfits: list[Misfit], declared: Declared, terms: Terms, *, incoming: bool
) -> Movements:
    """Events with arguments of any length, whose others stand at no fixed place."""
    amounts = [row.args[declared.amount] for row in rows]
    tokens = [terms.token if declared.token is None else row.args[declared.token] for row in rows]
    return Movements(
        place=pa.table(
            {
                "block_number": pa.array([row.block for row in rows], pa.int64()),
                "tx_index": pa.array([row.tx_index for row in rows], pa.int32()),
                "log_index": pa.array([row.ordinal for row in rows], pa.int32()),
                "tx_hash": pa.array([row.tx_hash for row in rows], pa.binary()),
            }
        ),
        accounts=pa.array([row.args[declared.account] for row in rows], pa.binary()),
        tokens=pa.array(tokens, pa.binary()),
        words=np.frombuffer(b"".join(amount.to_bytes(32) for amount in amounts), np.uint8).reshape(-1, 32),
        amounts=amounts,
        incoming=np.full(len(rows), incoming),
        misfits=misfits,
    )
