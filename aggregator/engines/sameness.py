"""Whether two engines say the same of a book: doubles to 10⁻¹² of the number or of the account's size, everything else exactly."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

Doubles = np.ndarray[tuple[int], np.dtype[np.float64]]

TOLERANCE = 1e-12
SIZES = ("collateral_usd", "debt_usd")
"""Columns whose sum is the size of an account: numbers that are differences can be no better than that."""


def alike(one: pa.Table, other: pa.Table, *, key: str) -> bool:
    """Whether two tables of margin accounts, each with a row for a `key`, say the same."""
    if one.schema.names != other.schema.names or len(one) != len(other):
        return False
    one, other = one.sort_by(key), other.sort_by(key)
    sizes = sum(np.abs(np.nan_to_num(_doubles(one[name]))) for name in SIZES)
    return all(_agree(one[name], other[name], np.asarray(sizes)) for name in one.schema.names)


def _agree(ours: pa.ChunkedArray, theirs: pa.ChunkedArray, sizes: Doubles) -> bool:
    if not pa.types.is_floating(ours.type):
        return bool(ours.equals(theirs))
    mine, their = _doubles(ours), _doubles(theirs)
    known = ~np.isnan(mine)
    if not np.array_equal(known, ~np.isnan(their)):
        return False
    bound = TOLERANCE * np.maximum(np.maximum(np.abs(mine), np.abs(their)), sizes)
    return bool(np.all((np.abs(mine - their) <= bound)[known]))


def _doubles(column: pa.ChunkedArray) -> Doubles:
    """The numbers of a column; what is unknown is NaN."""
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
