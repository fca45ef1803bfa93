"""Deposits and withdrawals → journals: what each account put into a vault less what it took out, in raw units of each token.

Aspects of a token: `token`, see `chains.escrow`. Settings of `account_change`: `wide_amount` per token, the amount as JSON text while it
has more digits than a column, `null` since it fits again; the row of such an amount is in quarantine, and the tip is an older one.
Units are depositors. A zero account or token is one like any other: the vault said so.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import NamedTuple

import pyarrow as pa

from chains.errors import NoContract
from chains.escrow import ENGINE
from chains.evm.abi import Decoded, LoggedEvent, Misfit, decode_all
from chains.evm.erc20 import DECIMALS, SYMBOL, decimals_of, symbol_of
from chains.evm.escrow.events import Declared, terms_of
from chains.evm.logs import of_addresses
from chains.evm.ports import CODE_BEFORE, Answer, Folded, NeedReads, Read, Reads
from chains.model import (
    AccountChange,
    Basis,
    LendingEvent,
    MarketChange,
    PositionChange,
    Quarantined,
    Rows,
    Side,
    VenueSpec,
)
from chains.ports import StateReader

TOKEN = "token"  # noqa: S105 - an aspect of a market
WIDE = "wide_amount"
TOO_WIDE = 10**38
"""The first amount that a column of 38 digits cannot hold, on either side of zero."""

Holding = tuple[bytes, bytes]
"""(account, token)"""


class Movement(NamedTuple):
    """One deposit or withdrawal."""

    row: LoggedEvent
    account: bytes
    token: bytes
    amount: int
    incoming: bool


class Escrow:
    """The fold of one vault."""

    __slots__ = ("_terms", "venue")

    def __init__(self, venue: VenueSpec) -> None:
        self.venue = venue
        self._terms = terms_of(venue.options)

    @classmethod
    def topics(cls, venue: VenueSpec) -> tuple[bytes, ...]:
        """Return the topic0 of the two events that the options declare; raises `ValueError`."""
        terms = terms_of(venue.options)
        return terms.deposit.event.topic0, terms.withdraw.event.topic0

    @classmethod
    def origin(cls, venue: VenueSpec, *, begun: bool) -> Read | None:
        """Ask for the code before the first block: with none there, no deposit is older. It is asked once: old state is soon gone."""
        return None if begun else Read(venue.start_block, CODE_BEFORE, venue.address, b"")

    @classmethod
    def found(cls, venue: VenueSpec, answer: Answer | None) -> Escrow:
        """Make the fold of a venue; raises `NoContract` for a vault that is older than its first block."""
        if answer is not None and answer.output:
            raise NoContract(
                f"venue {venue.id}: 0x{venue.address.hex()} on {venue.chain_id} was deployed before start_block"
                f" {venue.start_block}, so earlier deposits would be missing; set start_block to its deployment block"
                " or one before"
            )
        return cls(venue)

    def contracts(self, state: StateReader) -> Mapping[bytes, int]:
        """Return the vault: nothing else tells of its deposits."""
        del state
        return {self.venue.address: self.venue.start_block}

    def decode(self, logs: pa.Table) -> Decoded:
        """Turn the logs of a span into the vault's events."""
        mine = of_addresses(logs, [self.venue.address])
        return decode_all((self._terms.deposit.event, self._terms.withdraw.event), mine)

    def fold(self, state: StateReader, decoded: Decoded, times: Mapping[int, int], reads: Reads) -> Folded | NeedReads:
        """Derive rows from a span's events; asks each token for its decimals and its symbol, once."""
        del times
        movements = [self._movement(row) for row in decoded.events]
        work = _Pass(self.venue.id, state, {(move.account, move.token) for move in movements}, reads)
        for movement in movements:
            work.move(movement)
        for misfit in decoded.misfits:
            work.quarantine(misfit)
        if reads.missing:
            return NeedReads(reads=frozenset(reads.missing))
        return Folded(rows=work.rows, contracts=self.contracts(state), sources={})

    def _movement(self, row: LoggedEvent) -> Movement:
        incoming = row.event is self._terms.deposit.event
        declared: Declared = self._terms.deposit if incoming else self._terms.withdraw
        token = self._terms.token if declared.token is None else row.args[declared.token]
        return Movement(row, row.args[declared.account], token, row.args[declared.amount], incoming)


class _Pass:
    """One run over the events of a span: amounts as the events go by, and the rows so far."""

    def __init__(self, venue_id: str, state: StateReader, touched: Collection[Holding], reads: Reads) -> None:
        self._venue_id = venue_id
        self._reads = reads
        self._tokens = {market for market, aspect in state.markets(venue_id) if aspect == TOKEN}
        self._amounts = _amounts(venue_id, state, touched)
        self.rows = Rows()

    def move(self, move: Movement) -> None:
        """Note one movement: the token when it is new, the amount after it, and a line of history."""
        if move.token not in self._tokens:
            self._learn(move)
        holding = (move.account, move.token)
        before = self._amounts.get(holding, 0)
        self._amounts[holding] = before + (move.amount if move.incoming else -move.amount)
        self._note(move, before, self._amounts[holding])
        kind = "supply" if move.incoming else "withdraw"
        self.rows.events.append(
            LendingEvent(
                *_place(move.row), move.row.tx_hash, self._venue_id, kind, move.token, move.account, None, move.token,
                move.amount, "{}",
            )
        )  # fmt: skip

    def _learn(self, move: Movement) -> None:
        self._tokens.add(move.token)
        decimals = decimals_of(self._reads(move.row.block, move.token, DECIMALS.calldata()))
        symbol = symbol_of(self._reads(move.row.block, move.token, SYMBOL.calldata()))
        text = json.dumps({"decimals": decimals, "symbol": symbol}, separators=(",", ":"))
        self.rows.markets.append(
            MarketChange(*_place(move.row), self._venue_id, move.token, TOKEN, text, ENGINE, Basis.EXACT)
        )

    def _note(self, move: Movement, before: int, after: int) -> None:
        self.rows.positions.append(
            PositionChange(
                *_place(move.row), self._venue_id, move.account, move.account, move.token, Side.SUPPLY, move.token, after,
                ENGINE, Basis.EXACT,
            )
        )  # fmt: skip
        if _is_wide(before) or _is_wide(after):
            text = json.dumps(str(after) if _is_wide(after) else None)
            self.rows.accounts.append(
                AccountChange(
                    *_place(move.row), self._venue_id, move.account, move.account, move.token, WIDE, text, ENGINE,
                    Basis.EXACT,
                )
            )  # fmt: skip

    def quarantine(self, misfit: Misfit) -> None:
        """Keep a log whose content is not what its declaration says."""
        self.rows.quarantined.append(
            Quarantined(*_place(misfit), self._venue_id, f"malformed_event:{misfit.event.name}", misfit.data)
        )


def _amounts(venue_id: str, state: StateReader, touched: Collection[Holding]) -> dict[Holding, int]:
    """Return the prior amounts of holdings, also of those that no column could hold."""
    tips = state.positions(venue_id, [(account, token, Side.SUPPLY) for account, token in touched])
    wide = state.accounts(venue_id, [(account, token, WIDE) for account, token in touched])
    exact = {(account, token): json.loads(text) for (account, token, _), text in wide.items()}
    held = {(account, token): amount for (account, token, _), amount in tips.items()}
    return held | {holding: int(text) for holding, text in exact.items() if text is not None}


def _is_wide(amount: int) -> bool:
    return not -TOO_WIDE < amount < TOO_WIDE


def _place(row: LoggedEvent | Misfit) -> tuple[int, int, int]:
    return row.block, row.tx_index, row.ordinal
