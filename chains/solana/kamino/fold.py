"""Accounts of one lending market as observed into its journals; `journal.py` says what each aspect and setting holds.

A unit is an obligation, by its address; `market` is the reserve, `asset` its token's mint (empty while the reserve was never read), and the
raw amount cTokens of a deposit, and of a debt the fraction of 60 bits as it stands at the cumulative rate in the setting. Within a slot the
market comes first, then reserves, then prices, then obligations, in whatever order they were read.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import compress

from chains.model import WHOLE_VENUE, AccountBytes, Rows, VenueSpec
from chains.ports import StateReader
from chains.solana.kamino.journal import (
    LIQUIDITY,
    MARKET_STATE,
    PRICE,
    PROBLEM,
    RESERVE_STATE,
    SCOPE,
    liquidity_state,
    market_state,
    oracle_state,
    reserve_state,
    text_of,
    token_of,
)
from chains.solana.kamino.layout import DISCRIMINATOR, MARKET, OBLIGATION, RESERVE
from chains.solana.kamino.obligations import Obligations
from chains.solana.kamino.options import program_of
from chains.solana.kamino.tips import Tips
from chains.solana.layouts import Layout
from chains.solana.ports import AccountSet
from chains.solana.seen import Seen

_LENDING_MARKET = 32
_PULSE = (16, 80)
"""Where an obligation says when it was last refreshed, whether its amounts changed since, its market, and its owner: a new owner writes
nothing else. Orders and the mark for deleveraging are set without a sign.
"""

_OWNER = OBLIGATION.fields["owner"][0]


class Kamino:
    """One lending market: its reserves, the obligations in it, and the accounts that its prices come from."""

    def __init__(self, venue: VenueSpec) -> None:
        self._venue = venue
        self._program = program_of(venue.options)

    @property
    def venue(self) -> VenueSpec:
        """The venue that this fold derives."""
        return self._venue

    @property
    def sets(self) -> Sequence[AccountSet]:
        """The reserves and the obligations of the lending market."""
        return [
            AccountSet(
                role=layout.name,
                program=self._program,
                size=layout.size,
                holding=((0, layout.discriminator), (_LENDING_MARKET, self._venue.address)),
                pulse=_PULSE if layout is OBLIGATION else None,
                spread=_OWNER if layout is OBLIGATION else None,
            )
            for layout in (RESERVE, OBLIGATION)
        ]

    def others(self, state: StateReader) -> Collection[bytes]:
        """The lending market itself, and the accounts that its reserves take prices from."""
        return sorted({self._venue.address, *_sources(state.markets(self._venue.id))})

    def fold(self, state: StateReader, seen: Sequence[Seen]) -> Rows:
        """Derive rows from accounts whose bytes changed."""
        fold = _Fold(self._venue, self._program, state)
        for look in _looks(seen):
            fold.enter(look)
        return fold.tips.rows


def _looks(seen: Sequence[Seen]) -> Iterator[dict[bytes, AccountBytes]]:
    """Divide accounts into those of one slot, none of them twice."""
    look = dict(seen)
    if len(look) == len(seen) and (not seen or seen[0][1].slot == seen[-1][1].slot):
        yield from [look] if look else []
        return
    look, slot = {}, None
    for address, account in seen:
        if account.slot != slot or address in look:
            if look:
                yield look
            look, slot = {}, account.slot
        look[address] = account
    if look:
        yield look


def _sources(markets: Mapping[tuple[bytes, str], str]) -> dict[bytes, set[int]]:
    """Return the accounts that reserves take prices from, with the entries of Scope that they name."""
    found: dict[bytes, set[int]] = {}
    for (_, aspect), text in markets.items():
        if aspect == RESERVE_STATE:
            token = token_of(json.loads(text))
            if token.pyth is not None:
                found.setdefault(token.pyth, set())
            if token.scope is not None:
                found.setdefault(token.scope, set()).update(token.price_chain, token.twap_chain)
    return found


class _Fold:
    """A venue while accounts are folded upon its tips."""

    def __init__(self, venue: VenueSpec, program: bytes, state: StateReader) -> None:
        self.tips = Tips(venue.id, state)
        self._venue = venue
        self._program = program
        self._state = state
        self._obligations = Obligations(self.tips, program, venue.address)
        self._sources = _sources(self.tips.markets)
        self._prices: dict[bytes, AccountBytes] = {}

    def enter(self, look: Mapping[bytes, AccountBytes]) -> None:
        """Take in what was read of one slot."""
        self.tips.slot = next(iter(look.values())).slot
        kinds: dict[str, list[Seen]] = {layout.name: [] for layout in (MARKET, RESERVE, OBLIGATION)}
        seen = list(look.items())
        fits = self._obligations.fit(seen)
        good = list(compress(seen, fits))
        others = [each for each, is_one in zip(seen, fits, strict=True) if not is_one] if len(good) < len(seen) else ()
        for address, account in others:
            layout = self._kind(address, account)
            if layout is not None:
                kinds[layout.name].append((address, account))
            elif account.owner == self._program and not account.closed:
                self.tips.quarantine("unknown_account", account.data)
            else:
                self._prices[address] = account
        for _, account in kinds[MARKET.name]:
            self._market(account)
        changed = [self._reserve(address, account) for address, account in kinds[RESERVE.name]]
        self._read_prices(set(look) - {self._venue.address}, anew=any(changed))
        self._obligations.enter(good, kinds[OBLIGATION.name])

    def _kind(self, address: bytes, account: AccountBytes) -> Layout | None:
        """Say what an account is that is no good obligation, by what it begins with, or else by what it was."""
        if account.data[:DISCRIMINATOR] == OBLIGATION.discriminator and account.owner == self._program:
            return OBLIGATION
        if address == self._venue.address:
            return MARKET
        if account.data[:DISCRIMINATOR] == RESERVE.discriminator and account.owner == self._program:
            return RESERVE
        if (address, RESERVE_STATE) in self.tips.markets:
            return RESERVE
        return OBLIGATION if self._obligations.knows(address) else None

    def _market(self, account: AccountBytes) -> None:
        problem = self._problem(MARKET, account)
        self.tips.problem(WHOLE_VENUE, problem)
        if problem is None:
            self.tips.market(WHOLE_VENUE, MARKET_STATE, text_of(market_state(account.data)))
        elif not account.closed:
            self.tips.quarantine(f"malformed_account:{MARKET.name}", account.data)

    def _reserve(self, address: bytes, account: AccountBytes) -> bool:
        """Enter a reserve; say whether its configuration changed."""
        problem = self._problem(RESERVE, account)
        self.tips.problem(address, problem)
        if problem is not None:
            if not account.closed:
                self.tips.quarantine(f"malformed_account:{RESERVE.name}", account.data)
            return False
        self.tips.market(address, LIQUIDITY, text_of(liquidity_state(account.data)))
        return self.tips.market(address, RESERVE_STATE, text_of(reserve_state(account.data)))

    def _problem(self, layout: Layout, account: AccountBytes) -> str | None:
        if account.closed:
            return f"the {layout.name} is gone"
        if account.owner != self._program:
            return f"the {layout.name} belongs to another program"
        problem = layout.problem(account.data)
        if problem is None and layout is RESERVE and account.data[_LENDING_MARKET:][:32] != self._venue.address:
            return "the Reserve is of another lending market"
        return problem

    def _read_prices(self, seen: AbstractSet[bytes], *, anew: bool) -> None:
        """Enter the accounts of prices that were read, and where reserves changed also those that are read otherwise from now on.

        What is named for the first time is given with the accounts that name it, or later; what is stored of it is somebody else's.
        """
        wanted = set(self._sources) & seen
        if anew:
            before, self._sources = self._sources, _sources(self.tips.markets)
            wanted = {a for a, indexes in self._sources.items() if a in seen or before.get(a) != indexes}
        unread = {a for a in wanted if a not in self._prices and self._is_known(a)}
        stored = self._state.account_bytes(unread) if unread else {}
        for address in sorted(wanted):
            account = self._prices.get(address) or stored.get(address)
            if account is not None:
                self._price(address, account)

    def _is_known(self, address: bytes) -> bool:
        return (address, PRICE) in self.tips.markets or (address, PROBLEM) in self.tips.markets

    def _price(self, address: bytes, account: AccountBytes) -> None:
        try:
            state = oracle_state(account, self._sources[address])
        except ValueError as error:
            self.tips.problem(address, str(error))
            return
        if state["kind"] == SCOPE and not self._sources[address]:
            self.tips.problem(address, "a reserve takes it for a price of Pyth, and it holds prices of Scope")
            return
        self.tips.problem(address, None)
        self.tips.market(address, PRICE, text_of(state))
