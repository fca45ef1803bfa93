"""What moves a reserve's tokens, by column: running sums for each reserve, told after each block that changed them.

Sums are exact: numbers are added up in limbs of 32 bits, and made whole only where they are told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chains.columns import AMOUNT, TOO_WIDE
from chains.evm.aave_v3 import events as ev
from chains.evm.aave_v3.accruals import BEFORE
from chains.evm.aave_v3.balances import Balances
from chains.evm.aave_v3.epochs import Mask, Numbers, Token, places_of
from chains.evm.aave_v3.liquidity import EMPTY, Anchor, Flow, Left, text_of
from chains.evm.abi import Event, EventColumns, Words
from chains.evm.logs import LOG_SCHEMA
from chains.model import Side

PLACE = LOG_SCHEMA.names[:3]
"""Block, transaction and log of a row."""

LIMB = 32
USUAL, MOST = 128 // LIMB, 256 // LIMB
"""How many limbs amounts take, and those that nobody can have."""

HIGHEST = TOO_WIDE >> LIMB * (USUAL - 1)
"""The last limb of the least amount that fits no column."""


class Told(NamedTuple):
    """Which arguments of an event say of which reserve it moves tokens, and how many: the sum of `amounts`, in or out."""

    asset: int
    amounts: tuple[int, ...]
    sign: int


TOLD: Mapping[Event, Told] = {
    ev.SUPPLY: Told(0, (3,), 1),
    ev.WITHDRAW: Told(0, (3,), -1),
    ev.BORROW: Told(0, (3,), -1),
    ev.REPAY: Told(0, (3,), 1),
    ev.FLASH_LOAN: Told(2, (5,), 1),
    ev.BACK_UNBACKED: Told(0, (2, 3), 1),
}
"""Of a flash loan that becomes a debt a `Borrow` tells; another brings its premium."""

WITH_A_TOKENS = 4
"""Which argument of `Repay` says that it was made with aTokens, which moves nothing."""


class Changes(NamedTuple):
    """Logs, of which reserve each tells, and by how much it changes what that has left and what all accounts supplied, in limbs."""

    logs: pa.Table
    assets: pa.Array
    virtual: Numbers
    supplied: Numbers


class Lefts(NamedTuple):
    """What reserves have left after each of some logs: the aspect `liquidity`."""

    logs: pa.Table
    assets: pa.Array
    states: pa.Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What is known of reserves that are counted: before the span, from its few events on, and what liquidations moved."""

    before: Mapping[bytes, Left | None]
    anchors: Sequence[Anchor]
    liquidations: Sequence[Flow]


def lefts_of(
    counted: Counted, told: Sequence[EventColumns], balances: Balances | None, tokens: Sequence[Token]
) -> Lefts:
    """Return what each reserve has left after the last log of a block that changed it."""
    parts = [_told(events) for events in told]
    parts.append(_liquidated(counted.liquidations))
    if balances is not None:
        parts.append(_supplied(balances, tokens))
    logs = pa.concat_tables([part.logs for part in parts])
    assets = pa.concat_arrays([part.assets for part in parts])
    width = max(part[i].shape[1] for part in parts for i in (2, 3))
    sums = (np.concatenate([_widened(part[i], width) for part in parts]) for i in (2, 3))
    return _run(Changes(logs, assets, *sums), counted)


def _told(events: EventColumns) -> Changes:
    told = TOLD[events.event]
    amounts = [_limbs(events.words(i)) for i in told.amounts]
    width = max(limbs.shape[1] for limbs in amounts)
    moved: Numbers = told.sign * np.sum([_widened(limbs, width) for limbs in amounts], axis=0)
    if events.event is ev.REPAY:
        moved[events.words(WITH_A_TOKENS).any(axis=1)] = 0
    return Changes(events.table.select(PLACE), events.addresses(told.asset), moved, _nothing(len(moved)))


def _liquidated(flows: Sequence[Flow]) -> Changes:
    places = [(flow.row.block, flow.row.tx_index, flow.row.ordinal) for flow in flows]
    schema = pa.schema([LOG_SCHEMA.field(name) for name in PLACE])
    logs = pa.table([list(column) for column in zip(*places, strict=True)] or [[], [], []], schema=schema)
    assets = pa.array([flow.asset for flow in flows], pa.binary())
    return Changes(logs, assets, _limbs_of([flow.change for flow in flows]), _nothing(len(flows)))


def _supplied(balances: Balances, tokens: Sequence[Token]) -> Changes:
    supplies = [number for number, token in enumerate(tokens) if token.side is Side.SUPPLY]
    mine = np.flatnonzero(np.isin(balances.tokens, supplies))
    assets = pa.array([token.asset for token in tokens], pa.binary()).take(pa.array(balances.tokens[mine]))
    logs = balances.logs.select(PLACE).take(pa.array(mine))
    return Changes(logs, assets, _nothing(len(mine)), _limbs_of([balances.changes[i] for i in mine.tolist()]))


def _nothing(count: int) -> Numbers:
    return np.zeros((count, USUAL), np.int64)


def _widened(limbs: Numbers, width: int) -> Numbers:
    missing = width - limbs.shape[1]
    return np.pad(limbs, ((0, 0), (0, missing))) if missing else limbs


def _limbs(words: Words) -> Numbers:
    """Return unsigned words as limbs, the lowest first."""
    width = MOST if words[:, : 4 * USUAL].any() else USUAL
    return np.ascontiguousarray(words[:, 32 - 4 * width :]).view(">u4").astype(np.int64)[:, ::-1]


def _limbs_of(values: Sequence[int]) -> Numbers:
    """Return integers as limbs, the last of which has the sign."""
    try:
        parts = b"".join([value.to_bytes(4 * USUAL, "little", signed=True) for value in values])
        width = USUAL
    except OverflowError:
        parts = b"".join([value.to_bytes(4 * MOST + 4, "little", signed=True) for value in values])
        width = MOST + 1
    limbs = np.frombuffer(parts, "<u4").reshape(len(values), width).astype(np.int64)
    limbs[:, -1] -= (limbs[:, -1] >> LIMB - 1) << LIMB
    return limbs


class Part(NamedTuple):
    """A reserve from one anchor to the next."""

    asset: bytes
    place: int
    left: Left | None


def _run(changes: Changes, counted: Counted) -> Lefts:
    """Add up each reserve's lines, from one anchor to the next, and tell the sums where a block ends that changed them."""
    parts = [Part(asset, BEFORE, left) for asset, left in counted.before.items()]
    parts += [Part(anchor.asset, anchor.place, anchor.left) for anchor in counted.anchors]
    parts.sort(key=lambda part: part[:2])
    places = places_of(changes.logs)
    numbers = _parts_of(changes.assets, places, parts)
    order = np.argsort(places, kind="stable")
    order = order[np.argsort(numbers[order], kind="stable")]
    order = order[np.searchsorted(numbers[order], 0) :]
    mine = numbers[order]
    ends = np.flatnonzero(np.diff(places[order] >> 32, append=BEFORE) | np.diff(mine, append=BEFORE))
    of = mine[ends]
    begun = [_limbs_of([(part.left or EMPTY)[i] for part in parts]) for i in range(2)]
    width = max(limbs.shape[1] for limbs in (*begun, changes.virtual))
    begun = [_carried(_widened(limbs, width)) for limbs in begun]
    after = [
        _carried(_sums(_widened(moved, width)[order], np.searchsorted(mine, of), ends) + base[of])
        for moved, base in zip((changes.virtual, changes.supplied), begun, strict=True)
    ]
    told, lost = _news(of, after, begun)
    virtual, supplied = (limbs[told] for limbs in after)
    states = _texts(virtual, supplied, lost[told])
    assets = pa.array([part.asset for part in parts], pa.binary()).take(pa.array(of[told]))
    return Lefts(changes.logs.take(pa.array(order[ends][told])), assets, states)


def _parts_of(assets: pa.Array, places: Numbers, parts: Sequence[Part]) -> npt.NDArray[np.int16]:
    """Return to which part each line belongs: the last one of its asset that began before it, if anything is known of it, else −1."""
    names = sorted({part.asset for part in parts})
    codes = pc.index_in(assets, value_set=pa.array(names, pa.binary())).fill_null(-1).to_numpy()
    found = np.full(len(places), -1, np.int16)
    for i, part in enumerate(parts):
        mine = codes == names.index(part.asset)
        found[mine if part.place == BEFORE else mine & (places > part.place)] = -1 if part.left is None else i
    return found


def _sums(limbs: Numbers, first: Numbers, ends: Numbers) -> Numbers:
    """Return the sums of lines `first` to `ends`, both included, of each pair."""
    running = np.concatenate([np.zeros((1, limbs.shape[1]), np.int64), np.cumsum(limbs, axis=0)])
    sums: Numbers = running[ends + 1] - running[first]
    return sums


def _carried(limbs: Numbers) -> Numbers:
    """Return the same numbers with limbs of 32 bits, the highest of which has the sign."""
    for i in range(limbs.shape[1] - 1):
        limbs[:, i + 1] += limbs[:, i] >> LIMB
        limbs[:, i] &= (1 << LIMB) - 1
    return limbs


def _news(of: npt.NDArray[np.int16], after: Sequence[Numbers], begun: Sequence[Numbers]) -> tuple[Mask, Mask]:
    """Return which numbers are others than before, until more went out than there was, and which say so."""
    first = np.ones(len(of), np.bool_)
    first[1:] = of[1:] != of[:-1]
    told = np.zeros(len(of), np.bool_)
    for limbs, base in zip(after, begun, strict=True):
        earlier = np.roll(limbs, 1, axis=0)
        earlier[first] = base[of[first]]
        told |= (limbs != earlier).any(axis=1)
    lost = after[0][:, -1] < 0
    for part in np.unique(of[lost]):
        rows = np.flatnonzero(of == part)
        gone = int(np.flatnonzero(lost[rows])[0])
        told[rows[gone + 1 :]] = False
    return told, lost


def _texts(virtual: Numbers, supplied: Numbers, lost: Mask) -> pa.Array:
    words = ('{"virtual":"', _digits(virtual), '","supplied":"', _digits(supplied), '"}')
    return pc.if_else(pa.array(lost), text_of(None), pc.binary_join_element_wise(*words, ""))


def _digits(limbs: Numbers) -> pa.Array:
    """Return numbers as text; those of four limbs are as they stand, with their sign, in a decimal's 128 bits."""
    if limbs[:, USUAL:].any() or (np.abs(limbs[:, USUAL - 1]) >= HIGHEST).any():
        rows = limbs.tolist()
        return pa.array([str(sum(limb << LIMB * i for i, limb in enumerate(row))) for row in rows], pa.string())
    buffer = pa.py_buffer(limbs[:, :USUAL].astype("<u4").tobytes())
    return pa.Array.from_buffers(AMOUNT, len(limbs), [None, buffer]).cast(pa.string())
