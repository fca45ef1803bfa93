"""The program's accounts into journals: the state, spot and perp markets, the price accounts they name, and everybody's sub-accounts.

All rows are observed, and stand at the end of the slot in which an account was seen; only what changed is written. A unit is a sub-account
(`User`), by its address. A position is a scaled balance: a deposit or a loan in a spot market, or the collateral of an isolated perp
position, in the perp market. Perp positions themselves, orders and what else valuation needs are in the setting `account`
(`accounts.py`). What a unit holds when it is first seen is no event; what changes between two looks is one, of kind supply, withdraw,
borrow or repay, with {"observed": true}.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import compress

from chains.identifiers import base58, from_base58
from chains.model import WHOLE_VENUE, AccountBytes, Rows, Side, VenueSpec
from chains.ports import StateReader
from chains.solana.drift.accounts import LOAN, OF_ISOLATED, balances_of, problem_of, read_user, user_text
from chains.solana.drift.bulk import WORTH_COLUMNS, enter_many
from chains.solana.drift.layout import PERP_MARKET, SPOT_MARKET, STATE, USER
from chains.solana.drift.options import engine_of, program_of
from chains.solana.drift.oracles import NO_ORACLE, price_text
from chains.solana.drift.states import (
    PERP_TERMS,
    PERP_TOTALS,
    PRICE,
    PROBLEM,
    STATE_ASPECT,
    TERMS,
    TOTALS,
    perp_address,
    perp_texts,
    problem_text,
    spot_address,
    spot_texts,
    state_text,
)
from chains.solana.drift.tips import Image, Tips
from chains.solana.layouts import Layout
from chains.solana.ports import AccountSet
from chains.solana.seen import Seen, by_slot, repeatedly

GONE = "there is no account at this address"

_DISCRIMINATOR = 8


class Drift:
    """One deployment of the program; the venue's address is that of its state."""

    def __init__(self, venue: VenueSpec) -> None:
        self._venue = venue
        self._program = program_of(venue.options)
        self._engine = engine_of(venue.options)

    @property
    def venue(self) -> VenueSpec:
        """The venue that this fold derives."""
        return self._venue

    @property
    def sets(self) -> Sequence[AccountSet]:
        """The program's markets and users, of any size: one of another size is refused by name, and not missed."""
        return [
            AccountSet(layout.name, self._program, None, ((0, layout.discriminator),))
            for layout in (SPOT_MARKET, PERP_MARKET, USER)
        ]

    def others(self, state: StateReader) -> Collection[bytes]:
        """Return the state, and the price accounts that markets name."""
        return {self._venue.address, *_named(state.markets(self._venue.id))}

    def fold(self, state: StateReader, seen: Sequence[Seen]) -> Rows:
        """Derive rows from accounts whose bytes changed, in the order of their slots."""
        tips = Tips(self._venue.id, self._program, self._engine, state)
        addresses = [address for address, _ in seen]
        distinct = set(addresses)
        tips.learn(distinct)
        again = set() if len(distinct) == len(addresses) else repeatedly(addresses)
        for slot, group in by_slot(seen):
            tips.slot = slot
            self._fold_slot(tips, group, again)
        return tips.rows

    def _fold_slot(self, tips: Tips, group: Sequence[Seen], again: AbstractSet[bytes]) -> None:
        """Read markets before units, so that what a unit holds has its token's name whatever the order of the answers."""
        program, kind = self._program, USER.discriminator
        is_user = [owner == program and data.startswith(kind) for _, (_, owner, _, data, _) in group]
        count = sum(is_user)
        if count < len(group):
            rest = {name: seen for (name, seen), skip in zip(group, is_user, strict=True) if not skip}
            for address in sorted(rest, key=lambda name: self._order(rest[name])):
                self._other(tips, address, rest[address])
            group = list(compress(group, is_user))
        left = self._enter_many(tips, group, again) if count >= WORTH_COLUMNS else group
        for address, account in left:
            self._unit(tips, address, account)

    def _order(self, account: AccountBytes) -> int:
        """Spot markets name the tokens and markets name the price accounts of all others."""
        if account.owner != self._program:
            return 2
        kinds = (SPOT_MARKET.discriminator, PERP_MARKET.discriminator)
        kind = account.data[:_DISCRIMINATOR]
        return kinds.index(kind) if kind in kinds else 2

    def _enter_many(self, tips: Tips, group: Sequence[Seen], again: AbstractSet[bytes]) -> Sequence[Seen]:
        """Enter units that nothing is known of and that come only once together; returns the rest."""
        later = again | tips.known_of(name for name, _ in group)
        sizes = [len(data) for _, (_, _, _, data, _) in group]
        if sizes.count(USER.size) < len(group):
            later |= {name for (name, _), size in zip(group, sizes, strict=True) if size != USER.size}
        fresh = group if not later else [each for each in group if each[0] not in later]
        left = later | enter_many(tips, [name for name, _ in fresh], [data for _, (_, _, _, data, _) in fresh])
        return [each for each in group if each[0] in left] if left else ()

    def _other(self, tips: Tips, address: bytes, account: AccountBytes) -> None:
        """Take in an account that is no user now."""
        kind = account.data[:_DISCRIMINATOR] if account.owner == self._program else b""
        if address == self._venue.address:
            self._state(tips, account)
        elif (address, TERMS) in tips.markets or kind == SPOT_MARKET.discriminator:
            self._spot_market(tips, address, account)
        elif (address, PERP_TERMS) in tips.markets or kind == PERP_MARKET.discriminator:
            self._perp_market(tips, address, account)
        elif (address, PRICE) in tips.markets or address in self._priced_by(tips):
            tips.market(address, PRICE, price_text(account, self._program))
        elif account.closed:
            tips.close(address)
        elif tips.known(address):
            tips.spoil(address, f"the account begins with {account.data[:_DISCRIMINATOR].hex()}", account.data)
        else:
            tips.quarantine(f"unknown_account:{base58(address)}", account.data)

    def _priced_by(self, tips: Tips) -> frozenset[bytes]:
        if tips.priced_by is None:
            tips.priced_by = frozenset(_named(tips.markets))
        return tips.priced_by

    # Markets

    def _state(self, tips: Tips, account: AccountBytes) -> None:
        problem = self._problem(STATE, account)
        if problem is not None and not account.closed:
            tips.quarantine("state_unreadable", account.data)
        tips.market(WHOLE_VENUE, STATE_ASPECT, state_text(account.data) if problem is None else problem_text(problem))

    def _spot_market(self, tips: Tips, address: bytes, account: AccountBytes) -> None:
        problem = self._market_problem(SPOT_MARKET, address, account)
        if problem is None:
            terms, totals = spot_texts(account.data)
            tips.market(address, TERMS, terms)
            tips.market(address, TOTALS, totals)
            return
        if not account.closed:
            tips.quarantine(f"market_unreadable:{base58(address)}", account.data)
        tips.market(address, TERMS, problem_text(problem))

    def _perp_market(self, tips: Tips, address: bytes, account: AccountBytes) -> None:
        problem = self._market_problem(PERP_MARKET, address, account)
        if problem is None:
            terms, totals = perp_texts(account.data)
            tips.market(address, PERP_TERMS, terms)
            tips.market(address, PERP_TOTALS, totals)
            return
        if not account.closed:
            tips.quarantine(f"market_unreadable:{base58(address)}", account.data)
        tips.market(address, PERP_TERMS, problem_text(problem))

    def _market_problem(self, layout: Layout, address: bytes, account: AccountBytes) -> str | None:
        problem = self._problem(layout, account)
        if problem is not None:
            return problem
        at = layout.fields["market_index"][0]
        number = int.from_bytes(account.data[at : at + 2], "little")
        derived = (spot_address if layout is SPOT_MARKET else perp_address)(self._program, number)
        return None if derived == address else f"market {number} stands at another address, {base58(derived)}"

    def _problem(self, layout: Layout, account: AccountBytes) -> str | None:
        """Say why an account is not one of this program."""
        if account.closed:
            return GONE
        if account.owner != self._program:
            return f"the account belongs to program {base58(account.owner)}"
        return layout.problem(account.data)

    # Units

    def _unit(self, tips: Tips, address: bytes, account: AccountBytes) -> None:
        problem = self._problem(USER, account)
        if problem is not None:
            tips.spoil(address, problem, account.data)
            return
        told = read_user(account.data)
        problem = problem_of(told)
        if problem is not None:
            tips.spoil(address, problem, account.data)
            return
        amounts = {self._key(*key): balance for key, balance in balances_of(told).items() if balance}
        tips.enter(address, Image(told["authority"], user_text(told), amounts))

    def _key(self, number: int, role: str) -> tuple[bytes, Side]:
        if role == OF_ISOLATED:
            return perp_address(self._program, number), Side.SUPPLY
        return spot_address(self._program, number), Side.BORROW if role == LOAN else Side.SUPPLY


def _named(markets: Mapping[tuple[bytes, str], str]) -> set[bytes]:
    """Return the price accounts that markets name."""
    terms = [json.loads(text) for (_, aspect), text in markets.items() if aspect in {TERMS, PERP_TERMS}]
    return {from_base58(said["oracle"]) for said in terms if PROBLEM not in said} - {NO_ORACLE}
