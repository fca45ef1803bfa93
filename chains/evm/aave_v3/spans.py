"""The events of a span: the few that say what things mean, and the many, by column, that say what accounts did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chains.errors import NodeWrong
from chains.evm.aave_v3 import events as ev
from chains.evm.aave_v3.balances import Balances, Moves, burnt, minted, settled, transferred
from chains.evm.aave_v3.columns import Entries, only
from chains.evm.aave_v3.epochs import NO_TOKEN, Epochs, Mask, Numbers, Token
from chains.evm.aave_v3.maths import RAY
from chains.evm.aave_v3.rounding import LEAST_INDEX, SHOWN, Rounding
from chains.evm.abi import Event, EventColumns, LoggedEvent, Misfit, by_topic, decode_each
from chains.evm.logs import empty_logs
from chains.model import VenueSpec
from chains.ports import StateReader

INDEX, INDEX_OF_TRANSFER = 4, 3
"""Which argument of `Mint` and `Burn`, and of `BalanceTransfer`, is the index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """The decoded logs of a span: `few` and `misfits` in chain order; `many` by event, those that occur."""

    few: list[LoggedEvent]
    many: Mapping[Event, EventColumns]
    misfits: list[Misfit]

    def of(self, event: Event) -> EventColumns:
        """Return the logs of one of the many."""
        return self.many.get(event) or EventColumns(event=event, table=empty_logs(), misfits=[])


def logged(logs: pa.Table) -> Logged:
    """Decode every known event of a log table."""
    apart = by_topic(logs)
    many = {event: event.columns(apart[event.topic0]) for event in ev.MANY if event.topic0 in apart}
    few = decode_each(ev.FEW, apart)
    misfits = [*few.misfits, *(misfit for columns in many.values() for misfit in columns.misfits)]
    return Logged(few=few.events, many=many, misfits=sorted(misfits, key=lambda misfit: misfit[:2]))


class TokenLogs(NamedTuple):
    """Logs of the market's tokens, and the number that `Epochs` gave each token."""

    events: EventColumns
    numbers: Numbers


def enter(span: Logged, entries: Entries, state: StateReader, times: Mapping[int, int]) -> None:
    """Enter what the many say; raises `NodeWrong` when balances show that earlier logs are missing."""
    pool = entries.venue.address
    told = {event: emitted_by(pool, span.many[event]) for event in ev.POOL_EVENTS if event in span.many}
    for events in told.values():
        _enter_pool(events, entries, times)
    tokens = {event: _of_tokens(span.many[event], entries.epochs) for event in ev.TOKEN_EVENTS if event in span.many}
    if ev.BALANCE_TRANSFER in tokens:
        tokens[ev.BALANCE_TRANSFER] = _divisible(tokens[ev.BALANCE_TRANSFER], entries)
        _enter_transfers(tokens[ev.BALANCE_TRANSFER], entries)
    balances = _enter_balances(tokens, entries, state) if tokens else None
    entries.liquidity(told, balances, entries.epochs.tokens)


def _enter_pool(events: EventColumns, entries: Entries, times: Mapping[int, int]) -> None:
    match events.event:
        case ev.RESERVE_DATA_UPDATED:
            entries.rates(events, times)
        case ev.USER_EMODE_SET:
            entries.categories(events)
        case ev.COLLATERAL_ENABLED | ev.COLLATERAL_DISABLED:
            entries.flags(events)
        case ev.FLASH_LOAN | ev.BACK_UNBACKED:
            return
        case _:
            entries.history(events)


def emitted_by(address: bytes, events: EventColumns) -> EventColumns:
    """Return the logs of one contract."""
    return only(events, pc.equal(events.table["address"], pa.scalar(address, pa.binary())).to_numpy())


def _of_tokens(events: EventColumns, epochs: Epochs) -> TokenLogs:
    """Return the logs of the market's tokens."""
    numbers = epochs.token_numbers(events.table)
    known = numbers != NO_TOKEN
    return TokenLogs(only(events, known), numbers[known])


def _enter_transfers(logs: TokenLogs, entries: Entries) -> None:
    events = logs.events
    assets = pa.array([token.asset for token in entries.epochs.tokens], pa.binary()).take(pa.array(logs.numbers))
    shown = [SHOWN[token.rounding or Rounding.HALF_UP] for token in entries.epochs.tokens]
    moved = [
        shown[number](scaled, index)
        for number, scaled, index in zip(logs.numbers.tolist(), events.integers(2), events.integers(3), strict=True)
    ]
    entries.transfers(events, assets, moved)


def _enter_balances(tokens: Mapping[Event, TokenLogs], entries: Entries, state: StateReader) -> Balances:
    known = entries.epochs.tokens
    moves = [part for logs in tokens.values() for part in _moves(_exact(logs, known), entries)]
    balances = settled(moves, known, partial(state.amounts, entries.venue.id))
    _check(balances, entries.venue)
    entries.balances(balances, known)
    entries.debts(balances, known)
    return balances


def _moves(logs: TokenLogs, entries: Entries) -> Sequence[Moves]:
    match logs.events.event:
        case ev.MINT:
            return (minted(*_sound(logs, entries)),)
        case ev.BURN:
            return (burnt(*_sound(logs, entries)),)
        case _:
            return transferred(*logs, entries.epochs.tokens)


def _exact(logs: TokenLogs, tokens: Sequence[Token]) -> TokenLogs:
    """Return the logs of tokens whose balances are known exactly."""
    known = np.array([token.rounding is not None for token in tokens], np.bool_)[logs.numbers]
    return TokenLogs(only(logs.events, known), logs.numbers[known])


def _sound(logs: TokenLogs, entries: Entries) -> TokenLogs:
    """Return the logs whose index can be one; the others go into quarantine."""
    events = logs.events
    indexes = events.integers(INDEX)
    if min(indexes, default=RAY) >= RAY:
        return logs
    least = [LEAST_INDEX[token.rounding] if token.rounding else 0 for token in entries.epochs.tokens]
    sound = np.array([index >= least[number] for index, number in zip(indexes, logs.numbers.tolist(), strict=True)])
    return _set_aside(logs, sound, entries)


def _divisible(logs: TokenLogs, entries: Entries) -> TokenLogs:
    """Return the transfers but those in token units whose index is none; these go into quarantine."""
    unscaled = [token.rounding is Rounding.UNSCALED for token in entries.epochs.tokens]
    indexes = logs.events.integers(INDEX_OF_TRANSFER)
    sound = np.array(
        [index > 0 or not unscaled[number] for index, number in zip(indexes, logs.numbers.tolist(), strict=True)],
        np.bool_,
    )
    return logs if sound.all() else _set_aside(logs, sound, entries)


def _set_aside(logs: TokenLogs, sound: Mask, entries: Entries) -> TokenLogs:
    events = logs.events
    odd = only(events, ~sound).table.select(["block_number", "log_index", "tx_index", "address", "data"])
    entries.rows.quarantined += [
        Misfit(block, ordinal, tx_index, address, events.event, data).quarantined(entries.venue.id)
        for block, ordinal, tx_index, address, data in zip(*(column.to_pylist() for column in odd), strict=True)
    ]
    return TokenLogs(only(events, sound), logs.numbers[sound])


def _check(balances: Balances, venue: VenueSpec) -> None:
    if not balances.amounts or min(balances.amounts) >= 0:
        return
    line = next(line for line, amount in enumerate(balances.amounts) if amount < 0)
    (log,) = balances.logs.slice(line, 1).to_pylist()
    message = (
        f"venue {venue.id}: the scaled balance of 0x{balances.holders[line].as_py().hex()} falls below zero at block"
        f" {log['block_number']}; the node left out earlier logs of token 0x" + log["address"].hex()
    )
    raise NodeWrong(message)
