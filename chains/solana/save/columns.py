"""Many obligations that are seen for the first time, as columns from their bytes to the rows: the same rows as one by one.

Obligations with as many deposits and borrows are laid one below the other. What is odd is left to be read one by one: another version, too
many entries, two of one reserve, the flag closeable, and a debt of more digits than a column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chains.columns import TOO_WIDE, binaries
from chains.model import Side
from chains.solana.layouts import KEY
from chains.solana.save.layout import BORROW_SIZE, DEPOSIT_SIZE, ENTRIES, MOST_ENTRIES, OBLIGATION, OWNER
from chains.solana.save.tips import ENGINE, OBLIGATION_SETTING, Tips
from chains.solana.seen import Origin
from chains.solana.texts import binary, hexed

WORTH_COLUMNS = 64
"""So many obligations are read sooner together than one by one."""

_CHUNK = 8_192
_HEAD = ("version", "closeable", "deposits_len", "borrows_len")
_WORD = 8
_HIGHEST = TOO_WIDE >> 64
_QUOTED = (b'"0x', b'"')

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


class _Alike(NamedTuple):
    """Obligations with as many entries: names, owners (n, 32), of each entry its reserve (n, k, 32) and numbers of two words, low first."""

    names: list[bytes]
    owners: Bytes
    deposits: Bytes
    supplied: Words
    borrows: Bytes
    rates: Words
    owed: Words


def enter_many(tips: Tips, slot: int, names: Sequence[bytes], accounts: Sequence[bytes]) -> set[bytes]:
    """Enter obligations of which nothing is known; returns the addresses of those that are odd, which are not entered.

    All must have the size of an obligation.
    """
    odd: set[bytes] = set()
    for at in range(0, len(names), _CHUNK):
        whole = np.frombuffer(b"".join(accounts[at : at + _CHUNK]), np.uint8).reshape(-1, OBLIGATION.size)
        for alike, strange in _sorted_out(names[at : at + _CHUNK], whole):
            odd.update(strange)
            if alike.names:
                _enter(tips, slot, alike)
    return odd


def _sorted_out(names: Sequence[bytes], whole: Bytes) -> Iterator[tuple[_Alike, list[bytes]]]:
    """Yield obligations by how many entries they have, and the names of the odd ones among them."""
    version, closeable, deposits, borrows = (whole[:, OBLIGATION.fields[name][0]] for name in _HEAD)
    for kind in np.unique(deposits.astype(np.int32) << 8 | borrows):
        count, owing = divmod(int(kind), 256)
        chosen = np.nonzero((deposits == count) & (borrows == owing))[0]
        group = [names[i] for i in chosen.tolist()]
        if count + owing > MOST_ENTRIES:
            count = owing = 0
            plain = np.zeros(len(chosen), np.bool_)
        else:
            plain = (version[chosen] == OBLIGATION.discriminator[0]) & (closeable[chosen] == 0)
        found = _laid_out(group, whole[chosen], count, owing)
        plain &= ~_twice(found.deposits) & ~_twice(found.borrows) & ~(found.owed[..., 1] >= _HIGHEST).any(axis=1)
        strange = [name for name, fits in zip(group, plain.tolist(), strict=True) if not fits]
        if strange:
            group = [name for name, fits in zip(group, plain.tolist(), strict=True) if fits]
            found = _laid_out(group, whole[chosen[plain]], count, owing)
        yield found, strange


def _laid_out(names: list[bytes], whole: Bytes, count: int, owing: int) -> _Alike:
    debts = ENTRIES + count * DEPOSIT_SIZE
    deposits = whole[:, ENTRIES:debts].reshape(len(names), count, DEPOSIT_SIZE)
    borrows = whole[:, debts : debts + owing * BORROW_SIZE].reshape(len(names), owing, BORROW_SIZE)
    supplied = np.zeros((len(names), count, 2), np.uint64)
    supplied[..., 0] = _words(deposits[..., KEY : KEY + _WORD])[..., 0]
    rates, owed = (_words(borrows[..., at : at + 2 * _WORD]) for at in (KEY, KEY + 2 * _WORD))
    return _Alike(names, whole[:, OWNER], deposits[..., :KEY], supplied, borrows[..., :KEY], rates, owed)


def _words(raw: Bytes) -> Words:
    return np.ascontiguousarray(raw).view(np.uint64)


def _twice(reserves: Bytes) -> Mask:
    """Tell which obligations have two entries of one reserve."""
    words = _words(reserves)
    found = np.zeros(len(reserves), np.bool_)
    for first in range(reserves.shape[1] - 1):
        found |= (words[:, first + 1 :] == words[:, first : first + 1]).all(axis=2).any(axis=1)
    return found


def _enter(tips: Tips, slot: int, found: _Alike) -> None:
    names, origin = binaries(b"".join(found.names), KEY), Origin(slot, tips.venue_id, ENGINE)
    columns = tips.rows.columns
    sides = ((Side.SUPPLY, found.deposits, found.supplied), (Side.BORROW, found.borrows, found.owed))
    for side, reserves, amounts in sides:
        if reserves.shape[1]:
            table = _positions(tips, origin, names, found.owners, (side, reserves, amounts))
            columns.setdefault("positions", []).append(table)
    settings = origin.settings(names, binary(found.owners), OBLIGATION_SETTING, _texts(found))
    columns.setdefault("accounts", []).append(settings)


def _positions(tips: Tips, origin: Origin, names: pa.Array, owners: Bytes, held: tuple[Side, Bytes, Words]) -> pa.Table:
    """Make the rows of the amounts of one side that are not zero."""
    side, reserves, amounts = held
    some = amounts.any(axis=2)
    whose = np.nonzero(some)[0]
    markets = binary(reserves[some]).dictionary_encode()
    mints = pa.array([tips.mints.get(each, each) for each in markets.dictionary.to_pylist()], pa.binary())
    return origin.positions(
        units=names.take(pa.array(whose)),
        owners=binary(owners[whose]),
        markets=markets.dictionary.take(markets.indices),
        assets=mints.take(markets.indices),
        held=(side, amounts[some]),
    )


def _texts(found: _Alike) -> pa.Array:
    """Write the setting of each obligation, as `tips.unit_state` does."""
    parts: list[pa.Array | str] = ['{"owner":', hexed(found.owners, *_QUOTED), ',"closeable":false,"deposits":[']
    for number in range(found.deposits.shape[1]):
        parts += ["," if number else "", hexed(found.deposits[:, number], *_QUOTED)]
    parts.append('],"borrows":[')
    for number in range(found.borrows.shape[1]):
        parts += [
            ",[" if number else "[",
            hexed(found.borrows[:, number], *_QUOTED),
            ',"',
            _numbers(found.rates[:, number]),
            '"]',
        ]
    return pc.binary_join_element_wise(*parts, "]}", "")


def _numbers(words: Words) -> pa.Array:
    """Write numbers of two words in decimal digits."""
    if words[:, 1].any():
        return pa.array([str(low | high << 64) for low, high in words.tolist()], pa.string())
    return pa.array(np.ascontiguousarray(words[:, 0])).cast(pa.string())
