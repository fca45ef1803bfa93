"""Indexes that grow and are told of by no `ReserveDataUpdated`: from 3.5 on, those of a collateral that a liquidator takes as aTokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chains.evm.aave_v3.engines import Engine
from chains.evm.aave_v3.epochs import Numbers, places_of
from chains.evm.aave_v3.maths import linear_interest, ray_mul
from chains.evm.abi import EventColumns, LoggedEvent

BEFORE = -1
"""A place before every one of a span."""


class Rates(NamedTuple):
    """A reserve's indexes and rates (rays), and when they were so (Unix seconds)."""

    liquidity_index: int
    liquidity_rate: int
    variable_borrow_index: int
    variable_borrow_rate: int
    updated_at: int

    def income(self, time: int) -> int:
        """Return the index of supplies at a time (`getNormalizedIncome`)."""
        seconds = time - self.updated_at
        return (
            ray_mul(linear_interest(self.liquidity_rate, seconds), self.liquidity_index)
            if seconds
            else self.liquidity_index
        )

    def debt(self, engine: Engine, time: int) -> int:
        """Return the index of variable debt at a time (`getNormalizedDebt`)."""
        seconds = time - self.updated_at
        grown = engine.compounded(self.variable_borrow_rate, seconds)
        return ray_mul(grown, self.variable_borrow_index) if seconds else self.variable_borrow_index

    def grown(self, engine: Engine, time: int, *, owed: bool) -> Rates:
        """Return the rates after an update at `time` (`ReserveLogic.updateState`); debt grows where there is any."""
        return self._replace(
            liquidity_index=self.income(time) if self.liquidity_rate else self.liquidity_index,
            variable_borrow_index=self.debt(engine, time) if owed else self.variable_borrow_index,
            updated_at=time,
        )


def rates_of(text: str) -> Rates:
    """Read the aspect `rates`."""
    return Rates(**{name: int(value) for name, value in json.loads(text).items()})


def text_of(rates: Rates) -> str:
    """Write the aspect `rates`."""
    said = {name: str(value) for name, value in rates._asdict().items()}
    return json.dumps({**said, "updated_at": rates.updated_at}, separators=(",", ":"))


class Accrual(NamedTuple):
    """A log that let the indexes of an asset grow.

    `known`: what the journals and the market's few events had told of its rates by then, and `known_at` where in the span, or before it.
    """

    row: LoggedEvent
    asset: bytes
    known: str | None
    engine: Engine
    known_at: int = BEFORE


Owed = Callable[[Accrual, Rates], bool]
"""Tells whether anybody owes an asset whose rates were these until then."""


_RATES = (4, 1, 5, 3)
"""Which arguments of `ReserveDataUpdated` are the first fields of `Rates`."""


class Updates:
    """The `ReserveDataUpdated` of a span, to be found by asset and place; `times` are those of blocks."""

    def __init__(self, events: EventColumns, times: Mapping[int, int]) -> None:
        self._words = [events.words(argument) for argument in _RATES]
        self._times = times
        self._places = places_of(events.table)
        self._assets = events.addresses(0)
        self._lines: dict[bytes, Numbers] = {}

    def before(self, asset: bytes, place: int) -> tuple[int, Rates] | None:
        """Return where the last update of an asset before a place stands, and what it told."""
        if asset not in self._lines:
            mine = pc.equal(self._assets, pa.scalar(asset, pa.binary())).to_numpy(zero_copy_only=False)
            self._lines[asset] = np.flatnonzero(mine)
        lines = self._lines[asset]
        earlier = int(np.searchsorted(self._places[lines], place))
        return self._told(int(lines[earlier - 1])) if earlier else None

    def _told(self, line: int) -> tuple[int, Rates]:
        place = int(self._places[line])
        income, income_rate, debt, debt_rate = (int.from_bytes(words[line].tobytes()) for words in self._words)
        return place, Rates(income, income_rate, debt, debt_rate, self._times[place >> 32])


def grown(
    accruals: Sequence[Accrual], updates: Updates, times: Mapping[int, int], owed: Owed
) -> Iterator[tuple[Accrual, Rates]]:
    """Return the rates that each log left behind where it changed any, in chain order."""
    latest: dict[bytes, tuple[int, Rates]] = {}
    for accrual in accruals:
        row, asset = accrual.row, accrual.asset
        place, time = (row.block << 32) + row.ordinal, times[row.block]
        known = (accrual.known_at, rates_of(accrual.known)) if accrual.known else None
        found = [each for each in (known, updates.before(asset, place), latest.get(asset)) if each is not None]
        rates = max(found)[1] if found else None
        if rates is not None and rates.updated_at != time:
            after = rates.grown(accrual.engine, time, owed=owed(accrual, rates))
            latest[asset] = place, after
            yield accrual, after
