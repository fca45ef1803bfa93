"""Many accounts that are seen for the first time, as columns from their bytes to the rows: the same rows as one by one.

What is odd is left to be read one by one: an account of another kind or group, two balances of one bank, and shares that are negative or
have more digits than a column.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chains.columns import ACCOUNTS, AMOUNT, POSITIONS, TOO_WIDE
from chains.model import END_OF_BLOCK, WHOLE_VENUE, Basis, Side
from chains.solana.layouts import KEY
from chains.solana.marginfi.layout import ACCOUNT
from chains.solana.marginfi.tips import ACCOUNT_STATE, Tips, account_text

WORTH_COLUMNS = 64
"""So many accounts are read sooner together than one by one."""

_CHUNK = 4096
_WIDE = 16
_HIGHEST = TOO_WIDE >> 64
_SHARES = {Side.SUPPLY: "asset_shares", Side.BORROW: "liability_shares"}

_AUTHORITY_AT = account_text(b"", (), 0, 0).index('0x"') + 2
_BANKS_AT = account_text(bytes(KEY), (bytes(KEY),), 0, 0).index('"0x', _AUTHORITY_AT + 2 * KEY + 2) + 3
_BANK_STRIDE = 2 * KEY + len('"0x",')
_VERSION_FROM_END, _FLAGS_FROM_END = 4, 35

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]


class _Accounts(NamedTuple):
    """Accounts laid one below the other, and their active balances likewise, each with the number of its account."""

    addresses: pa.Array
    records: npt.NDArray[np.void]
    authorities: Bytes
    balances: npt.NDArray[np.void]
    holders: Numbers
    banks: pa.Array


def enter_many(tips: Tips, group: bytes, addresses: Sequence[bytes], accounts: Sequence[bytes]) -> set[bytes]:
    """Enter accounts of a group that nothing is known of; returns the addresses of those that are odd, which are not entered.

    All must have the size of an account.
    """
    left: set[bytes] = set()
    for at in range(0, len(addresses), _CHUNK):
        names = addresses[at : at + _CHUNK]
        found = _laid_out(names, ACCOUNT.records(accounts[at : at + _CHUNK]))
        odd = _odd(found, group)
        if odd.any():
            left.update(name for name, is_odd in zip(names, odd.tolist(), strict=True) if is_odd)
            found = _laid_out([name for name in names if name not in left], found.records[~odd])
        if len(found.records):
            _enter(tips, found)
    return left


def _odd(found: _Accounts, group: bytes) -> Mask:
    """Tell which accounts are to be read one by one."""
    whole = found.records.view(np.uint8).reshape(len(found.records), ACCOUNT.size)
    kind = np.frombuffer(ACCOUNT.discriminator + group, np.uint8)
    odd: Mask = (whole[:, : len(kind)] != kind).any(axis=1)
    for name in _SHARES.values():
        high = _bytes_of(found.balances[name], _WIDE).view("<i8")[:, 1]
        odd[found.holders[(high < 0) | (high >= _HIGHEST)]] = True
    odd[_holders_of_two_alike(found)] = True
    return odd


def _holders_of_two_alike(found: _Accounts) -> Numbers:
    """Return the accounts with two active balances of one bank."""
    held = found.holders * len(found.banks.dictionary) + found.banks.indices.to_numpy()
    held.sort()
    again: Numbers = held[1:][held[1:] == held[:-1]]
    return again // max(len(found.banks.dictionary), 1)


def _laid_out(addresses: Sequence[bytes], records: npt.NDArray[np.void]) -> _Accounts:
    active = records["balances"]["active"] != 0
    balances = records["balances"][active]
    return _Accounts(
        addresses=pa.array(addresses, pa.binary()),
        records=records,
        authorities=_bytes_of(records["authority"], KEY),
        balances=balances,
        holders=np.nonzero(active)[0],
        banks=_binary(_bytes_of(balances["bank_pk"], KEY)).dictionary_encode(),
    )


def _enter(tips: Tips, found: _Accounts) -> None:
    tips.marked(int(found.records["program_version"].max()))
    columns = tips.rows.columns
    columns.setdefault("positions", []).extend(_positions(tips, found, side) for side in _SHARES)
    columns.setdefault("accounts", []).append(_settings(tips, found))


def _bytes_of(column: npt.NDArray[Any], size: int) -> Bytes:
    return np.ascontiguousarray(column).view(np.uint8).reshape(*column.shape, size)


def _binary(rows: Bytes) -> pa.Array:
    """Return rows of bytes as an array of binaries, without looking at them."""
    count, size = rows.shape
    offsets = np.arange(0, (count + 1) * size, size, dtype=np.int32) if size else np.zeros(count + 1, np.int32)
    return pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(rows)])


def _positions(tips: Tips, found: _Accounts, side: Side) -> pa.Table:
    words = _bytes_of(found.balances[_SHARES[side]], _WIDE)
    limbs = words.view("<i8")
    held = np.nonzero(limbs[:, 0] | limbs[:, 1])[0]
    holders = found.holders[held]
    banks = found.banks.take(pa.array(held))
    mints = pa.array([tips.mint(bank) for bank in banks.dictionary.to_pylist()], pa.binary())
    amounts = words[held]
    columns = {
        **_place(tips, len(held)),
        "unit_id": found.addresses.take(pa.array(holders)),
        "owner": _binary(found.authorities[holders]),
        "market": banks.dictionary.take(banks.indices),
        "side": pa.repeat(side.value, len(held)),
        "asset": mints.take(banks.indices),
        "amount_raw": pa.Array.from_buffers(AMOUNT, len(held), [None, pa.py_buffer(amounts)]),
    }
    return pa.table([columns[name] for name in POSITIONS.names], schema=POSITIONS)


def _settings(tips: Tips, found: _Accounts) -> pa.Table:
    count = len(found.records)
    columns = {
        **_place(tips, count),
        "unit_id": found.addresses,
        "owner": _binary(found.authorities),
        "market": pa.repeat(pa.scalar(WHOLE_VENUE, pa.binary()), count),
        "aspect": pa.repeat(ACCOUNT_STATE, count),
        "state": _texts(found),
    }
    return pa.table([columns[name] for name in ACCOUNTS.names], schema=ACCOUNTS)


def _place(tips: Tips, count: int) -> dict[str, pa.Array]:
    return {
        "block": pa.repeat(pa.scalar(tips.slot, pa.int64()), count),
        "tx_index": pa.repeat(pa.scalar(-1, pa.int32()), count),
        "ordinal": pa.repeat(pa.scalar(END_OF_BLOCK, pa.int32()), count),
        "venue_id": pa.repeat(tips.venue_id, count),
        "engine_version": pa.repeat(tips.engine, count),
        "basis": pa.repeat(Basis.OBSERVED.value, count),
    }


def _texts(found: _Accounts) -> pa.Array:
    """Return the aspect `account` of each account, written side by side for all with as many banks."""
    counts = np.bincount(found.holders, minlength=len(found.records))
    per_balance = counts[found.holders]
    banks = _bytes_of(found.balances["bank_pk"], KEY)
    order, parts = [], []
    for count in np.unique(counts).tolist():
        chosen = np.nonzero(counts == count)[0]
        order.append(chosen)
        parts.append(_texts_with(found, chosen, banks[per_balance == count].reshape(len(chosen), count, KEY)))
    return pa.concat_arrays(parts).take(pa.array(np.argsort(np.concatenate(order))))


def _texts_with(found: _Accounts, chosen: Numbers, banks: Bytes) -> pa.Array:
    form = account_text(bytes(KEY), [bytes(KEY)] * banks.shape[1], 0, 0).encode()
    rows = np.empty((len(chosen), len(form)), np.uint8)
    rows[:] = np.frombuffer(form, np.uint8)
    rows[:, _AUTHORITY_AT : _AUTHORITY_AT + 2 * KEY] = _hexed(found.authorities[chosen])
    for number in range(banks.shape[1]):
        at = _BANKS_AT + number * _BANK_STRIDE
        rows[:, at : at + 2 * KEY] = _hexed(banks[:, number])
    flags = found.records["account_flags"][chosen].astype(">u8").view(np.uint8).reshape(-1, 8)
    rows[:, -_FLAGS_FROM_END : -_FLAGS_FROM_END + 16] = _hexed(flags)
    rows[:, -_VERSION_FROM_END : -_VERSION_FROM_END + 2] = _hexed(found.records["program_version"][chosen][:, None])
    return _binary(rows).cast(pa.string())


def _hexed(rows: Bytes) -> Bytes:
    return np.frombuffer(hexlify(np.ascontiguousarray(rows).data), np.uint8).reshape(len(rows), 2 * rows.shape[1])
