"""Accounts of a group into journals: the group, its banks, the accounts they name, and what everybody holds and owes.

All rows are observed, and stand at the end of the slot in which an account was seen; only what changed is written. A position is one side
of a balance: shares as I80F48 bits, in the market of its bank. What a unit holds when it is first seen is no event; what changes between
two looks is one, of kind supply, withdraw, borrow or repay, with {"observed": true}; none in a bank that nobody has read or whose
deposits are positions in another protocol, where it cannot be told in tokens.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import compress
from typing import Any

from chains.identifiers import base58, from_base58
from chains.model import WHOLE_VENUE, AccountBytes, Rows, Side, VenueSpec
from chains.ports import StateReader
from chains.solana.layouts import KEY, Layout, read
from chains.solana.marginfi.bulk import WORTH_COLUMNS, enter_many
from chains.solana.marginfi.held import Named, beside_texts, is_pool, named_by, pool_texts
from chains.solana.marginfi.integrations import HELD, HELD_BESIDE, PROGRAMS
from chains.solana.marginfi.layout import ACCOUNT, BANK, GROUP
from chains.solana.marginfi.options import engine_of, price_accounts_of, program_of
from chains.solana.marginfi.states import (
    GROUP_STATE,
    MIGRATED,
    PRICE,
    PRICED_BY_ACCOUNT,
    PYTH_PUSH_ORACLE,
    TERMS,
    TOTALS,
    bank_texts,
    group_text,
    price_text,
    problem_text,
)
from chains.solana.marginfi.tips import Image, Tips, account_text
from chains.solana.oracles.pyth.account import RECEIVER
from chains.solana.oracles.pyth.push import push_address
from chains.solana.oracles.switchboard.account import PROGRAM as SWITCHBOARD
from chains.solana.ports import AccountSet
from chains.solana.seen import Seen, by_slot, repeatedly

GONE = "there is no account at this address"
SHARDS = (0, 3301)
"""Shards of the push program that the program accepts for a feed: Pyth's own, and the group's."""

_DISCRIMINATOR = 8
_AUTHORITY = ACCOUNT.fields["authority"][0]


class Marginfi:
    """One group of the program, at the venue's address."""

    def __init__(self, venue: VenueSpec) -> None:
        self._venue = venue
        self._program = program_of(venue.options)
        self._engine = engine_of(venue.options)
        self._price_accounts = frozenset(price_accounts_of(venue.options))

    @property
    def venue(self) -> VenueSpec:
        """The venue that this fold derives."""
        return self._venue

    @property
    def sets(self) -> Sequence[AccountSet]:
        """The group's banks and accounts, of any size: one of another size is refused by name, and not missed."""
        group = self._venue.address
        bank, account = BANK.fields["group"][0], ACCOUNT.fields["group"][0]
        return (
            AccountSet("bank", self._program, None, ((0, BANK.discriminator), (bank, group))),
            AccountSet(
                "account", self._program, None, ((0, ACCOUNT.discriminator), (account, group)), spread=_AUTHORITY
            ),
        )

    @property
    def beside(self) -> Sequence[bytes]:
        """The programs by whose accounts banks are valued that hold positions in other protocols."""
        return PROGRAMS if self._engine.integrations else ()

    def others(self, state: StateReader) -> Collection[bytes]:
        """Return the group, the price accounts that its banks name, and what says what positions in other protocols are worth."""
        markets = state.markets(self._venue.id)
        held = self._held_by(markets)
        return {self._venue.address, *self._price_accounts, *_named(markets), *held.pools, *held.beside}

    def fold(self, state: StateReader, seen: Sequence[Seen]) -> Rows:
        """Derive rows from accounts whose bytes changed, in the order of their slots."""
        tips = Tips(self._venue.id, self._engine.name, state)
        addresses = [address for address, _ in seen]
        distinct = set(addresses)
        tips.learn(distinct)
        again = set() if len(distinct) == len(addresses) else repeatedly(addresses)
        for slot, group in by_slot(seen):
            tips.slot = slot
            self._fold_slot(tips, group, again)
            tips.end_slot()
        return tips.rows

    def _fold_slot(self, tips: Tips, group: Sequence[Seen], again: AbstractSet[bytes]) -> None:
        """Read markets before units, so that what a unit holds has its token's name whatever the order of the answers."""
        size, program = ACCOUNT.size, self._program
        fits = [len(data) == size and owner == program for _, (_, owner, _, data, _) in group]
        count = sum(fits)
        if count < WORTH_COLUMNS:
            self._one_by_one(tips, group)
            return
        if count < len(group):
            self._one_by_one(tips, [each for each, is_one in zip(group, fits, strict=True) if not is_one])
            group = list(compress(group, fits))
        self._one_by_one(tips, self._enter_many(tips, group, again))

    def _one_by_one(self, tips: Tips, group: Sequence[Seen]) -> None:
        for address, account in sorted(dict(group).items(), key=lambda each: self._order(each[1])):
            self._account(tips, address, account)

    def _order(self, account: AccountBytes) -> int:
        """Banks name price accounts, pools and the tokens of all others, pools name some accounts more; units come last."""
        if account.owner != self._program:
            return 1 if is_pool(account) else 2
        return 3 if account.data.startswith(ACCOUNT.discriminator) else 0

    def _enter_many(self, tips: Tips, group: Sequence[Seen], again: AbstractSet[bytes]) -> Sequence[Seen]:
        """Enter units that nothing is known of and that come only once together; returns the rest."""
        later = again | tips.known_of(name for name, _ in group)
        fresh = group if not later else [each for each in group if each[0] not in later]
        odd = enter_many(
            tips, self._venue.address, [name for name, _ in fresh], [data for _, (_, _, _, data, _) in fresh]
        )
        left = later | odd
        return [each for each in group if each[0] in left] if left else ()

    def _account(self, tips: Tips, address: bytes, account: AccountBytes) -> None:
        if account.closed and not self._is_market(tips, address):
            tips.close(address)
        elif account.owner == self._program and account.data.startswith(ACCOUNT.discriminator):
            self._unit(tips, address, account)
        else:
            self._market(tips, address, account)

    def _is_market(self, tips: Tips, address: bytes) -> bool:
        if any((address, aspect) in tips.markets for aspect in (TERMS, PRICE, HELD, HELD_BESIDE)):
            return True
        held = self._held(tips)
        named = address in held.pools or address in held.beside or address in self._priced_by(tips)
        return named or address == self._venue.address

    # Markets

    def _market(self, tips: Tips, address: bytes, account: AccountBytes) -> None:
        kind = account.data[:_DISCRIMINATOR] if account.owner == self._program else b""
        if address == self._venue.address:
            self._group(tips, account)
        elif (address, TERMS) in tips.markets or kind == BANK.discriminator:
            self._bank(tips, address, account)
        elif self._other(tips, address, account):
            pass
        elif tips.known(address):
            tips.spoil(address, f"the account begins with {account.data[:_DISCRIMINATOR].hex()}", account.data)
        else:
            tips.quarantine(f"unknown_account:{base58(address)}", account.data)

    def _other(self, tips: Tips, address: bytes, account: AccountBytes) -> bool:
        """Enter an account that is none of the program's, for all that it is to the group; says whether it is anything."""
        texts: dict[str, str] = {}
        if address in self._held(tips).pools or (address, HELD) in tips.markets:
            integration = self._held(tips).pools.get(address)
            texts |= {} if integration is None else pool_texts(integration, account)
        if (integration := self._held(tips).beside.get(address)) is not None:
            texts |= beside_texts(integration, account)
        if (
            (address, PRICE) in tips.markets
            or address in self._priced_by(tips)
            or (not texts and account.owner in {RECEIVER, SWITCHBOARD})
        ):
            texts[PRICE] = price_text(account)
        for aspect, text in texts.items():
            tips.market(address, aspect, text)
        return bool(texts) or any((address, aspect) in tips.markets for aspect in (HELD, HELD_BESIDE))

    def _held(self, tips: Tips) -> Named:
        if tips.held is None:
            tips.held = self._held_by(tips.markets)
        return tips.held

    def _held_by(self, markets: Mapping[tuple[bytes, str], str]) -> Named:
        return named_by(markets) if self._engine.integrations else Named({}, {})

    def _group(self, tips: Tips, account: AccountBytes) -> None:
        problem = self._problem(GROUP, account, None)
        if problem is not None and not account.closed:
            tips.quarantine("group_unreadable", account.data)
        tips.market(WHOLE_VENUE, GROUP_STATE, group_text(account.data) if problem is None else problem_text(problem))

    def _bank(self, tips: Tips, address: bytes, account: AccountBytes) -> None:
        problem = self._problem(BANK, account, "group")
        if problem is None:
            config, totals = bank_texts(account.data)
            tips.market(address, TERMS, config)
            tips.market(address, TOTALS, totals)
            return
        if not account.closed:
            tips.quarantine(f"bank_unreadable:{base58(address)}", account.data)
        tips.market(address, TERMS, problem_text(problem))

    def _problem(self, layout: Layout, account: AccountBytes, group: str | None) -> str | None:
        """Say why an account is not one of this group."""
        if account.closed:
            return GONE
        if account.owner != self._program:
            return f"the account belongs to program {base58(account.owner)}"
        problem = layout.problem(account.data)
        if problem is not None or group is None:
            return problem
        at = layout.fields[group][0]
        named = account.data[at : at + KEY]
        return None if named == self._venue.address else f"the account is of group {base58(named)}"

    def _priced_by(self, tips: Tips) -> frozenset[bytes]:
        if tips.priced_by is None:
            tips.priced_by = self._price_accounts.union(_named(tips.markets))
        return tips.priced_by

    # Units

    def _unit(self, tips: Tips, address: bytes, account: AccountBytes) -> None:
        problem = self._problem(ACCOUNT, account, "group")
        if problem is not None:
            tips.spoil(address, problem, account.data)
            return
        told = read(ACCOUNT.fields, account.data)
        active = [balance for balance in told["balances"] if balance["active"]]
        banks = [balance["bank_pk"] for balance in active]
        if len(set(banks)) < len(banks):
            tips.spoil(address, "the account has two balances of one bank", account.data)
            return
        tips.marked(told["program_version"])
        state = account_text(told["authority"], banks, told["account_flags"], told["program_version"])
        tips.enter(address, Image(told["authority"], state, _shares(active)))


def _shares(active: Iterable[Mapping[str, Any]]) -> dict[tuple[bytes, Side], int]:
    found: dict[tuple[bytes, Side], int] = {}
    for balance in active:
        found[balance["bank_pk"], Side.SUPPLY] = balance["asset_shares"]
        found[balance["bank_pk"], Side.BORROW] = balance["liability_shares"]
    return {key: shares for key, shares in found.items() if shares}


def _named(markets: Mapping[tuple[bytes, str], str]) -> set[bytes]:
    """Return the price accounts that banks name; of a bank that names a feed, those that may hold it."""
    configs = [json.loads(text) for (_, aspect), text in markets.items() if aspect == TERMS]
    return {account for config in configs if config.get("oracle_keys") for account in _price_accounts(config)}


def _price_accounts(config: Mapping[str, Any]) -> Iterable[bytes]:
    setup, key = config["oracle_setup"], from_base58(config["oracle_keys"][0])
    if setup == PYTH_PUSH_ORACLE and not config["config_flags"] & MIGRATED:
        return [push_address(shard, key) for shard in SHARDS]
    return [key] if setup in PRICED_BY_ACCOUNT else ()
