"""Many accounts that are seen for the first time, as columns from their bytes to the rows: the same rows as one by one.

What is odd is left to be read one by one: an account of another kind or group, two balances of one bank, and shares that are negative or
have more digits than a column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chains.columns import TOO_WIDE
from chains.model import Side
from chains.solana.layouts import KEY, Records, packed, picked, stacked
from chains.solana.marginfi.layout import ACCOUNT
from chains.solana.marginfi.tips import ACCOUNT_STATE, Tips, account_text
from chains.solana.texts import binary, distinct, hexed, listed, side_by_side

WORTH_COLUMNS = 64
"""So many accounts are read sooner together than one by one."""

_CHUNK, _NEAR = 4096, 512
_WIDE = 16
_HIGHEST = TOO_WIDE >> 64
_SHARES = {Side.SUPPLY: "asset_shares", Side.BORROW: "liability_shares"}

_MARKS = ("account_flags", "program_version")
_HEAD = ("authority", *_MARKS)
_BEHIND_BANKS = account_text(b"", (), 0, 0).index("]")

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]


class _Read(NamedTuple):
    """What is read of accounts: whether each is one of the group, its terms, how many balances are active, and these below each other."""

    ours: Mask
    heads: Records
    counts: Numbers
    balances: Records

    @property
    def holders(self) -> Numbers:
        """Return of each balance the number of its account."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def of(self, chosen: Mask) -> _Read:
        """Return some accounts."""
        balances = picked(self.balances, chosen[self.holders])
        return _Read(self.ours[chosen], picked(self.heads, chosen), self.counts[chosen], balances)


class _Accounts(NamedTuple):
    """Accounts laid one below the other, and their active balances likewise, each with the number of its account."""

    addresses: pa.Array
    read: _Read
    authorities: Bytes
    holders: Numbers
    banks: pa.Array
    shares: Mapping[Side, Bytes]


def enter_many(tips: Tips, group: bytes, addresses: Sequence[bytes], accounts: Sequence[bytes]) -> set[bytes]:
    """Enter accounts of a group that nothing is known of; returns the addresses of those that are odd, which are not entered.

    All must have the size of an account.
    """
    left: set[bytes] = set()
    for at in range(0, len(addresses), _CHUNK):
        names = addresses[at : at + _CHUNK]
        found = _laid_out(names, _read(accounts[at : at + _CHUNK], group))
        odd = _odd(found)
        if odd.any():
            left.update(name for name, is_odd in zip(names, odd.tolist(), strict=True) if is_odd)
            found = _laid_out([name for name in names if name not in left], found.read.of(~odd))
        if len(found.addresses):
            _enter(tips, found)
    return left


def _read(accounts: Sequence[bytes], group: bytes) -> _Read:
    """Read accounts, so many at once as every look but the first finds near the processor."""
    near = (ACCOUNT.records(accounts[at : at + _NEAR]) for at in range(0, len(accounts), _NEAR))
    return _Read(*map(stacked, zip(*(_part(records, group) for records in near), strict=True)))


def _part(records: Records, group: bytes) -> _Read:
    whole = records.view(np.uint8).reshape(len(records), ACCOUNT.size)
    kind = np.frombuffer(ACCOUNT.discriminator + group, np.uint64)
    ours = reduce(np.bitwise_or, (whole[:, : kind.nbytes].view(np.uint64) ^ kind).T) == 0
    active = records["balances"]["active"] != 0
    return _Read(ours, packed(records, _HEAD), active.sum(axis=1), picked(records["balances"], active))


def _odd(found: _Accounts) -> Mask:
    """Tell which accounts are to be read one by one."""
    odd = ~found.read.ours
    for words in found.shares.values():
        high = words.view("<i8")[:, 1]
        odd[found.holders[(high < 0) | (high >= _HIGHEST)]] = True
    odd[_holders_of_two_alike(found)] = True
    return odd


def _holders_of_two_alike(found: _Accounts) -> Numbers:
    """Return the accounts with two active balances of one bank."""
    held = found.holders * len(found.banks.dictionary) + found.banks.indices.to_numpy()
    held.sort()
    again: Numbers = held[1:][held[1:] == held[:-1]]
    return again // max(len(found.banks.dictionary), 1)


def _laid_out(addresses: Sequence[bytes], read: _Read) -> _Accounts:
    return _Accounts(
        addresses=pa.array(addresses, pa.binary()),
        read=read,
        authorities=_bytes_of(read.heads["authority"], KEY),
        holders=read.holders,
        banks=binary(_bytes_of(read.balances["bank_pk"], KEY)).dictionary_encode(),
        shares={side: _bytes_of(read.balances[name], _WIDE) for side, name in _SHARES.items()},
    )


def _enter(tips: Tips, found: _Accounts) -> None:
    tips.marked(int(found.read.heads["program_version"].max()))
    columns = tips.rows.columns
    columns.setdefault("positions", []).extend(_positions(tips, found, side) for side in _SHARES)
    settings = tips.origin.settings(found.addresses, binary(found.authorities), ACCOUNT_STATE, _texts(found))
    columns.setdefault("accounts", []).append(settings)


def _bytes_of(column: npt.NDArray[Any], size: int) -> Bytes:
    return np.ascontiguousarray(column).view(np.uint8).reshape(*column.shape, size)


def _positions(tips: Tips, found: _Accounts, side: Side) -> pa.Table:
    words = found.shares[side]
    limbs = words.view("<i8")
    held = np.nonzero(limbs[:, 0] | limbs[:, 1])[0]
    holders = found.holders[held]
    banks = found.banks.take(pa.array(held))
    mints = pa.array([tips.mint(bank) for bank in banks.dictionary.to_pylist()], pa.binary())
    return tips.origin.positions(
        units=found.addresses.take(pa.array(holders)),
        owners=binary(found.authorities.take(holders, axis=0)),
        markets=banks.dictionary.take(banks.indices),
        assets=mints.take(banks.indices),
        held=(side, words[held]),
    )


def _texts(found: _Accounts) -> pa.Array:
    """Return the aspect `account` of each account, as `account_text` writes it."""
    return side_by_side(
        hexed(found.authorities, b'{"authority":"0x', b'","banks":['),
        listed(hexed(_rows_of(found.banks.dictionary), b'"0x', b'"').take(found.banks.indices), found.read.counts),
        _marks(found.read.heads),
    )


def _marks(records: Records) -> pa.Array:
    """Return the end of the aspect, which many accounts have in common: flags and the program's mark."""
    each, which = distinct(records, _MARKS)
    texts = [account_text(b"", (), flags, version)[_BEHIND_BANKS:] for flags, version in each.tolist()]
    return pa.array(texts, pa.string()).take(which)


def _rows_of(keys: pa.Array) -> Bytes:
    return np.frombuffer(b"".join(keys.to_pylist()), np.uint8).reshape(len(keys), KEY)
