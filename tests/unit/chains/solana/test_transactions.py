"""Answers of `getTransaction`, as they should be and as nodes have them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from chains.errors import NodeWrong
from chains.identifiers import base58
from chains.solana.transactions import transaction
from tests.unit.chains.solana.builders import (
    ANN,
    ANNS,
    AUTHORITY,
    OTHER_PROGRAM,
    USD,
    VAULT,
    Held,
    body,
    signature,
    transfer,
)

Change = Callable[[dict[str, Any]], object]
LOADED = b"\x77" * 32


def plain() -> dict[str, Any]:
    """Two calls, of which the second makes one of its own."""
    return body(
        [transfer(ANNS, VAULT, 5), (OTHER_PROGRAM, [ANNS], b"\x01\x02")],
        {ANNS: Held(9, ANN), VAULT: Held(0, AUTHORITY)},
        {ANNS: Held(3, ANN), VAULT: Held(6, AUTHORITY)},
        inner={1: [transfer(ANNS, VAULT, 1)]},
    )


def read(whole: dict[str, Any]) -> Any:
    return transaction(json.dumps(whole))


def changed(change: Change) -> dict[str, Any]:
    whole = plain()
    change(whole)
    return whole


def test_instructions_come_in_the_order_in_which_they_ran() -> None:
    found = read(plain())

    assert [(each.data[0], each.accounts[0]) for each in found.instructions] == [(3, ANNS), (1, ANNS), (3, ANNS)]
    assert (found.slot, found.signature, found.failed, found.inner_known) == (7, signature(7), False, True)
    assert {account: (held.amount, held.owner, held.mint) for account, held in found.after.items()} == {
        ANNS: (3, ANN, USD),
        VAULT: (6, AUTHORITY, USD),
    }


def test_calls_of_one_instruction_that_come_in_two_parts_are_kept_together() -> None:
    whole = plain()
    (group,) = whole["meta"]["innerInstructions"]
    whole["meta"]["innerInstructions"] = [group, {"index": 0, "instructions": []}, group]

    assert [each.data[0] for each in read(whole).instructions] == [3, 1, 3, 3]


def test_loaded_addresses_follow_the_transactions_own_first_the_writable_ones() -> None:
    whole = plain()
    own = len(whole["transaction"]["message"]["accountKeys"])
    whole["version"] = 0
    whole["meta"]["loadedAddresses"] = {"writable": [base58(LOADED)], "readonly": [base58(USD)]}
    whole["transaction"]["message"]["instructions"][1]["accounts"] = [own, own + 1]

    assert read(whole).instructions[1].accounts == (LOADED, USD)


def drop(*path: str) -> Change:
    def change(whole: dict[str, Any]) -> object:
        *parents, last = path
        for name in parents:
            whole = whole[name]
        return whole.pop(last)

    return change


HARMLESS: dict[str, Change] = {
    "no version": drop("version"),
    "no time": drop("blockTime"),
    "no loaded addresses": drop("meta", "loadedAddresses"),
    "version 0": lambda whole: whole.update(version=0),
    "version 1": lambda whole: whole.update(version=1, transactionIndex=4),
    "version 1 with limits": lambda whole: whole["transaction"]["message"].update(
        transactionConfig={"computeUnitLimit": 5}
    ),
    "more in meta": lambda whole: whole["meta"].update(loadedAddresses=None, costUnits=5, rewards=[]),
    "no stack height": lambda whole: whole["transaction"]["message"]["instructions"][0].pop("stackHeight"),
}


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_what_is_absent_or_new_does_not_matter(change: Change) -> None:
    assert read(changed(change)) == read(plain())


def test_missing_owners_programs_and_balances_are_known_to_be_missing() -> None:
    whole = plain()
    for held in whole["meta"]["preTokenBalances"]:
        del held["owner"], held["programId"]
    whole["meta"]["postTokenBalances"] = None

    found = read(whole)

    assert {(held.owner, held.program) for held in found.before.values()} == {(None, None)}
    assert found.after == {}


def test_calls_that_nobody_recorded_are_known_to_be_missing() -> None:
    assert not read(changed(drop("meta", "innerInstructions"))).inner_known
    assert not read(changed(lambda whole: whole["meta"].update(innerInstructions=None))).inner_known
    assert read(changed(lambda whole: whole["meta"].update(innerInstructions=[]))).inner_known


def test_a_failed_transaction_says_so() -> None:
    assert read(changed(lambda whole: whole["meta"].update(err={"InstructionError": [0, {"Custom": 1}]}))).failed
    assert read(changed(lambda whole: whole["meta"].update(err="AccountNotFound"))).failed


def first_instruction(**parts: Any) -> Change:
    def change(whole: dict[str, Any]) -> object:
        return whole["transaction"]["message"]["instructions"][0].update(parts)

    return change


BROKEN: dict[str, Change] = {
    "no meta": drop("meta"),
    "null meta": lambda whole: whole.update(meta=None),
    "no slot": drop("slot"),
    "no keys": drop("transaction", "message", "accountKeys"),
    "no signature": lambda whole: whole["transaction"].update(signatures=[]),
    "odd signature": lambda whole: whole["transaction"].update(signatures=["0OIl"]),
    "parsed keys": lambda whole: whole["transaction"]["message"].update(accountKeys=[{"pubkey": "1" * 32}]),
    "short key": lambda whole: whole["transaction"]["message"]["accountKeys"].__setitem__(1, "1" * 31),
    "account beyond": first_instruction(accounts=[99]),
    "account below": first_instruction(accounts=[-1]),
    "program beyond": first_instruction(programIdIndex=99),
    "program below": first_instruction(programIdIndex=-1),
    "odd data": first_instruction(data="0OIl"),
    "parsed": first_instruction(parsed={"type": "transfer"}, data=None),
    "call beyond": lambda whole: whole["meta"]["innerInstructions"][0].update(index=2),
    "call below": lambda whole: whole["meta"]["innerInstructions"][0].update(index=-1),
    "balance beyond": lambda whole: whole["meta"]["preTokenBalances"][0].update(accountIndex=99),
    "odd mint": lambda whole: whole["meta"]["preTokenBalances"][0].update(mint="short"),
    "amount with a point": lambda whole: whole["meta"]["preTokenBalances"][0]["uiTokenAmount"].update(amount="1.5"),
    "amount as number": lambda whole: whole["meta"]["preTokenBalances"][0]["uiTokenAmount"].update(amount=5),
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_an_answer_of_another_shape_is_refused(change: Change) -> None:
    with pytest.raises(NodeWrong, match=r"wrong shape|no record"):
        read(changed(change))


@pytest.mark.parametrize("text", ["null", "[]", '"text"', "{", ""])
def test_what_is_no_transaction_at_all_is_refused(text: str) -> None:
    with pytest.raises(NodeWrong, match="wrong shape"):
        transaction(text)
