"""Many accounts that are seen for the first time, as columns from their bytes to the rows: the same rows as one by one.

What is odd is left to be read one by one: another kind of account, two positions of one kind in one market, a balance that is neither a
deposit nor a loan.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chains.columns import ACCOUNTS, AMOUNT, POSITIONS, binaries, repeated
from chains.model import END_OF_BLOCK, WHOLE_VENUE, Basis, Side
from chains.solana.drift.accounts import (
    ACCOUNT_STATE,
    BORROW,
    DEPOSIT,
    ISOLATED,
    PERP,
    PERP_IN_USE,
    SPOT,
    SPOT_IN_USE,
    WIDE,
)
from chains.solana.drift.layout import (
    PERP_AT,
    PERP_POSITION,
    PERP_SIZE,
    SLOTS,
    SPOT_AT,
    SPOT_POSITION,
    SPOT_SIZE,
    USER,
)
from chains.solana.drift.states import perp_address, spot_address
from chains.solana.drift.tips import Tips
from chains.solana.layouts import KEY, Table

WORTH_COLUMNS = 64
"""So many accounts are read sooner together than one by one."""

_CHUNK = 4096
_HEAD = PERP_AT + SLOTS * PERP_SIZE
_TAIL = slice(USER.fields["max_margin_ratio"][0], USER.fields["pool_id"][0] + 1)
"""All that is read stands before and behind the orders, which are most of an account."""

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]
Records = npt.NDArray[np.void]


class _Listed(NamedTuple):
    """Positions in use, one below the other, and how many of them each account has."""

    records: Records
    counts: Numbers

    @property
    def holders(self) -> Numbers:
        """Return of each position the number of its account."""
        return np.repeat(np.arange(len(self.counts)), self.counts)


class _Users(NamedTuple):
    """Accounts laid one below the other: names, owners (rows of 32 bytes), what is behind the orders, and positions in use."""

    names: pa.Array
    authorities: Bytes
    tails: Bytes
    spot: _Listed
    perp: _Listed

    def number(self, name: str, kind: str) -> npt.NDArray[Any]:
        """Return a field of each account."""
        at, size = USER.fields[name][0] - _TAIL.start, np.dtype(kind).itemsize
        return np.ascontiguousarray(self.tails[:, at : at + size]).view(kind)[:, 0]


def enter_many(tips: Tips, names: Sequence[bytes], accounts: Sequence[bytes]) -> set[bytes]:
    """Enter accounts of which nothing is known; returns the addresses of those that are odd, which are not entered.

    All must have the size of an account and begin as one.
    """
    odd: set[bytes] = set()
    for at in range(0, len(names), _CHUNK):
        chunk = list(names[at : at + _CHUNK])
        some = accounts[at : at + _CHUNK]
        heads = np.frombuffer(b"".join([data[:_HEAD] for data in some]), np.uint8).reshape(-1, _HEAD)
        tails = np.frombuffer(b"".join([data[_TAIL] for data in some]), np.uint8).reshape(len(heads), -1)
        users = _laid_out(chunk, heads, tails)
        strange = _odd(users)
        if strange.any():
            odd.update(name for name, is_odd in zip(chunk, strange.tolist(), strict=True) if is_odd)
            users = _laid_out([name for name in chunk if name not in odd], heads[~strange], tails[~strange])
        if len(users.names):
            _enter(tips, users)
    return odd


def _laid_out(names: list[bytes], heads: Bytes, tails: Bytes) -> _Users:
    at = USER.fields["authority"][0]
    authorities = np.ascontiguousarray(heads[:, at : at + KEY])
    spot = _positions_of(heads, SPOT_AT, SPOT_SIZE, SPOT_POSITION)
    perp = _positions_of(heads, PERP_AT, PERP_SIZE, PERP_POSITION)
    return _Users(
        binaries(b"".join(names), KEY),
        authorities,
        tails,
        _listed(spot, _any(spot, SPOT_IN_USE)),
        _listed(perp, _in_use(perp)),
    )


def _positions_of(heads: Bytes, at: int, size: int, table: Table) -> Records:
    raw = np.ascontiguousarray(heads[:, at : at + SLOTS * size])
    return raw.view(_record(tuple((name, offset, str(kind)) for name, (offset, kind) in table.items()), size))


@lru_cache(maxsize=4)
def _record(fields: tuple[tuple[str, int, str], ...], size: int) -> np.dtype[np.void]:
    names, offsets, kinds = zip(*fields, strict=True)
    formats = [f"<{kind[0]}{int(kind[1:]) // 8}" for kind in kinds]
    return np.dtype({"names": list(names), "formats": formats, "offsets": list(offsets), "itemsize": size})


def _any(records: Records, names: Sequence[str]) -> Mask:
    used = np.zeros(records.shape, np.bool_)
    for name in names:
        used |= records[name] != 0
    return used


def _in_use(perp: Records) -> Mask:
    apart: Mask = (perp["position_flag"] & ~np.uint8(ISOLATED) != 0) | (perp["isolated_position_scaled_balance"] != 0)
    apart &= perp["last_quote_asset_amount_per_lp"] == 0
    return _any(perp, PERP_IN_USE) | apart


def _listed(records: Records, used: Mask) -> _Listed:
    return _Listed(records[used], used.sum(axis=1))


def _odd(users: _Users) -> Mask:
    """Tell which accounts are to be read one by one."""
    odd = np.zeros(len(users.names), np.bool_)
    odd[users.spot.holders[users.spot.records["balance_type"] > BORROW]] = True
    for listed in (users.spot, users.perp):
        held = listed.holders << 16 | listed.records["market_index"]
        held.sort()
        odd[held[1:][held[1:] == held[:-1]] >> 16] = True
    return odd


def _enter(tips: Tips, users: _Users) -> None:
    columns = tips.rows.columns
    spot, perp = users.spot, users.perp
    types, balances = spot.records["balance_type"], spot.records["scaled_balance"]
    isolated = perp.records["position_flag"] & np.uint8(ISOLATED) != 0
    isolated &= perp.records["last_quote_asset_amount_per_lp"] == 0
    collateral = perp.records["isolated_position_scaled_balance"]
    held = (
        (Side.SUPPLY, spot, balances, types == DEPOSIT, spot_address),
        (Side.BORROW, spot, balances, types == BORROW, spot_address),
        (Side.SUPPLY, perp, collateral, isolated, perp_address),
    )
    for side, listed, amounts, chosen, address in held:
        kept = np.nonzero(chosen & (amounts != 0))[0]
        if len(kept):
            table = _positions(tips, users, listed, kept, (side, amounts, address))
            columns.setdefault("positions", []).append(table)
    columns.setdefault("accounts", []).append(_settings(tips, users))


def _positions(tips: Tips, users: _Users, listed: _Listed, kept: Numbers, what: tuple[Side, Any, Any]) -> pa.Table:
    side, amounts, address = what
    holders = listed.holders[kept]
    numbers, where = np.unique(listed.records["market_index"][kept], return_inverse=True)
    markets = [address(tips.program, number) for number in numbers.tolist()]
    chosen = pa.array(where)
    words = np.zeros((len(kept), 2), np.uint64)
    words[:, 0] = amounts[kept]
    columns = {
        **_place(tips, len(kept)),
        "unit_id": users.names.take(pa.array(holders)),
        "owner": _binary(users.authorities[holders]),
        "market": pa.array(markets, pa.binary()).take(chosen),
        "side": repeated(side.value, len(kept)),
        "asset": pa.array([tips.mint(market) for market in markets], pa.binary()).take(chosen),
        "amount_raw": pa.Array.from_buffers(AMOUNT, len(kept), [None, pa.py_buffer(words)]),
    }
    return pa.table([columns[name] for name in POSITIONS.names], schema=POSITIONS)


def _settings(tips: Tips, users: _Users) -> pa.Table:
    count = len(users.names)
    columns = {
        **_place(tips, count),
        "unit_id": users.names,
        "owner": _binary(users.authorities),
        "market": repeated(WHOLE_VENUE, count, pa.binary()),
        "aspect": repeated(ACCOUNT_STATE, count),
        "state": _texts(users),
    }
    return pa.table([columns[name] for name in ACCOUNTS.names], schema=ACCOUNTS)


def _place(tips: Tips, count: int) -> dict[str, pa.Array]:
    return {
        "block": pa.repeat(pa.scalar(tips.slot, pa.int64()), count),
        "tx_index": pa.repeat(pa.scalar(-1, pa.int32()), count),
        "ordinal": pa.repeat(pa.scalar(END_OF_BLOCK, pa.int32()), count),
        "venue_id": repeated(tips.venue_id, count),
        "engine_version": repeated(tips.engine, count),
        "basis": repeated(Basis.OBSERVED.value, count),
    }


def _binary(rows: Bytes) -> pa.Array:
    """Return rows of bytes as an array of binaries, without looking at them."""
    count, size = rows.shape
    offsets = np.arange(0, count * size + 1, size, dtype=np.int32)
    return pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(rows)])


def _texts(users: _Users) -> pa.Array:
    """Return the aspect `account` of each account (`accounts.user_text`)."""
    return pc.binary_join_element_wise(
        '{"authority":"0x',
        binaries(hexlify(users.authorities.data), 2 * KEY).cast(pa.string()),
        '","margin_mode":',
        _written(users.number("margin_mode", "u1")),
        ',"max_margin_ratio":',
        _written(users.number("max_margin_ratio", "<u4")),
        ',"perp":[',
        _lists(users.perp, PERP),
        '],"pool_id":',
        _written(users.number("pool_id", "u1")),
        ',"spot":[',
        _lists(users.spot, SPOT),
        '],"status":',
        _written(users.number("status", "u1")),
        ',"sub_account_id":',
        _written(users.number("sub_account_id", "<u2")),
        "}",
        "",
    )


def _lists(listed: _Listed, names: Sequence[str]) -> pa.Array:
    """Return of each account the text of its positions."""
    parts: list[Any] = ["["]
    for name in names:
        mark = '"' if name in WIDE else ""
        parts[-1] += mark
        parts += [_written(listed.records[name]), f"{mark},"]
    parts[-1] = parts[-1][:-1] + "]"
    texts = pc.binary_join_element_wise(*parts, "")
    offsets = np.zeros(len(listed.counts) + 1, np.int32)
    np.cumsum(listed.counts, out=offsets[1:])
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), texts), ",")


def _written(numbers: npt.NDArray[Any]) -> pa.Array:
    return pa.array(np.ascontiguousarray(numbers)).cast(pa.string())
