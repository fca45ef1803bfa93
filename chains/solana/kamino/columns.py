"""Obligations that are seen for the first time, many at once, as columns: the same rows as one by one, without a Python object for each."""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Callable, Sequence
from functools import cached_property, reduce
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chains.columns import ACCOUNTS, AMOUNT, POSITIONS, TOO_WIDE, binaries, repeated
from chains.model import END_OF_BLOCK, WHOLE_VENUE, Basis, Side
from chains.solana.kamino.journal import NUMBERS, OBLIGATION
from chains.solana.layouts import KEY, Records, integers

_HIGH, _LOW = divmod(TOO_WIDE, 2**64)
_WORD = 8
_FEW = 8
_RATE = 32

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


class Place(NamedTuple):
    """What all rows of one look share."""

    slot: int
    tx_index: int
    venue_id: str
    engine: str


class Crowd(NamedTuple):
    """Rows of settings and of positions, and the text of each unit's setting."""

    settings: pa.Table
    positions: pa.Table
    texts: pa.Array


class Slots(NamedTuple):
    """The slots of one side that name a reserve: which (n, slots), the reserves (m, 32) and amounts (m, two words, low first).

    `markets`: the reserves again, each once, with who has which.
    """

    taken: Mask
    reserves: Bytes
    markets: pa.DictionaryArray
    amounts: npt.NDArray[np.uint64]

    @property
    def holders(self) -> npt.NDArray[np.int64]:
        """The number of the obligation of each slot."""
        found: npt.NDArray[np.int64] = np.nonzero(self.taken)[0]
        return found

    def twice(self) -> npt.NDArray[np.int64]:
        """Return the obligations that name a reserve in two slots."""
        count = max(len(self.markets.dictionary), 1)
        named = self.holders * count + self.markets.indices.to_numpy()
        named.sort()
        again: npt.NDArray[np.int64] = named[1:][named[1:] == named[:-1]]
        return again // count


def any_byte(column: npt.NDArray[np.void]) -> Mask:
    """Tell which values have a byte that is not zero; their size is a multiple of eight bytes."""
    raw = np.ascontiguousarray(column)
    words = raw.view(np.uint64).reshape(*raw.shape, -1)
    if words.shape[-1] > _FEW:
        return np.asarray(words.any(axis=-1), np.bool_)
    return np.asarray(reduce(np.bitwise_or, np.moveaxis(words, -1, 0)) != 0, np.bool_)


class Obligations:
    """Obligations as records, with the slots of both sides."""

    def __init__(self, records: Records) -> None:
        self.records = records

    @cached_property
    def deposits(self) -> Slots:
        """The slots that hold cTokens."""
        column = self.records["deposits"]
        taken = any_byte(column["deposit_reserve"])
        used = column[taken]
        low = used["deposited_amount"]
        return _slots(taken, used["deposit_reserve"], np.stack([low, np.zeros_like(low)], axis=1))

    @cached_property
    def borrows(self) -> Slots:
        """The slots that owe."""
        column = self.records["borrows"]
        taken = any_byte(column["borrow_reserve"])
        used = column[taken]
        return _slots(taken, used["borrow_reserve"], _raw(used["borrowed_amount_sf"], 2 * _WORD).view(np.uint64))

    def ordinary(self) -> Mask:
        """Tell which name no reserve twice on one side and owe nothing that has more digits than a column."""
        low, high = self.borrows.amounts[:, 0], self.borrows.amounts[:, 1]
        plain = np.ones(len(self.records), np.bool_)
        plain[self.borrows.holders[(high > _HIGH) | ((high == _HIGH) & (low >= _LOW))]] = False
        for side in (self.deposits, self.borrows):
            plain[side.twice()] = False
        return plain


def _slots(taken: Mask, reserves: npt.NDArray[np.void], amounts: npt.NDArray[np.uint64]) -> Slots:
    raw = _raw(reserves, KEY)
    return Slots(taken, raw, binaries(raw.tobytes(), KEY).dictionary_encode(), amounts)


def crowd(units: Sequence[bytes], found: Obligations, place: Place, mint: Callable[[bytes], bytes]) -> Crowd:
    """Make the rows of `ordinary` obligations of which nothing was noted before; `mint`: a reserve's token."""
    names, owners = binaries(b"".join(units), KEY), _raw(found.records["owner"], KEY)
    texts = _texts(found, owners)
    count = len(units)
    settings = pa.table(
        [
            *_places(place, count),
            repeated(place.venue_id, count),
            names,
            binaries(owners.tobytes(), KEY),
            repeated(WHOLE_VENUE, count, pa.binary()),
            repeated(OBLIGATION, count),
            texts,
            *_origins(place, count),
        ],
        schema=ACCOUNTS,
    )
    sides = [
        _positions(names, owners, slots, side, place, mint)
        for slots, side in ((found.deposits, Side.SUPPLY), (found.borrows, Side.BORROW))
    ]
    return Crowd(settings, pa.concat_tables(sides), texts)


def _positions(  # noqa: PLR0917 - as many columns as rows have
    names: pa.Array, owners: Bytes, slots: Slots, side: Side, place: Place, mint: Callable[[bytes], bytes]
) -> pa.Table:
    """Make the rows of the amounts that are not zero."""
    some = (slots.amounts[:, 0] | slots.amounts[:, 1]) != 0
    whose = slots.holders[some]
    count = len(whose)
    reserves, which = slots.markets.dictionary, slots.markets.indices.filter(pa.array(some))
    mints = pa.array([mint(reserve) for reserve in reserves.to_pylist()], pa.binary())
    amounts = pa.Array.from_buffers(AMOUNT, count, [None, pa.py_buffer(slots.amounts[some].tobytes())])
    return pa.table(
        [
            *_places(place, count),
            repeated(place.venue_id, count),
            names.take(pa.array(whose)),
            binaries(owners[whose].tobytes(), KEY),
            reserves.take(which),
            repeated(side.value, count),
            mints.take(which),
            amounts,
            *_origins(place, count),
        ],
        schema=POSITIONS,
    )


def _texts(found: Obligations, owners: Bytes) -> pa.Array:
    """Write the setting of each obligation, as `journal.obligation_text` does."""
    records, deposits, borrows = found.records, found.deposits, found.borrows
    held = _joined(_hexed(deposits.reserves, b'"0x', b'"'), deposits.taken)
    rates = records["borrows"]["cumulative_borrow_rate_bsf"][borrows.taken]
    debts = _concatenated(
        _hexed(borrows.reserves, b'"0x', b'":["'),
        _rates(rates),
        '",',
        _numbers(records["borrows"]["last_borrowed_at_timestamp"][borrows.taken]),
        "]",
    )
    return _concatenated(
        _hexed(owners, b'{"owner":"0x', b'",'),
        _flags(records),
        ',"deposits":[',
        held,
        '],"borrows":{',
        _joined(debts, borrows.taken),
        '},"problem":null}',
    )


def _flags(records: Records) -> pa.Array:
    """Write the numbers of each obligation that many have in common."""
    *fields, _ = NUMBERS
    columns = [records[name].astype(np.uint64) for name in fields]
    columns.append(any_byte(records["obligation_orders"]).astype(np.uint64))
    coded = binaries(np.stack(columns, axis=1).tobytes(), _WORD * len(columns)).dictionary_encode()
    texts = [
        ",".join(f'"{name}":{number}' for name, number in zip(NUMBERS, np.frombuffer(raw, np.uint64), strict=True))
        for raw in coded.dictionary.to_pylist()
    ]
    return pa.array(texts, pa.string()).take(coded.indices)


def _concatenated(*parts: pa.Array | str) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")


def _joined(values: pa.Array, taken: Mask) -> pa.Array:
    """Join the values of each row with commas."""
    offsets = np.concatenate([[0], np.cumsum(taken.sum(axis=1))]).astype(np.int32)
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), values), ",")


def _hexed(raw: Bytes, before: bytes, behind: bytes) -> pa.Array:
    """Write addresses in hexadecimal digits, with what stands before and behind each."""
    size = len(before) + 2 * KEY + len(behind)
    text = np.empty((len(raw), size), np.uint8)
    text[:, : len(before)] = np.frombuffer(before, np.uint8)
    text[:, len(before) : size - len(behind)] = np.frombuffer(hexlify(raw.data), np.uint8).reshape(len(raw), 2 * KEY)
    text[:, size - len(behind) :] = np.frombuffer(behind, np.uint8)
    return binaries(text.tobytes(), size).cast(pa.string())


def _numbers(column: npt.NDArray[Any]) -> pa.Array:
    return pa.array(np.ascontiguousarray(column)).cast(pa.string())


def _rates(column: npt.NDArray[np.void]) -> pa.Array:
    words = _raw(column, _RATE).view(np.uint64)
    if words[:, 1:].any():
        return pa.array([str(rate) for rate in integers(column, "u256")], pa.string())
    return _numbers(words[:, 0])


def _raw(column: npt.NDArray[np.void], size: int) -> Bytes:
    return np.ascontiguousarray(column).view(np.uint8).reshape(-1, size)


def _places(place: Place, count: int) -> list[pa.Array]:
    return [
        pa.repeat(pa.scalar(place.slot, pa.int64()), count),
        pa.repeat(pa.scalar(place.tx_index, pa.int32()), count),
        pa.repeat(pa.scalar(END_OF_BLOCK, pa.int32()), count),
    ]


def _origins(place: Place, count: int) -> list[pa.Array]:
    return [repeated(place.engine, count), repeated(Basis.OBSERVED.value, count)]
