"""What every `StateReader` made for tests has in common."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from chains.columns import AMOUNT
from chains.model import Side
from chains.ports import PositionKey


def column_of(keys: pa.Table, held: Mapping[PositionKey, int]) -> pa.Array:
    """Return amounts in the order of keys, null for those that nothing is held of."""
    names = zip(*(keys[name].to_pylist() for name in ("unit_id", "market", "side")), strict=True)
    return pa.array([held.get((unit, market, Side(side))) for unit, market, side in names], AMOUNT)
