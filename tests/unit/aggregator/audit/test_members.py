"""Members of accounts in a snapshot: what other software signed is recognised, alone too, and any change to it is found."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aggregator.audit import member_verifier
from aggregator.audit.members import Signed
from aggregator.audit.snapshot import verify
from aggregator.book import Book, judged
from aggregator.margin.canonical import digest_of
from aggregator.margin.inputs import MarginAccount
from aggregator.margin.member import MemberKind, Membership
from aggregator.membership.message import Action, Message
from aggregator.membership.proof import offchain
from chains.identifiers import Account, base58
from tests.support.lines import line
from tests.unit.aggregator.builders import CHAIN, NOW, OTHER_CHAIN, OWNER
from tests.unit.aggregator.test_membership import ALICE, BOB, CAROL, SOLANA, evm, message, personal, typed
from tests.unit.aggregator.test_snapshot import book, written_in

Row = dict[str, Any]
YEAR = 366 * 86_400
WHEN = {"issued_at": NOW - 60, "expires_at": NOW + YEAR}
PERSONAL = message(**WHEN)
TYPED = message(wallet=evm(BOB, CHAIN), operator="risk.example", **WHEN)
SIGNED = message(wallet=Account(SOLANA, bytes(CAROL.pubkey())), **WHEN)
LEFT = message(wallet=evm(BOB, OTHER_CHAIN), action=Action.REVOKE, nonce="f" * 32, **WHEN)
CONTRACT = message(wallet=Account(CHAIN, b"\x0c" * 20), **WHEN)


def envelope(said: Message, scheme: str, signature: str) -> str:
    return json.dumps({"message": said.text(), "scheme": scheme, "signature": signature})


def signatures() -> dict[str, tuple[Message, str]]:
    text = SIGNED.text()
    return {
        "eip191": (PERSONAL, "0x" + personal(ALICE, PERSONAL.text()).hex()),
        "eip712": (TYPED, "0x" + typed(BOB, TYPED.typed_data()).hex()),
        "solana-offchain": (SIGNED, base58(bytes(CAROL.sign_message(offchain(text))))),
        "eip1271": (CONTRACT, "0x1234"),
    }


def of_members() -> Book:
    """The book of an account to which wallets of every kind belong, or do not any more."""
    messages, members = [], []
    revoked = "0x" + personal(BOB, LEFT.text()).hex()
    said = [(scheme, *each) for scheme, each in signatures().items()] + [("eip191", LEFT, revoked)]
    for scheme, what, signature in said:
        text = envelope(what, scheme, signature)
        kind = MemberKind.REVOKED if what.action is Action.REVOKE else MemberKind.ATTESTED
        members.append(
            Membership(
                member=str(what.wallet), kind=kind, declared=False, since=NOW, evidence=digest_of(text), scheme=scheme
            )
        )
        messages.append(Signed("acme", digest_of(text), str(what.wallet), what.action.value, scheme, NOW, text))
    operator = Membership(
        member=str(Account(CHAIN, OWNER)),
        kind=MemberKind.REVOKED,
        declared=False,
        evidence="sha256:1",
        scheme="operator",
    )
    messages.append(Signed("acme", "sha256:1", operator.member, "revoke", "operator", NOW, None))
    inputs = book().inputs
    account = MarginAccount(
        id="acme",
        members=tuple(each.member for each in members if each.kind is MemberKind.ATTESTED),
        membership=(*members, operator),
    )
    catalogue = replace(inputs.catalogue, accounts=(account,))
    return replace(judged(replace(inputs, catalogue=catalogue)), messages=tuple(messages))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written_in(tmp_path, of_members())[0]


def rows(folder: Path, table: str = "memberships") -> list[Row]:
    return [json.loads(raw) for raw in (folder / f"{table}.ndjson").read_bytes().splitlines()]


def rewrite(folder: Path, found: list[Row], table: str = "memberships") -> None:
    (folder / f"{table}.ndjson").write_bytes(b"".join(map(line, found)))


def test_members_of_every_kind_are_verified_alone_and_with_the_rest(folder: Path, tmp_path: Path) -> None:
    script = [sys.executable, "-I", "-W", "error", str(folder / "verify_members.py"), str(folder), "--json"]
    alone = subprocess.run(script, capture_output=True, text=True, check=False, cwd=tmp_path)
    found = verify(folder, recompute=True)

    assert alone.returncode == 0, alone.stdout + alone.stderr
    assert found.faults == []
    notes = json.loads(alone.stdout)["notes"]
    assert notes[0] == "members of accounts: 1 eip1271, 2 eip191, 1 eip712, 1 operator, 1 solana-offchain"
    assert notes[1].startswith("that 1 contract wallets said yes is the snapshot's word")
    assert set(notes) <= set(found.notes)


def resigned(change: Callable[[Row], None]) -> Callable[[Row], None]:
    """Change an envelope, and everything that names its hash with it."""

    def edit(row: Row) -> None:
        said = json.loads(row["envelope"])
        change(said)
        row["envelope"] = json.dumps(said)

    return edit


def replaced(old: str, new: str) -> Callable[[Row], None]:
    return resigned(lambda said: said.update(message=said["message"].replace(old, new)))


def flipped(said: Row) -> None:
    text = said["signature"]
    place = 12
    said["signature"] = text[:place] + ("2" if text[place] != "2" else "3") + text[place + 1 :]


CHANGES: dict[str, Callable[[Row], None]] = {
    "the signature": resigned(flipped),
    "the account": replaced("account: acme", "account: other"),
    "the wallet": replaced("Wallet: ", "Wallet: x"),
    "the nonce": replaced("Nonce: ", "Nonce: 0"),
    "a word": replaced("moves no funds", "moves funds"),
    "the end": replaced("Expires at: 20", "Expires at: 21"),
    "the scheme": resigned(lambda said: said.update(scheme="ed25519" if said["scheme"] != "ed25519" else "eip191")),
    "nothing": resigned(lambda said: said.clear()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_message_is_found_even_where_its_hash_was_changed_with_it(change: str, folder: Path) -> None:
    whole, inputs = rows(folder), rows(folder, "inputs")
    for number, row in enumerate(whole):
        if row["envelope"] is None or (
            row["scheme"] == "eip1271" and change in {"the signature", "the nonce", "the end"}
        ):
            continue
        found = [dict(each) for each in whole]
        CHANGES[change](found[number])
        found[number]["digest"] = digest_of(found[number]["envelope"])
        told = [
            each | {"document": each["document"].replace(row["digest"], found[number]["digest"])} for each in inputs
        ]
        rewrite(folder, found)
        rewrite(folder, told, "inputs")
        assert member_verifier.checked(folder).faults, (change, row["scheme"])
    rewrite(folder, whole)
    rewrite(folder, inputs, "inputs")
    assert member_verifier.checked(folder).faults == []


def test_messages_that_are_missing_or_nobodys_and_members_by_nobodys_word_are_named(folder: Path) -> None:
    whole, inputs = rows(folder), rows(folder, "inputs")
    for number, row in enumerate(whole):
        rewrite(folder, whole[:number] + whole[number + 1 :])
        assert any("is missing" in fault for fault in member_verifier.checked(folder).faults), row["scheme"]
    rewrite(folder, [*whole, whole[0] | {"digest": "sha256:2"}])
    assert any("nobody is a member" in fault for fault in member_verifier.checked(folder).faults)
    rewrite(folder, whole)
    for old, new in (
        ('"kind":"revoked"', '"kind":"attested"'),
        ('"scheme":"eip191"', '"scheme":"operator"'),
        (f'"evidence":"{whole[0]["digest"]}"', '"evidence":null'),
    ):
        rewrite(folder, [each | {"document": each["document"].replace(old, new)} for each in inputs], "inputs")
        assert member_verifier.checked(folder).faults, old


def test_an_expired_message_makes_nobody_a_member(folder: Path) -> None:
    whole = rows(folder, "as_of")
    rewrite(folder, [row | {"time": NOW + 2 * YEAR} for row in whole], "as_of")

    assert sum("had expired" in fault for fault in member_verifier.checked(folder).faults) == 4
