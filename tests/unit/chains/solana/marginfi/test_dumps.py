"""Real accounts of mainnet and of test deployments, folded: their shares to the last unit, and why they are not valued."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from chains.identifiers import base58, from_base58
from chains.model import Block, Side, VenueSpec, VenueUnit
from chains.solana.marginfi import open_book
from chains.solana.marginfi.fixed import ONE
from tests.support.marginfi_runs import FIXTURES, Journals, account_bytes

DUMPS = FIXTURES / "marginfi"
MAIN_GROUP = "4qp6Fx6tnZkY5Wropq9wUYgtFxXKwE6viZxFHg3rdAG8"
BANKS = ("bank_sample_1.json", "bank_sample_2.json", "bank_sample_3.json")
ACCOUNTS = ("marginfi_account_sample_1.json", "marginfi_account_sample_2.json", "marginfi_account_sample_3.json")
SLOT, TIME = 256_000_000, 1_711_700_000

pytestmark = pytest.mark.skipif(not DUMPS.is_dir(), reason=f"there are no account dumps at {DUMPS}")


def dump(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DUMPS / name).read_text(encoding="utf-8"))
    return found


def address(name: str) -> bytes:
    return from_base58(dump(name)["pubkey"])


def stated(name: str) -> dict[str, str]:
    return dict(json.loads((DUMPS / "expected.json").read_text(encoding="utf-8"))["asserted"][name])


@pytest.fixture(scope="module")
def journals() -> Journals:
    """The accounts and banks of the main group."""
    venue = VenueSpec(
        id="mrgn",
        protocol="marginfi",
        chain_id="solana:test",
        address=from_base58(MAIN_GROUP),
        start_block=0,
        options={},
    )
    found = Journals(venue)
    found.fold([(address(name), account_bytes(SLOT, dump(name)["account"])) for name in (*ACCOUNTS, *BANKS)])
    return found


def unit(journals: Journals, name: str) -> VenueUnit:
    at = Block(number=SLOT, hash=b"", parent_hash=b"", time=TIME)
    return open_book(journals.market(at))(journals.unit(address(name)))


def test_nothing_is_set_aside_and_every_account_is_its_authoritys(journals: Journals) -> None:
    assert journals.rows.quarantined == []
    assert {journals.owners[address(name)] for name in ACCOUNTS} == {
        from_base58(stated(name)["account.authority"]) for name in ACCOUNTS
    }


@pytest.mark.parametrize("name", ACCOUNTS)
def test_the_stated_balances_are_in_the_journals(journals: Journals, name: str) -> None:
    told = stated(name)
    held = journals.unit(address(name)).positions
    for number in ("balance_1", "balance_2"):
        bank = from_base58(told.get(f"{number}.bank_pk", "1" * 32))
        for side, field in ((Side.SUPPLY, "asset_shares"), (Side.BORROW, "liability_shares")):
            shares = round(Fraction(told.get(f"{number}.{field}", "0")) * ONE)
            assert held.get((bank, side), 0) == shares


def test_a_real_account_of_seven_positions_has_four_deposits_and_three_debts(journals: Journals) -> None:
    sides = [side for (_, side), shares in journals.unit(address(ACCOUNTS[0])).positions.items() if shares]

    assert (sides.count(Side.SUPPLY), sides.count(Side.BORROW)) == (4, 3)


def test_accounts_in_banks_that_are_not_here_are_unknown_and_say_which(journals: Journals) -> None:
    found = unit(journals, ACCOUNTS[0])

    assert (found.native, found.liquidatable, found.has_debt) == (None, None, True)
    named = {reason.subject for reason in found.reasons if reason.code == "bank_unknown"}
    missing = {base58(bank) for bank, _ in journals.unit(address(ACCOUNTS[0])).positions} - {
        dump(name)["pubkey"] for name in BANKS
    }
    assert named == missing


def test_an_account_without_anything_is_worth_nothing(journals: Journals) -> None:
    found = unit(journals, ACCOUNTS[2])

    assert (found.positions, found.has_debt) == ((), False)
    assert [reason.code for reason in found.reasons] == ["group_unknown"]


@pytest.mark.parametrize(
    "name", ["cloud_bank.json", "gappy_user3.json", "mainnet_staked_backfill_bank.json", "pyusd_bank.json"]
)
def test_accounts_of_another_deployment_are_not_taken_for_this_ones(journals: Journals, name: str) -> None:
    fresh = Journals(journals.venue)
    rows = fresh.fold([(address(name), account_bytes(SLOT, dump(name)["account"]))])

    assert rows.positions == []
    assert [row.reason for row in rows.quarantined] == [f"unknown_account:{dump(name)['pubkey']}"]


def test_a_real_account_with_gaps_between_its_balances_is_folded_whole() -> None:
    account = dump("gappy_user3.json")["account"]
    data = account_bytes(SLOT, account)
    venue = VenueSpec(
        id="mrgn",
        protocol="marginfi",
        chain_id="solana:test",
        address=data.data[8:40],
        start_block=0,
        options={"program": account["owner"]},
    )
    rows = Journals(venue).fold([(address("gappy_user3.json"), data)])

    assert rows.quarantined == []
    assert len({row.market for row in rows.positions}) > 1
    assert {row.owner for row in rows.positions} == {data.data[40:72]}
