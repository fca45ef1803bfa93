"""What a vault's events say moved, as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chains.columns import binaries
from chains.evm.abi import EventColumns, Misfit, Words
from chains.evm.escrow.events import Declared, Owned, Terms

ADDRESS = 20
PLACE = ("block_number", "tx_index", "log_index", "tx_hash")

Flags = npt.NDArray[np.bool_]


class Ownership(NamedTuple):
    """Says that an account, an id of 32 bytes, is an owner's from its place in the chain on."""

    block: int
    ordinal: int
    tx_index: int
    account: bytes
    owner: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Movements:
    """Deposits and withdrawals in chain order.

    `place`: the columns `PLACE` of their logs; `accounts`: binary, 20 bytes each, or 32 where accounts are ids; `tokens`: binary, 20 bytes
    each; `words`: raw units as EVM words, and `amounts` the same as integers; `incoming`: whether it is a deposit; `misfits`: logs whose
    content is not what their declaration says; `owned`: whose accounts are, where they are ids.
    """

    place: pa.Table
    accounts: pa.Array
    tokens: pa.Array
    words: Words
    amounts: list[int]
    incoming: Flags
    misfits: list[Misfit]
    owned: list[Ownership]

    def at(self, row: int) -> tuple[int, int, int]:
        """Return block, transaction and ordinal of a movement."""
        block, tx_index, ordinal = (self.place[name][row].as_py() for name in PLACE[:3])
        return block, tx_index, ordinal


class _Part(NamedTuple):
    """The movements that one event tells of."""

    columns: EventColumns
    accounts: pa.Array
    tokens: pa.Array
    words: Words
    amounts: list[int]
    incoming: Flags


def movements_of(logs: pa.Table, terms: Terms) -> Movements:
    """Decode the logs of one vault."""
    logs = logs.drop_columns(["block_hash"])
    parts = [_moved(logs, declared, terms) for declared in terms.movements]
    owned, strange = _ownerships(logs, terms.owned) if terms.owned else ([], [])
    place = pa.concat_tables([part.columns.table.select(PLACE) for part in parts])
    order = np.lexsort((place["log_index"].to_numpy(), place["block_number"].to_numpy()))
    rows, amounts = pa.array(order), [amount for part in parts for amount in part.amounts]
    misfits = [misfit for part in parts for misfit in part.columns.misfits]
    return Movements(
        place=place.take(rows).combine_chunks(),
        accounts=pa.concat_arrays([part.accounts for part in parts]).take(rows),
        tokens=pa.concat_arrays([part.tokens for part in parts]).take(rows),
        words=np.concatenate([part.words for part in parts])[order],
        amounts=[amounts[i] for i in order.tolist()],
        incoming=np.concatenate([part.incoming for part in parts])[order],
        misfits=sorted([*misfits, *strange], key=lambda misfit: misfit[:2]),
        owned=owned,
    )


def _moved(logs: pa.Table, declared: Declared, terms: Terms) -> _Part:
    columns = declared.event.columns(logs)
    amounts, words = columns.integers(declared.amount), columns.words(declared.amount)
    incoming = np.full(len(amounts), declared.sign > 0)
    if not declared.sign:
        incoming = np.array([amount >= 0 for amount in amounts], np.bool_)
        amounts = [abs(amount) for amount in amounts]
        words = np.frombuffer(b"".join(amount.to_bytes(32) for amount in amounts), np.uint8).reshape(-1, 32)
    return _Part(
        columns=columns,
        accounts=_accounts(columns, declared, terms),
        tokens=_tokens(columns, declared, terms),
        words=words,
        amounts=amounts,
        incoming=incoming,
    )


def _accounts(columns: EventColumns, declared: Declared, terms: Terms) -> pa.Array:
    if terms.owned is None:
        return columns.addresses(declared.account)
    return binaries(columns.words(declared.account).tobytes(), terms.account_size)


def _tokens(columns: EventColumns, declared: Declared, terms: Terms) -> pa.Array:
    if declared.token is None:
        return binaries(terms.token * columns.table.num_rows, ADDRESS)
    return columns.addresses(declared.token)


def _ownerships(logs: pa.Table, owned: Owned) -> tuple[list[Ownership], list[Misfit]]:
    columns = owned.event.columns(logs)
    places = (columns.table[name].to_pylist() for name in ("block_number", "log_index", "tx_index"))
    ids = [bytes(word) for word in columns.words(owned.account)]
    owners = columns.addresses(owned.owner).to_pylist()
    return [Ownership(*row) for row in zip(*places, ids, owners, strict=True)], columns.misfits
