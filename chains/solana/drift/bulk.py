"""Many accounts that are seen for the first time, as columns from their bytes to the rows: the same rows as one by one.

What is odd is left to be read one by one: another kind of account, two positions of one kind in one market, a balance that is neither a
deposit nor a loan.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chains.columns import binaries
from chains.model import Side
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
from chains.solana.drift.layout import USER
from chains.solana.drift.states import perp_address, spot_address
from chains.solana.drift.tips import Tips
from chains.solana.layouts import KEY, packed, picked, stacked
from chains.solana.texts import binary, distinct, hexed, in_rows, listed, numbers, side_by_side

WORTH_COLUMNS = 64
"""So many accounts are read sooner together than one by one."""

_CHUNK, _NEAR = 4096, 512
_TERMS = ("margin_mode", "max_margin_ratio")
_STANDING = ("status", "sub_account_id")
_POOL = ("pool_id",)
_HEAD = ("authority", *_TERMS, *_POOL, *_STANDING)
_PERP_APART = ("isolated_position_scaled_balance", "position_flag")
_WORD = 8
_ORDERS = PERP.index("open_bids")
_PERP_MARKET, _PERP_OWN, _PERP_ALIKE = PERP[:1], PERP[1:_ORDERS], PERP[_ORDERS:]
"""Where a perp position is, what it says that hardly another does, and what most have in common: orders, limits and flags."""

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

    def of(self, chosen: Mask) -> _Listed:
        """Return those of some accounts."""
        return _Listed(picked(self.records, chosen[self.holders]), self.counts[chosen])


class _Users(NamedTuple):
    """Accounts laid one below the other: names, owners and terms, and positions in use."""

    names: pa.Array
    heads: Records
    spot: _Listed
    perp: _Listed

    @property
    def authorities(self) -> Bytes:
        """Return their owners, as rows of bytes."""
        return np.ascontiguousarray(self.heads["authority"]).view(np.uint8).reshape(-1, KEY)

    def of(self, chosen: Mask) -> _Users:
        """Return some of them."""
        names = self.names.filter(pa.array(chosen))
        return _Users(names, picked(self.heads, chosen), self.spot.of(chosen), self.perp.of(chosen))


def enter_many(tips: Tips, names: Sequence[bytes], accounts: Sequence[bytes]) -> set[bytes]:
    """Enter accounts of which nothing is known; returns the addresses of those that are odd, which are not entered.

    All must have the size of an account and begin as one.
    """
    odd: set[bytes] = set()
    for at in range(0, len(names), _CHUNK):
        chunk = names[at : at + _CHUNK]
        users = _read(chunk, accounts[at : at + _CHUNK])
        strange = _odd(users)
        if strange.any():
            odd.update(name for name, is_odd in zip(chunk, strange.tolist(), strict=True) if is_odd)
            users = users.of(~strange)
        if len(users.names):
            _enter(tips, users)
    return odd


def _read(names: Sequence[bytes], accounts: Sequence[bytes]) -> _Users:
    """Read accounts, so many at once as every look but the first finds near the processor."""
    near = (USER.records(accounts[at : at + _NEAR]) for at in range(0, len(accounts), _NEAR))
    heads, spot, of_spot, perp, of_perp = map(stacked, zip(*map(_part, near), strict=True))
    return _Users(binaries(b"".join(names), KEY), heads, _Listed(spot, of_spot), _Listed(perp, of_perp))


def _part(records: Records) -> tuple[npt.NDArray[Any], ...]:
    spot, perp = records["spot_positions"], records["perp_positions"]
    held, traded = _any(spot, SPOT_IN_USE), _in_use(perp)
    return packed(records, _HEAD), picked(spot, held), held.sum(axis=1), picked(perp, traded), traded.sum(axis=1)


def _any(records: Records, names: Sequence[str]) -> Mask:
    """Tell which records have a number that is not zero."""
    words = [records[name].view(np.int64) for name in names if records.dtype[name].itemsize == _WORD]
    used: Mask = reduce(np.bitwise_or, words) != 0
    for name in names:
        if records.dtype[name].itemsize != _WORD:
            used |= records[name] != 0
    return used


def _in_use(perp: Records) -> Mask:
    """Tell which perp positions the program looks at: few have anything in those fields at all, and these are looked at closely."""
    used = _any(perp, (*PERP_IN_USE, *_PERP_APART))
    some = picked(perp, used)
    apart: Mask = (some["position_flag"] & ~np.uint8(ISOLATED) != 0) | (some["isolated_position_scaled_balance"] != 0)
    apart &= some["last_quote_asset_amount_per_lp"] == 0
    used[used] = _any(some, PERP_IN_USE) | apart
    return used


def _odd(users: _Users) -> Mask:
    """Tell which accounts are to be read one by one."""
    odd = np.zeros(len(users.names), np.bool_)
    odd[users.spot.holders[users.spot.records["balance_type"] > BORROW]] = True
    for held_by in (users.spot, users.perp):
        held = held_by.holders << 16 | held_by.records["market_index"]
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
    for side, positions, amounts, chosen, address in held:
        kept = np.nonzero(chosen & (amounts != 0))[0]
        if len(kept):
            table = _positions(tips, users, positions, kept, (side, amounts, address))
            columns.setdefault("positions", []).append(table)
    settings = tips.origin.settings(users.names, binary(users.authorities), ACCOUNT_STATE, _texts(users))
    columns.setdefault("accounts", []).append(settings)


def _positions(tips: Tips, users: _Users, positions: _Listed, kept: Numbers, what: tuple[Side, Any, Any]) -> pa.Table:
    side, amounts, address = what
    holders = positions.holders[kept]
    coded = pa.array(positions.records["market_index"][kept]).dictionary_encode()
    markets = [address(tips.program, number) for number in coded.dictionary.to_pylist()]
    chosen = coded.indices
    words = np.zeros((len(kept), 2), np.uint64)
    words[:, 0] = amounts[kept]
    return tips.origin.positions(
        units=users.names.take(pa.array(holders)),
        owners=binary(users.authorities.take(holders, axis=0)),
        markets=pa.array(markets, pa.binary()).take(chosen),
        assets=pa.array([tips.mint(market) for market in markets], pa.binary()).take(chosen),
        held=(side, words),
    )


def _texts(users: _Users) -> pa.Array:
    """Return the aspect `account` of each account (`accounts.user_text`)."""
    each, which = distinct(users.heads, (*_TERMS, *_POOL, *_STANDING))
    return side_by_side(
        hexed(users.authorities, b'{"authority":"0x', b'",'),
        _named(each, _TERMS, ("", ',"perp":[')).take(which),
        listed(_perp(users.perp.records), users.perp.counts),
        _named(each, _POOL, ("],", ',"spot":[')).take(which),
        listed(_alike(users.spot.records, SPOT, ("[", "]")), users.spot.counts),
        _named(each, _STANDING, ("],", "}")).take(which),
    )


def _named(records: Records, names: Sequence[str], around: tuple[str, str]) -> pa.Array:
    """Write fields one behind the other, each with its name, and what stands before and behind."""
    before, behind = around
    parts: list[pa.Array | str] = [before]
    for name in names:
        parts += ["," if len(parts) > 1 else "", f'"{name}":', numbers(records[name])]
    return side_by_side(*parts, behind)


def _perp(records: Records) -> pa.Array:
    """Write perp positions: what one says that hardly another does is written number by number."""
    return side_by_side(
        _alike(records, _PERP_MARKET, ("[", ',"')),
        in_rows([records[name] for name in _PERP_OWN], '","'),
        _alike(records, _PERP_ALIKE, ('",', "]")),
    )


def _alike(records: Records, names: Sequence[str], around: tuple[str, str]) -> pa.Array:
    """Write fields of which few combinations occur, each once, with what stands before and behind."""
    each, which = distinct(records, names)
    before, behind = around
    parts: list[pa.Array | str] = [before]
    for name in names:
        mark = '"' if name in WIDE else ""
        parts += ["," if len(parts) > 1 else "", mark, numbers(each[name]), mark]
    return side_by_side(*parts, behind).take(which)
