"""Logs that come by the thousand, as columns of derived rows; a row whose amount fits no column is made by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, repeat
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chains.columns import AMOUNT, SCHEMAS, TOO_WIDE, amounts, repeated
from chains.evm.aave_v3 import events as ev
from chains.evm.aave_v3.accruals import BEFORE
from chains.evm.aave_v3.balances import Balances
from chains.evm.aave_v3.epochs import Epochs, Mask, Token, places_of
from chains.evm.aave_v3.flows import TOLD, Counted, lefts_of
from chains.evm.aave_v3.liquidity import ASPECT
from chains.evm.abi import Event, EventColumns, Words
from chains.model import WHOLE_VENUE, Basis, LendingEvent, PositionChange, Rows, Side, VenueSpec

Row = TypeVar("Row")

_HIGH, _LOW = divmod(TOO_WIDE, 2**64)


class Amounts(NamedTuple):
    """A column of amounts, with zero in place of those that fit none, which stand beside it by their line."""

    column: pa.Array
    wide: Mapping[int, int]


class Told(NamedTuple):
    """Which arguments of one of the pool's events say what happened; `kind` as `LendingEvent` has it."""

    kind: str
    asset: int
    owner: int
    other: int
    amount: int


HISTORY: Mapping[Event, Told] = {
    ev.SUPPLY: Told("supply", asset=0, owner=2, other=1, amount=3),
    ev.WITHDRAW: Told("withdraw", asset=0, owner=1, other=2, amount=3),
    ev.BORROW: Told("borrow", asset=0, owner=2, other=1, amount=3),
    ev.REPAY: Told("repay", asset=0, owner=1, other=2, amount=3),
}
ROWS: Mapping[str, Callable[..., Any]] = {"positions": PositionChange, "events": LendingEvent}
FLAGS: Mapping[Event, str] = {ev.COLLATERAL_ENABLED: "true", ev.COLLATERAL_DISABLED: "false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """The rows of one venue, entered by column; `epochs` tells the engine that stamps each.

    `owed`: the scaled variable debt of all accounts together before the span, of the assets where it is followed; `counted`: what
    reserves have left, likewise.
    """

    venue: VenueSpec
    epochs: Epochs
    rows: Rows
    owed: Mapping[bytes, int]
    counted: Counted

    def balances(self, balances: Balances, tokens: Sequence[Token]) -> None:
        """Enter scaled balances."""
        assets, sides = (
            pa.array([token[i] for token in tokens], kind).take(pa.array(balances.tokens))
            for i, kind in enumerate((pa.binary(), pa.string()))
        )
        values = {
            "unit_id": balances.holders,
            "owner": balances.holders,
            "market": assets,
            "side": sides,
            "asset": assets,
        }
        self._enter("positions", balances.logs, values, amounts_of(balances.amounts))

    def debts(self, balances: Balances, tokens: Sequence[Token]) -> None:
        """Enter what all accounts together owe, scaled, after each block that changed it."""
        blocks = balances.logs["block_number"].to_numpy().astype(np.int64)
        told: list[tuple[int, bytes, int]] = []
        for asset, owed in self.owed.items():
            numbers = [number for number, token in enumerate(tokens) if token[:2] == (asset, Side.BORROW)]
            lines = np.flatnonzero(np.isin(balances.tokens, numbers))
            totals = list(accumulate([balances.changes[line] for line in lines.tolist()], initial=owed))
            ends = np.flatnonzero(np.diff(blocks[lines], append=BEFORE))
            told += zip(lines[ends].tolist(), repeat(asset), [totals[end + 1] for end in ends.tolist()])
        values = {
            "market": pa.array([asset for _, asset, _ in told], pa.binary()),
            "aspect": "variable_debt",
            "state": pa.array([f'{{"scaled":"{total}"}}' for _, _, total in told], pa.string()),
        }
        self._enter("markets", balances.logs.take(pa.array([line for line, _, _ in told], pa.int64())), values)

    def liquidity(self, many: Mapping[Event, EventColumns], balances: Balances | None, tokens: Sequence[Token]) -> None:
        """Enter what reserves have left, after each block that changed it; `many`: the pool's own logs."""
        if not self.counted.before:
            return
        told = [many[event] for event in TOLD if event in many]
        logs, assets, states = lefts_of(self.counted, told, balances, tokens)
        self._enter("markets", logs, {"market": assets, "aspect": ASPECT, "state": states})

    def history(self, events: EventColumns) -> None:
        """Enter what the pool told of supplies, withdrawals, loans and repayments."""
        told = HISTORY[events.event]
        assets, owners, others = (events.addresses(argument) for argument in (told.asset, told.owner, told.other))
        values = {"kind": told.kind, "market": assets, "owner": owners, "counterparty": others, "asset": assets}
        self._tell(events, values, amounts_of_words(events.event.words(events.table, told.amount)))

    def transfers(self, events: EventColumns, assets: pa.Array, moved: Sequence[int]) -> None:
        """Enter transfers of aTokens, of so much in token units."""
        owners, others = events.addresses(0), events.addresses(1)
        values = {"kind": "transfer", "market": assets, "owner": owners, "counterparty": others, "asset": assets}
        self._tell(events, values, amounts_of(moved))

    def _tell(self, events: EventColumns, values: Mapping[str, Any], moved: Amounts) -> None:
        self._enter("events", events.table, {**values, "tx_hash": events.table["tx_hash"], "extra": "{}"}, moved)

    def rates(self, events: EventColumns, times: Mapping[int, int]) -> None:
        """Enter what the pool told of rates and indexes."""
        if not events.table.num_rows:
            return
        income_rate, debt_rate, income, debt = (digits_of(events.words(argument)) for argument in (1, 3, 4, 5))
        blocks = events.table["block_number"].combine_chunks().dictionary_encode()
        updated = pa.array([f'","updated_at":{times[block]}}}' for block in blocks.dictionary.to_pylist()], pa.string())
        states = pc.binary_join_element_wise(
            '{"liquidity_index":"',
            income,
            '","liquidity_rate":"',
            income_rate,
            '","variable_borrow_index":"',
            debt,
            '","variable_borrow_rate":"',
            debt_rate,
            updated.take(blocks.indices),
            "",
        )
        values = {"market": events.addresses(0), "aspect": "rates", "state": states}
        self._enter("markets", events.table, values)

    def flags(self, events: EventColumns) -> None:
        """Enter which assets accounts let count as collateral."""
        self._settings(events, events.addresses(1), events.addresses(0), "collateral", FLAGS[events.event])

    def categories(self, events: EventColumns) -> None:
        """Enter which eMode accounts chose."""
        states = pa.array([str(category) for category in events.integers(1)], pa.string())
        self._settings(events, events.addresses(0), WHOLE_VENUE, "emode", states)

    def _settings(
        self, events: EventColumns, users: pa.Array, market: pa.Array | bytes, aspect: str, states: pa.Array | str
    ) -> None:
        values = {"unit_id": users, "owner": users, "market": market, "aspect": aspect, "state": states}
        self._enter("accounts", events.table, values)

    def _enter(self, field: str, logs: pa.Table, values: Mapping[str, Any], moved: Amounts | None = None) -> None:
        """Enter a row for each log, of columns and of values that all rows share."""
        if not logs.num_rows:
            return
        columns = {
            "block": logs["block_number"], "tx_index": logs["tx_index"], "ordinal": logs["log_index"],
            "venue_id": self.venue.id, "engine_version": self.epochs.engines(places_of(logs)),
            "basis": Basis.EXACT.value, **values,
        }  # fmt: skip
        if moved is not None:
            columns["amount_raw"] = moved.column
        schema = SCHEMAS[field]
        table = pa.table([_column(columns[kind.name], logs.num_rows, kind.type) for kind in schema], schema=schema)
        if moved is not None and moved.wide:
            getattr(self.rows, field).extend(_rows(table, moved.wide, ROWS[field]))
            table = table.filter(pa.array([i not in moved.wide for i in range(table.num_rows)]))
        self.rows.columns.setdefault(field, []).append(table)


def _column(value: Any, count: int, kind: pa.DataType) -> pa.Array:  # noqa: ANN401 - a column, or what all rows share
    return value if isinstance(value, pa.Array | pa.ChunkedArray) else repeated(value, count, kind)


def _rows(table: pa.Table, wide: Mapping[int, int], row: Callable[..., Row]) -> list[Row]:
    return [
        row(**values | {"amount_raw": amount})
        for values, amount in zip(table.take(pa.array(wide)).to_pylist(), wide.values(), strict=True)
    ]


def only(events: EventColumns, wanted: Mask) -> EventColumns:
    """Return some of the logs."""
    return events if wanted.all() else replace(events, table=events.table.filter(pa.array(wanted)))


def amounts_of(values: Sequence[int]) -> Amounts:
    """Return integers as a column of amounts."""
    try:
        return Amounts(amounts(values), {})
    except OverflowError:
        wide = {i: value for i, value in enumerate(values) if not -TOO_WIDE < value < TOO_WIDE}
        return Amounts(amounts([0 if i in wide else value for i, value in enumerate(values)]), wide)


def digits_of(words: Words) -> pa.Array:
    """Return unsigned words as decimal digits."""
    column, wide = amounts_of_words(words)
    if wide:
        return pa.array([str(int.from_bytes(word.tobytes())) for word in words], pa.string())
    return column.cast(pa.string())


def amounts_of_words(words: Words) -> Amounts:
    """Return unsigned words as a column of amounts."""
    high, low = (np.ascontiguousarray(words[:, i : i + 8]).view(">u8")[:, 0] for i in (16, 24))
    wide = words[:, :16].any(axis=1) | (high > _HIGH) | ((high == _HIGH) & (low >= _LOW))
    halves = np.stack([low, high], axis=1).astype("<u8")
    halves[wide] = 0
    column = pa.Array.from_buffers(AMOUNT, len(words), [None, pa.py_buffer(halves.tobytes())])
    return Amounts(column, {i: int.from_bytes(words[i].tobytes()) for i in np.flatnonzero(wide).tolist()})
