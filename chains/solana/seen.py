"""Accounts as they were seen at the ends of slots: in which order, and the rows of many units at once as columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chains.columns import ACCOUNTS, AMOUNT, POSITIONS, repeated
from chains.model import END_OF_BLOCK, WHOLE_VENUE, AccountBytes, Basis, Side

NOT_IN_A_TRANSACTION = -1
"""The `tx_index` of rows that no transaction brought, but a look at accounts."""

Seen = tuple[bytes, AccountBytes]
"""An account's address, and its bytes."""


def by_slot(seen: Sequence[Seen]) -> Iterator[tuple[int, Sequence[Seen]]]:
    """Divide what was seen, in the order of its slots; a first look is all of one."""
    if seen and seen[0][1].slot == seen[-1][1].slot:
        yield seen[0][1].slot, seen
    else:
        for slot, group in groupby(seen, key=lambda item: item[1].slot):
            yield slot, list(group)


def repeatedly(addresses: Sequence[bytes]) -> set[bytes]:
    """Return the addresses that were seen more than once."""
    return {name for name, times in Counter(addresses).items() if times > 1}


class Origin(NamedTuple):
    """What all rows of one look share: the slot, the venue, and which derivation made them (`engine_version`)."""

    slot: int
    venue_id: str
    engine: str

    def settings(self, units: pa.Array, owners: pa.Array, aspect: str, states: pa.Array) -> pa.Table:
        """Make the rows of one aspect of units, of the whole venue (`chains.columns.ACCOUNTS`).

        `units` and `owners`: binary, n each; `states`: their texts.
        """
        columns = {
            "unit_id": units,
            "owner": owners,
            "market": repeated(WHOLE_VENUE, len(units), pa.binary()),
            "aspect": repeated(aspect, len(units)),
            "state": states,
        }
        return self._table(columns, ACCOUNTS)

    def positions(
        self,
        units: pa.Array,
        owners: pa.Array,
        markets: pa.Array,
        assets: pa.Array,
        held: tuple[Side, npt.NDArray[Any]],
    ) -> pa.Table:
        """Make the rows of what units hold on one side of markets (`chains.columns.POSITIONS`).

        `units`, `owners`, `markets` and `assets`: binary, n each; amounts: 16 bytes each, little-endian, of any shape, below 10^38.
        """
        side, amounts = held
        words = pa.py_buffer(np.ascontiguousarray(amounts))
        columns = {
            "unit_id": units,
            "owner": owners,
            "market": markets,
            "side": repeated(side.value, len(units)),
            "asset": assets,
            "amount_raw": pa.Array.from_buffers(AMOUNT, len(units), [None, words]),
        }
        return self._table(columns, POSITIONS)

    def _table(self, columns: dict[str, pa.Array], schema: pa.Schema) -> pa.Table:
        count = len(columns["unit_id"])
        shared = {
            "block": repeated(self.slot, count, pa.int64()),
            "tx_index": repeated(NOT_IN_A_TRANSACTION, count, pa.int32()),
            "ordinal": repeated(END_OF_BLOCK, count, pa.int32()),
            "venue_id": repeated(self.venue_id, count),
            "engine_version": repeated(self.engine, count),
            "basis": repeated(Basis.OBSERVED.value, count),
        }
        return pa.table([(shared | columns)[name] for name in schema.names], schema=schema)
