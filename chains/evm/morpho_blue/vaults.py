"""MetaMorpho vaults of a Morpho contract: their events and reads → journals, beside those of the markets.

Aspects of a vault, by its address, integers as text:
    `vault` {asset, virtual_shares, keeps_lost, since, problem}: what it is, asked in the block of its first log. `keeps_lost`: a vault of
        version 1.1. `problem`: why it is not followed any further, empty for nothing,
    `vault_books`: what it stores (`vault.Books`); `vault_queue` {markets}: its withdraw queue,
    `vault_fault` {since}: from when on it said something else than the arithmetic gives.
`token` of its shares and of its asset is noted as for any token. Under the id of each of its positions in a market: `vault_shares`
{shares}, what it supplied there. Of the whole venue: `vaults` {vault: first block}, those that a factory announced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING

import pyarrow as pa

from chains.evm.abi import Decoded, Event, Function, LoggedEvent, decode_all
from chains.evm.erc20 import DECIMALS, SYMBOL, decimals_of, symbol_of
from chains.evm.logs import of_addresses, unhex
from chains.evm.morpho_blue import vault_events as ev
from chains.evm.morpho_blue.accruals import accrued_at
from chains.evm.morpho_blue.maths import to_assets_down
from chains.evm.morpho_blue.options import factories_of, vaults_of
from chains.evm.morpho_blue.tips import Holding, Tips, hexed
from chains.evm.morpho_blue.vault import NO_BOOKS, Books, Standing, books_of, stand
from chains.model import WHOLE_VENUE, Reason, Side, VenueSpec

if TYPE_CHECKING:
    from chains.evm.ports import Reads

VAULT, BOOKS, QUEUE, FAULT, SHARES = "vault", "vault_books", "vault_queue", "vault_fault", "vault_shares"
ANNOUNCED = "vaults"
NOBODY = bytes(20)


def topics(venue: VenueSpec) -> tuple[bytes, ...]:
    """Return the topic0 of what vaults tell, where any are followed."""
    announced = (ev.CREATE_META_MORPHO.topic0,) if factories_of(venue.options) else ()
    return (*(event.topic0 for event in ev.EVENTS), *announced) if announced or vaults_of(venue.options) else ()


def contracts(venue: VenueSpec, tips: Tips) -> dict[bytes, int]:
    """Return the vaults and factories to follow, with their first blocks."""
    named = vaults_of(venue.options) | factories_of(venue.options)
    announced = tips.state(WHOLE_VENUE, ANNOUNCED) or {}
    return {unhex(vault): since for vault, since in announced.items()} | dict.fromkeys(named, venue.start_block)


def decode(venue: VenueSpec, tips: Tips, logs: pa.Table) -> Decoded:
    """Turn what factories and vaults tell in a span into events; the tips then know the vaults of before it."""
    factories, announced = factories_of(venue.options), tips.state(WHOLE_VENUE, ANNOUNCED) or {}
    tips.vaults = {unhex(vault) for vault in announced} | vaults_of(venue.options)
    if not logs.num_rows:
        return Decoded([], [])
    created = decode_all([ev.CREATE_META_MORPHO], of_addresses(logs, sorted(factories)))
    vaults = tips.vaults | {row.args[0] for row in created.events}
    told = decode_all(ev.EVENTS, of_addresses(logs, sorted(vaults)))
    events = sorted(created.events + told.events, key=itemgetter(0, 1))
    return Decoded(events, sorted(created.misfits + told.misfits, key=itemgetter(0, 1)))


def before_their_creation(tips: Tips, rows: Iterable[LoggedEvent]) -> Iterator[Holding]:
    """Name what vaults may have had in markets before anybody knew of them: anybody may supply for an address."""
    created = [row.args[0] for row in rows if row.event is ev.CREATE_META_MORPHO]
    if created:
        for market_id in [market for market, aspect in tips.markets if aspect == "totals"]:
            yield from (Holding(market_id, vault, market_id, Side.SUPPLY) for vault in created)


class Vaults:
    """One run over the logs of vaults, upon the tips that the logs of the markets change too."""

    def __init__(self, venue: VenueSpec, tips: Tips, times: Mapping[int, int], reads: Reads) -> None:
        self.venue = venue
        self.tips = tips
        self.times = times
        self.reads = reads
        self.factories = factories_of(venue.options)
        self._before: dict[bytes, Books] = {}

    def take(self, row: LoggedEvent) -> None:
        """Take in a log of a vault, or of a factory that creates one."""
        if row.event is ev.CREATE_META_MORPHO and row.address in self.factories:
            self._announce(row)
        elif row.event in HANDLERS and row.address in self.tips.vaults and self._is_sound(row):
            HANDLERS[row.event](self, row)

    def _announce(self, row: LoggedEvent) -> None:
        vault = row.args[0]
        known = self.tips.state(WHOLE_VENUE, ANNOUNCED) or {}
        if hexed(vault) in known:
            return
        self.tips.market(row, WHOLE_VENUE, ANNOUNCED, **known, **{hexed(vault): row.block})
        self.tips.vaults.add(vault)
        for market_id in [market for market, aspect in self.tips.markets if aspect == "totals"]:
            if shares := self.tips.held(Holding(market_id, vault, market_id, Side.SUPPLY)):
                self.tips.market(row, market_id + vault, SHARES, shares=str(shares))

    # What it is

    def _is_sound(self, row: LoggedEvent) -> bool:
        """Tell whether a vault is one of this contract, which it is asked with its first log."""
        told = self.tips.state(row.address, VAULT)
        if told is None:
            self._begin(row)
            told = self.tips.state(row.address, VAULT) or {"problem": ""}
        return not told["problem"]

    def _begin(self, row: LoggedEvent) -> None:
        morpho, asset, offset = (self._ask(row, view) for view in (ev.MORPHO, ev.ASSET, ev.DECIMALS_OFFSET))
        lost = self.reads(row.block, row.address, ev.LOST_ASSETS.calldata())
        problem = "" if morpho == hexed(self.venue.address) else "it is no vault of this contract"
        if isinstance(asset, str):
            self._read_token(row, unhex(asset))
        elif not problem:
            problem = "it names no asset"
        self._read_token(row, row.address)
        self.tips.market(
            row, row.address, VAULT, asset=asset if isinstance(asset, str) else None,
            virtual_shares=str(10**offset) if isinstance(offset, int) else None,
            keeps_lost=lost.returned and ev.LOST_ASSETS.result(lost.output) is not None, since=row.block,
            problem=problem or ("" if isinstance(offset, int) else "it has no offset of decimals"),
        )  # fmt: skip
        self._keep(row, NO_BOOKS)
        self.tips.market(row, row.address, QUEUE, markets=[])

    def _ask(self, row: LoggedEvent, view: Function) -> object:
        answer = self.reads(row.block, row.address, view.calldata())
        values = view.result(answer.output) if answer.returned else None
        return values[0] if values else None

    def _read_token(self, row: LoggedEvent, token: bytes) -> None:
        if (token, "token") not in self.tips.markets:
            decimals = decimals_of(self.reads(row.block, token, DECIMALS.calldata()))
            symbol = symbol_of(self.reads(row.block, token, SYMBOL.calldata()))
            self.tips.market(row, token, "token", symbol=symbol, decimals=decimals)

    # What it stores

    def nothing(self, row: LoggedEvent) -> None:
        """Take a log that tells no more than that the vault is there."""

    def transfer(self, row: LoggedEvent) -> None:
        """Take shares that are made or burnt; who holds them is not told here."""
        sender, receiver, shares = row.args
        change = shares * ((sender == NOBODY) - (receiver == NOBODY))
        if change:
            books = self._books(row)
            self._keep(row, books._replace(supply=books.supply + change))

    def set_fee(self, row: LoggedEvent) -> None:
        self._keep(row, self._books(row)._replace(fee=row.args[1]))

    def set_withdraw_queue(self, row: LoggedEvent) -> None:
        self.tips.market(row, row.address, QUEUE, markets=[hexed(market) for market in row.args[1]])

    def update_last_total_assets(self, row: LoggedEvent) -> None:
        books = self._before[row.address] = self._books(row)
        self._keep(row, books._replace(last_total=row.args[0]))

    def update_lost_assets(self, row: LoggedEvent) -> None:
        self._keep(row, self._books(row)._replace(lost=row.args[0]))

    def accrue_fee(self, row: LoggedEvent) -> None:
        """Compare what a vault says of itself with the arithmetic: a vault that says something else is no longer believed.

        Before this log one of 1.1 told its new totals, and either the shares of the fee.
        """
        total, fee_shares = row.args
        books, terms = self._books(row), self.tips.state(row.address, VAULT) or {}
        keeps_lost = bool(terms["keeps_lost"])
        before = self._before.pop(row.address, NO_BOOKS) if keeps_lost else books
        expected = self._expected(row, before._replace(supply=books.supply - fee_shares), terms["virtual_shares"])
        said = total, fee_shares, books.lost if keeps_lost else 0
        ours = None if expected is None else (expected.total, expected.fee_shares, expected.lost)
        if ours is not None and ours != said and self.tips.state(row.address, FAULT) is None:
            self.tips.market(row, row.address, FAULT, since=row.block)

    def _expected(self, row: LoggedEvent, books: Books, virtual_shares: str) -> Standing | None:
        """Return how a vault finds itself; `None` where the interest of one of its markets is not known."""
        real = 0
        for market_id in self._queue(row):
            shares = int((self.tips.state(market_id + row.address, SHARES) or {"shares": "0"})["shares"])
            if not shares:
                continue
            now = accrued_at(self.tips.markets, market_id, self.times[row.block])
            if isinstance(now, Reason):
                return None
            real += to_assets_down(shares, now.totals.supply_assets, now.totals.supply_shares)
        terms = self.tips.state(row.address, VAULT) or {}
        return stand(books, real, int(virtual_shares), keeps_lost=bool(terms["keeps_lost"]))

    def _queue(self, row: LoggedEvent) -> list[bytes]:
        told = self.tips.state(row.address, QUEUE) or {"markets": []}
        return [unhex(market) for market in told["markets"]]

    def _books(self, row: LoggedEvent) -> Books:
        text = self.tips.markets.get((row.address, BOOKS))
        return NO_BOOKS if text is None else books_of(text)

    def _keep(self, row: LoggedEvent, books: Books) -> None:
        self.tips.market(row, row.address, BOOKS, **{name: str(value) for name, value in books._asdict().items()})


HANDLERS: Mapping[Event, Callable[[Vaults, LoggedEvent], None]] = {
    ev.TRANSFER: Vaults.transfer,
    ev.SET_TIMELOCK: Vaults.nothing,
    ev.SET_FEE: Vaults.set_fee,
    ev.SET_WITHDRAW_QUEUE: Vaults.set_withdraw_queue,
    ev.UPDATE_LAST_TOTAL_ASSETS: Vaults.update_last_total_assets,
    ev.UPDATE_LOST_ASSETS: Vaults.update_lost_assets,
    ev.ACCRUE_FEE: Vaults.accrue_fee,
}
