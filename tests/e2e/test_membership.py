"""Wallets that belong to a margin account because they signed it: a key by the command, a contract wallet on a chain that is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as Wallets
from eth_account.messages import encode_defunct, encode_typed_data
from eth_utils.address import to_checksum_address

from aggregator.margin.canonical import from_json
from aggregator.margin.health import evaluate
from aggregator.membership.message import Action
from chains.errors import ChainError
from crossmargin.app import opened, policy_of
from crossmargin.local_desk import LocalDesk
from crossmargin.refusals import NotSigned
from crossmargin.settings import load
from crossmargin.wallets import new_message, wallet_of
from tests.devnet.evm import keys
from tests.devnet.evm.anvil import anvil
from tests.devnet.evm.artifacts import own_bytecode
from tests.devnet.evm.ledger import Ledger, invoke, pay
from tests.e2e.conftest import Indexed
from tests.e2e.test_snapshots import Clock
from tests.support.recorded import CONFIGURATION, crossmargin

HOUR = 3600
CHAIN, OTHER_CHAIN = "eip155:31337", "eip155:31338"
OWNER, STRANGER = (Wallets.from_key(keys.private_key(3, name)) for name in ("owner", "stranger"))


@dataclass(slots=True, kw_only=True)
class World:
    """A chain with a contract wallet that holds some coin, and a desk over what was indexed of it."""

    folder: Path
    ledger: Ledger
    wallet: str
    clock: Clock

    def configure(self, url: str) -> None:
        (self.folder / "crossmargin.toml").write_text(f"""
[[chain]]
id = "{CHAIN}"
rpc = ["{url}"]
finality = "latest"

[[chain]]
id = "{OTHER_CHAIN}"
rpc = ["http://127.0.0.1:1"]

[[venue]]
id = "custody"
protocol = "escrow"
holdings = "custody"
chain = "{CHAIN}"
address = "{self.wallet}"
coin = "slip44:60"
start_block = 2
liabilities = "none"

[[account]]
id = "desk"
""")

    def index(self) -> None:
        done = crossmargin(self.folder, "index", "--chain", CHAIN)
        assert done.returncode == 0, done.stderr
        self.clock.now = int(self.ledger.node.header()["timestamp"], 16)

    def later(self, hours: int) -> None:
        self.ledger.mine(pay(keys.address(3, "payer"), self.wallet, 1), seconds=hours * HOUR)
        self.index()

    @contextmanager
    def desk(self) -> Iterator[LocalDesk]:
        settings = load(self.folder / "crossmargin.toml", {})
        with opened(settings) as store:
            yield LocalDesk(settings, store, policy_of(settings), clock=self.clock)

    def signed(self, signer: Any, scheme: str) -> str:
        settings = load(self.folder / "crossmargin.toml", {})
        wallet = wallet_of(settings, "desk", f"{CHAIN}:{self.wallet}")
        told = new_message("desk", wallet, Action.LINK, now=self.clock.now, lasts_s=30 * 24 * HOUR)
        forms = {
            "eip1271": encode_defunct(text=told["message"]),
            "eip1271-typed": encode_typed_data(full_message=told["typed_data"]),
        }
        proof = bytes(signer.sign_message(forms[scheme]).signature)
        return json.dumps({"message": told["message"], "scheme": scheme, "signature": f"0x{proof.hex()}"})

    @property
    def member(self) -> str:
        return f"{CHAIN}:{self.wallet}"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with anvil(chain_id=31_337) as node:
        ledger = Ledger(node)
        payer = keys.address(3, "payer")
        ledger.enrich((payer,))
        ledger.idle(2)
        wallet = to_checksum_address(ledger.deploy(payer, own_bytecode("Wallet"), ["address"], [OWNER.address]))
        ledger.do(pay(payer, wallet, 10**18))
        made = World(folder=tmp_path, ledger=ledger, wallet=wallet, clock=Clock(0))
        made.configure(node.url)
        made.index()
        yield made


def kind(document: Any, member: str) -> str:
    return str(document["membership"][member]["kind"])


@pytest.mark.parametrize("scheme", ["eip1271", "eip1271-typed"])
def test_a_contract_wallet_belongs_on_its_own_chain_while_it_says_so(world: World, scheme: str) -> None:
    with world.desk() as desk:
        with pytest.raises(NotSigned):
            desk.link("desk", world.signed(STRANGER, scheme), who="tester")
        done = desk.link("desk", world.signed(OWNER, scheme), who="tester")
        health = desk.health("desk", None)

        assert health["members"] == [world.member]
        assert health["membership"].keys() == {world.member}
        assert kind(health, world.member) == "attested"
        assert health["membership"][world.member]["evidence"] == done["evidence"]
        held = [each for venue in health["venues"] for unit in venue["units"] for each in unit["positions"]]
        assert [each["amount_raw"] for each in held] == [str(10**18)]
        assert evaluate(from_json(desk.inputs(health["input_digest"]))).model_dump(mode="json") == health
        rows = desk.sql("SELECT account_id, scheme, contract_agrees FROM public.fct_membership")["rows"]
        assert rows == [["desk", scheme, True]]

    world.ledger.do(invoke(keys.address(3, "payer"), world.wallet, "replace(address)", STRANGER.address))
    world.later(7)
    with world.desk() as desk:
        assert kind(desk.health("desk", None), world.member) == "attested"
        desk.check_due_memberships()
        ended = desk.health("desk", None)

        assert kind(ended, world.member) == "ended"
        assert ended["members"] == []
        assert ended["status"] == "unknown"
        shown = desk.account("desk")
        assert [(check["valid"], check["outcome"]) for check in shown["evidence"][0]["checks"]] == [
            (True, "returned"),
            (False, "returned"),
        ]


def test_a_revert_ends_it_too_and_a_node_that_is_away_only_makes_it_doubtful(world: World) -> None:
    with world.desk() as desk:
        desk.link("desk", world.signed(OWNER, "eip1271"), who="tester")
    world.later(14)
    url = load(world.folder / "crossmargin.toml", {}).chains[0].spec.rpc[0]
    world.configure("http://127.0.0.1:1")
    with world.desk() as desk:
        with pytest.raises(ChainError):
            desk.check_due_memberships()
        doubtful = desk.health("desk", None)
        assert (kind(doubtful, world.member), doubtful["status"]) == ("unchecked", "unknown")
        assert "membership_unchecked" in {reason["code"] for reason in doubtful["reasons"]}

    world.configure(url)
    with world.desk() as desk:
        desk.check_due_memberships()
        assert kind(desk.health("desk", None), world.member) == "attested"

    world.ledger.do(invoke(keys.address(3, "payer"), world.wallet, "fallSilent()"))
    world.later(7)
    with world.desk() as desk:
        desk.check_due_memberships()
        assert kind(desk.health("desk", None), world.member) == "ended"
        assert desk.account("desk")["evidence"][0]["checks"][-1]["outcome"] == "reverted"


def test_a_snapshot_asks_the_contract_at_its_own_block(world: World) -> None:
    with world.desk() as desk:
        desk.link("desk", world.signed(OWNER, "eip1271"), who="tester")
    world.ledger.do(invoke(keys.address(3, "payer"), world.wallet, "replace(address)", STRANGER.address))
    world.later(1)
    with world.desk() as desk:
        assert kind(desk.health("desk", None), world.member) == "attested"
        made = desk.create_snapshot(None)
        again = desk.create_snapshot(None)

        assert made["manifest_hash"] == again["manifest_hash"]
        manifest = json.loads((Path(made["path"]) / "manifest.json").read_text())
        assert manifest["membership"]["desk"][world.member]["kind"] == "ended"
        (evidence,) = desk.account("desk")["evidence"]
        assert [check["valid"] for check in evidence["checks"]] == [True, False]
        assert kind(desk.health("desk", None), world.member) == "ended"


def test_the_command_prints_what_to_sign_and_takes_in_what_a_key_signed(indexed: Indexed) -> None:
    """By personal_sign and, after a revocation by typed data, not by the same file again."""
    folder, wallet = indexed.folder, ("--wallet", OWNER.address)
    path = folder / CONFIGURATION
    path.write_text(f'{path.read_text()}\n[[account]]\nid = "linked"\n')
    text = crossmargin(folder, "account", "link", "linked", *wallet, "--message-only").stdout.removesuffix("\n")
    write(folder / "link.json", text, "eip191", OWNER.sign_message(encode_defunct(text=text)).signature)
    write(folder / "forged.json", text, "eip191", STRANGER.sign_message(encode_defunct(text=text)).signature)

    forged = crossmargin(folder, "account", "link", "linked", *wallet, "--signature", "forged.json")
    other = crossmargin(folder, "account", "link", "stretched", *wallet, "--signature", "link.json")
    done = crossmargin(folder, "account", "link", "linked", *wallet, "--signature", "link.json", "--json")
    shown = json.loads(crossmargin(folder, "account", "show", "linked", "--json").stdout)

    assert (forged.returncode, other.returncode) == (4, 2)
    assert done.returncode == 0, done.stderr
    assert set(shown["members"]) == {f"{chain}:{OWNER.address}" for chain in (CHAIN, OTHER_CHAIN)}
    assert {view["kind"] for view in shown["membership"].values()} == {"attested"}
    assert [each["scheme"] for each in shown["evidence"]] == ["eip191"]

    asked = json.loads(crossmargin(folder, "account", "revoke", "linked", *wallet, "--message-only", "--json").stdout)
    proof = OWNER.sign_message(encode_typed_data(full_message=asked["typed_data"])).signature
    write(folder / "revoke.json", asked["message"], "eip712", proof)
    revoked = crossmargin(folder, "account", "revoke", "linked", *wallet, "--signature", "revoke.json")
    replayed = crossmargin(folder, "account", "link", "linked", *wallet, "--signature", "link.json")
    listed = json.loads(crossmargin(folder, "account", "list", "--json").stdout)["accounts"]

    assert (revoked.returncode, replayed.returncode) == (0, 4), (revoked.stderr, replayed.stderr)
    (linked,) = [each for each in listed if each["account"] == "linked"]
    assert linked["members"] == []
    assert {view["kind"] for view in linked["membership"].values()} == {"revoked"}
    declared = [view for each in listed if each["account"] == "stretched" for view in each["membership"].values()]
    assert {view["kind"] for view in declared} == {"declared"}


def write(path: Path, text: str, scheme: str, signature: bytes) -> None:
    path.write_text(json.dumps({"message": text, "scheme": scheme, "signature": f"0x{bytes(signature).hex()}"}))
