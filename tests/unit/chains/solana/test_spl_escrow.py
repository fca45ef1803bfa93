"""Transactions of a vault into journals: every branch by its numbers, and what holds whatever happens."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.errors import NoContract, NodeWrong
from chains.identifiers import base58
from chains.model import AccountBytes, Basis, LendingEvent, MarketChange, PositionChange, Rows, Side
from chains.solana.ports import ABSENT, RETURNED, Answer, Said
from chains.solana.spl_escrow import SplEscrow
from chains.solana.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from tests.unit.chains.solana.builders import (
    ANN,
    ANNS,
    AUTHORITY,
    BOB,
    BOBS,
    CID,
    FEE,
    OTHER_PROGRAM,
    SECOND,
    USD,
    VAULT,
    Balances,
    Call,
    Held,
    Tips,
    body,
    fold,
    hidden,
    mint_account,
    minted,
    named,
    said,
    signature,
    transfer,
    venue,
)

NO_TERMS = Answer(RETURNED, mint_account(), 99)
ONE_PERCENT = Answer(RETURNED, mint_account((100, 10**9), (100, 10**9)), 99)
"""Fees of 1 %, in both terms."""
CHANGED = Answer(RETURNED, mint_account((200, 3), (100, 10**9)), 99)
"""2 % and at most 3, before it 1 %."""
FIFTY = {VAULT: Held(50, AUTHORITY)}


def net(rows: Rows) -> dict[bytes, int]:
    """What each depositor has at the end."""
    return {change.owner: change.amount_raw for change in rows.positions}


def quarantined(rows: Rows) -> list[str]:
    return [row.reason.partition(" at ")[0] for row in rows.quarantined]


def vault_of(rows: Rows, mint: bytes = USD) -> dict[str, str]:
    found: dict[str, str] = json.loads(
        [row.state for row in rows.markets if (row.market, row.aspect) == (mint, "vault")][-1]
    )
    found.pop("accounts")
    return found


def once(
    calls: Sequence[Call],
    vault: tuple[int, int],
    *,
    mint: bytes = USD,
    terms: Answer = NO_TERMS,
    inner: dict[int, Sequence[Call]] | None = None,
) -> Rows:
    """One transaction that takes the vault's first account from one amount to another, beside Ann's and Bob's."""
    tips = Tips()
    if vault[0]:
        begun = body([transfer(BOBS, VAULT, vault[0])], before(0, mint), before(vault[0], mint), slot=1)
        fold(tips, [said(begun)], mint=terms)
    whole = body(calls, before(vault[0], mint), before(vault[1], mint), inner=inner)
    return fold(tips, [said(whole)], mint=terms)


def before(amount: int, mint: bytes) -> Balances:
    return {VAULT: Held(amount, AUTHORITY, mint), ANNS: Held(10**6, ANN, mint), BOBS: Held(10**6, BOB, mint)}


def test_a_deposit_becomes_a_token_an_amount_a_line_of_history_and_a_vault() -> None:
    rows = once([transfer(ANNS, VAULT, 100)], (0, 100))

    token = json.dumps({"decimals": 6, "program": base58(TOKEN_PROGRAM), "symbol": None}, separators=(",", ":"))
    vault = {"accounts": {base58(VAULT): "100"}, "balance": "100", "claims": "100", "unattributed": "0"}
    extra = {"account": base58(ANNS), "vault_account": base58(VAULT)}
    assert rows.markets == [
        MarketChange(7, 0, 0, "vault", USD, "token", token, "escrow-1", Basis.EXACT),
        MarketChange(7, 0, 3, "vault", USD, "vault", json.dumps(vault, separators=(",", ":")), "escrow-1", Basis.EXACT),
    ]
    assert rows.positions == [
        PositionChange(7, 0, 1, "vault", ANN, ANN, USD, Side.SUPPLY, USD, 100, "escrow-1", Basis.EXACT)
    ]
    history = json.dumps(extra, separators=(",", ":"))
    assert rows.events == [LendingEvent(7, 0, 2, signature(7), "vault", "supply", USD, ANN, ANN, USD, 100, history)]
    assert rows.quarantined == []


def test_rows_of_a_later_transaction_of_a_block_have_later_ordinals() -> None:
    first, second = (body([transfer(ANNS, VAULT, 1)], before(n, USD), before(n + 1, USD)) for n in (0, 1))
    rows = fold(Tips(), [said(first, tx_index=2), said(second, tx_index=40)])

    assert [(row.tx_index, row.ordinal) for row in rows.positions] == [(2, 2 * 65_536 + 1), (40, 40 * 65_536)]


@pytest.mark.parametrize(
    "calls, vault, nets, unattributed",
    [
        ([transfer(ANNS, VAULT, 100)], (50, 150), {ANN: 100}, 0),
        ([transfer(VAULT, ANNS, 30)], (50, 20), {ANN: -30}, 0),
        ([transfer(ANNS, VAULT, 100), transfer(VAULT, ANNS, 70)], (50, 80), {ANN: 30}, 0),
        ([transfer(ANNS, VAULT, 5), transfer(VAULT, BOBS, 5)], (50, 50), {ANN: 5, BOB: 45}, 0),
        ([transfer(ANNS, VAULT, 0)], (50, 50), {}, 0),
        ([transfer(VAULT, VAULT, 40)], (50, 50), {}, 0),
        ([minted(VAULT, 9)], (50, 59), {}, 9),
        ([minted(VAULT, 9), transfer(ANNS, VAULT, 1)], (50, 60), {ANN: 1}, 9),
        ([(TOKEN_PROGRAM, [VAULT, USD, CID], b"\x08" + (8).to_bytes(8, "little"))], (50, 42), {}, -8),
        ([(TOKEN_PROGRAM, [VAULT], b"\x11")], (50, 53), {}, 3),
        ([(TOKEN_PROGRAM, [VAULT], b"\x11"), transfer(ANNS, VAULT, 2)], (50, 55), {ANN: 2}, 3),
    ],
    ids=[
        "deposit", "withdrawal", "both", "one in, another out", "zero", "to itself", "minted", "minted and deposited",
        "burnt", "lamports counted", "lamports counted and a deposit",
    ],
)  # fmt: skip
def test_what_each_owner_put_in_and_what_belongs_to_nobody(
    calls: list[Call], vault: tuple[int, int], nets: dict[bytes, int], unattributed: int
) -> None:
    rows = once(calls, vault)

    assert net(rows) == nets
    assert quarantined(rows) == []
    if rows.markets:
        assert vault_of(rows)["unattributed"] == str(unattributed)
        assert vault_of(rows)["balance"] == str(vault[1])


def test_claims_are_written_also_where_the_balance_stays_the_same() -> None:
    tips = Tips()
    fold(tips, [said(body([transfer(BOBS, VAULT, 50)], before(0, USD), before(50, USD), slot=1))])
    paid = [transfer(ANNS, VAULT, 5), transfer(VAULT, CID, 5)]
    holdings = {**before(50, USD), CID: Held(0, CID)}
    fold(tips, [said(body(paid, holdings, holdings))])

    assert tips.vault()["claims"] == "55"
    assert tips.vault()["balance"] == "50"


def test_a_deposit_is_the_owners_whoever_signed_and_whichever_program_called() -> None:
    by_router = once([(OTHER_PROGRAM, [ANNS, VAULT], b"\x00")], (0, 9), inner={0: [transfer(ANNS, VAULT, 9)]})

    assert net(by_router) == {ANN: 9}


def test_an_account_that_changes_hands_amid_deposits_is_each_owners_in_turn() -> None:
    given = (TOKEN_PROGRAM, [ANNS, ANN], b"\x06\x02\x01" + BOB)
    rows = once([transfer(ANNS, VAULT, 3), given, transfer(ANNS, VAULT, 4)], (0, 7))

    assert net(rows) == {ANN: 3, BOB: 4}


def test_an_account_that_lives_for_one_transaction_has_the_owner_it_was_made_for() -> None:
    opened = (TOKEN_PROGRAM, [CID, USD], b"\x12" + ANN)
    closed = (TOKEN_PROGRAM, [CID, ANN, ANN], b"\x09")
    rows = once([opened, transfer(BOBS, CID, 6), transfer(CID, VAULT, 6), closed], (0, 6))

    assert net(rows) == {ANN: 6}


def test_what_moves_between_the_vaults_own_accounts_is_nobodys_deposit() -> None:
    tips = Tips()
    fold(tips, [said(body([transfer(ANNS, VAULT, 80)], before(0, USD), before(80, USD), slot=1))])
    was = {VAULT: Held(80, AUTHORITY), SECOND: Held(0, AUTHORITY)}
    now = {VAULT: Held(50, AUTHORITY), SECOND: Held(30, AUTHORITY)}
    rows = fold(tips, [said(body([transfer(VAULT, SECOND, 30)], was, now))])

    assert (rows.positions, rows.events) == ([], [])
    assert vault_of(rows) == {"balance": "80", "claims": "80", "unattributed": "0"}


def test_the_fee_of_a_move_between_the_vaults_own_accounts_is_missing_from_what_it_holds() -> None:
    tips = Tips()
    fold(tips, [said(body([hidden(ANNS, VAULT, 100)], before(0, FEE), before(100, FEE), slot=1))])
    was = {VAULT: Held(100, AUTHORITY, FEE), SECOND: Held(0, AUTHORITY, FEE)}
    now = {VAULT: Held(0, AUTHORITY, FEE), SECOND: Held(99, AUTHORITY, FEE)}
    rows = fold(tips, [said(body([hidden(VAULT, SECOND, 100)], was, now))])

    assert quarantined(rows) == []
    assert vault_of(rows, FEE) == {"balance": "99", "claims": "100", "unattributed": "-1"}


FEES: list[tuple[list[Call], int, Answer, dict[bytes, int] | str]] = [
    ([hidden(ANNS, VAULT, 200)], 198, NO_TERMS, {ANN: 198}),
    ([hidden(ANNS, VAULT, 200)], 0, NO_TERMS, {}),
    ([hidden(ANNS, VAULT, 200)], 201, NO_TERMS, "unexplained_balance_change"),
    ([named(ANNS, VAULT, 200, 2)], 198, NO_TERMS, {ANN: 198}),
    ([named(ANNS, VAULT, 200, 2)], 199, NO_TERMS, "unexplained_balance_change"),
    ([named(ANNS, VAULT, 200, 2), hidden(BOBS, VAULT, 50)], 247, NO_TERMS, {ANN: 198, BOB: 49}),
    ([hidden(ANNS, VAULT, 200), hidden(BOBS, VAULT, 50)], 250, NO_TERMS, {ANN: 200, BOB: 50}),
    ([hidden(ANNS, VAULT, 200), hidden(BOBS, VAULT, 50)], 247, ONE_PERCENT, {ANN: 198, BOB: 49}),
    ([hidden(ANNS, VAULT, 200), hidden(BOBS, VAULT, 50)], 240, ONE_PERCENT, "transfer_fee_ambiguous"),
    ([hidden(ANNS, VAULT, 200), hidden(BOBS, VAULT, 100)], 295, CHANGED, {ANN: 197, BOB: 98}),
    ([hidden(ANNS, VAULT, 200), hidden(BOBS, VAULT, 100)], 297, CHANGED, {ANN: 198, BOB: 99}),
    ([hidden(ANNS, VAULT, 200), hidden(BOBS, VAULT, 100)], 296, CHANGED, "transfer_fee_ambiguous"),
    ([hidden(ANNS, VAULT, 200), hidden(BOBS, VAULT, 50)], 250, Answer(ABSENT, b"", 99), "transfer_fee_ambiguous"),
    ([hidden(ANNS, VAULT, 200), (TOKEN_2022_PROGRAM, [VAULT], b"\x11")], 777, NO_TERMS, {ANN: 200}),
    (
        [hidden(ANNS, VAULT, 200), (TOKEN_2022_PROGRAM, [FEE, VAULT, CID], b"\x1a\x02")],
        777,
        ONE_PERCENT,
        "transfer_fee_ambiguous",
    ),
]


@pytest.mark.parametrize("case", FEES, ids=[f"{n}" for n in range(len(FEES))])
def test_what_a_fee_left_of_each_deposit_is_proven_or_set_aside(
    case: tuple[list[Call], int, Answer, dict[bytes, int] | str],
) -> None:
    calls, after, terms, expected = case
    rows = once(calls, (0, after), mint=FEE, terms=terms)

    if isinstance(expected, str):
        assert quarantined(rows) == [expected]
        assert rows.positions == []
        assert vault_of(rows, FEE) == {"balance": str(after), "claims": "0", "unattributed": str(after)}
    else:
        assert net(rows) == expected
        assert quarantined(rows) == []


ODD: list[tuple[str, list[Call], dict[bytes, Held], dict[bytes, Held], dict[str, Any]]] = [
    ("unexplained_balance_change", [transfer(ANNS, VAULT, 5)], {}, {VAULT: Held(56, AUTHORITY)}, {}),
    ("unexplained_balance_change", [], {}, {VAULT: Held(49, AUTHORITY)}, {}),
    ("depositor_unknown", [transfer(CID, VAULT, 5)], {}, {VAULT: Held(55, AUTHORITY)}, {}),
    ("depositor_unknown", [transfer(CID, VAULT, 5)], {CID: Held(9, None)}, {VAULT: Held(55, AUTHORITY)}, {}),
    (
        "unreadable_instruction: token instruction 03 with 1 accounts",
        [(TOKEN_PROGRAM, [VAULT], b"\x03")],
        {},
        FIFTY,
        {},
    ),
    (
        "unreadable_instruction: batch of token instructions ff0103",
        [(TOKEN_PROGRAM, [VAULT], b"\xff\x01\x03")],
        {},
        FIFTY,
        {},
    ),
    (
        "unreadable_instruction: batch of token instructions ff0001ff",
        [(TOKEN_PROGRAM, [VAULT], b"\xff\x00\x01\xff")],
        {},
        FIFTY,
        {},
    ),
    (
        "the node does not record what programs called",
        [(OTHER_PROGRAM, [VAULT], b"\x01")],
        {},
        {VAULT: Held(60, AUTHORITY)},
        {"innerInstructions": None},
    ),
]


@pytest.mark.parametrize("case", ODD, ids=[f"{n}: {case[0][:30]}" for n, case in enumerate(ODD)])
def test_what_cannot_be_told_is_set_aside_and_belongs_to_nobody(
    case: tuple[str, list[Call], dict[bytes, Held], dict[bytes, Held], dict[str, Any]],
) -> None:
    reason, calls, more, after, odd = case
    tips = Tips()
    fold(tips, [said(body([transfer(BOBS, VAULT, 50)], before(0, USD), before(50, USD), slot=1))])
    rows = fold(tips, [said(body(calls, {**before(50, USD), **more}, {**before(50, USD), **more, **after}, **odd))])

    assert quarantined(rows) == [reason]
    assert rows.positions == []
    assert tips.vault()["claims"] == "50"
    assert int(tips.vault()["unattributed"]) == after[VAULT].amount - 50


def test_an_account_that_becomes_one_of_another_token_is_set_aside_under_both() -> None:
    tips = Tips()
    fold(tips, [said(body([transfer(BOBS, VAULT, 50)], before(0, USD), before(50, USD), slot=1))])
    now = {VAULT: Held(3, AUTHORITY, FEE)}
    rows = fold(tips, [said(body([transfer(VAULT, BOBS, 50)], before(50, USD), now))])

    assert quarantined(rows) == ["token_of_account_changed"] * 2
    assert tips.vault(USD)["balance"] == "0"
    assert tips.vault(FEE)["balance"] == "3"


def test_failed_transactions_and_those_of_other_accounts_change_nothing() -> None:
    failed = body([transfer(ANNS, VAULT, 5)], before(0, USD), before(0, USD), err={"InstructionError": [0, "Custom"]})
    aside = body([transfer(ANNS, BOBS, 5)], {ANNS: Held(5, ANN)}, {BOBS: Held(5, BOB)}, slot=8)

    assert fold(Tips(), [said(failed), said(aside)]) == Rows()


def test_a_missing_transaction_is_found_out_by_the_balance_before_the_next() -> None:
    tips = Tips()
    fold(tips, [said(body([transfer(BOBS, VAULT, 50)], before(0, USD), before(50, USD), slot=1))])

    with pytest.raises(NodeWrong, match="held 50 raw units by its transactions and 70 before"):
        fold(tips, [said(body([transfer(ANNS, VAULT, 1)], before(70, USD), before(71, USD)))])


def test_an_account_that_held_something_before_its_first_transaction_is_refused() -> None:
    with pytest.raises(NoContract, match="held 70 raw units before its first transaction from slot 1 on"):
        fold(Tips(), [said(body([transfer(ANNS, VAULT, 1)], before(70, USD), before(71, USD)))])


@pytest.mark.parametrize(
    "account, words",
    [
        (AccountBytes(5, OTHER_PROGRAM, 1, bytes(165), closed=False), "not to a token program"),
        (AccountBytes(5, TOKEN_PROGRAM, 1, bytes(82), closed=False), "82 bytes are no token account"),
        (AccountBytes(5, TOKEN_2022_PROGRAM, 1, bytes(165) + b"\x01" + bytes(80), closed=False), "is no token account"),
        (AccountBytes(5, TOKEN_PROGRAM, 1, USD + ANN + bytes(101), closed=False), "is owned by"),
    ],
)
def test_only_a_token_account_of_the_authority_has_an_amount(account: AccountBytes, words: str) -> None:
    with pytest.raises(NoContract, match=words):
        SplEscrow(venue()).amount(VAULT, account)


def test_the_amount_of_an_account_is_what_its_bytes_say() -> None:
    plain = USD + AUTHORITY + (2**64 - 1).to_bytes(8, "little") + bytes(93)
    escrow = SplEscrow(venue())

    assert escrow.amount(VAULT, AccountBytes(5, TOKEN_PROGRAM, 1, plain, closed=False)) == 2**64 - 1
    extended = AccountBytes(5, TOKEN_2022_PROGRAM, 1, plain + b"\x02" + bytes(5), closed=False)
    assert escrow.amount(VAULT, extended) == 2**64 - 1
    assert escrow.amount(VAULT, AccountBytes(5, b"", 0, b"", closed=True)) == 0


def test_what_an_account_held_before_a_transaction_is_what_the_transaction_says() -> None:
    whole = body([transfer(ANNS, VAULT, 5)], {ANNS: Held(5, ANN)}, {VAULT: Held(5, AUTHORITY)})
    escrow = SplEscrow(venue())

    assert escrow.held_before(ANNS, json.dumps(whole)) == 5
    assert escrow.held_before(VAULT, json.dumps(whole)) == 0
    assert escrow.held_before(SECOND, json.dumps(whole)) is None


# Whatever happens

PEOPLE = {ANNS: ANN, BOBS: BOB, VAULT: AUTHORITY, SECOND: AUTHORITY}
moves = st.tuples(
    st.sampled_from(["transfer", "named", "hidden", "mint", "burn"]),
    st.sampled_from(list(PEOPLE)),
    st.sampled_from(list(PEOPLE)),
    st.integers(0, 50),
    st.integers(0, 3),
)
Move = tuple[str, bytes, bytes, int, int]


def played(story: Sequence[Sequence[Move]]) -> tuple[list[Said], dict[bytes, int]]:
    """Transactions of a story, with the balances that follow; accounts start empty and may be overdrawn by nobody but users."""
    amounts, wholes = dict.fromkeys(PEOPLE, 0) | {ANNS: 10**6, BOBS: 10**6}, []
    for slot, steps in enumerate(story, start=1):
        was, calls, veiled = dict(amounts), [], defaultdict[bytes, int](int)
        for wanted, source, target, most, share in steps:
            kind = "named" if wanted == "hidden" and veiled[target] else wanted
            amount = min(most, amounts[source])
            fee = 0 if kind == "transfer" or source == target else min(share, amount)
            calls.append(call_of(kind, source, target, amount, fee))
            if kind in {"mint", "burn"}:
                amounts[source] += amount if kind == "mint" else -amount
            elif source != target:
                veiled[target] += kind == "hidden"
                amounts[source] -= amount
                amounts[target] += amount - fee
        wholes.append(body(calls, holdings(was), holdings(amounts), slot=slot))
    return [said(whole) for whole in wholes], amounts


def call_of(kind: str, source: bytes, target: bytes, amount: int, fee: int) -> Call:
    match kind:
        case "mint":
            return TOKEN_2022_PROGRAM, [FEE, source, CID], b"\x07" + amount.to_bytes(8, "little")
        case "burn":
            return TOKEN_2022_PROGRAM, [source, FEE, CID], b"\x08" + amount.to_bytes(8, "little")
        case "hidden":
            return hidden(source, target, amount)
        case _:
            return named(source, target, amount, fee)


def holdings(amounts: dict[bytes, int]) -> dict[bytes, Held]:
    return {account: Held(amount, PEOPLE[account], FEE) for account, amount in amounts.items()}


@given(st.lists(st.lists(moves, max_size=5), min_size=1, max_size=8), st.data())
def test_nets_and_what_is_nobodys_make_up_the_balance_however_the_history_was_cut(
    story: list[list[Move]], data: st.DataObject
) -> None:
    transactions, amounts = played(story)
    whole, cut, pieces = Tips(), Tips(), Rows()
    rows = fold(whole, transactions)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(transactions)))))
    for first, last in zip([0, *cuts], [*cuts, len(transactions)], strict=True):
        pieces.extend(fold(cut, transactions[first:last]))

    assert pieces == rows
    assert quarantined(rows) == []
    vault, nets = whole.vault(FEE), list(whole.held.values())
    assert int(vault["balance"]) == amounts[VAULT] + amounts[SECOND] == sum(nets) + int(vault["unattributed"])
    assert int(vault["claims"]) == sum(max(amount, 0) for amount in nets)
    assert {base58(a): str(amounts[a]) for a in (VAULT, SECOND)} == vault["accounts"]
