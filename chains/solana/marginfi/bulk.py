"""Many accounts that are seen for the first time, as columns from their bytes to the rows: the same rows as one by one.

What is odd is left to be read one by one: two balances of one bank, and shares that are negative or have more digits than a column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chains.columns import ACCOUNTS, AMOUNT, POSITIONS, TOO_WIDE
from chains.model import END_OF_BLOCK, WHOLE_VENUE, Basis, Side
from chains.solana.layouts import KEY
from chains.solana.marginfi.layout import ACCOUNT, BALANCES
from chains.solana.marginfi.tips import ACCOUNT_STATE, Tips, account_text

WORTH_COLUMNS = 64
"""So many accounts are read sooner together than one by one."""

_CHUNK = 4096
_WIDE = 16
_HIGHEST = TOO_WIDE >> 64
_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), np.uint8).reshape(256, 2)

_AUTHORITY_AT = account_text(b"", (), 0, 0).index('0x"') + 2
_BANKS_AT = account_text(bytes(KEY), (bytes(KEY),), 0, 0).index('"0x', _AUTHORITY_AT + 2 * KEY + 2) + 3
_BANK_STRIDE = 2 * KEY + len('"0x",')
_VERSION_FROM_END, _FLAGS_FROM_END = 4, 35

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


class _Accounts(NamedTuple):
    """Accounts laid one below the other, without the odd ones among their balances."""

    addresses: pa.Array
    authorities: Bytes
    banks: Bytes
    active: Mask
    plain: Mask
    shares: dict[Side, Bytes]
    flags: npt.NDArray[np.uint64]
    versions: Bytes


def enter_many(tips: Tips, addresses: Sequence[bytes], accounts: Sequence[bytes]) -> set[bytes]:
    """Enter accounts of this group that nothing is known of; returns the addresses of those that are odd, which are not entered."""
    odd: set[bytes] = set()
    for at in range(0, len(addresses), _CHUNK):
        found = _laid_out(addresses[at : at + _CHUNK], accounts[at : at + _CHUNK])
        odd.update(found.addresses.filter(pa.array(~found.plain)).to_pylist())
        if not found.plain.any():
            continue
        tips.marked(int(found.versions[found.plain].max()))
        tips.rows.columns.setdefault("positions", []).extend(_positions(tips, found))
        tips.rows.columns.setdefault("accounts", []).append(_settings(tips, found))
    return odd


def _laid_out(addresses: Sequence[bytes], accounts: Sequence[bytes]) -> _Accounts:
    records = ACCOUNT.records(accounts)
    balances = records["balances"]
    active = balances["active"] != 0
    banks = _bytes_of(balances["bank_pk"], KEY)
    shares = {
        Side.SUPPLY: _bytes_of(balances["asset_shares"], _WIDE),
        Side.BORROW: _bytes_of(balances["liability_shares"], _WIDE),
    }
    high = [amounts.view("<i8")[..., 1] for amounts in shares.values()]
    wide = np.logical_or.reduce([active & ((limb < 0) | (limb >= _HIGHEST)) for limb in high]).any(axis=1)
    return _Accounts(
        addresses=pa.array(addresses, pa.binary()),
        authorities=_bytes_of(records["authority"], KEY),
        banks=banks,
        active=active,
        plain=~(wide | _repeated(banks, active)),
        shares=shares,
        flags=records["account_flags"],
        versions=records["program_version"],
    )


def _bytes_of(column: npt.NDArray[Any], size: int) -> Bytes:
    return np.ascontiguousarray(column).view(np.uint8).reshape(*column.shape, size)


def _repeated(banks: Bytes, active: Mask) -> Mask:
    """Tell which accounts have two active balances of one bank."""
    numbers = np.tile(np.arange(-BALANCES, 0), (len(active), 1))
    numbers[active] = _binary(banks[active]).dictionary_encode().indices.to_numpy()
    numbers.sort(axis=1)
    repeated: Mask = (numbers[:, 1:] == numbers[:, :-1]).any(axis=1)
    return repeated


def _binary(rows: Bytes) -> pa.Array:
    """Return rows of bytes as an array of binaries, without looking at them."""
    count, size = rows.shape
    offsets = np.arange(count + 1, dtype=np.int32) * size
    flat = np.ascontiguousarray(rows)
    return pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(flat)])


def _positions(tips: Tips, found: _Accounts) -> list[pa.Table]:
    return [_side(tips, found, side) for side in (Side.SUPPLY, Side.BORROW)]


def _side(tips: Tips, found: _Accounts, side: Side) -> pa.Table:
    amounts = found.shares[side]
    held = found.active & found.plain[:, None] & amounts.view("<i8").any(axis=2)
    accounts = np.nonzero(held)[0]
    banks = _binary(found.banks[held]).dictionary_encode()
    mints = pa.array([tips.mint(bank) for bank in banks.dictionary.to_pylist()], pa.binary())
    words = np.ascontiguousarray(amounts[held])
    columns = {
        **_place(tips, len(accounts)),
        "unit_id": found.addresses.take(pa.array(accounts)),
        "owner": _binary(found.authorities[accounts]),
        "market": banks.cast(pa.binary()),
        "side": pa.repeat(side.value, len(accounts)),
        "asset": mints.take(banks.indices),
        "amount_raw": pa.Array.from_buffers(AMOUNT, len(accounts), [None, pa.py_buffer(words)]),
    }
    return pa.table([columns[name] for name in POSITIONS.names], schema=POSITIONS)


def _settings(tips: Tips, found: _Accounts) -> pa.Table:
    kept = np.nonzero(found.plain)[0]
    columns = {
        **_place(tips, len(kept)),
        "unit_id": found.addresses.take(pa.array(kept)),
        "owner": _binary(found.authorities[kept]),
        "market": pa.repeat(pa.scalar(WHOLE_VENUE, pa.binary()), len(kept)),
        "aspect": pa.repeat(ACCOUNT_STATE, len(kept)),
        "state": _texts(found).take(pa.array(kept)),
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
    counts = found.active.sum(axis=1)
    order, parts = [], []
    for count in np.unique(counts):
        chosen = np.nonzero(counts == count)[0]
        order.append(chosen)
        parts.append(_texts_with(found, chosen, int(count)))
    return pa.concat_arrays(parts).take(pa.array(np.argsort(np.concatenate(order))))


def _texts_with(found: _Accounts, chosen: npt.NDArray[np.int64], count: int) -> pa.Array:
    form = account_text(bytes(KEY), [bytes(KEY)] * count, 0, 0).encode()
    rows = np.tile(np.frombuffer(form, np.uint8), (len(chosen), 1))
    rows[:, _AUTHORITY_AT : _AUTHORITY_AT + 2 * KEY] = _hexed(found.authorities[chosen])
    banks = _hexed(found.banks[chosen][found.active[chosen]]).reshape(len(chosen), count, 2 * KEY)
    for number in range(count):
        at = _BANKS_AT + number * _BANK_STRIDE
        rows[:, at : at + 2 * KEY] = banks[:, number]
    flags = found.flags[chosen].astype(">u8").view(np.uint8).reshape(-1, 8)
    rows[:, -_FLAGS_FROM_END : -_FLAGS_FROM_END + 16] = _hexed(flags)
    rows[:, -_VERSION_FROM_END : -_VERSION_FROM_END + 2] = _hexed(found.versions[chosen][:, None])
    return _binary(rows).cast(pa.string())


def _hexed(rows: Bytes) -> Bytes:
    return _HEX[rows].reshape(len(rows), -1)
