"""What a position holds and owes in raw units: as it was written, or after the liquidations that passed over its tick.

A liquidation writes to ticks and branches and to no position. Source: the vaults program's `Position::get_position_info`,
`OperateMemoryVars::fetch_latest_position` and what `operate` makes of it (February 2026).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from chains.solana.jupiter_lend.maths import (
    COLD_TICK,
    FOUR_DECIMALS,
    FULL_FACTOR,
    ONE_X48,
    Refused,
    factor_product,
    ratio_at_tick,
    ratio_with_partials,
    scaled_by,
    u128,
)

MERGED, CLOSED = 2, 3
IDS_IN_ONE = 3
"""A record of liquidations holds what became of so many ids of a tick."""

_LEAST_SHARE = 100
"""Who is left with less than this part of the debt is left with nothing."""

MOST_MERGES = 100_000
"""So many branches are followed; the program's own instruction could not."""


class Position(NamedTuple):
    """A position as written. `dust`: how much less is owed than its tick says."""

    supply_only: bool
    tick: int
    tick_id: int
    supply: int
    dust: int


class Liquidated(NamedTuple):
    """What became of one id of a tick: taken in whole, or liquidated within a branch from `factor` on."""

    fully: bool
    branch: int
    factor: int


class Tick(NamedTuple):
    """A tick as stored: its newest id, and whether that was liquidated."""

    total_ids: int
    liquidated: bool
    last: Liquidated


class Branch(NamedTuple):
    """A branch as stored: how far it was liquidated, and into which it was merged."""

    status: int
    minima_tick: int
    partials: int
    factor: int
    connected: int


class Ledger(NamedTuple):
    """How to look up a vault's ticks, what became of earlier ids (tick, record number), and branches; each `None` where not known."""

    tick: Callable[[int], Tick | None]
    earlier: Callable[[int, int], tuple[Liquidated, ...] | None]
    branch: Callable[[int], Branch | None]


class Settled(NamedTuple):
    """What a position holds and owes now, raw; `tick` is `COLD_TICK` without debt.

    `liquidated`: a liquidation passed over it since it was written. `partials`: how far into its tick, where it was.
    """

    supply: int
    debt: int
    tick: int
    liquidated: bool = False
    partials: int | None = None


class Unknown(NamedTuple):
    """What is not known of a vault, so that a position is not either."""

    what: str


def settled(position: Position, ledger: Ledger) -> Settled | Unknown:
    """Return what a position holds and owes now; raises `Refused` where the program's own steps fail."""
    if position.supply_only or position.tick == COLD_TICK:
        return Settled(position.supply, 0, COLD_TICK)
    written = u128(u128(ratio_at_tick(position.tick) * (position.supply + 1)) // ONE_X48 + 1)
    tick = ledger.tick(position.tick)
    if tick is None:
        return Unknown(f"tick {position.tick} has not been read")
    if tick.total_ids < position.tick_id:
        return Unknown(f"tick {position.tick} was read before its id {position.tick_id} came to be")
    if not tick.liquidated and tick.total_ids == position.tick_id:
        return Settled(position.supply, u128(written - position.dust), position.tick)
    found = _fate(position, tick, ledger)
    return found if isinstance(found, Unknown) else _left(position, written, found, ledger)


def _fate(position: Position, tick: Tick, ledger: Ledger) -> Liquidated | Unknown:
    if tick.total_ids == position.tick_id:
        return tick.last
    number = (position.tick_id + IDS_IN_ONE - 1) // IDS_IN_ONE
    record = ledger.earlier(position.tick, number)
    if record is None:
        return Unknown(f"record {number} of the liquidations of tick {position.tick} has not been read")
    return record[(position.tick_id + IDS_IN_ONE - 1) % IDS_IN_ONE]


def _left(position: Position, written: int, fate: Liquidated, ledger: Ledger) -> Settled | Unknown:
    """Return what the branches leave; less than the dust is nothing."""
    nothing = Settled(0, 0, COLD_TICK, liquidated=True)
    if fate.fully:
        return nothing
    followed = _follow(fate, ledger)
    if followed is None or isinstance(followed, Unknown):
        return nothing if followed is None else followed
    branch, connection = followed
    debt = scaled_by(written, branch.factor, connection)
    if debt <= written // _LEAST_SHARE:
        return nothing
    debt = debt * (FOUR_DECIMALS - 1) // FOUR_DECIMALS
    if debt == 0:
        return nothing
    ratio = ratio_with_partials(branch.minima_tick, branch.partials)
    if ratio == 0:
        raise Refused("the ratio is zero")
    supply = u128(debt * ONE_X48) // ratio
    if debt <= position.dust:
        return nothing
    return Settled(supply, debt - position.dust, branch.minima_tick, liquidated=True, partials=branch.partials)


def _follow(fate: Liquidated, ledger: Ledger) -> tuple[Branch, int] | Unknown | None:
    """Return the branch that a liquidated tick has come to, and from which factor on; `None` where it is closed or nothing is left."""
    number, connection = fate.branch, fate.factor
    for _ in range(MOST_MERGES):
        branch = ledger.branch(number)
        if branch is None:
            return Unknown(f"branch {number} has not been read")
        if branch.status == CLOSED:
            return None
        if branch.status != MERGED:
            return branch, connection
        connection = factor_product(connection, branch.factor)
        if connection == FULL_FACTOR:
            return None
        number = branch.connected
    raise Refused(f"branch {fate.branch} is merged into itself")
