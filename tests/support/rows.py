"""Derived rows as plain values, whether a fold made them one by one or as columns."""

from __future__ import annotations

from typing import Any

from chains.model import (
    AccountChange,
    Basis,
    LendingEvent,
    MarketChange,
    PositionChange,
    PriceObservation,
    Quarantined,
    Rows,
    Side,
)

KINDS: dict[str, Any] = {
    "positions": PositionChange,
    "markets": MarketChange,
    "accounts": AccountChange,
    "prices": PriceObservation,
    "events": LendingEvent,
    "quarantined": Quarantined,
}
TYPED: dict[str, Any] = {
    "side": Side,
    "basis": Basis,
    "amount_raw": int,
    "answer_raw": int,
    "round_id": int,
    "confidence_raw": lambda value: None if value is None else int(value),
}


def spelled_out(rows: Rows) -> Rows:
    """The same rows without columns, in chain order."""
    spelled = Rows()
    for name, kind in KINDS.items():
        made = [
            kind(**{column: TYPED.get(column, same)(value) for column, value in row.items()})
            for table in rows.columns.get(name, ())
            for row in table.to_pylist()
        ]
        everything = sorted([*getattr(rows, name), *made], key=lambda row: (row.block, row.ordinal))
        getattr(spelled, name).extend(everything)
    return spelled


def same(value: object) -> object:
    return value
