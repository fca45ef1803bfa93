"""How many tokens a reserve has to lend and to give back, since 3.1: the pool counts them (`virtualUnderlyingBalance`, `ReserveLogic`).

Every event that moves them says by how much: supplies, withdrawals, loans, repayments but those with aTokens, both sides of a
liquidation (the collateral's unless it is paid in aTokens), premiums of flash loans, and what backs unbacked aTokens (to 3.3). Where a
pool begins to count, at its upgrade to 3.1, it is asked for what it begins with; GHO is not counted until 3.4.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from chains.evm.aave_v3 import events as ev
from chains.evm.abi import Function, LoggedEvent
from chains.evm.logs import unhex
from chains.model import END_OF_BLOCK, Basis, MarketChange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chains.evm.aave_v3.market import Pass

FIRST_COUNTED, FIRST_ALL_COUNTED = 4, 8
"""`POOL_REVISION` of 3.1, and of 3.4, from which on a pool counts the tokens of every reserve."""

COUNTED_BIT = 252
"""Of a reserve's configuration: whether its tokens are counted (to 3.3)."""

ASPECT = "liquidity"


class Left(NamedTuple):
    """What a reserve has left in raw token units, and what all accounts together supplied, as stored: no loan is larger than that."""

    virtual: int
    supplied: int


EMPTY = Left(0, 0)


class Anchor(NamedTuple):
    """From `place` on a reserve has so much left, `None` for what is not known, whatever events told before."""

    place: int
    asset: bytes
    left: Left | None


class Flow(NamedTuple):
    """By how much a log changed what a reserve has left."""

    row: LoggedEvent
    asset: bytes
    change: int


def text_of(left: Left | None) -> str:
    """Write the aspect `liquidity`."""
    return "null" if left is None else f'{{"virtual":"{left.virtual}","supplied":"{left.supplied}"}}'


def left_of(text: str | None) -> Left | None:
    """Read it."""
    said = None if text is None else json.loads(text)
    return said and Left(int(said["virtual"]), int(said["supplied"]))


def liquidated(row: LoggedEvent) -> Iterator[Flow]:
    """Return what a `LiquidationCall` moves: the debt comes in, and the collateral leaves where the liquidator takes no aTokens."""
    collateral, debt, _, covered, seized, _, receive_a_token = row.args
    yield Flow(row, debt, covered)
    if not receive_a_token:
        yield Flow(row, collateral, -seized)


def listed(work: Pass, row: LoggedEvent, asset: bytes, configuration: int | None) -> None:
    """Begin to count with a reserve that is listed in a pool that counts it."""
    if _counts(work.revision, configuration):
        _note(work, row, asset)


def dropped(work: Pass, row: LoggedEvent, asset: bytes) -> None:
    """Forget what a reserve had left, as the pool does."""
    if (asset, ASPECT) in work.tips.markets:
        _note(work, row, asset)


def upgraded(work: Pass, row: LoggedEvent, before: int | None) -> None:
    """Ask a pool that begins to count what it begins with, and know nothing of one that runs other code; `before`: its last revision."""
    counts, counted = (revision is not None and revision >= FIRST_COUNTED for revision in (work.revision, before))
    for asset, reserve in work.tips.each("reserve"):
        known = (asset, ASPECT) in work.tips.markets
        if counts and not (counted and known):
            left = _asked(work, row.block, asset, unhex(reserve["a_token"]))
            if left is not None or known:
                _anchor(work, row.block, asset, left)
        elif counted and known and not counts:
            _anchor(work, row.block, asset, None)


def settle(work: Pass) -> None:
    """Enter what a pool was asked, or is not known any more, from the end of the block on."""
    for (block, asset), left in work.counted_at.items():
        work.anchors.append(Anchor(((block + 1) << 32) - 1, asset, left))
        place = block, -1, END_OF_BLOCK
        engine = work.epochs.engine_at(block)
        work.tips.rows.markets.append(
            MarketChange(*place, work.venue.id, asset, ASPECT, text_of(left), engine, Basis.SETTLED)
        )


def before(markets: Mapping[tuple[bytes, str], str], anchors: Sequence[Anchor]) -> dict[bytes, Left | None]:
    """Return what reserves had left before a span, of those where it is followed by its end."""
    known = [asset for asset, aspect in markets if aspect == ASPECT]
    return {asset: left_of(markets.get((asset, ASPECT))) for asset in (*known, *(anchor.asset for anchor in anchors))}


def _note(work: Pass, row: LoggedEvent, asset: bytes) -> None:
    work.anchors.append(Anchor((row.block << 32) + row.ordinal, asset, EMPTY))
    work.tips.market(row, asset, ASPECT, virtual="0", supplied="0")


def _anchor(work: Pass, block: int, asset: bytes, left: Left | None) -> None:
    work.counted_at[block, asset] = left
    work.tips.markets[asset, ASPECT] = text_of(left)


def _counts(revision: int | None, configuration: int | None) -> bool:
    if revision is None or revision < FIRST_COUNTED:
        return False
    return revision >= FIRST_ALL_COUNTED or bool((configuration or 0) >> COUNTED_BIT & 1)


def _asked(work: Pass, block: int, asset: bytes, a_token: bytes) -> Left | None:
    def ask(contract: bytes, view: Function, *arguments: bytes) -> int | None:
        answer = work.reads.state(block, contract, view.calldata(*arguments))
        values = view.result(answer.output) if answer.returned else None
        return values[0] if values else None

    configuration = ask(work.venue.address, ev.RESERVE_DATA, asset)
    virtual = ask(work.venue.address, ev.VIRTUAL_BALANCE, asset)
    supplied = ask(a_token, ev.SCALED_TOTAL_SUPPLY)
    if not _counts(work.revision, configuration) or virtual is None or supplied is None:
        return None
    return Left(virtual, supplied)
