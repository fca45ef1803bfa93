"""Which signed messages are taken in, each rule by itself, over a store of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as Wallets
from eth_account.messages import encode_defunct
from solders.keypair import Keypair

from aggregator.margin.inputs import MarginAccount
from aggregator.membership.message import Action, Message
from chains.identifiers import Account
from chains.ports import Chain
from crossmargin.errors import DeskError, NoSuchThing, UsageError
from crossmargin.exits import ExitCode
from crossmargin.memberships import Memberships
from crossmargin.refusals import Conflict, NotForUs, NotSigned, Outdated, OutOfTime, Replayed
from crossmargin.server.answers.accounts import LinkAnswer
from crossmargin.settings import Settings, load
from crossmargin.settings.model import MembershipSettings
from crossmargin.wallets import new_message, wallet_of
from indexer.store import MEMORY, Store

NOW = 1_790_000_000
DAY = 86_400
SOLANA = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
ALICE, BOB = (Wallets.from_key("0x" + word * 32) for word in ("a1", "b0"))
CAROL = Keypair.from_seed(bytes([7]) * 32)
CONFIGURATION = f"""
[[chain]]
id = "eip155:1"
rpc = ["http://127.0.0.1:1"]

[[chain]]
id = "eip155:10"
rpc = ["http://127.0.0.1:1"]

[[chain]]
id = "{SOLANA}"
rpc = ["http://127.0.0.1:1"]

[[account]]
id = "acme"

[[account]]
id = "other"
members = ["eip155:1:{BOB.address}"]
"""


class Office:
    """A ledger with a hand on the clock; its chains cannot be asked."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.store, self.now = settings, store, NOW
        self.ledger = Memberships(settings, store, self.no_chain, lambda: self.now)

    def rename(self, membership: MembershipSettings) -> None:
        """Let the operator have another name, over the same ledger."""
        self.settings = replace(self.settings, membership=membership)
        self.ledger = Memberships(self.settings, self.store, self.no_chain, lambda: self.now)

    def no_chain(self, chain_id: str) -> Chain:
        raise AssertionError(f"{chain_id} was asked")

    def take_in(self, envelope: str, account: str = "acme") -> dict[str, Any]:
        taken = self.ledger.take_in(account, envelope, who="tester")
        LinkAnswer.model_validate(taken)
        return dict(taken)

    def account(self, name: str = "acme") -> MarginAccount:
        with self.store.reading() as reader:
            return next(each for each in self.ledger.accounts(reader, self.now) if each.id == name)

    def kinds(self, name: str = "acme") -> dict[str, str]:
        return {each.member: each.kind.value for each in self.account(name).membership}

    def entries(self) -> int:
        with self.store.reading() as reader:
            return len(reader.membership_evidence())


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    path = tmp_path / "crossmargin.toml"
    path.write_text(CONFIGURATION)
    with Store.open(MEMORY) as store:
        yield Office(load(path, {}), store)


def signed(
    wallet: Any = ALICE, *, chain: str = "eip155:1", signer: Any = None, scheme: str = "eip191", **said: Any
) -> str:
    """The envelope of a message of a wallet of some chain."""
    usual: dict[str, Any] = {
        "action": Action.LINK,
        "account": "acme",
        "wallet": Account(chain, bytes.fromhex(wallet.address[2:])),
        "nonce": "0" * 32,
        "issued_at": NOW,
        "expires_at": NOW + DAY,
    }
    message = Message(**usual | said)
    proof = (signer or wallet).sign_message(encode_defunct(text=message.text())).signature
    return json.dumps({"message": message.text(), "scheme": scheme, "signature": f"0x{bytes(proof).hex()}"})


HERE, THERE = f"eip155:1:{ALICE.address}", f"eip155:10:{ALICE.address}"
REVOKE = Action.REVOKE


def test_a_linked_key_is_a_member_on_every_chain_of_its_family_with_its_evidence(office: Office) -> None:
    done = office.take_in(signed())

    assert set(office.account().members) == {HERE, THERE}
    assert office.kinds() == {HERE: "attested", THERE: "attested"}
    assert done["membership"][HERE]["evidence"] == done["evidence"]
    assert done["membership"][HERE]["since"] == "2026-09-21T14:13:20Z"
    assert done["membership"][HERE]["expires"] == "2026-09-22T14:13:20Z"
    assert office.account("other").members == (f"eip155:1:{BOB.address}",)


def test_a_message_for_one_operator_is_taken_in_by_no_other(office: Office) -> None:
    """Nor one for nobody in particular where there is a name; what was taken in before the name stays."""
    mine, other = (replace(office.settings.membership, operator=name) for name in ("risk.org", "other.org"))
    for_mine, for_nobody = signed(nonce="1" * 32, operator="risk.org"), signed()

    with pytest.raises(NotForUs, match="is meant for the operator"):
        office.take_in(for_mine)
    office.rename(other)
    for envelope in (for_mine, for_nobody):
        with pytest.raises(NotForUs, match="this one is"):
            office.take_in(envelope)
    assert office.entries() == 0
    office.rename(mine)
    office.take_in(for_mine)
    office.rename(other)
    assert office.kinds() == {HERE: "attested", THERE: "attested"}


def test_a_key_of_solana_links_its_address(office: Office) -> None:
    wallet = wallet_of(office.settings, "acme", str(CAROL.pubkey()))
    told = new_message("acme", wallet, Action.LINK, now=NOW, lasts_s=DAY)
    proofs = {
        "solana-offchain": CAROL.sign_message(bytes.fromhex(told["solana_offchain"])),
        "ed25519": CAROL.sign_message(told["message"].encode()),
    }
    assert told["schemes"] == ["ed25519", "solana-offchain"]
    assert told["typed_data"] is None

    for scheme, proof in proofs.items():
        envelope = {"message": told["message"], "scheme": scheme, "signature": str(proof)}
        if scheme == "ed25519":
            with pytest.raises(Replayed):
                office.take_in(json.dumps(envelope))
        else:
            office.take_in(json.dumps(envelope))

    assert office.account().members == (f"{SOLANA}:{CAROL.pubkey()}",)


@pytest.mark.parametrize(
    "changed, refusal",
    [
        ({"signer": BOB}, NotSigned),
        ({"account": "other"}, UsageError),
        ({"scheme": "ed25519"}, UsageError),
        ({"scheme": "eip712"}, NotSigned),
        ({"chain": "eip155:5"}, NoSuchThing),
        ({"issued_at": NOW + 301}, OutOfTime),
        ({"issued_at": NOW - 2 * DAY, "expires_at": NOW}, OutOfTime),
        ({"wallet": BOB}, Conflict),
        ({"action": REVOKE}, NoSuchThing),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "-".join(value),
)
def test_what_the_wallet_did_not_sign_for_this_moment_and_account_is_refused_and_changes_nothing(
    office: Office, changed: dict[str, Any], refusal: type[DeskError]
) -> None:
    with pytest.raises(refusal) as refused:
        office.take_in(signed(**changed))

    assert office.entries() == 0
    assert refused.value.exit_code in {ExitCode.USAGE, ExitCode.UNVERIFIED, ExitCode.FAILED}


def test_no_message_counts_twice_and_none_that_was_signed_before_a_revocation(office: Office) -> None:
    link, unused = signed(), signed(nonce="1" * 32, issued_at=NOW + 1)
    office.take_in(link)
    with pytest.raises(Replayed):
        office.take_in(link)
    office.now += 10
    office.take_in(signed(action=REVOKE, nonce="2" * 32, issued_at=NOW + 5, chain="eip155:10"))
    assert office.kinds() == {HERE: "revoked", THERE: "revoked"}
    assert office.account().members == ()

    for replayed, refusal in (
        (link, Replayed),
        (unused, Outdated),
        (signed(nonce="3" * 32, issued_at=NOW + 5), Outdated),
    ):
        with pytest.raises(refusal):
            office.take_in(replayed)

    assert office.kinds() == {HERE: "revoked", THERE: "revoked"}
    office.take_in(signed(nonce="4" * 32, issued_at=NOW + 6))
    assert office.kinds() == {HERE: "attested", THERE: "attested"}
    with pytest.raises(Replayed):
        office.take_in(signed(action=REVOKE, nonce="2" * 32, issued_at=NOW + 9))
    with pytest.raises(Outdated):
        office.take_in(signed(action=REVOKE, nonce="5" * 32, issued_at=NOW + 4))


def test_the_operator_takes_a_wallet_away_and_that_nobody_signed_it_is_kept(office: Office) -> None:
    older = signed(nonce="1" * 32)
    office.take_in(signed())
    office.now += 10
    done = office.ledger.revoke("acme", ALICE.address, note="keys lost", who="ops")

    assert (done["scheme"], done["by"], done["note"]) == ("operator", "ops", "keys lost")
    assert office.kinds() == {HERE: "revoked", THERE: "revoked"}
    with pytest.raises(Outdated):
        office.take_in(older)
    with pytest.raises(NoSuchThing):
        office.ledger.revoke("acme", CAROL.pubkey().__str__(), note="", who="ops")


def test_what_expires_leaves_the_account_and_a_doubt(office: Office) -> None:
    office.take_in(signed())
    office.now = NOW + DAY

    assert office.account().members == ()
    assert {reason.code for reason in office.account().gaps} == {"membership_expired", "account_without_members"}
    office.take_in(signed(nonce="1" * 32, issued_at=office.now, expires_at=office.now + DAY))
    assert set(office.account().members) == {HERE, THERE}
    assert office.account().gaps == ()


def test_a_linked_wallet_cannot_be_linked_to_a_second_account(office: Office) -> None:
    office.take_in(signed())
    with pytest.raises(Conflict):
        office.take_in(signed(account="other", nonce="1" * 32, chain="eip155:10"), "other")

    office.ledger.revoke("acme", HERE, note="", who="ops")
    office.take_in(signed(account="other", nonce="2" * 32, issued_at=NOW + 1), "other")
    assert HERE in office.account("other").members


def test_a_wallet_is_named_as_it_is_elsewhere(office: Office) -> None:
    assert wallet_of(office.settings, "acme", ALICE.address) == wallet_of(office.settings, "acme", HERE)
    for account, wallet, refusal in (
        ("acmee", HERE, NoSuchThing),
        ("acme", f"eip155:5:{ALICE.address}", NoSuchThing),
        ("acme", "0x12", UsageError),
        ("acme", "nobody", UsageError),
    ):
        with pytest.raises(refusal):
            wallet_of(office.settings, account, wallet)


def test_a_wallet_that_the_configuration_declares_elsewhere_since_counts_there_alone(
    office: Office, tmp_path: Path
) -> None:
    office.take_in(signed())
    changed = tmp_path / "changed.toml"
    changed.write_text(CONFIGURATION.replace(BOB.address, ALICE.address))
    later = Office(load(changed, {}), office.store)

    assert later.kinds() == {HERE: "contested", THERE: "attested"}
    assert later.account().members == (THERE,)
    assert later.account("other").members == (HERE,)
    assert [reason.code for reason in later.account().gaps] == ["membership_contested"]
    assert later.account("other").gaps == ()
