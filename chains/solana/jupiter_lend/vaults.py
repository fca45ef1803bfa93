"""A venue's vaults at a block: their exchange prices, and up to where their oracles let positions stand.

Sources: the vaults program's `load_exchange_prices`, `get_ticks_from_oracle_price` and `check_if_position_safe` (February 2026).
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any, NamedTuple

from chains.identifiers import base58, from_base58
from chains.model import Reason, VenueSnapshot
from chains.solana.jupiter_lend.fold import reserve_address
from chains.solana.jupiter_lend.layout import LIQUIDITY, ORACLES
from chains.solana.jupiter_lend.lookups import RAW_DECIMALS, Vault, vault_of
from chains.solana.jupiter_lend.maths import ONE_X48, THREE_DECIMALS, Refused, tick_at_ratio, u128
from chains.solana.jupiter_lend.options import version_of
from chains.solana.jupiter_lend.oracle import LIQUIDATE, OPERATE, RATE_ONE, Ask, Asked, NoSource, rate, sources_of
from chains.solana.jupiter_lend.rates import Prices, reserve_prices, vault_prices
from chains.solana.jupiter_lend.sources import Role, reserve_of
from chains.solana.jupiter_lend.texts import ORACLE, PARAMS, PROBLEM, TERMS, magnifiers_of, prices_of

HIGHEST_RATE, LOWEST_RATE_OPERATE, HIGHEST_PER_COLLATERAL = 10**24, 10**6, 10**26
"""What a vault believes of its oracle, times 10^15; and up to what debt for collateral it counts."""

_BPS_OF_THOUSANDTH = 10


class Limits(NamedTuple):
    """Up to where a vault lets positions stand: the oracle's rate, the highest ticks, and the ratio of the first, times 2^48."""

    rate: int
    liquidation_tick: int
    max_tick: int
    threshold: int


class Shares(NamedTuple):
    """From which share of its collateral's worth, in thousandths, a debt is liquidated, and from which the position is absorbed."""

    threshold: int
    most: int


class _Told(NamedTuple):
    """A vault's tokens' decimals by side, its state, and its terms, as the journals say them."""

    decimals: dict[str, int]
    state: dict[str, Any]
    terms: dict[str, Any]


class Book:
    """The vaults of a venue at a block."""

    def __init__(self, snapshot: VenueSnapshot) -> None:
        self.snapshot = snapshot
        self.engine = version_of(snapshot.venue.options)
        self.named = {aspect: text for (_, aspect), text in snapshot.markets.items() if ":" in aspect}
        self._vaults = dict(
            found
            for (market, aspect), text in snapshot.markets.items()
            if aspect == PARAMS and (found := vault_of(market, text))
        )
        self._views: dict[int, VaultView | Reason] = {}

    def vault(self, number: int) -> VaultView | Reason:
        """Return a vault, or why it is not known."""
        if number not in self._views:
            self._views[number] = self._vault(number)
        return self._views[number]

    def _vault(self, number: int) -> VaultView | Reason:
        found, name = self._vaults.get(number), f"vault {number}"
        if found is None:
            return Reason("vault_unknown", name, "the vault's configuration has not been read")
        metadata, state = self.named.get(f"metadata:{number}"), self.named.get(f"state:{number}")
        terms = self.snapshot.markets.get((found.market, TERMS))
        if metadata is None or state is None or terms is None:
            return Reason("vault_unknown", name, "the vault's state or metadata has not been read")
        told = [json.loads(text) for text in (metadata, state, terms)]
        for each in told:
            if PROBLEM in each:
                return Reason("vault_unreadable", name, each[PROBLEM])
        if max(told[0].values()) > RAW_DECIMALS:
            return Reason("vault_refused", name, "VaultInvalidDecimals")
        return VaultView(self, number, found, _Told(*told))


class VaultView:
    """One vault at a block: its exchange prices, and what its oracle lets it do."""

    def __init__(self, book: Book, number: int, vault: Vault, told: _Told) -> None:
        self.book = book
        self.name = f"vault {number}"
        self.vault = vault
        self.decimals, self.state, self.terms = told
        self.params = json.loads(book.snapshot.markets[vault.market, PARAMS])
        self.oracle = from_base58(self.params["oracle"])

    @cached_property
    def prices(self) -> Prices | Reason:
        """The vault's exchange prices at the block's time, or why the program has none."""
        if from_base58(self.params["liquidity_program"]) != LIQUIDITY:
            return Reason("unsupported_program", self.name, "the vault keeps its tokens in a program that is not known")
        try:
            found = [self._reserve(token) for token in (self.vault.collateral, self.vault.loan)]
            if isinstance(problem := next((each for each in found if isinstance(each, Reason)), None), Reason):
                return problem
            liquidity = Prices(found[0].supply, found[1].borrow)  # type: ignore[union-attr]  # neither is a reason
            time = self.book.snapshot.at.time
            return vault_prices(prices_of(self.state), magnifiers_of(self.terms), liquidity, time)
        except Refused as error:
            return Reason("exchange_price_refused", self.name, str(error))

    def _reserve(self, token: bytes) -> Prices | Reason:
        address = reserve_address(token)
        text = self.book.snapshot.markets.get((address, Role.RESERVE))
        if text is None:
            return Reason("reserve_unknown", base58(address), "the token's reserve has not been read")
        told = json.loads(text)
        if PROBLEM in told:
            return Reason("reserve_unreadable", base58(address), told[PROBLEM])
        if told["mint"] != base58(token):
            return Reason("reserve_unreadable", base58(address), f"the reserve is of token {told['mint']}")
        return reserve_prices(reserve_of(told), self.book.snapshot.at.time)

    @cached_property
    def liquidate_rate(self) -> int | Reason:
        """The oracle's rate for a liquidation."""
        return self._rate(LIQUIDATE)

    @cached_property
    def operate_rate(self) -> int | Reason:
        """The oracle's rate for what an owner does."""
        return self._rate(OPERATE)

    def _rate(self, ask: Ask) -> int | Reason:
        subject, at = base58(self.oracle), self.book.snapshot.at
        if from_base58(self.params["oracle_program"]) != ORACLES:
            return Reason("unsupported_program", self.name, "the vault's oracle is of a program that is not known")
        text = self.book.snapshot.markets.get((self.oracle, ORACLE))
        if text is None:
            return Reason("oracle_unknown", subject, "the oracle has not been read")
        told = json.loads(text)
        if PROBLEM in told:
            return Reason("oracle_unreadable", subject, told[PROBLEM])
        markets = self.book.snapshot.markets
        try:
            asked = Asked(lambda address, aspect: markets.get((address, aspect)), at.number, at.time, ask)
            return rate(sources_of(told), asked)
        except NoSource as error:
            return Reason("oracle_source_unknown", subject, str(error))
        except Refused as error:
            return Reason("oracle_refused", subject, str(error))

    @cached_property
    def limits(self) -> Limits | Reason:
        """Up to where positions may stand before they are liquidated (`get_ticks_from_oracle_price`), or why that is not known."""
        found, prices = self.liquidate_rate, self.prices
        if isinstance(found, Reason):
            return found
        if isinstance(prices, Reason):
            return prices
        try:
            return limits_at(found, prices, self.shares)
        except Refused as error:
            return Reason("oracle_refused", base58(self.oracle), str(error))

    @property
    def shares(self) -> Shares:
        """At which shares of their collateral's worth positions are liquidated and absorbed."""
        return Shares(self._thousandths("liquidation_threshold"), self._thousandths("liquidation_max_limit"))

    @cached_property
    def collateral_factor_tick(self) -> int | Reason:
        """Up to which tick an owner may borrow and withdraw (`check_if_position_safe`), or why not at all."""
        found, prices = self.operate_rate, self.prices
        if isinstance(found, Reason):
            return found
        if isinstance(prices, Reason):
            return prices
        try:
            checked = (
                u128(per_collateral(found, prices, LOWEST_RATE_OPERATE) * self._thousandths("ltv")) // THREE_DECIMALS
            )
            return tick_at_ratio(u128(checked * ONE_X48 // RATE_ONE))[0]
        except Refused as error:
            return Reason("oracle_refused", base58(self.oracle), str(error))

    def _thousandths(self, key: str) -> int:
        factor: int = self.terms[key]
        return factor // _BPS_OF_THOUSANDTH


def limits_at(found: int, prices: Prices, shares: Shares) -> Limits:
    """Return up to where positions may stand at an oracle's rate; raises `Refused`."""
    one = u128(per_collateral(found, prices) * ONE_X48 // RATE_ONE)
    threshold, most = (one * share // THREE_DECIMALS for share in shares)
    return Limits(found, tick_at_ratio(threshold)[0], tick_at_ratio(most)[0], threshold)


def per_collateral(found: int, prices: Prices, least: int = 1) -> int:
    """Return raw debt for raw collateral, times 10^15, at an oracle's rate of so much at least; raises `Refused`."""
    if not least <= found <= HIGHEST_RATE or prices.borrow == 0:
        raise Refused("VaultInvalidOraclePrice")
    worth = u128(found * prices.supply // prices.borrow)
    if worth == 0:
        raise Refused("VaultInvalidOraclePrice")
    return min(worth, HIGHEST_PER_COLLATERAL)
