"""Deposits and withdrawals → journals: what each account put into a vault less what it took out, in raw units of each token.

Aspects of a token: `token`, see `chains.escrow`. Settings of `account_change`: `wide_amount` per token, the amount as JSON text while it
has more digits than a column, `null` since it fits again; the row of such an amount is in quarantine, and the tip is an older one;
`owner` of the whole unit, the owner's address as JSON text, where accounts are ids.

Units are depositors: addresses, or ids of 32 bytes, which belong to the zero address until their owner is told of.
A zero account or token is one like any other: the vault said so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from chains.escrow import ENGINE
from chains.evm.beginnings import code_before, must_be_new
from chains.evm.escrow.backing import Backing, Moved
from chains.evm.escrow.coin import TERMS as COIN_TERMS
from chains.evm.escrow.coin import Coin
from chains.evm.escrow.events import terms_of
from chains.evm.escrow.holdings import Pass, named
from chains.evm.escrow.movements import Movements, movements_of
from chains.evm.escrow.owners import owners_of
from chains.evm.escrow.terms import check_every
from chains.evm.escrow.tokens import TOKEN, token_terms
from chains.evm.escrow.upgrades import UPGRADED, Upgrade, upgrade_rows, upgrades_in
from chains.evm.logs import of_addresses
from chains.evm.ports import Answer, Folded, NeedReads, Read, Reads
from chains.model import (
    Basis,
    MarketChange,
    Rows,
    VenueSpec,
)
from chains.ports import MarketKey, StateReader


class Decoded(NamedTuple):
    """What a span's logs of one contract say."""

    moved: Movements
    upgrades: list[Upgrade]


class Escrow:
    """The fold of one vault."""

    __slots__ = ("_every", "_terms", "venue")

    def __init__(self, venue: VenueSpec) -> None:
        self.venue = venue
        self._terms = terms_of(venue.options)
        self._every = check_every(venue.options)

    @classmethod
    def topics(cls, venue: VenueSpec) -> tuple[bytes, ...]:
        """Return the topic0 of the events that the options declare; raises `ValueError`."""
        return (*(event.topic0 for event in terms_of(venue.options).events), UPGRADED.topic0)

    @classmethod
    def origin(cls, venue: VenueSpec, *, begun: bool) -> Read | None:
        """Ask for the code before the first block."""
        return code_before(venue, begun=begun)

    @classmethod
    def found(cls, venue: VenueSpec, answer: Answer | None) -> Escrow:
        """Make the fold of a venue; raises `NoContract` for a vault that is older than its first block."""
        must_be_new(venue, answer, missing="deposits")
        return cls(venue)

    def contracts(self, state: StateReader) -> Mapping[bytes, int]:
        """Return the vault: nothing else tells of its deposits."""
        del state
        return {self.venue.address: self.venue.start_block}

    def decode(self, logs: pa.Table) -> Decoded:
        """Turn the logs of a span into what moved, and upgrades of the contract."""
        mine = of_addresses(logs, [self.venue.address])
        return Decoded(movements_of(mine, self._terms), upgrades_in(mine))

    def fold(self, state: StateReader, decoded: Decoded, times: Mapping[int, int], reads: Reads) -> Folded | NeedReads:
        """Derive rows from a span's movements; asks each token for its decimals and its symbol, once."""
        del times
        moved, upgrades = decoded
        markets, rows = state.markets(self.venue.id), Rows()
        rows.markets = self._new_tokens(markets, moved, reads)
        if reads.missing:
            return NeedReads(reads=frozenset(reads.missing))
        rows.markets += upgrade_rows(self.venue.id, markets, upgrades)
        sums = self._enter(state, moved, rows)
        if self._every:
            backing = Backing(self.venue, markets, reads, every=self._every, coin=self._terms.coin)
            rows.markets += backing.rows(_moves(moved, self._terms.coin, sums))
        if reads.missing:
            return NeedReads(reads=frozenset(reads.missing))
        if upgrades or self._every:
            rows.markets.sort(key=lambda row: (row.block, row.ordinal))
        rows.quarantined = [misfit.quarantined(self.venue.id) for misfit in moved.misfits]
        return Folded(rows=rows, contracts=self.contracts(state), sources={})

    def _enter(self, state: StateReader, moved: Movements, rows: Rows) -> tuple[list[int], list[int]]:
        """Note each movement and whose accounts are; returns the amounts before and after each movement."""
        owners = moved.accounts
        if self._terms.owned is not None:
            owners, rows.accounts = owners_of(self.venue.id, state, moved)
        if not moved.amounts:
            return [], []
        sums = Pass(self.venue.id, state, moved, owners=owners, coin=self._terms.coin, rows=rows).run()
        rows.accounts.sort(key=lambda row: (row.block, row.ordinal))
        return sums

    def _new_tokens(self, markets: Mapping[MarketKey, str], moved: Movements, reads: Reads) -> list[MarketChange]:
        """Return what tokens say of themselves that no movement named before."""
        known = {market for market, aspect in markets if aspect == TOKEN}
        tokens = named(moved.tokens, self._terms.coin)
        firsts = [(pc.index(tokens, token).as_py(), token.as_py()) for token in pc.unique(tokens)]
        return [self._token(moved, row, token, reads) for row, token in firsts if token not in known]

    def _token(self, moved: Movements, row: int, token: bytes, reads: Reads) -> MarketChange:
        block, tx_index, ordinal = moved.at(row)
        is_coin = self._terms.coin is not None and token == self._terms.coin.asset
        text = COIN_TERMS if is_coin else token_terms(block, token, reads)
        return MarketChange(block, tx_index, ordinal, self.venue.id, token, TOKEN, text, ENGINE, Basis.EXACT)


def _moves(moved: Movements, coin: Coin | None, sums: tuple[list[int], list[int]]) -> Iterator[Moved]:
    """Yield what each movement changed."""
    blocks, assets = moved.place["block_number"].to_pylist(), named(moved.tokens, coin).to_pylist()
    return zip(blocks, assets, *sums, strict=True)
