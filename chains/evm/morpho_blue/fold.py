"""Morpho Blue events and reads → journals.

Aspects of `market_change`, all integers beyond 2^53 as text. Of the whole venue: `roles` {owner, fee_recipient}, `enabled`
{irms, lltvs}, `followed` {interest rate model: first block}. Of a market, by its id:
    `params` {loan_token, collateral_token, oracle, irm, lltv, since}: immutable,
    `totals`: what the contract stores (`maths.Totals`), without the interest since `last_update`. A market without a model tells
        of no accrual: there `last_update` is the time of the last event that brings a market up to date, and nothing rests on it,
    `rate` {average, at_target, fault}: what its model told last; `fault` says since when that, or the interest, was not what the
        arithmetic gives. With `fixed` it is the market's own for ever.
Of an address: `model` {adaptive} of an interest rate model, `token` {symbol, decimals}. Oracles are price sources, followed as such.
A unit is an owner's position in one market: its id is the market's and the owner's. Its amounts are shares under the market's id, on
both sides, and collateral under the id followed by the collateral's token. Settings of `account_change`: `wide_amount:<side>`, an
amount that fits no column, `null` since it fits again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import merge
from operator import itemgetter
from typing import NamedTuple

import pyarrow as pa

from chains.evm.abi import Decoded, Event, LoggedEvent, decode_all
from chains.evm.beginnings import code_before, must_be_new
from chains.evm.logs import unhex
from chains.evm.morpho_blue import events as ev
from chains.evm.morpho_blue import vaults
from chains.evm.morpho_blue.curve import INITIAL_RATE_AT_TARGET, PROBES, Probe, borrow_rate
from chains.evm.morpho_blue.holdings import collateral_in, holdings_of, shares_in
from chains.evm.morpho_blue.maths import TooLarge, Totals, accrued
from chains.evm.morpho_blue.options import follows_vaults
from chains.evm.morpho_blue.oracle import NOWHERE
from chains.evm.morpho_blue.tips import Holding, State, Tips, totals_of
from chains.evm.ports import ETH_CALL, PENDING, Answer, Folded, NeedReads, Read, Reads
from chains.identifiers import hexed
from chains.model import WHOLE_VENUE, Block, Side, VenueSpec
from chains.ports import MarketKey, StateReader

NOTHING = Totals(0, 0, 0, 0, 0, 0)
NO_RATE = {"average": "0", "at_target": "0", "fault": ""}


class _Span(NamedTuple):
    """What the logs of a span tell of markets, and all of them for what vaults tell."""

    markets: Decoded
    logs: pa.Table


class MorphoBlue:
    """The fold of one deployment with all its markets."""

    __slots__ = ("venue",)

    def __init__(self, venue: VenueSpec) -> None:
        self.venue = venue

    @classmethod
    def topics(cls, venue: VenueSpec) -> tuple[bytes, ...]:
        """Return the topic0 of every event that matters."""
        return (*(event.topic0 for event in ev.EVENTS), *vaults.topics(venue))

    @classmethod
    def origin(cls, venue: VenueSpec, *, begun: bool) -> Read | None:
        """Ask for the code before the first block."""
        return code_before(venue, begun=begun)

    @classmethod
    def found(cls, venue: VenueSpec, answer: Answer | None) -> MorphoBlue:
        """Make the fold of a venue; raises `NoContract` for a deployment that is older than its first block."""
        must_be_new(venue, answer, missing="markets")
        return cls(venue)

    def contracts(self, state: StateReader) -> Mapping[bytes, int]:
        """Return the contract, and the interest rate models that it was ever allowed to ask."""
        return self._contracts(Tips(self.venue.id, state.markets(self.venue.id)))

    def decode(self, logs: pa.Table) -> _Span:
        """Turn the logs of a span into events; which of the others are of vaults, the journals know."""
        return _Span(decode_all(ev.EVENTS, logs), logs if follows_vaults(self.venue.options) else logs.slice(0, 0))

    def fold(self, state: StateReader, decoded: _Span, times: Mapping[int, int], reads: Reads) -> Folded | NeedReads:
        """Derive rows from a span's events; asks tokens, oracles and interest rate models what they are, where a market begins."""
        tips = Tips(self.venue.id, state.markets(self.venue.id))
        told = vaults.decode(self.venue, tips, decoded.logs)
        work, beside = _Pass(tips, times, reads), vaults.Vaults(self.venue, tips, times, reads)
        mine = [row for row in decoded.markets.events if self._is_of_markets(row)]
        tips.learn(state, {*holdings_of(tips, mine), *vaults.before_their_creation(tips, told.events)})
        for row in merge(mine, told.events, key=itemgetter(0, 1)):
            if row.event in HANDLERS:
                HANDLERS[row.event](work, row)
            else:
                beside.take(row)
        odd = [misfit for misfit in decoded.markets.misfits if misfit.address == self.venue.address]
        for misfit in merge(odd, told.misfits, key=itemgetter(0, 1)):
            tips.rows.quarantined.append(misfit.quarantined(self.venue.id))
        if reads.missing:
            return NeedReads(reads=frozenset(reads.missing))
        return Folded(rows=tips.rows, contracts=self._contracts(tips), sources=work.sources)

    def totals(
        self, markets: Mapping[MarketKey, str], sums: Mapping[tuple[bytes, Side], int], at: Block
    ) -> Mapping[Read, tuple[int, ...]]:
        """Ask each market what it stores: its shares are the sums of its owners', its assets what the events add up to."""
        stored = {market: totals_of(text) for (market, aspect), text in markets.items() if aspect == "totals"}
        return {
            Read(at.number, ETH_CALL, self.venue.address, ev.MARKET.calldata(market)): (
                totals.supply_assets,
                sums.get((market, Side.SUPPLY), 0),
                totals.borrow_assets,
                sums.get((market, Side.BORROW), 0),
            )
            for market, totals in stored.items()
        }

    def _is_of_markets(self, row: LoggedEvent) -> bool:
        return row.address == self.venue.address or row.event is ev.BORROW_RATE_UPDATE

    def _contracts(self, tips: Tips) -> dict[bytes, int]:
        followed = tips.state(WHOLE_VENUE, "followed") or {}
        models = {unhex(irm): since for irm, since in followed.items()}
        return {self.venue.address: self.venue.start_block, **models, **vaults.contracts(self.venue, tips)}


class _Pass:
    """One run over the events of a span: tips of the journals, changed as the events go by."""

    def __init__(self, tips: Tips, times: Mapping[int, int], reads: Reads) -> None:
        self.tips = tips
        self.times = times
        self.reads = reads
        self.sources: dict[bytes, int] = {}

    # The whole venue

    def set_owner(self, row: LoggedEvent) -> None:
        self._role(row, owner=hexed(row.args[0]))

    def set_fee_recipient(self, row: LoggedEvent) -> None:
        self._role(row, fee_recipient=hexed(row.args[0]))

    def _role(self, row: LoggedEvent, **change: str) -> None:
        roles = self.tips.state(WHOLE_VENUE, "roles") or {"owner": hexed(NOWHERE), "fee_recipient": hexed(NOWHERE)}
        self.tips.market(row, WHOLE_VENUE, "roles", **(roles | change))

    def enable_irm(self, row: LoggedEvent) -> None:
        (irm,) = row.args
        self._enable(row, "irms", hexed(irm))
        if irm != NOWHERE:
            followed = self.tips.state(WHOLE_VENUE, "followed") or {}
            self.tips.market(row, WHOLE_VENUE, "followed", **followed, **{hexed(irm): row.block})

    def enable_lltv(self, row: LoggedEvent) -> None:
        self._enable(row, "lltvs", str(row.args[0]))

    def _enable(self, row: LoggedEvent, name: str, value: str) -> None:
        enabled: State = self.tips.state(WHOLE_VENUE, "enabled") or {"irms": [], "lltvs": []}
        self.tips.market(row, WHOLE_VENUE, "enabled", **(enabled | {name: [*enabled[name], value]}))

    # A market begins

    def create_market(self, row: LoggedEvent) -> None:
        market, loan, collateral, oracle, irm, lltv = row.args
        self.tips.market(
            row, market, "params", loan_token=hexed(loan), collateral_token=hexed(collateral), oracle=hexed(oracle),
            irm=hexed(irm), lltv=str(lltv), since=row.block,
        )  # fmt: skip
        self.tips.store(row, market, NOTHING._replace(last_update=self.times[row.block]))
        for token in dict.fromkeys((loan, collateral)):
            self.tips.token(row, token, self.reads)
        if oracle != NOWHERE:
            self.sources.setdefault(oracle, row.block)
        if irm != NOWHERE:
            self._read_fixed_rate(row, market, irm)

    def _read_fixed_rate(self, row: LoggedEvent, market: bytes, irm: bytes) -> None:
        """Take the rate of a model that keeps one for each market and lets nobody set it again (`FixedRateIrm`)."""
        stored = self.reads(row.block, irm, ev.RATE_STORED.calldata(market))
        values = ev.RATE_STORED.result(stored.output) if stored.returned else None
        if not values or values[0] == 0:
            return
        again = self.reads(row.block, irm, ev.SET_RATE.calldata(market, values[0]))
        if again.outcome == "reverted" and again.output == ev.RATE_IS_SET:
            self.tips.market(row, market, "rate", average=str(values[0]), at_target="0", fault="", fixed=True)

    # Interest

    def borrow_rate_update(self, row: LoggedEvent) -> None:
        """Take a model's word where the market asks that model, and compare it with the model's arithmetic."""
        market, average, at_target = row.args
        params = self.tips.state(market, "params")
        if params is None or params["irm"] != hexed(row.address):
            return
        self._judge_model(row, params)
        known = self.tips.state(market, "rate") or NO_RATE
        expected = borrow_rate(int(known["at_target"]), self.tips.totals(market), self.times[row.block])
        fault = known["fault"] or ("" if expected == (average, at_target) else f"since block {row.block}")
        self.tips.market(row, market, "rate", average=str(average), at_target=str(at_target), fault=fault)

    def _judge_model(self, row: LoggedEvent, params: State) -> None:
        """Tell, once, whether a model is the adaptive curve: what it says of made-up markets is what the curve gives."""
        if (row.address, "model") in self.tips.markets:
            return
        now = self.times[row.block]
        asked = [(probe, self._ask(row, params, probe, now)) for probe in PROBES]
        adaptive = row.args[2] == INITIAL_RATE_AT_TARGET and all(
            answer.returned and ev.BORROW_RATE_VIEW.result(answer.output) == (_curve_of(probe, now),)
            for probe, answer in asked
        )
        self.tips.market(row, row.address, "model", adaptive=adaptive)

    def _ask(self, row: LoggedEvent, params: State, probe: Probe, now: int) -> Answer:
        names = ("loan_token", "collateral_token", "oracle", "irm")
        stored = (probe.supply_assets, 0, probe.borrow_assets, 0, now - probe.seconds, 0)
        if now < probe.seconds:
            return PENDING
        calldata = ev.BORROW_RATE_VIEW.calldata(*(params[name] for name in names), int(params["lltv"]), *stored)
        return self.reads(row.block, row.address, calldata)

    def accrue_interest(self, row: LoggedEvent) -> None:
        """Add what the event says; a market whose interest is not what the arithmetic gives is no longer believed."""
        market, rate, interest, fee_shares = row.args
        before, now = self.tips.totals(market), self.times[row.block]
        self._check(row, market, before, (rate, interest, fee_shares))
        after = before._replace(
            supply_assets=before.supply_assets + interest,
            supply_shares=before.supply_shares + fee_shares,
            borrow_assets=before.borrow_assets + interest,
            last_update=now,
        )
        self.tips.store(row, market, after)
        if fee_shares:
            loan = unhex(self.tips.params(market)["loan_token"])
            recipient = unhex(
                (self.tips.state(WHOLE_VENUE, "roles") or {"fee_recipient": hexed(NOWHERE)})["fee_recipient"]
            )
            self.tips.move(row, shares_in(market, recipient, Side.SUPPLY), fee_shares, loan)

    def _check(self, row: LoggedEvent, market: bytes, before: Totals, said: tuple[int, int, int]) -> None:
        known = self.tips.state(market, "rate")
        if known is None or known["fault"]:
            return
        try:
            expected = accrued(before, int(known["average"]), self.times[row.block])
        except TooLarge:
            expected = None
        if expected is None or (int(known["average"]), expected.interest, expected.fee_shares) != said:
            self.tips.market(row, market, "rate", **(known | {"fault": f"since block {row.block}"}))

    def set_fee(self, row: LoggedEvent) -> None:
        market, fee = row.args
        self.tips.store(row, market, self._touched(row, market)._replace(fee=fee))

    def _touched(self, row: LoggedEvent, market: bytes) -> Totals:
        """Return a market's totals, as of now where nothing tells that it was brought up to date."""
        totals = self.tips.totals(market)
        silent = self.tips.params(market)["irm"] == hexed(NOWHERE)
        return totals._replace(last_update=self.times[row.block]) if silent else totals

    # Shares

    def supply(self, row: LoggedEvent) -> None:
        market, caller, owner, assets, shares = row.args
        totals = self._touched(row, market)
        totals = totals._replace(
            supply_assets=totals.supply_assets + assets, supply_shares=totals.supply_shares + shares
        )
        self.tips.store(row, market, totals)
        self._lent(row, "supply", shares_in(market, owner, Side.SUPPLY), caller, shares)

    def withdraw(self, row: LoggedEvent) -> None:
        market, _, owner, receiver, assets, shares = row.args
        totals = self._touched(row, market)
        totals = totals._replace(
            supply_assets=totals.supply_assets - assets, supply_shares=totals.supply_shares - shares
        )
        self.tips.store(row, market, totals)
        self._lent(row, "withdraw", shares_in(market, owner, Side.SUPPLY), receiver, -shares)

    def borrow(self, row: LoggedEvent) -> None:
        market, _, owner, receiver, assets, shares = row.args
        totals = self._touched(row, market)
        totals = totals._replace(
            borrow_assets=totals.borrow_assets + assets, borrow_shares=totals.borrow_shares + shares
        )
        self.tips.store(row, market, totals)
        self._lent(row, "borrow", shares_in(market, owner, Side.BORROW), receiver, shares)

    def repay(self, row: LoggedEvent) -> None:
        """Take a repayment; it may exceed what is owed by one unit of assets."""
        market, caller, owner, assets, shares = row.args
        totals = self._touched(row, market)
        totals = totals._replace(
            borrow_assets=max(0, totals.borrow_assets - assets), borrow_shares=totals.borrow_shares - shares
        )
        self.tips.store(row, market, totals)
        self._lent(row, "repay", shares_in(market, owner, Side.BORROW), caller, -shares)

    def _lent(self, row: LoggedEvent, kind: str, holding: Holding, other: bytes, shares: int) -> None:
        """Note a change of shares; an event of this kind names the assets before the shares, which it ends with."""
        loan = unhex(self.tips.params(holding.market_id)["loan_token"])
        self.tips.move(row, holding, shares, loan)
        self.tips.history(
            row, kind, holding.market, asset=loan, owner=holding.owner, other=other, amount=row.args[-2],
            shares=str(abs(shares)),
        )  # fmt: skip

    # Collateral

    def supply_collateral(self, row: LoggedEvent) -> None:
        _, caller, owner, assets = row.args
        self._pledged(row, "supply", owner, caller, assets)

    def withdraw_collateral(self, row: LoggedEvent) -> None:
        market, _, owner, receiver, assets = row.args
        touched = self._touched(row, market)
        if touched != self.tips.totals(market):
            self.tips.store(row, market, touched)
        self._pledged(row, "withdraw", owner, receiver, -assets)

    def _pledged(self, row: LoggedEvent, kind: str, owner: bytes, other: bytes, change: int) -> None:
        market = row.args[0]
        token = unhex(self.tips.params(market)["collateral_token"])
        holding = collateral_in(market, owner, token)
        self.tips.move(row, holding, change, token)
        self.tips.history(row, kind, holding.market, asset=token, owner=owner, other=other, amount=abs(change))

    def liquidate(self, row: LoggedEvent) -> None:
        """Take a liquidation: what a borrower without collateral still owes is written off, at the expense of all suppliers."""
        market, caller, borrower, repaid, repaid_shares, seized, bad_debt, bad_shares = row.args
        params, totals = self.tips.params(market), self._touched(row, market)
        totals = totals._replace(
            supply_assets=totals.supply_assets - bad_debt,
            borrow_assets=max(0, totals.borrow_assets - repaid) - bad_debt,
            borrow_shares=totals.borrow_shares - repaid_shares - bad_shares,
        )
        self.tips.store(row, market, totals)
        loan, token = unhex(params["loan_token"]), unhex(params["collateral_token"])
        self.tips.move(row, shares_in(market, borrower, Side.BORROW), -repaid_shares - bad_shares, loan)
        self.tips.move(row, collateral_in(market, borrower, token), -seized, token)
        self.tips.history(
            row, "liquidation", market, asset=loan, owner=borrower, other=caller, amount=repaid,
            collateral_asset=hexed(token), collateral_amount_raw=str(seized), bad_debt_raw=str(bad_debt),
        )  # fmt: skip


def _curve_of(probe: Probe, now: int) -> int:
    totals = NOTHING._replace(
        supply_assets=probe.supply_assets, borrow_assets=probe.borrow_assets, last_update=now - probe.seconds
    )
    return borrow_rate(INITIAL_RATE_AT_TARGET, totals, now).average


HANDLERS: Mapping[Event, Callable[[_Pass, LoggedEvent], None]] = {
    ev.CREATE_MARKET: _Pass.create_market,
    ev.ACCRUE_INTEREST: _Pass.accrue_interest,
    ev.SUPPLY: _Pass.supply,
    ev.WITHDRAW: _Pass.withdraw,
    ev.BORROW: _Pass.borrow,
    ev.REPAY: _Pass.repay,
    ev.SUPPLY_COLLATERAL: _Pass.supply_collateral,
    ev.WITHDRAW_COLLATERAL: _Pass.withdraw_collateral,
    ev.LIQUIDATE: _Pass.liquidate,
    ev.SET_FEE: _Pass.set_fee,
    ev.SET_FEE_RECIPIENT: _Pass.set_fee_recipient,
    ev.SET_OWNER: _Pass.set_owner,
    ev.ENABLE_IRM: _Pass.enable_irm,
    ev.ENABLE_LLTV: _Pass.enable_lltv,
    ev.BORROW_RATE_UPDATE: _Pass.borrow_rate_update,
}
