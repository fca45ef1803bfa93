"""Recorded runs of marginfi: interest, health and borrowing power from the journals are what the program itself gave at every sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from chains.identifiers import from_base58
from chains.model import Reason
from chains.solana.layouts import read
from chains.solana.marginfi.book import Book
from chains.solana.marginfi.fixed import ONE, div_down, mul_down, whole
from chains.solana.marginfi.health import Balance, Leg, Requirement, Values, check
from chains.solana.marginfi.layout import BANK
from chains.solana.marginfi.liquidating import Liquidable
from chains.solana.marginfi.unit import Account
from tests.support.marginfi_runs import FIXTURES, GOLDEN, Journals, MarginfiRun, account_bytes, runs

ISOLATED = 1
SHARED = FIXTURES / "runs" / "marginfi"


class Moment(NamedTuple):
    """A sample, and the group as the journals have it then."""

    sample: Mapping[str, Any]
    book: Book
    journals: Journals

    def account(self, address: str) -> Account:
        return Account(self.book, self.journals.unit(from_base58(address)))


@pytest.fixture(params=sorted(runs().items()), ids=lambda item: item[0], scope="module")
def moments(request: pytest.FixtureRequest) -> list[Moment]:
    return list(moments_of(MarginfiRun.load(request.param[1])))


def moments_of(run: MarginfiRun) -> Iterator[Moment]:
    journals = Journals(run.venue)
    for number, sample in enumerate(run.samples):
        journals.fold(run.seen(number))
        then = Journals(run.venue, owners=dict(journals.owners))
        then.tips.held, then.tips.settings = dict(journals.tips.held), dict(journals.tips.settings)
        yield Moment(sample, Book(journals.market(run.at(number))), then)


def test_there_is_a_golden_run() -> None:
    assert any(GOLDEN.glob("case-*"))


def test_the_other_runs_are_there() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"no recorded runs at {SHARED}; CROSSMARGIN_SOLANA_RUNS may name others")
    assert any(name.startswith("shared/") for name in runs())


def test_every_bank_with_interest_is_as_the_program_stores_it(moments: list[Moment]) -> None:
    compared = 0
    for moment in moments:
        for address, fields in moment.sample["after_accrue"].items():
            bank = moment.book.bank(from_base58(address))
            assert not isinstance(bank, Reason)
            totals = moment.book.with_interest(bank)
            for name, value in fields.items():
                assert getattr(totals, name) == int(value), (moment.sample["index"], address, name)
                compared += 1

    assert compared > 24 * len(moments) - 1


def test_the_program_liquidates_and_refuses_as_the_maintenance_check_says(moments: list[Moment]) -> None:
    accepted = refused = stale = 0
    for moment, address, probe in probes(moments):
        named = {from_base58(probe[side]) for side in ("asset_bank", "liability_bank")}
        values = check(moment.account(address).legs(named), Requirement.MAINTENANCE)
        place = (moment.sample["index"], address)
        if isinstance(values, Reason):
            assert values.code == "price_stale", place
            assert "StaleOracle" in probe["error_log"][0], place
            stale += 1
            continue
        health = values.assets - values.liabilities
        assert (health <= 0) is probe["accepted"], place
        if probe["accepted"]:
            assert health / ONE == probe["event"]["liquidatee_pre_health"], place
            accepted += 1
        else:
            assert "IllegalLiquidation" in probe["error_log"][0], place
            refused += 1

    assert min(accepted, refused, stale) > 4


def test_an_account_whose_banks_are_all_named_has_the_verdict_of_its_unit(moments: list[Moment]) -> None:
    compared = 0
    for moment, address, probe in probes(moments):
        account = moment.account(address)
        if {balance.bank for balance in account.balances} <= {
            from_base58(probe["asset_bank"]),
            from_base58(probe["liability_bank"]),
        }:
            unit = account.venue_unit()
            if unit.native is None:
                assert [reason.code for reason in unit.reasons][:1] == ["price_stale"]
                assert not probe["accepted"]
                continue
            assert unit.liquidatable is probe["accepted"]
            assert (unit.health_factor_wad or 0) >= 10**18 or probe["accepted"]
            if probe["accepted"]:
                health = unit.native["asset_value_maint_accrued"] - unit.native["liability_value_maint_accrued"]
                assert health / ONE == probe["event"]["liquidatee_pre_health"]
            compared += 1

    assert compared > 20


def test_a_liquidation_takes_and_leaves_what_the_program_did(moments: list[Moment]) -> None:
    same = refused = 0
    for moment, address, probe in probes(moments):
        asset, debt = (from_base58(probe[side]) for side in ("asset_bank", "liability_bank"))
        legs = moment.account(address).legs({asset, debt})
        exposed = Liquidable.of(legs)
        if not isinstance(exposed, Liquidable) or isinstance(check(legs, Requirement.MAINTENANCE), Reason):
            continue
        seized, place = int(probe["asset_amount"]), (moment.sample["index"], address)
        if not probe["accepted"]:
            assert exposed.most(asset, debt) == 0, place
            refused += 1
            continue
        assert exposed.health_factor_wad is not None, place
        assert exposed.health_factor_wad < 10**18, place
        left, event = exposed.after(asset, debt, seized), probe["event"]
        health = check(left.legs, Requirement.MAINTENANCE)
        assert isinstance(health, Values), place
        if "liquidatee_post_health" in event:  # runs that are kept here are shortened
            assert (health.assets - health.liabilities) / ONE == event["liquidatee_post_health"], place
            by_bank = {leg.bank.address: leg for leg in left.legs}
            held = mul_down(by_bank[asset].balance.asset_shares, by_bank[asset].totals.asset_share_value)
            owed = mul_down(by_bank[debt].balance.liability_shares, by_bank[debt].totals.liability_share_value)
            assert [held / ONE, owed / ONE] == event["post_balances"][:2], place
        most = exposed.most(asset, debt)
        assert most >= exposed.settled(asset, debt, seized).paid >> 48, place
        assert_whole_liquidation(exposed, asset, debt, most)
        same += 1

    assert same > 4
    assert refused > 4


def assert_whole_liquidation(exposed: Liquidable, asset: bytes, debt: bytes, most: int) -> None:
    """All that may be taken at once is: one raw unit more would lift the account, pay the debt whole, or is not there."""
    left, done = exposed.taken(asset, debt, most)
    [seized] = done.seized
    values = check(left.legs, Requirement.MAINTENANCE)
    assert isinstance(values, Values)
    assert values.assets <= values.liabilities
    further = check(exposed.after(asset, debt, seized.amount_raw + 1).legs, Requirement.MAINTENANCE)
    assert isinstance(further, Values)
    there = next(lot.amount_raw for lot in exposed.collaterals if lot.market == asset)
    exhausted = [each for each in exposed.after(asset, debt, seized.amount_raw + 1).debts if each.market == debt] == []
    assert further.assets > further.liabilities or seized.amount_raw == there or exhausted
    assert exposed.taken(asset, debt, most // 2)[1].paid.amount_raw <= most // 2


def test_the_program_lends_exactly_up_to_the_initial_check(moments: list[Moment]) -> None:
    compared = nothing = 0
    for moment in moments:
        for address, answers in moment.sample["program_answers"].items():
            limit = int(answers["max_borrow"]["native_amount"])
            loan = Loan.of(moment, address, answers["max_borrow"]["bank"])
            place = (moment.sample["index"], address, limit)
            assert loan.refused(max(limit, 0) + 1), place
            if limit > 0:
                assert not loan.refused(limit), place
            else:
                nothing += 1
            compared += 1

    assert compared > 5 * len(moments) - 10
    assert nothing > 0


def test_no_account_is_left_out_and_every_position_has_its_token(moments: list[Moment]) -> None:
    for moment in moments:
        stored = {from_base58(each) for each in moment.sample["program_answers"]}
        units = {unit.unit_id: unit for unit in moment.journals.units()}
        assert stored <= units.keys()
        for account in stored:
            unit = Account(moment.book, units[account]).venue_unit()
            assert all(position.asset for position in unit.positions)
            assert len(unit.positions) == len(units[account].positions) - sum(
                not held for held in units[account].positions.values()
            )


def probes(moments: list[Moment]) -> Iterator[tuple[Moment, str, Mapping[str, Any]]]:
    for moment in moments:
        for address, answers in moment.sample["program_answers"].items():
            if "liquidation_probe" in answers:
                yield moment, address, answers["liquidation_probe"]


class Loan(NamedTuple):
    """A loan that an account asks for: what `lending_account_borrow` does and checks, at the bank's numbers with interest."""

    moment: Moment
    account: Account
    bank: bytes
    fee: int
    vault: int

    @staticmethod
    def of(moment: Moment, address: str, bank: str) -> Loan:
        accounts = moment.sample["accounts"]
        data = account_bytes(0, accounts[bank]).data
        vault = account_bytes(0, accounts[base58_of(data[112:144], accounts)]).data
        fee = read(BANK.fields, data)["protocol_origination_fee"]
        return Loan(moment, moment.account(address), from_base58(bank), fee, int.from_bytes(vault[64:72], "little"))

    def refused(self, amount: int) -> str | None:
        bank = self.moment.book.bank(self.bank)
        assert not isinstance(bank, Reason)
        totals = self.moment.book.with_interest(bank)
        assert not isinstance(totals, Reason)
        debt = whole(amount) + mul_down(whole(amount), self.fee)
        shares = div_down(debt, totals.liability_share_value)
        after = replace(totals, total_liability_shares=totals.total_liability_shares + shares)
        if after.liabilities > after.assets:
            return "the bank is used up"
        if amount > self.vault:
            return "the vault is empty"
        others = [leg for leg in self.account.legs(()) if leg.balance.bank != self.bank]
        mine = next((each for each in self.account.balances if each.bank == self.bank), Balance(self.bank, 0, 0))
        owing = mine._replace(liability_shares=mine.liability_shares + shares)
        legs = [*others, Leg(owing, bank, after, self.moment.book.prices.quote(bank))]
        values = check(legs, Requirement.INITIAL)
        if isinstance(values, Reason):
            return values.code
        return too_little(values, legs)


def too_little(values: Values, legs: list[Leg]) -> str | None:
    debts = [leg for leg in legs if leg.balance.owes]
    if any(leg.bank.risk_tier == ISOLATED for leg in debts) and len(debts) > 1:
        return "isolated debt beside another"
    return "not enough collateral" if values.assets < values.liabilities else None


def base58_of(key: bytes, names: Mapping[str, Any]) -> str:
    return next(name for name in names if from_base58(name) == key)
