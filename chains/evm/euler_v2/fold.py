"""Euler v2 events and reads → journals.

Aspects of `market_change`, all integers beyond 2^53 as text. Of the whole venue: `code` {implementation, first}: what the factory's
vaults run, and ran at first. Of a router: `router` {since}. Of a vault:
    `vault` {asset, symbol, decimals, oracle, unit, unit_decimals, upgradeable, since},
    `status` {shares, borrows, fees, cash, accumulator, rate, at}: see `maths.Status`,
    `terms` {interest_fee, max_discount, cool_off, hook_target, hooked_operations, flags, rate_model, supply_cap, borrow_cap},
    `ltv:<collateral>` {borrow, liquidation, initial, target, ramp}: see `maths.Ltv`,
    `route:<token>` {way, path, routers}: how its oracle quotes a token in its unit of account, see `routes`,
    `doubt` {code, detail}: why it is not computed here any more.
Settings of `account_change`; units are accounts, 256 of which share an owner: per vault `debt` {owed, accumulator}, the exact one,
`collateral` and `controller` (true or false); of the account `checked`: the second of its last status check, `orphan`: it was met
before its owner was; and of the account of a prefix that ends in a zero byte `registered`: the owner of all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby

import pyarrow as pa

from chains.evm.abi import Decoded, Event, LoggedEvent, decode_all
from chains.evm.beginnings import code_before, must_be_new
from chains.evm.euler_v2 import events as ev
from chains.evm.euler_v2.debts import movement
from chains.evm.euler_v2.maths import Status, accrued
from chains.evm.euler_v2.options import terms_of
from chains.evm.euler_v2.tips import NOBODY, Tips, compact, prefix_key
from chains.evm.euler_v2.vaults import TERMS, UNSUPPORTED, Vaults
from chains.evm.ports import ETH_CALL, Answer, Folded, NeedReads, Read, Reads
from chains.identifiers import hexed
from chains.model import WHOLE_VENUE, Block, Side, VenueSpec
from chains.ports import AccountKey, MarketKey, PositionKey, StateReader

ORPHAN, REGISTERED = "orphan", "registered"
DEBT_EVENTS = frozenset({ev.BORROW, ev.REPAY, ev.INTEREST_ACCRUED, ev.DEBT_SOCIALIZED})
_ADDRESS_ARGUMENTS = {
    ev.TRANSFER: (0, 1), ev.BORROW: (0,), ev.REPAY: (0,), ev.PULL_DEBT: (0, 1), ev.LIQUIDATE: (0, 1), ev.DEPOSIT: (1,),
    ev.WITHDRAW: (2,), ev.COLLATERAL_STATUS: (0,), ev.CONTROLLER_STATUS: (0,), ev.ACCOUNT_STATUS_CHECK: (0,),
    ev.DEBT_SOCIALIZED: (0,),
}  # fmt: skip


class EulerV2:
    """The fold of the vaults of one factory under one connector."""

    __slots__ = ("_terms", "venue")

    def __init__(self, venue: VenueSpec) -> None:
        self.venue = venue
        self._terms = terms_of(venue.options)

    @classmethod
    def topics(cls, venue: VenueSpec) -> tuple[bytes, ...]:
        """Return the topic0 of every event that matters."""
        del venue
        return tuple(event.topic0 for event in ev.EVENTS)

    @classmethod
    def origin(cls, venue: VenueSpec, *, begun: bool) -> Read | None:
        """Ask for the connector's code before the first block: with none there, no vault is older, as each is built upon it."""
        return code_before(venue, begun=begun)

    @classmethod
    def found(cls, venue: VenueSpec, answer: Answer | None) -> EulerV2:
        """Make the fold of a venue; raises `NoContract` for a connector that is older than its first block."""
        must_be_new(venue, answer, missing="vaults and accounts")
        return cls(venue)

    def contracts(self, state: StateReader) -> Mapping[bytes, int]:
        """Return connector, factory, and whatever vaults and routers the journals know."""
        return self._contracts(state.markets(self.venue.id))

    def decode(self, logs: pa.Table) -> Decoded:
        """Turn the logs of a span into the venue's events."""
        return decode_all(ev.EVENTS, logs)

    def fold(self, state: StateReader, decoded: Decoded, times: Mapping[int, int], reads: Reads) -> Folded | NeedReads:
        """Derive rows from a span's events; asks tokens for symbol and decimals, and price sources for what they are."""
        shares, settings = _keys(decoded.events)
        tips = Tips(
            self.venue.id,
            state.markets(self.venue.id),
            state.positions(self.venue.id, shares),
            state.accounts(self.venue.id, settings),
        )
        vaults = Vaults(self._terms, tips, times, reads)
        tips.hold(state.positions(self.venue.id, _orphaned(tips, decoded.events, vaults.known)))
        work = _Pass(self.venue.address, tips, vaults, times)
        for _, rows in groupby(decoded.events, key=lambda row: (row.block, row.tx_index)):
            work.transaction(list(rows))
        contracts = self._contracts(tips.markets)
        tips.rows.quarantined += [odd.quarantined(self.venue.id) for odd in decoded.misfits if odd.address in contracts]
        if reads.missing:
            return NeedReads(reads=frozenset(reads.missing))
        return Folded(rows=tips.rows, contracts=contracts, sources=work.vaults.sources)

    def totals(
        self, markets: Mapping[MarketKey, str], sums: Mapping[tuple[bytes, Side], int], at: Block
    ) -> Mapping[Read, int]:
        """Ask each vault for its supply, which is the sum of shares and of fees with interest, and for what is borrowed of it."""
        found = {}
        for (vault, aspect), text in markets.items():
            doubt = json.loads(markets.get((vault, "doubt"), "{}"))
            if aspect == "status" and doubt.get("code") != UNSUPPORTED:
                fee = json.loads(markets[vault, "terms"])["interest_fee"]
                status = accrued(Status.of(json.loads(text)), fee, at.time)
                shares = sums.get((vault, Side.SUPPLY), 0) + status.fees
                found[Read(at.number, ETH_CALL, vault, ev.TOTAL_SUPPLY.calldata())] = shares
                found[Read(at.number, ETH_CALL, vault, ev.TOTAL_BORROWS_EXACT.calldata())] = status.borrows
        return found

    def _contracts(self, markets: Mapping[tuple[bytes, str], str]) -> dict[bytes, int]:
        found = {self.venue.address: self.venue.start_block, self._terms.factory: self.venue.start_block}
        for (market, aspect), text in markets.items():
            if aspect in {"vault", "router"}:
                found[market] = json.loads(text)["since"]
        return found


class _Pass:
    """One run over the events of a span."""

    def __init__(self, connector: bytes, tips: Tips, vaults: Vaults, times: Mapping[int, int]) -> None:
        self.connector = connector
        self.tips = tips
        self.vaults = vaults
        self.times = times
        self.pending: dict[bytes, list[LoggedEvent]] = {}

    def transaction(self, rows: list[LoggedEvent]) -> None:
        """Take in what one transaction logged."""
        for row in rows:
            if row.event in ANYWHERE:
                ANYWHERE[row.event](self, row)
            elif row.address in self.vaults.known:
                self._logged(row)
        for vault in list(self.pending):
            self._settle(vault)

    def _logged(self, row: LoggedEvent) -> None:
        """Take in a log of a vault."""
        if row.event in DEBT_EVENTS:
            self.pending.setdefault(row.address, []).append(row)
        elif row.event in TERMS:
            self.vaults.set_terms(row)
        elif row.event in OF_VAULTS:
            OF_VAULTS[row.event](self, row)

    def proxy_created(self, row: LoggedEvent) -> None:
        self.vaults.proxy_created(row)

    def set_implementation(self, row: LoggedEvent) -> None:
        self.vaults.set_implementation(row)

    def router_changed(self, row: LoggedEvent) -> None:
        self.vaults.router_changed(row)

    def set_ltv(self, row: LoggedEvent) -> None:
        self.vaults.set_ltv(row)

    def vault_status(self, row: LoggedEvent) -> None:
        self._settle(row.address)
        self.vaults.vault_status(row)

    def convert_fees(self, row: LoggedEvent) -> None:
        self.vaults.converted.add(row.address)

    # Accounts

    def transfer(self, row: LoggedEvent) -> None:
        """Move shares; a zero address stands for shares that are made or destroyed."""
        source, target, amount = row.args
        for account, change in ((source, -amount), (target, amount)) if source != target else ():
            if account != NOBODY:
                self._hold(row, account, change)
        if NOBODY not in {source, target}:
            assets = self.vaults.status(row).assets_down(amount)
            self._note(row, "transfer", source, target, assets, shares=str(amount))

    def _hold(self, row: LoggedEvent, account: bytes, change: int) -> None:
        key = account, row.address
        self.tips.shares[key] = self.tips.shares.get(key, 0) + change
        self._meet(row, account)
        self.tips.position(row, (*key, Side.SUPPLY), self.vaults.asset(row.address), self.tips.shares[key])

    def _meet(self, row: LoggedEvent, account: bytes) -> None:
        """Remember an account whose owner is not known yet: it may turn out to be another's."""
        known = (prefix_key(account), WHOLE_VENUE, REGISTERED) in self.tips.settings
        if not known and (account, WHOLE_VENUE, ORPHAN) not in self.tips.settings:
            self.tips.setting(row, account, WHOLE_VENUE, ORPHAN, state=True)

    def owner_registered(self, row: LoggedEvent) -> None:
        """Let the 256 accounts of a prefix be their owner's, also those that were met before."""
        if row.address != self.connector:
            return
        prefix, owner = row.args[0][:19], row.args[1]
        key = prefix_key(prefix), WHOLE_VENUE, REGISTERED
        self.tips.settings[key] = compact(hexed(owner))
        self.tips.setting(row, *key, state=hexed(owner))
        for account in _accounts_of(prefix):
            if account != owner and self.tips.settings.get((account, WHOLE_VENUE, ORPHAN)) == "true":
                self.tips.setting(row, account, WHOLE_VENUE, ORPHAN, state=False)
                self._adopt(row, account)

    def _adopt(self, row: LoggedEvent, account: bytes) -> None:
        """Tell anew what an account holds, now that it is known whose it is; nobody owes before he is registered."""
        for vault in self.vaults.known:
            if amount := self.tips.shares.get((account, vault)):
                self.tips.position(row, (account, vault, Side.SUPPLY), self.vaults.asset(vault), amount)

    def collateral_status(self, row: LoggedEvent) -> None:
        self._enable(row, "collateral")

    def controller_status(self, row: LoggedEvent) -> None:
        self._enable(row, "controller")

    def _enable(self, row: LoggedEvent, role: str) -> None:
        account, vault, enabled = row.args
        if row.address == self.connector:
            self.tips.setting(row, account, vault, role, state=enabled)

    def account_status_check(self, row: LoggedEvent) -> None:
        if row.address == self.connector:
            self.tips.setting(row, row.args[0], WHOLE_VENUE, "checked", state=self.times[row.block])

    # Debts

    def pull_debt(self, row: LoggedEvent) -> None:
        self._settle(row.address, row)
        source, target, amount = row.args
        self._note(row, "debt_transfer", source, target, amount)

    def liquidate(self, row: LoggedEvent) -> None:
        self._settle(row.address, row)
        liquidator, violator, collateral, amount, seized = row.args
        extra = {"collateral_asset": hexed(collateral), "collateral_amount_raw": str(seized), "receive_a_token": True}
        self._note(row, "liquidation", violator, liquidator, amount, **extra)

    def _settle(self, vault: bytes, row: LoggedEvent | None = None) -> None:
        """Take in what a vault logged of debts up to now; `row` is the movement that it ends with, if it does."""
        logged = self.pending.pop(vault, [])
        if row is None and not logged:
            return
        rest = self.vaults.settle(vault, logged, None if row is None else movement(row, logged))
        for each in rest:
            self._note(each, "borrow" if each.event is ev.BORROW else "repay", each.args[0], None, each.args[1])
        for each in logged:
            if each.event is ev.DEBT_SOCIALIZED:
                self._note(each, "bad_debt", each.args[0], None, each.args[1])

    # History

    def deposit(self, row: LoggedEvent) -> None:
        sender, account, assets, shares = row.args
        self._note(row, "supply", account, sender, assets, shares=str(shares))

    def withdraw(self, row: LoggedEvent) -> None:
        """Note a withdrawal; one of nobody's stands for debt that was written off."""
        _, receiver, account, assets, shares = row.args
        if account != NOBODY:
            self._note(row, "withdraw", account, receiver, assets, shares=str(shares))

    def _note(
        self, row: LoggedEvent, kind: str, account: bytes, other: bytes | None, amount: int, **extra: object
    ) -> None:  # fmt: skip
        asset = self.vaults.asset(row.address)
        self.tips.history(row, kind, asset, account=account, other=other, amount=amount, **extra)


Handler = Callable[[_Pass, LoggedEvent], None]

ANYWHERE: Mapping[Event, Handler] = {
    ev.PROXY_CREATED: _Pass.proxy_created,
    ev.SET_IMPLEMENTATION: _Pass.set_implementation,
    ev.OWNER_REGISTERED: _Pass.owner_registered,
    ev.COLLATERAL_STATUS: _Pass.collateral_status,
    ev.CONTROLLER_STATUS: _Pass.controller_status,
    ev.ACCOUNT_STATUS_CHECK: _Pass.account_status_check,
    ev.CONFIG_SET: _Pass.router_changed,
    ev.RESOLVED_VAULT_SET: _Pass.router_changed,
    ev.FALLBACK_SET: _Pass.router_changed,
}
OF_VAULTS: Mapping[Event, Handler] = {
    ev.TRANSFER: _Pass.transfer,
    ev.PULL_DEBT: _Pass.pull_debt,
    ev.LIQUIDATE: _Pass.liquidate,
    ev.VAULT_STATUS: _Pass.vault_status,
    ev.CONVERT_FEES: _Pass.convert_fees,
    ev.DEPOSIT: _Pass.deposit,
    ev.WITHDRAW: _Pass.withdraw,
    ev.SET_LTV: _Pass.set_ltv,
}


def _keys(rows: list[LoggedEvent]) -> tuple[set[PositionKey], set[AccountKey]]:
    """Return what of accounts a span's events may need to know."""
    shares: set[PositionKey] = set()
    settings: set[AccountKey] = set()
    for row in rows:
        if row.event is ev.OWNER_REGISTERED:
            settings |= {(account, WHOLE_VENUE, ORPHAN) for account in _accounts_of(row.args[0][:19])}
        for account in (row.args[i] for i in _ADDRESS_ARGUMENTS.get(row.event, ())):
            shares.add((account, row.address, Side.SUPPLY))
            settings |= {
                (account, row.address, "debt"),
                (account, WHOLE_VENUE, ORPHAN),
                (prefix_key(account), WHOLE_VENUE, REGISTERED),
            }
    return shares, settings


def _orphaned(tips: Tips, rows: list[LoggedEvent], vaults: Iterable[bytes]) -> set[PositionKey]:
    """Return what of the holdings is not known yet of accounts whose owner a span's events tell."""
    told = [account for row in rows if row.event is ev.OWNER_REGISTERED for account in _accounts_of(row.args[0][:19])]
    orphans = [account for account in told if tips.settings.get((account, WHOLE_VENUE, ORPHAN)) == "true"]
    return {(a, vault, Side.SUPPLY) for a in orphans for vault in vaults if (a, vault) not in tips.shares}


def _accounts_of(prefix: bytes) -> Iterator[bytes]:
    return (prefix + bytes([last]) for last in range(256))
