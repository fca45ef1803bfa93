"""Instructions that no recorded run has: each tells what the token programs moved, to the unit."""

from __future__ import annotations

import json
import struct
from importlib import import_module
from typing import NamedTuple

import pytest

from chains.identifiers import base58
from chains.model import Side, VenueSpec
from chains.solana.anchor import event_tag, instruction_tag
from chains.solana.kamino.layout import PROGRAM as KLEND
from chains.solana.marginfi.options import program_of
from chains.solana.save.layout import PROGRAM as SAVE
from chains.solana.told import WHOLE_UNIT, Deed, Delta, Strange, Told
from chains.solana.transactions import transaction
from tests.support.staged import COLLATERAL, LIQUID, Result, Stage, balances

MARGINFI = program_of({})
DEPOSIT = (
    "user unit market - reserve liquid supply collateral-token collateral source - token_program token_program sysvar"
)
WITHDRAW = (
    "user unit market - reserve liquid collateral collateral-token supply target - token_program token_program sysvar"
)
REPAY = "user unit market reserve liquid supply source token_program sysvar"
BORROW = "user unit market - reserve liquid supply fees target {referrer} token_program sysvar"


@pytest.fixture(scope="module", params=[False, True], ids=["token", "token-2022"])
def stage(request: pytest.FixtureRequest) -> Stage:
    return Stage(newer=request.param)


def venue(stage: Stage, protocol: str) -> VenueSpec:
    options = {"program_version": "1.22"} if protocol == "kamino" else {}
    return VenueSpec(
        id="v", protocol=protocol, chain_id="solana:x", address=stage.key("market"), start_block=0, options=options
    )


def told(stage: Stage, protocol: str, result: Result) -> Told:
    teller = import_module(f"chains.solana.{protocol}.instructions").teller(venue(stage, protocol))
    ((_, said),) = teller.tell(transaction(json.dumps(result)))
    assert isinstance(said, Told), said
    return said


def klend(stage: Stage, name: str, roles: str, moves: list[tuple[str, str, int]], amount: int = 0) -> Told:
    data = instruction_tag(name) + struct.pack("<Q", amount)
    return told(stage, "kamino", stage.called(KLEND, data, roles, moves))


def one(said: Told) -> Deed:
    (deed,) = said.deeds
    return deed


def test_collateral_that_is_deposited_as_such_is_told_in_its_own_tokens(stage: Stage) -> None:
    roles = "user unit market reserve collateral user_collateral token_program sysvar"
    for name in ("deposit_obligation_collateral", "deposit_obligation_collateral_v2"):
        deed = one(klend(stage, name, roles, [("user_collateral", "collateral", 777)]))
        assert (deed.kind, deed.amount, deed.asset) == ("supply", 777, stage.key(COLLATERAL))
        assert deed.deltas == (Delta(stage.key("unit"), stage.key("reserve"), Side.SUPPLY, None, 777),)


def test_collateral_that_is_withdrawn_as_such_is_told_in_its_own_tokens(stage: Stage) -> None:
    roles = "user unit market - reserve collateral user_collateral token_program sysvar"
    deed = one(klend(stage, "withdraw_obligation_collateral_v2", roles, [("collateral", "user_collateral", 55)]))

    assert (deed.kind, deed.amount, deed.counterparty) == ("withdraw", 55, stage.key("user"))
    assert deed.deltas[0].exact == -55


def test_a_deposit_and_a_withdrawal_of_one_instruction_do_not_mix(stage: Stage) -> None:
    moves = [
        ("source", "supply", 1_000), ("mint", "collateral", 900), ("collateral", "burn", 400), ("supply", "target", 450),
    ]  # fmt: skip
    said = klend(stage, "deposit_and_withdraw", f"{DEPOSIT} {WITHDRAW}", moves)

    assert [(d.kind, d.amount, d.deltas[0].exact) for d in said.deeds] == [
        ("supply", 1_000, 900),
        ("withdraw", 450, -400),
    ]
    assert said.owners == {stage.key("unit"): stage.key("user")}


def test_a_repayment_and_a_withdrawal_of_one_instruction_do_not_mix(stage: Stage) -> None:
    moves = [("source", "supply", 70), ("collateral", "burn", 30), ("supply", "target", 31)]
    said = klend(stage, "repay_and_withdraw_and_redeem", f"{REPAY} {WITHDRAW}", moves)

    assert [(d.kind, d.amount, d.deltas[0].tokens) for d in said.deeds] == [("repay", 70, -70), ("withdraw", 31, -31)]


def test_a_loan_is_all_that_leaves_and_with_a_referrer_the_debt_is_not_named(stage: Stage) -> None:
    moves = [("supply", "fees", 3), ("supply", "target", 500)]
    deed = one(klend(stage, "borrow_obligation_liquidity_v2", BORROW.format(referrer="referrer"), moves))

    assert (deed.kind, deed.amount, deed.counterparty) == ("borrow", 503, stage.key("friend"))
    assert deed.extra == {"fee_raw": "3", "referrer": base58(stage.key("referrer"))}
    assert deed.deltas[0].tokens is None


def test_a_loan_that_an_order_asked_for_is_not_of_who_filled_it(stage: Stage) -> None:
    roles = BORROW.format(referrer="referrer").replace("user unit", "friend unit")
    said = klend(stage, "fill_borrow_order", roles, [("supply", "target", 9)])

    assert (one(said).owner, said.owners) == (None, {})


def test_a_debt_that_moves_to_another_reserve_is_a_repayment_and_a_loan(stage: Stage) -> None:
    roles = "friend unit market - reserve new_reserve liquid supply new_supply token_program"
    said = klend(stage, "rollover_fixed_term_borrow", roles, [("new_supply", "supply", 88)])

    assert [(d.kind, d.market, d.amount) for d in said.deeds] == [
        ("repay", stage.key("reserve"), 88),
        ("borrow", stage.key("new_reserve"), 88),
    ]
    assert all(delta.tokens is None for deed in said.deeds for delta in deed.deltas)


def test_a_liquidator_may_keep_collateral_tokens(stage: Stage) -> None:
    roles = (
        "user unit market - reserve liquid supply seized seized-mint collateral-token collateral new_supply fees source"
        " user_collateral target token_program token_program token_program sysvar"
    )
    moves = [("source", "supply", 40), ("collateral", "user_collateral", 44)]
    deed = one(klend(stage, "liquidate_obligation_and_redeem_reserve_collateral_v2", roles, moves))

    assert (deed.kind, deed.amount, deed.owner, deed.counterparty) == ("liquidation", 40, None, stage.key("user"))
    assert (deed.extra["collateral_raw"], "collateral_amount_raw" in deed.extra) == ("44", False)
    assert [delta.exact for delta in deed.deltas] == [None, -44]


def test_flash_loans_are_told_apart_and_are_nobody_s_position(stage: Stage) -> None:
    roles = "user - market reserve liquid supply {account} fees - - - token_program"
    lent = one(
        klend(stage, "flash_borrow_reserve_liquidity", roles.format(account="target"), [("supply", "target", 10_000)])
    )
    moves = [("source", "supply", 10_000), ("source", "fees", 9)]
    back = one(klend(stage, "flash_repay_reserve_liquidity", roles.format(account="source"), moves))

    assert (lent.kind, lent.amount, lent.unit, lent.deltas) == ("flash_borrow", 10_000, b"", ())
    assert (back.kind, back.amount, back.extra) == ("flash_repay", 10_000, {"fee_raw": "9"})


def test_a_debt_that_is_written_off_is_at_most_what_was_asked(stage: Stage) -> None:
    deed = one(klend(stage, "socialize_loss_v2", "friend unit market reserve sysvar", [], amount=12))

    assert (deed.kind, deed.amount, deed.extra) == ("write_off", 12, {"at_most": True})
    assert deed.deltas == (Delta(stage.key("unit"), stage.key("reserve"), Side.BORROW, None),)


def test_an_earlier_order_of_accounts_is_refused_by_name(stage: Stage) -> None:
    """Before there were mints among the accounts."""
    roles = "user unit market - reserve supply fees target referrer token_program sysvar more"
    result = stage.called(
        KLEND, instruction_tag("borrow_obligation_liquidity") + bytes(8), roles, [("supply", "target", 5)]
    )
    teller = import_module("chains.solana.kamino.instructions").teller(venue(stage, "kamino"))

    ((_, said),) = teller.tell(transaction(json.dumps(result)))

    assert isinstance(said, Strange)
    assert str(said) == "unknown_accounts:borrow_obligation_liquidity"


class Save(NamedTuple):
    """An instruction of Save: its number, its accounts, what it moved, and what is told of it."""

    number: int
    roles: str
    moves: list[tuple[str, str, int]]
    kind: str
    amount: int
    exact: int | None


SAVES = [
    Save(
        8,
        "user_collateral collateral reserve unit market user user",
        [("user_collateral", "collateral", 6)],
        "supply",
        6,
        6,
    ),
    Save(
        9,
        "collateral user_collateral reserve unit market - user",
        [("collateral", "user_collateral", 7)],
        "withdraw",
        7,
        -7,
    ),
    Save(
        10,
        "supply target reserve fees unit market - user token_program host",
        [("supply", "fees", 1), ("supply", "host", 2), ("supply", "target", 100)],
        "borrow",
        103,
        None,
    ),
    Save(11, "source supply reserve unit market friend", [("source", "supply", 50)], "repay", 50, None),
    Save(
        12,
        "source user_collateral reserve supply seized collateral unit market - friend",
        [("source", "supply", 20), ("collateral", "user_collateral", 21)],
        "liquidation",
        20,
        None,
    ),
    Save(19, "supply target reserve market - sysvar", [("supply", "target", 900)], "flash_borrow", 900, None),
    Save(
        20,
        "source supply fees host reserve market user",
        [("source", "supply", 900), ("source", "host", 1)],
        "flash_repay",
        900,
        None,
    ),
]


@pytest.mark.parametrize("case", SAVES, ids=lambda case: str(case.number))
def test_save_tells_what_moved(stage: Stage, case: Save) -> None:
    result = stage.called(SAVE, bytes([case.number]) + struct.pack("<Q", 2**64 - 1), case.roles, case.moves)
    deed = one(told(stage, "save", result))

    assert (deed.kind, deed.amount) == (case.kind, case.amount)
    assert not deed.deltas or deed.deltas[0].exact == case.exact
    assert abs(balances(result, stage.key("supply"))) in {0, case.amount}


def test_a_debt_that_save_forgave_is_at_most_what_was_asked(stage: Stage) -> None:
    result = stage.called(SAVE, bytes([21]) + struct.pack("<Q", 5), "unit reserve market user")
    deed = one(told(stage, "save", result))

    assert (deed.kind, deed.amount, deed.extra) == ("write_off", 5, {"at_most": True})


def header(stage: Stage, signer: str = "user") -> bytes:
    return b"\1" + stage.key(signer) + stage.key("unit") + stage.key("user") + stage.key("market")


def noted(stage: Stage, name: str, amount: int, signer: str = "user") -> bytes:
    bank = stage.key("bank") + stage.key(LIQUID)
    return event_tag(f"LendingAccount{name}Event") + header(stage, signer) + bank + struct.pack("<QB", amount, 1)


def test_marginfi_s_events_say_what_a_loan_is_with_its_fee(stage: Stage) -> None:
    data = instruction_tag("lending_account_borrow") + struct.pack("<Q", 1_000)
    roles = "market unit user bank target - supply token_program"
    result = stage.called(MARGINFI, data, roles, [("supply", "target", 1_000)], [noted(stage, "Borrow", 1_001)])
    deed = one(told(stage, "marginfi", result))

    assert (deed.kind, deed.amount, deed.owner, deed.asset) == ("borrow", 1_001, stage.key("user"), stage.key(LIQUID))
    assert deed.counterparty == stage.key("friend")


def test_deposits_in_banks_of_other_protocols_are_tokens_and_not_compared(stage: Stage) -> None:
    data = instruction_tag("kamino_deposit") + struct.pack("<Q", 4_000)
    result = stage.called(MARGINFI, data, "market unit user bank source - supply", [("source", "supply", 4_000)])
    deed = one(told(stage, "marginfi", result))

    assert (deed.kind, deed.amount, deed.deltas[0].tokens) == ("supply", 4_000, None)


def test_what_happens_within_a_flash_loan_or_in_other_hands_says_so(stage: Stage) -> None:
    data = instruction_tag("lending_account_withdraw") + struct.pack("<Q", 60)
    roles = "market unit friend bank target - supply token_program"
    result = stage.called(MARGINFI, data, roles, [("supply", "target", 60)], [noted(stage, "Withdraw", 60, "friend")])
    message = result["transaction"]["message"]
    (call,) = message["instructions"]
    unit = message["accountKeys"].index(base58(stage.key("unit")))
    for start, end, word in (
        ("lending_account_start_flashloan", "lending_account_end_flashloan", "flashloan"),
        ("start_liquidation", "end_liquidation", "receivership"),
    ):
        around = [
            {**call, "accounts": [unit], "data": base58(instruction_tag(name) + bytes(8))} for name in (start, end)
        ]
        message["instructions"] = [around[0], call, around[1]]
        result["meta"]["innerInstructions"][0]["index"] = 1
        logs = [f"Program {base58(MARGINFI)} invoke [1]", f"Program {base58(MARGINFI)} success"]
        whole = {**result, "meta": {**result["meta"], "logMessages": [*logs, *result["meta"]["logMessages"], *logs]}}
        deed = one(told(stage, "marginfi", whole))
        assert (deed.extra, deed.owner, deed.counterparty) == ({word: True}, stage.key("user"), stage.key("friend"))


def test_an_account_that_goes_over_to_another_is_in_doubt_until_the_next_look(stage: Stage) -> None:
    roles = "market unit new user friend new-owner friend sysvar"
    result = stage.called(MARGINFI, instruction_tag("transfer_to_new_account"), roles)
    said = told(stage, "marginfi", result)

    assert (one(said).kind, one(said).counterparty) == ("transfer_account", stage.key("new-owner"))
    assert {delta.unit: delta.market for delta in one(said).deltas} == {
        stage.key("unit"): WHOLE_UNIT, stage.key("new"): WHOLE_UNIT,
    }  # fmt: skip
    assert said.owners == {stage.key("new"): stage.key("new-owner")}


def test_an_account_that_gets_another_authority_is_the_new_one_s_from_then_on(stage: Stage) -> None:
    result = stage.called(MARGINFI, instruction_tag("set_new_account_authority"), "unit market user new-owner friend")
    said = told(stage, "marginfi", result)

    assert (said.deeds, said.owners) == ((), {stage.key("unit"): stage.key("new-owner")})


def test_a_bankruptcy_that_the_program_did_not_note_has_no_amount(stage: Stage) -> None:
    result = stage.called(
        MARGINFI, instruction_tag("lending_pool_handle_bankruptcy"), "market friend bank unit supply", []
    )
    deed = one(told(stage, "marginfi", result))

    assert (deed.amount, deed.extra) == (0, {"amount_unknown": True})


def test_a_bankruptcy_is_told_as_the_program_noted_it(stage: Stage) -> None:
    event = event_tag("LendingPoolBankHandleBankruptcyEvent") + header(stage) + stage.key("bank") + stage.key(LIQUID)
    event += struct.pack("<3d", 99.6, 50.0, 49.6)
    result = stage.called(
        MARGINFI, instruction_tag("lending_pool_handle_bankruptcy"), "market friend bank unit supply", [], [event]
    )
    deed = one(told(stage, "marginfi", result))

    assert (deed.kind, deed.amount, deed.owner) == ("write_off", 100, stage.key("user"))
