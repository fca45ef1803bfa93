"""Euler events into journals: owners, code, doubts and movements of debt, on the recorded run with logs changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import pytest
from eth_abi.abi import encode

from chains.errors import NoContract
from chains.evm.euler_v2 import EulerV2, open_book
from chains.evm.euler_v2 import events as ev
from chains.evm.euler_v2.debts import Book, Changed, Moved, OutOfStep
from chains.evm.euler_v2.maths import RAY, Debt, Status
from chains.evm.euler_v2.options import check_options
from chains.evm.logs import log_table
from chains.evm.ports import CODE_BEFORE, Answer, Folded, NeedReads, Read, Reads
from chains.evm.records import RpcLog
from chains.model import Block, Rows, Side, UnitSnapshot, VenueSnapshot, VenueSpec
from tests.support.euler_runs import EulerRun
from tests.support.evm_runs import GOLDEN
from tests.support.state import Tips

RUN = EulerRun.load(GOLDEN / "euler-v2-s16")
Logs = list[dict[str, Any]]
VAULT = next(log["address"] for log in RUN.logs if log["topics"][0] == "0x" + ev.LIQUIDATE.topic0.hex())


def folded(logs: Logs, venue: VenueSpec | None = None) -> Folded:
    """Fold a whole run; what is asked is answered from the recording."""
    fold = EulerV2(venue or RUN.venue())
    recording, known = RUN.recording(), dict[Read, Answer]()
    decoded = fold.decode(log_table([record(log) for log in logs]))
    times = {number: RUN.block(number).time for number in range(len(RUN.blocks))}
    while isinstance(outcome := fold.fold(Tips(), decoded, times, Reads(known)), NeedReads):
        for read in outcome.reads:
            said = recording.answer("0x" + read.address.hex(), "0x" + read.input.hex(), read.block)
            known[read] = Answer("returned", bytes.fromhex(str(said)[2:]))
    return outcome


def record(log: Mapping[str, Any]) -> RpcLog:
    return RpcLog(
        address=log["address"],
        topics=log["topics"],
        data=log["data"],
        block_number=log["blockNumber"],
        block_hash=log["blockHash"],
        transaction_hash=log["transactionHash"],
        transaction_index=log["transactionIndex"],
        log_index=log["logIndex"],
    )


def is_of(log: Mapping[str, Any], event: Any) -> bool:
    return bool(log["topics"][0] == "0x" + event.topic0.hex())


def doubts(rows: Rows) -> dict[bytes, str]:
    return {row.market: json.loads(row.state)["code"] for row in rows.markets if row.aspect == "doubt"}


def test_whoever_a_vault_in_doubt_may_have_lent_to_is_not_without_debt() -> None:
    """A loan that was lost puts its vault out of step; the connector still tells to whom it may have lent."""
    venue, whole = RUN.venue(), folded(RUN.logs).rows
    owing = {each.unit_id for each in whole.accounts if at_the_end(whole, each.unit_id, venue).has_debt}
    loans = [place for place, log in enumerate(RUN.logs) if is_of(log, ev.BORROW)]
    lost = 0
    for gone in loans:
        rows = folded([log for place, log in enumerate(RUN.logs) if place != gone]).rows
        for account in owing if doubts(rows) else ():
            unit = at_the_end(rows, account, venue)
            lost += not any(position.side is Side.BORROW for position in unit.positions)
            assert unit.has_debt, account.hex()
    assert lost


def test_the_recorded_run_leaves_no_doubt() -> None:
    assert doubts(folded(RUN.logs).rows) == {}


@pytest.mark.parametrize("event", [ev.BORROW, ev.REPAY, ev.INTEREST_ACCRUED, ev.SET_INTEREST_FEE])
def test_a_log_that_is_missing_puts_its_vault_out_of_step(event: Any) -> None:
    gone = [i for i, log in enumerate(RUN.logs) if is_of(log, event)][10 if event is not ev.SET_INTEREST_FEE else 5]
    address = bytes.fromhex(RUN.logs[gone]["address"][2:])

    found = doubts(folded([log for i, log in enumerate(RUN.logs) if i != gone]).rows)

    assert found == {address: "out_of_step"}


def test_a_new_vault_lets_nothing_through_until_its_governor_says_so() -> None:
    vault = bytes.fromhex(VAULT[2:])
    told = [
        json.loads(row.state)["hooked_operations"]
        for row in folded(RUN.logs).rows.markets
        if (row.market, row.aspect) == (vault, "terms")
    ]

    assert (told[0], told[-1]) == (2**15 - 1, 0)


def upgraded(implementation: str = "77") -> Logs:
    """The run, with other code for all vaults in its last block."""
    told = copy.deepcopy(next(log for log in RUN.logs if is_of(log, ev.SET_IMPLEMENTATION)))
    told["topics"][1] = "0x" + "00" * 12 + implementation * 20
    last = RUN.blocks[-1]
    told |= {"blockNumber": last["number"], "blockHash": last["hash"], "transactionIndex": "0x99", "logIndex": "0x999"}
    return [*RUN.logs, told]


def test_other_code_is_not_computed() -> None:
    vaults = {bytes.fromhex(vault["vault"][2:]) for vault in RUN.about["vaults"]}

    assert doubts(folded(upgraded()).rows) == dict.fromkeys(vaults, "unsupported_version")


def test_code_that_the_configuration_names_is_computed() -> None:
    first = RUN.about["addresses"]["EVaultImplementation"]
    both = RUN.venue(implementations=[first, "0x" + "77" * 20])

    assert doubts(folded(upgraded(), both).rows) == {}
    assert set(doubts(folded(RUN.logs, RUN.venue(implementations=["0x" + "77" * 20])).rows).values()) == {
        "unsupported_version"
    }


def at_the_end(rows: Rows, account: bytes, venue: VenueSpec) -> Any:
    last: Block = RUN.block(len(RUN.blocks) - 1)
    markets = {(row.market, row.aspect): row.state for row in rows.markets}
    settings = {(r.market, r.aspect): r.state for r in rows.accounts if r.unit_id == account}
    positions = {(r.market, r.side): r.amount_raw for r in rows.positions if r.unit_id == account}
    book = open_book(VenueSnapshot(venue=venue, at=last, markets=markets, feeds={}, answers={}))
    return book(UnitSnapshot(unit_id=account, owner=account, positions=positions, settings=settings))


def borrower(rows: Rows) -> bytes:
    """An account that owes at the end."""
    owed = {(row.unit_id, row.market): row.amount_raw for row in rows.positions if row.side is Side.BORROW}
    return next(account for (account, _), amount in owed.items() if amount)


def test_an_account_of_a_doubtful_vault_is_unknown_and_says_why() -> None:
    rows = folded(upgraded()).rows

    unit = at_the_end(rows, borrower(rows), RUN.venue())

    assert (unit.native, unit.health_factor_wad, unit.liquidatable, unit.has_debt) == (None, None, None, True)
    assert {reason.code for reason in unit.reasons} == {"unsupported_version"}


def test_an_account_without_prices_is_unknown_and_keeps_its_positions() -> None:
    rows = folded(RUN.logs).rows

    unit = at_the_end(rows, borrower(rows), RUN.venue())

    assert (unit.native, unit.liquidatable) == (None, None)
    assert {reason.code for reason in unit.reasons} == {"feed_not_followed"}
    assert unit.positions


def test_a_controller_that_is_not_followed_makes_an_account_unknown() -> None:
    rows = folded(RUN.logs).rows
    account = borrower(rows)
    lender = next(r.market for r in reversed(rows.positions) if r.unit_id == account and r.side is Side.BORROW)
    others = [vault["vault"] for vault in RUN.about["vaults"] if bytes.fromhex(vault["vault"][2:]) != lender]
    some = RUN.venue(vaults=others)

    unit = at_the_end(folded(RUN.logs, some).rows, account, some)

    assert (unit.native, unit.has_debt) == (None, True)
    assert "vault_not_followed" in {reason.code for reason in unit.reasons}


def test_an_account_that_was_met_before_its_owner_becomes_the_owners() -> None:
    """Shares sent to account 5 of somebody whom the connector does not know yet."""
    register = next(i for i, log in enumerate(RUN.logs) if is_of(log, ev.OWNER_REGISTERED))
    owner = bytes.fromhex(RUN.logs[register]["topics"][2][-40:])
    account = owner[:19] + bytes([owner[19] ^ 5])
    gift = copy.deepcopy(next(log for log in RUN.logs if is_of(log, ev.PROXY_CREATED)))
    vault = "0x" + gift["topics"][1][-40:]
    gift |= {
        "address": vault,
        "transactionIndex": "0x98",
        "logIndex": "0x998",
        "data": "0x" + encode(["uint256"], [3]).hex(),
    }
    gift["topics"] = ["0x" + ev.TRANSFER.topic0.hex(), "0x" + "00" * 32, "0x" + "00" * 12 + account.hex()]
    place = next(i for i, log in enumerate(RUN.logs) if int(log["blockNumber"], 16) > int(gift["blockNumber"], 16))

    rows = folded([*RUN.logs[:place], gift, *RUN.logs[place:]]).rows

    told = [(row.aspect, row.state, row.owner) for row in rows.accounts if row.unit_id == account]
    assert told == [("orphan", "true", account), ("orphan", "false", owner)]
    held = [(row.amount_raw, row.owner) for row in rows.positions if row.unit_id == account]
    assert held == [(3, account), (3, owner)], "what it holds is told anew, so that positions name their owner too"


def test_history_names_owners_and_counterparties() -> None:
    rows = folded(RUN.logs).rows
    kinds = {event.kind for event in rows.events}

    assert kinds == {"supply", "withdraw", "borrow", "repay", "transfer", "liquidation", "debt_transfer", "bad_debt"}
    assert sum(event.kind == "liquidation" for event in rows.events) == sum(
        is_of(log, ev.LIQUIDATE) for log in RUN.logs
    )


# Debts


def book(debts: dict[bytes, Debt], status: Status) -> Book:
    def store(changed: Changed) -> None:
        debts[changed.account] = changed.debt

    return Book(status, lambda account: debts.get(account, Debt()), store)


ANN, BOB = b"\x01" * 20, b"\x02" * 20
LOG: Any = None


@pytest.mark.parametrize("owed, left", [((5 << 31) - 7, 0), ((5 << 31) + 7, 0), (6 << 31, 1 << 31)])
def test_a_movement_takes_all_where_less_than_a_raw_unit_would_be_left_or_lacks(owed: int, left: int) -> None:
    debts = {ANN: Debt(owed=owed, accumulator=RAY)}

    with_dust(book(debts, Status()), Moved(LOG, ANN, BOB, 5, 0))

    assert (debts[ANN].owed, debts[BOB].owed) == (left, owed - left)


def test_a_liquidation_for_nothing_leaves_debts_as_they_stand() -> None:
    before = {ANN: Debt(owed=10 << 31, accumulator=RAY), BOB: Debt(owed=3, accumulator=RAY)}
    debts = dict(before)

    book(debts, Status(accumulator=2 * RAY)).settle([], Moved(LOG, ANN, BOB, 0, 0))

    assert debts == before


def test_a_liquidation_for_nothing_may_write_off_a_debt() -> None:
    debts = {ANN: Debt(owed=10 << 31, accumulator=RAY), BOB: Debt(owed=3, accumulator=RAY)}

    with_dust(book(debts, Status(borrows=20 << 31, accumulator=2 * RAY)), Moved(LOG, ANN, BOB, 0, 20))

    assert debts == {ANN: Debt(owed=0, accumulator=2 * RAY), BOB: Debt(owed=3, accumulator=RAY)}


def with_dust(known: Book, moved: Moved) -> None:
    """Move debt, whatever interest the logs would have told."""
    known._moved(moved, {})


def test_more_than_is_owed_cannot_be_moved_or_repaid() -> None:
    debts = {ANN: Debt(owed=1 << 31, accumulator=RAY)}

    with pytest.raises(OutOfStep):
        with_dust(book(debts, Status()), Moved(LOG, ANN, BOB, 5, 0))
    with pytest.raises(OutOfStep):
        book(debts, Status())._repaid(LOG, ANN, 2)


# Where a venue begins, and what its configuration may say


def test_a_connector_that_is_older_than_the_first_block_is_refused() -> None:
    venue = RUN.venue()

    assert EulerV2.origin(venue, begun=False) == Read(0, CODE_BEFORE, venue.address, b"")
    assert EulerV2.origin(venue, begun=True) is None
    with pytest.raises(NoContract, match="deployed before start_block"):
        EulerV2.found(venue, Answer("returned", b"\x60"))


@pytest.mark.parametrize(
    "options, problem",
    [
        ({}, "factory is missing"),
        ({"factory": "0x12"}, "factory: write addresses as 0x"),
        ({"factory": "0x" + "12" * 20, "vaults": []}, "vaults must be a list of addresses"),
        ({"factory": "0x" + "12" * 20, "oracles": []}, "oracles must be a table"),
        ({"factory": "0x" + "12" * 20, "oracles": {"0x" + "34" * 20: {"ask": -1}}}, "ask must be one of"),
        ({"factory": "0x" + "12" * 20, "oracles": {"0x" + "34" * 20: {"spread": 1}}}, "spread is no key"),
    ],
)
def test_what_is_wrong_with_options_is_said(options: dict[str, object], problem: str) -> None:
    (said,) = check_options(options)

    assert problem in said


def test_options_of_a_run_are_right() -> None:
    assert check_options(RUN.venue().options) == []
