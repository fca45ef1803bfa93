"""What a wallet signs is what it says, in every form that other software signs; and nobody else's signature is taken for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account import Account as Wallets
from eth_account.messages import encode_defunct, encode_typed_data
from solders.keypair import Keypair

from aggregator.margin.member import MemberKind, open_questions
from aggregator.membership.envelope import parse_envelope
from aggregator.membership.message import Action, MalformedMessage, Message, parse_message
from aggregator.membership.proof import (
    Scheme,
    is_yes,
    offchain,
    parse_signature,
    question,
    signed_by_key,
)
from aggregator.membership.standing import Check, Evidence, Moment, memberships
from chains.identifiers import Account
from chains.pyth.secp256k1 import N

NOW = 1_790_000_000
DAY = 86_400
ALICE = Wallets.from_key("0x" + "a1" * 32)
BOB = Wallets.from_key("0x" + "b0" * 32)
SOLANA = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
CAROL = Keypair.from_seed(bytes([7]) * 32)


def evm(wallet: Any = ALICE, chain: str = "eip155:1") -> Account:
    return Account(chain, bytes.fromhex(wallet.address[2:]))


def message(**changed: Any) -> Message:
    said: dict[str, Any] = {
        "action": Action.LINK,
        "account": "acme",
        "wallet": evm(),
        "nonce": "0123456789abcdef" * 2,
        "issued_at": NOW,
        "expires_at": NOW + DAY,
    }
    return Message(**said | changed)


def personal(wallet: Any, text: str) -> bytes:
    return bytes(wallet.sign_message(encode_defunct(text=text)).signature)


def typed(wallet: Any, data: dict[str, Any]) -> bytes:
    return bytes(wallet.sign_message(encode_typed_data(full_message=data)).signature)


SOLANA_MESSAGE = message(wallet=Account(SOLANA, bytes(CAROL.pubkey())))


def test_what_other_software_signs_is_recognised() -> None:
    """The signatures are eth-account's and solders', neither of which computes anything here."""
    assert signed_by_key(message(), Scheme.EIP191, personal(ALICE, message().text()))
    assert signed_by_key(message(), Scheme.EIP712, typed(ALICE, message().typed_data()))
    text = SOLANA_MESSAGE.text()
    assert signed_by_key(SOLANA_MESSAGE, Scheme.ED25519, bytes(CAROL.sign_message(text.encode())))
    assert signed_by_key(SOLANA_MESSAGE, Scheme.SOLANA_OFFCHAIN, bytes(CAROL.sign_message(offchain(text))))


def test_the_off_chain_message_is_laid_out_as_solana_has_it() -> None:
    said = SOLANA_MESSAGE.text().encode()

    assert offchain(SOLANA_MESSAGE.text()) == b"\xffsolana offchain\x00\x01" + len(said).to_bytes(2, "little") + said
    assert len(said) <= 1_212


@pytest.mark.parametrize(
    "other",
    [
        {"account": "acne"},
        {"wallet": evm(BOB)},
        {"wallet": evm(chain="eip155:10")},
        {"nonce": "f" * 32},
        {"issued_at": NOW + 1},
        {"expires_at": NOW + DAY + 1},
        {"action": Action.REVOKE},
        {"operator": "risk.example.org"},
    ],
    ids=lambda other: next(iter(other)) + str(len(str(other))),
)
def test_a_signature_of_one_message_is_none_of_another(other: dict[str, Any]) -> None:
    """Another account, wallet, chain (EIP-712's chain id with it), nonce, moment or action."""
    assert not signed_by_key(message(**other), Scheme.EIP191, personal(ALICE, message().text()))
    assert not signed_by_key(message(**other), Scheme.EIP712, typed(ALICE, message().typed_data()))
    assert not signed_by_key(message(), Scheme.EIP191, personal(BOB, message().text()))


def test_a_message_that_names_its_operator_is_none_of_another_or_of_nobodys() -> None:
    mine, data = message(operator="risk.example.org"), message(operator="risk.example.org").typed_data()

    assert signed_by_key(mine, Scheme.EIP191, personal(ALICE, mine.text()))
    assert signed_by_key(mine, Scheme.EIP712, typed(ALICE, data))
    assert parse_message(mine.text()) == mine
    assert mine.text().splitlines()[1] == "version 2"
    assert len(message(operator="o" * 64, account="a" * 64, wallet=SOLANA_MESSAGE.wallet).text()) <= 1_212
    for other in (message(operator="other.example.org"), message()):
        assert not signed_by_key(other, Scheme.EIP191, personal(ALICE, mine.text()))
        assert not signed_by_key(other, Scheme.EIP712, typed(ALICE, data))
    renamed = mine.text().replace("risk.", "rusk.")
    assert parse_message(renamed).operator == "rusk.example.org"
    for wrong in (mine.text().replace("version 2", "version 1"), message().text().replace("version 1", "version 2")):
        with pytest.raises(MalformedMessage):
            parse_message(wrong)


@pytest.mark.parametrize(
    "name", ["", "a", "Risk.example.org", "risk example", "risk.", "-risk", "o" * 65, "r\u0131sk.org"]
)
def test_what_names_no_operator_is_refused(name: str) -> None:
    with pytest.raises(MalformedMessage, match="names no operator"):
        message(operator=name)


@pytest.mark.parametrize(
    "domain",
    [
        {"name": "crossmargin liabilities"},
        {"version": "2"},
        {"chainId": 10},
    ],
    ids=lambda domain: next(iter(domain)),
)
def test_typed_data_of_another_domain_are_not_this_message(domain: dict[str, Any]) -> None:
    data = message().typed_data()
    data["domain"] |= domain

    assert not signed_by_key(message(), Scheme.EIP712, typed(ALICE, data))


def test_one_scheme_is_not_taken_for_another() -> None:
    assert not signed_by_key(message(), Scheme.EIP712, personal(ALICE, message().text()))
    assert not signed_by_key(message(), Scheme.EIP191, typed(ALICE, message().typed_data()))
    text = SOLANA_MESSAGE.text()
    assert not signed_by_key(SOLANA_MESSAGE, Scheme.SOLANA_OFFCHAIN, bytes(CAROL.sign_message(text.encode())))
    assert not signed_by_key(SOLANA_MESSAGE, Scheme.ED25519, bytes(CAROL.sign_message(offchain(text))))


def test_the_other_signature_with_the_same_meaning_is_refused() -> None:
    signature = personal(ALICE, message().text())
    r, s, v = signature[:32], int.from_bytes(signature[32:64]), signature[64]
    flipped = r + (N - s).to_bytes(32) + bytes([55 - v])
    assert Wallets.recover_message(encode_defunct(text=message().text()), signature=flipped) == ALICE.address

    assert not signed_by_key(message(), Scheme.EIP191, flipped)
    assert not signed_by_key(message(), Scheme.EIP191, signature[:64])
    assert not signed_by_key(message(), Scheme.EIP191, signature[:64] + bytes([29]))
    assert not signed_by_key(message(), Scheme.EIP191, signature + b"\0")
    assert not signed_by_key(message(), Scheme.EIP191, bytes(65))


@pytest.mark.parametrize("key", ["01" + "00" * 31, "00" * 32, "ec" + "ff" * 30 + "7f", "00" * 31 + "80"])
def test_a_key_under_which_anybody_can_sign_attests_nothing(key: str) -> None:
    """With the identity as key, the identity and zero are a signature of any text."""
    under = message(wallet=Account(SOLANA, bytes.fromhex(key)))

    for point in (bytes([1]) + bytes(31), bytes.fromhex(key)):
        assert not signed_by_key(under, Scheme.ED25519, point + bytes(32))


def test_a_contract_is_asked_as_eip_1271_says_and_only_its_own_word_is_a_yes() -> None:
    signature = bytes(range(70))
    calldata = question(message(), Scheme.EIP1271, signature)
    plain = encode_defunct(text=message().text())
    magic = bytes.fromhex("1626ba7e")

    assert calldata[:4] == magic
    assert calldata[4:] == encode(["bytes32", "bytes"], [message().personal_hash(), signature])
    assert Wallets.recover_message(plain, signature=personal(ALICE, message().text())) == ALICE.address
    assert question(message(), Scheme.EIP1271_TYPED, b"")[4:] == encode(
        ["bytes32", "bytes"], [message().typed_hash(), b""]
    )
    assert is_yes(magic + bytes(28))
    assert not any(map(is_yes, (b"", magic, bytes(32), (1).to_bytes(32), magic + bytes(27) + b"\1", magic + bytes(60))))


@pytest.mark.parametrize(
    "old, new",
    [
        ("crossmargin membership\n", "crossmargin membership \n"),
        ("version 1", "version 2"),
        ("moves no funds", "moves funds"),
        ("Action: link", "Action: grab"),
        ("Margin account: acme", "Margin account: a b"),
        ("Nonce: 0123", "Nonce: 0X23"),
        ("Expires at: ", "Expires at:  "),
        ("Issued at: 2026", "Issued at: 2036"),
        ("Wallet: eip155:1:", "Wallet: eip155:01:"),
        ("Action: link\n", "Action: link\nAction: link\n"),
    ],
)
def test_a_text_that_is_not_the_message_is_refused(old: str, new: str) -> None:
    text = message().text()
    assert old in text
    assert parse_message(text) == message()

    with pytest.raises(MalformedMessage):
        parse_message(text.replace(old, new, 1))


def test_a_signature_that_counts_for_ever_or_never_is_no_message() -> None:
    for changed in ({"expires_at": NOW}, {"expires_at": NOW + 10 * 366 * DAY}, {"nonce": "0"}, {"account": "a\nb"}):
        with pytest.raises(MalformedMessage):
            message(**changed)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        "x",
        '{"message": "m", "scheme": "eip191"}',
        '{"message": "m", "scheme": "eip191", "signature": "0x", "who": "me"}',
        '{"message": "m", "scheme": "eip191", "signature": "0x", "signature": "0x"}',
        '{"message": "m", "scheme": "operator", "signature": "0x"}',
        '{"message": "m", "scheme": 1, "signature": "0x"}',
    ],
)
def test_an_envelope_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_envelope(text)


def test_signatures_are_read_in_hex_and_base_58() -> None:
    assert parse_signature("0x00ff") == b"\x00\xff"
    assert parse_signature(str(CAROL.sign_message(b"x"))) == bytes(CAROL.sign_message(b"x"))
    for text in ("0x0", "0xzz", "l0", "é"):
        with pytest.raises(MalformedMessage):
            parse_signature(text)


CHAINS = ("eip155:1", "eip155:10", SOLANA)
HERE = f"eip155:1:{ALICE.address}"
THERE = f"eip155:10:{ALICE.address}"


def linked(**changed: Any) -> Evidence:
    said: dict[str, Any] = {
        "account": "acme",
        "wallet": evm(),
        "action": Action.LINK,
        "scheme": Scheme.EIP191,
        "digest": "sha256:1",
        "nonce": "1",
        "issued_at": NOW,
        "expires_at": NOW + DAY,
        "received_at": NOW,
    }
    return Evidence(**said | changed)


REVOKED = linked(action=Action.REVOKE, received_at=NOW + 10, digest="sha256:2")
BY_CONTRACT = linked(scheme=Scheme.EIP1271, checks=(Check(time=NOW - 5, valid=True),))


def kinds(*ledger: Evidence, time: int = NOW + 20, declared: tuple[str, ...] = ()) -> dict[str, str]:
    moment = Moment(time=time, chains=CHAINS, trusted_s=100)
    return {each.member: each.kind.value for each in memberships("acme", declared, ledger, moment)}


def test_a_key_speaks_for_its_address_on_all_chains_of_its_family_and_a_contract_for_one() -> None:
    assert kinds(linked()) == {HERE: "attested", THERE: "attested"}
    assert kinds(BY_CONTRACT) == {HERE: "attested"}
    assert kinds(linked(wallet=Account(SOLANA, bytes(CAROL.pubkey())))) == {f"{SOLANA}:{CAROL.pubkey()}": "attested"}


def test_what_was_signed_counts_from_when_it_came_in_until_it_expires_or_is_revoked() -> None:
    assert kinds(linked(), time=NOW - 1) == {}
    assert kinds(linked(), time=NOW + DAY - 1)[HERE] == "attested"
    assert kinds(linked(), time=NOW + DAY)[HERE] == "expired"
    assert kinds(linked(), REVOKED, time=NOW + 9)[HERE] == "attested"
    assert kinds(linked(), REVOKED)[HERE] == "revoked"
    assert kinds(linked(), REVOKED, linked(received_at=NOW + 11))[HERE] == "attested"
    assert kinds(linked(account="other")) == {}


def test_a_contracts_yes_is_believed_for_a_while_and_its_no_for_ever() -> None:
    no, yes = Check(time=NOW + 50, valid=False), Check(time=NOW + 60, valid=True)

    assert kinds(BY_CONTRACT, time=NOW + 95)[HERE] == "attested"
    assert kinds(BY_CONTRACT, time=NOW + 96)[HERE] == "unchecked"
    assert kinds(replace(BY_CONTRACT, checks=(*BY_CONTRACT.checks, no)), time=NOW + 49)[HERE] == "attested"
    assert kinds(replace(BY_CONTRACT, checks=(*BY_CONTRACT.checks, no, yes)), time=NOW + 70)[HERE] == "ended"
    assert kinds(replace(BY_CONTRACT, checks=()))[HERE] == "unchecked"


def test_the_configurations_word_stands_beside_what_ended_and_not_against_a_revocation() -> None:
    by_operator = replace(REVOKED, scheme=Scheme.OPERATOR)

    assert kinds(declared=(HERE,)) == {HERE: "declared"}
    assert kinds(linked(), declared=(HERE,)) == {HERE: "attested", THERE: "attested"}
    assert kinds(linked(), time=NOW + DAY, declared=(HERE,)) == {HERE: "declared", THERE: "expired"}
    assert kinds(linked(), REVOKED, declared=(HERE,)) == {HERE: "revoked", THERE: "revoked"}
    assert kinds(linked(), by_operator, declared=(HERE,)) == {HERE: "declared", THERE: "revoked"}


def test_an_account_is_unknown_while_it_is_not_known_who_belongs_to_it() -> None:
    def codes(*ledger: Evidence, time: int = NOW + 20, declared: tuple[str, ...] = ()) -> set[str]:
        known = memberships("acme", declared, ledger, Moment(time=time, chains=CHAINS[:1], trusted_s=100))
        return {reason.code for reason in open_questions("acme", known)}

    other = f"eip155:1:{BOB.address}"
    assert codes(linked(), declared=(other,)) == set()
    assert codes(linked(), time=NOW + DAY, declared=(other,)) == {"membership_expired"}
    assert codes(BY_CONTRACT, time=NOW + 500, declared=(other,)) == {"membership_unchecked"}
    assert codes(linked(), REVOKED, declared=(other,)) == set()
    assert codes(linked(), REVOKED, declared=(other, HERE)) == {"membership_contradicted"}
    assert codes(linked(), REVOKED) == {"account_without_members"}
    assert {MemberKind.EXPIRED, MemberKind.UNCHECKED} == set(MemberKind) - {
        "declared",
        "attested",
        "ended",
        "revoked",
        "contested",
    }
