"""Obligations that are seen for the first time, many at once, as columns: the same rows as one by one, without a Python object for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, reduce
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chains.columns import TOO_WIDE, binaries
from chains.model import Side
from chains.solana.kamino.journal import NUMBERS, OBLIGATION
from chains.solana.kamino.layout import OBLIGATION as LAYOUT
from chains.solana.layouts import KEY, Records, integers, packed, picked, stacked
from chains.solana.seen import Origin
from chains.solana.texts import binary, distinct, hexed, listed, numbers, side_by_side

_HIGH, _LOW = divmod(TOO_WIDE, 2**64)
_WORD = 8
_FEW = 8
_RATE = 32
_NEAR = 512
_HEAD = ("owner", *NUMBERS[:-1])

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


class Crowd(NamedTuple):
    """Rows of settings and of positions, and the text of each unit's setting."""

    settings: pa.Table
    positions: pa.Table
    texts: pa.Array


class Slots:
    """The slots of one side that name a reserve: which (n, slots), their records (m), and in which of their fields the reserve stands."""

    def __init__(self, taken: Mask, records: Records, reserve: str) -> None:
        self.taken = taken
        self.records = records
        self._reserve = reserve

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """How many slots each obligation has."""
        found: npt.NDArray[np.int64] = self.taken.sum(axis=1)
        return found

    @cached_property
    def holders(self) -> npt.NDArray[np.int64]:
        """The number of the obligation of each slot."""
        return np.repeat(np.arange(len(self.taken)), self.counts)

    @cached_property
    def reserves(self) -> pa.DictionaryArray:
        """The reserve of each slot."""
        return binary(_raw(self.records[self._reserve], KEY)).dictionary_encode()

    def twice(self) -> npt.NDArray[np.int64]:
        """Return the obligations that name a reserve in two slots."""
        count = max(len(self.reserves.dictionary), 1)
        named = self.holders * count + self.reserves.indices.to_numpy()
        named.sort()
        again: npt.NDArray[np.int64] = named[1:][named[1:] == named[:-1]]
        return again // count

    def of(self, chosen: Mask) -> Slots:
        """Return those of some obligations."""
        return Slots(self.taken[chosen], picked(self.records, chosen[self.holders]), self._reserve)


class Obligations(NamedTuple):
    """What is read of obligations: owners and numbers of each, whether it has orders, and the slots of both sides."""

    heads: Records
    orders: Mask
    deposits: Slots
    borrows: Slots

    @property
    def owners(self) -> Bytes:
        """Their owners, as rows of bytes."""
        return _raw(self.heads["owner"], KEY)

    def ordinary(self) -> Mask:
        """Tell which name no reserve twice on one side and owe nothing that has more digits than a column."""
        low, high = _owed(self.borrows).T
        plain = np.ones(len(self.heads), np.bool_)
        plain[self.borrows.holders[(high > _HIGH) | ((high == _HIGH) & (low >= _LOW))]] = False
        for side in (self.deposits, self.borrows):
            plain[side.twice()] = False
        return plain

    def of(self, chosen: Mask) -> Obligations:
        """Return some of them."""
        heads = picked(self.heads, chosen)
        return Obligations(heads, self.orders[chosen], self.deposits.of(chosen), self.borrows.of(chosen))


def read(accounts: Sequence[bytes]) -> Obligations:
    """Read one obligation or more, so many at once as every look but the first finds near the processor."""
    near = (LAYOUT.records(accounts[at : at + _NEAR]) for at in range(0, len(accounts), _NEAR))
    heads, orders, held, deposits, owed, borrows = map(stacked, zip(*map(_part, near), strict=True))
    return Obligations(heads, orders, Slots(held, deposits, "deposit_reserve"), Slots(owed, borrows, "borrow_reserve"))


def _part(records: Records) -> tuple[npt.NDArray[Any], ...]:
    deposits, borrows = records["deposits"], records["borrows"]
    held, owed = any_byte(deposits["deposit_reserve"]), any_byte(borrows["borrow_reserve"])
    return (
        packed(records, _HEAD),
        any_byte(records["obligation_orders"]),
        held,
        picked(deposits, held),
        owed,
        picked(borrows, owed),
    )


def any_byte(column: npt.NDArray[np.void]) -> Mask:
    """Tell which values have a byte that is not zero; their size is a multiple of eight bytes."""
    count = column.dtype.itemsize // _WORD
    if count > _FEW:
        words = np.ascontiguousarray(column).view(np.uint64).reshape(*column.shape, count)
        return np.asarray(np.bitwise_or.reduce(words, axis=-1) != 0, np.bool_)
    apart = column.view([(str(i), "<u8") for i in range(count)])
    return np.asarray(reduce(np.bitwise_or, (apart[str(i)] for i in range(count))) != 0, np.bool_)


def _held(slots: Slots) -> npt.NDArray[np.uint64]:
    """Return cTokens as two words, the low one first."""
    low = slots.records["deposited_amount"]
    return np.stack([low, np.zeros_like(low)], axis=1)


def _owed(slots: Slots) -> npt.NDArray[np.uint64]:
    """Return debts as two words, the low one first."""
    return _raw(slots.records["borrowed_amount_sf"], 2 * _WORD).view(np.uint64)


def crowd(units: Sequence[bytes], found: Obligations, origin: Origin, mint: Callable[[bytes], bytes]) -> Crowd:
    """Make the rows of `ordinary` obligations of which nothing was noted before; `mint`: a reserve's token."""
    names, owners = binaries(b"".join(units), KEY), found.owners
    texts = _texts(found, owners)
    settings = origin.settings(names, binary(owners), OBLIGATION, texts)
    sides = [
        _positions(names, owners, slots, amounts(slots), side, origin, mint)
        for slots, amounts, side in ((found.deposits, _held, Side.SUPPLY), (found.borrows, _owed, Side.BORROW))
    ]
    return Crowd(settings, pa.concat_tables(sides), texts)


def _positions(  # noqa: PLR0917 - as many columns as rows have
    names: pa.Array,
    owners: Bytes,
    slots: Slots,
    held: npt.NDArray[np.uint64],
    side: Side,
    origin: Origin,
    mint: Callable[[bytes], bytes],
) -> pa.Table:
    """Make the rows of the amounts that are not zero."""
    some = (held[:, 0] | held[:, 1]) != 0
    whose = slots.holders[some]
    reserves, which = slots.reserves.dictionary, slots.reserves.indices.filter(pa.array(some))
    mints = pa.array([mint(reserve) for reserve in reserves.to_pylist()], pa.binary())
    return origin.positions(
        units=names.take(pa.array(whose)),
        owners=binary(owners.take(whose, axis=0)),
        markets=reserves.take(which),
        assets=mints.take(which),
        held=(side, held[some]),
    )


def _texts(found: Obligations, owners: Bytes) -> pa.Array:
    """Write the setting of each obligation, as `journal.obligation_text` does."""
    deposits, borrows = found.deposits, found.borrows
    debts = side_by_side(
        _keys(borrows, b'"0x', b'":["'),
        _rates(borrows.records["cumulative_borrow_rate_bsf"]),
        '",',
        numbers(borrows.records["last_borrowed_at_timestamp"]),
        "]",
    )
    return side_by_side(
        hexed(owners, b'{"owner":"0x', b'",'),
        _flags(found),
        listed(_keys(deposits, b'"0x', b'"'), deposits.counts),
        '],"borrows":{',
        listed(debts, borrows.counts),
        '},"problem":null}',
    )


def _keys(slots: Slots, before: bytes, behind: bytes) -> pa.Array:
    """Write the reserve of each slot, with what stands before and behind."""
    names = np.frombuffer(b"".join(slots.reserves.dictionary.to_pylist()), np.uint8).reshape(-1, KEY)
    return hexed(names, before, behind).take(slots.reserves.indices)


def _flags(found: Obligations) -> pa.Array:
    """Write the numbers of each obligation that many have in common."""
    *fields, _ = NUMBERS
    each, which = distinct(found.heads, fields)
    texts = [
        ",".join(f'"{name}":{number}' for name, number in zip(NUMBERS, (*values, orders), strict=True))
        + ',"deposits":['
        for values in each.tolist()
        for orders in (0, 1)
    ]
    lines = which.to_numpy() * 2 + found.orders
    return pa.array(texts, pa.string()).take(pa.array(lines))


def _rates(column: npt.NDArray[np.void]) -> pa.Array:
    words = _raw(column, _RATE).view(np.uint64)
    if words[:, 1:].any():
        return pa.array([str(rate) for rate in integers(column, "u256")], pa.string())
    return numbers(words[:, 0])


def _raw(column: npt.NDArray[np.void], size: int) -> Bytes:
    return np.ascontiguousarray(column).view(np.uint8).reshape(-1, size)
