"""What each account holds of each token after each movement, as columns; the only sums there are.

Setting of `account_change`: `wide_amount` per token, the amount as JSON text while it has more digits than a column, `null` since it
fits again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chains.columns import (
    EVENTS,
    POSITION_KEYS,
    POSITIONS,
    TOO_WIDE,
    amounts,
    amounts_of,
    binaries,
    integers,
    repeated,
)
from chains.escrow import ENGINE
from chains.evm.escrow.coin import Coin
from chains.evm.escrow.movements import ADDRESS, PLACE, Flags, Movements
from chains.model import (
    AccountChange,
    Basis,
    LendingEvent,
    PositionChange,
    Rows,
    Side,
)
from chains.ports import AccountKey, StateReader

WIDE = "wide_amount"
KINDS = ("supply", "withdraw")


class Pass:
    """One run over the movements of a span: the amount of each holding after each of them."""

    def __init__(
        self, venue_id: str, state: StateReader, moved: Movements, *, owners: pa.Array, coin: Coin | None, rows: Rows
    ) -> None:
        self._venue_id = venue_id
        self._moved = moved
        self._owners = owners
        self._assets = named(moved.tokens, coin)
        self._rows = rows
        ids, holdings = _interned(moved, coin)
        self._ids: list[int] = ids.tolist()
        self._held = _amounts(venue_id, state, holdings)

    def run(self) -> tuple[list[int], list[int]]:
        """Note each movement: the amount after it, and a line of history; returns the amounts before and after each."""
        moves = self._moved
        after, before = self._sums()
        narrow = _narrow(after)
        if not (narrow.all() and _narrow(before).all()):
            self._wide(before, after)
        self._positions(after, narrow)
        self._history(_narrow(moves.amounts))
        return before, after

    def _sums(self) -> tuple[list[int], list[int]]:
        """Return the amounts after and before each movement; the only sums there are."""
        held = self._held
        after, before = [], []
        for i, amount, incoming in zip(self._ids, self._moved.amounts, self._moved.incoming.tolist(), strict=True):
            amount_before = held[i]
            before.append(amount_before)
            held[i] = amount_after = amount_before + amount if incoming else amount_before - amount
            after.append(amount_after)
        return after, before

    def _positions(self, after: list[int], narrow: Flags) -> None:
        """Enter amounts; what is too wide for a column goes beside, to be kept apart by whoever stores it."""
        moved, count = _some(self._moved, narrow)
        owners, assets = self._beside(narrow)
        some = (
            [amount for amount, fits in zip(after, narrow.tolist(), strict=True) if fits]
            if count < len(after)
            else after
        )
        columns = [
            *_place(moved),
            repeated(self._venue_id, count, pa.string()),
            moved.accounts,
            owners,
            assets,
            repeated(Side.SUPPLY.value, count, pa.string()),
            assets,
            amounts(some),
            repeated(ENGINE, count, pa.string()),
            repeated(Basis.EXACT.value, count, pa.string()),
        ]
        self._rows.columns["positions"] = [pa.table(columns, schema=POSITIONS)]
        for row in np.flatnonzero(~narrow).tolist():
            place, account, owner, token = self._at(row)
            self._rows.positions.append(
                PositionChange(
                    *place, self._venue_id, account, owner, token, Side.SUPPLY, token, after[row], ENGINE, Basis.EXACT
                )
            )

    def _history(self, narrow: Flags) -> None:
        moved, count = _some(self._moved, narrow)
        owners, assets = self._beside(narrow)
        columns = [
            *_place(moved),
            moved.place["tx_hash"],
            repeated(self._venue_id, count, pa.string()),
            pc.if_else(pa.array(moved.incoming), *KINDS),
            assets,
            owners,
            pa.nulls(count, pa.binary()),
            assets,
            amounts_of(moved.words),
            repeated("{}", count, pa.string()),
            repeated(Basis.EXACT.value, count, pa.string()),
        ]
        self._rows.columns["events"] = [pa.table(columns, schema=EVENTS)]
        for row in np.flatnonzero(~narrow).tolist():
            place, _, owner, token = self._at(row)
            tx_hash, kind = self._moved.place["tx_hash"][row].as_py(), KINDS[0 if self._moved.incoming[row] else 1]
            amount = self._moved.amounts[row]
            self._rows.events.append(
                LendingEvent(*place, tx_hash, self._venue_id, kind, token, owner, None, token, amount, "{}")
            )

    def _wide(self, before: list[int], after: list[int]) -> None:
        """Remember amounts that no column can hold, until they fit again."""
        for row in np.flatnonzero(~(_narrow(before) & _narrow(after))).tolist():
            place, account, owner, token = self._at(row)
            text = json.dumps(str(after[row]) if _is_wide(after[row]) else None)
            self._rows.accounts.append(
                AccountChange(*place, self._venue_id, account, owner, token, WIDE, text, ENGINE, Basis.EXACT)
            )

    def _beside(self, which: Flags) -> tuple[pa.Array, pa.Array]:
        """Return owners and assets of some of the movements."""
        if which.all():
            return self._owners, self._assets
        rows = pa.array(which)
        return self._owners.filter(rows), self._assets.filter(rows)

    def _at(self, row: int) -> tuple[tuple[int, int, int], bytes, bytes, bytes]:
        """Return the place of a movement, its account with the owner, and the asset."""
        account, owner, asset = (column[row].as_py() for column in (self._moved.accounts, self._owners, self._assets))
        return self._moved.at(row), account, owner, asset


class _Wide(Collection[AccountKey]):
    """The settings that say how wide the amounts of holdings are, made as they are asked for: hardly any amount is."""

    def __init__(self, holdings: pa.Table) -> None:
        self._holdings = holdings

    def __len__(self) -> int:
        return int(self._holdings.num_rows)

    def __iter__(self) -> Iterator[AccountKey]:
        units, markets = (self._holdings[name].to_pylist() for name in ("unit_id", "market"))
        return ((unit, market, WIDE) for unit, market in zip(units, markets, strict=True))

    def __contains__(self, key: object) -> bool:
        return key in set(self)


def _interned(moved: Movements, coin: Coin | None) -> tuple[npt.NDArray[np.int32], pa.Table]:
    """Return which holding each movement changes, and the holdings."""
    size = len(moved.accounts[0].as_py())
    pairs = np.hstack([_bytes(moved.accounts, size), _bytes(moved.tokens, ADDRESS)])
    encoded = binaries(pairs.tobytes(), size + ADDRESS).dictionary_encode()
    holdings = _bytes(encoded.dictionary, size + ADDRESS)
    accounts = binaries(holdings[:, :size].tobytes(), size)
    tokens = named(binaries(holdings[:, size:].tobytes(), ADDRESS), coin)
    sides = repeated(Side.SUPPLY.value, len(holdings), pa.string())
    return encoded.indices.to_numpy(), pa.table([accounts, tokens, sides], schema=POSITION_KEYS)


def named(tokens: pa.Array, coin: Coin | None) -> pa.Array:
    """Return what the journals call tokens: the coin by its own name, all others by their addresses."""
    if coin is None:
        return tokens
    stand_in = pa.scalar(coin.address, pa.binary())
    return pc.if_else(pc.equal(tokens, stand_in), pa.scalar(coin.asset, pa.binary()), tokens)


def _bytes(values: pa.Array, size: int) -> npt.NDArray[np.uint8]:
    """Return values of one size, a row each."""
    start = values.offset * size
    return np.frombuffer(values.buffers()[2], np.uint8)[start : start + len(values) * size].reshape(-1, size)


def _amounts(venue_id: str, state: StateReader, holdings: pa.Table) -> list[int]:
    """Return the prior amounts of holdings, also of those that no column could hold."""
    known = integers(state.amounts(venue_id, holdings).fill_null(0))
    wide = {key: json.loads(text) for key, text in state.accounts(venue_id, _Wide(holdings)).items()}
    if not wide:
        return known
    exact = {key: int(text) for key, text in wide.items() if text is not None}
    return [exact.get(key, amount) for key, amount in zip(_Wide(holdings), known, strict=True)]


def _narrow(values: Sequence[int]) -> Flags:
    """Tell which amounts a column can hold."""
    if min(values) > -TOO_WIDE and max(values) < TOO_WIDE:
        return np.ones(len(values), np.bool_)
    return np.array([not _is_wide(value) for value in values], np.bool_)


def _is_wide(amount: int) -> bool:
    return not -TOO_WIDE < amount < TOO_WIDE


def _some(moved: Movements, which: Flags) -> tuple[Movements, int]:
    """Return some of the movements, and how many they are."""
    if which.all():
        return moved, len(moved.amounts)
    rows = pa.array(which)
    some = replace(
        moved,
        place=moved.place.filter(rows),
        accounts=moved.accounts.filter(rows),
        tokens=moved.tokens.filter(rows),
        words=moved.words[which],
        amounts=[amount for amount, wanted in zip(moved.amounts, which.tolist(), strict=True) if wanted],
        incoming=moved.incoming[which],
    )
    return some, len(some.amounts)


def _place(moved: Movements) -> list[pa.ChunkedArray]:
    return [moved.place[name] for name in PLACE[:3]]
