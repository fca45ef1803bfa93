"""What was answered at a moment stays known, beside what is known of the same blocks later, and why both differ."""

from __future__ import annotations

import json

import pytest
from eth_account import Account as Wallets
from eth_account.messages import encode_defunct
from eth_utils.address import to_checksum_address

from aggregator.membership.message import Action
from crossmargin.app import opened, policy_of
from crossmargin.documents import moment
from crossmargin.errors import NotStored
from crossmargin.local_desk import LocalDesk
from crossmargin.recalled import recalled, recalled_positions
from crossmargin.settings import Settings, load
from crossmargin.wallets import new_message, wallet_of
from indexer.store import Answer
from tests.devnet.evm import keys
from tests.e2e.conftest import Indexed
from tests.e2e.test_snapshots import Clock
from tests.support.recorded import CONFIGURATION, crossmargin

NOON = 1_737_115_200
SIGNER = Wallets.from_key(keys.private_key(3, "signer"))


def _signed(settings: Settings, wallet: str, action: Action, now: int) -> str:
    """What the signer says of a wallet of his."""
    told = new_message("linked", wallet_of(settings, "linked", wallet), action, now=now, lasts_s=30 * 86_400)
    proof = bytes(SIGNER.sign_message(encode_defunct(text=told["message"])).signature)
    return json.dumps({"message": told["message"], "scheme": "eip191", "signature": f"0x{proof.hex()}"})


def test_what_was_answered_is_given_back_as_it_was_sent(indexed: Indexed) -> None:
    settings = load(indexed.folder / CONFIGURATION, {})
    clock = Clock(NOON)
    with opened(settings) as store:
        desk = LocalDesk(settings, store, policy_of(settings), clock=clock)
        sent = desk.health("stretched", None)
        desk.health("stretched", f"@{NOON - 86_400 * 3}")
        clock.now += 60
        desk.health("stretched", None)

        found = recalled(desk, "stretched", moment(NOON + 30))
        with pytest.raises(NotStored, match="no answer about stretched up to"):
            recalled(desk, "stretched", moment(NOON - 1))
        kept = store.query("SELECT count(*) FROM public.fct_health_answer", timeout_s=9, max_rows=1).rows

    assert kept == [(1,)]
    assert found["served_at"] == moment(NOON)
    assert found["document"] == json.loads(json.dumps(sent))
    assert (found["differing"], found["causes"]) == ([], [])


def test_what_is_priced_from_chains_without_a_member_is_asked_again_of_the_same_blocks(indexed: Indexed) -> None:
    """Feeds of one identity price it wherever they are, so that an answer is as of more chains than its account has members on."""
    settings = load(indexed.folder / CONFIGURATION, {})
    with opened(settings) as store:
        desk = LocalDesk(settings, store, policy_of(settings), clock=Clock(NOON))
        member = next(
            member for account in settings.accounts if account.id == "stretched" for member in account.members
        )
        sent = desk.health(member, None)

        found = recalled(desk, member, moment(NOON))

    assert len(sent["as_of"]) > len(sent["members"]) == 1
    assert found["now"] == found["then"]
    assert (found["differing"], found["causes"]) == ([], [])


def test_a_member_who_was_revoked_before_keeps_no_answer_of_after_from_being_asked_again(indexed: Indexed) -> None:
    """He was on a chain that the answer does not name, since nobody was there any more."""
    written = indexed.folder / CONFIGURATION
    own, other = "eip155:31337", "eip155:31338"
    account = f'\n[[account]]\nid = "linked"\nmembers = ["{own}:{to_checksum_address(bytes(20))}"]\n'
    written.write_text(written.read_text(encoding="utf-8") + account, encoding="utf-8")
    settings, clock = load(written, {}), Clock(NOON)
    with opened(settings) as store:
        desk = LocalDesk(settings, store, policy_of(settings), clock=clock)
        for action in (Action.LINK, Action.REVOKE):
            signed = _signed(settings, f"{other}:{SIGNER.address}", action, clock.now)
            desk.link("linked", signed, who="tester")
            clock.now += 60
        sent = desk.health("linked", None)

        found = recalled(desk, "linked", moment(NOON + 600))

    assert list(sent["as_of"]) == [own]
    assert found["now"] == found["then"]
    assert (found["differing"], found["causes"]) == ([], [])


def test_causes_of_a_difference_are_named(indexed: Indexed) -> None:
    settings = load(indexed.folder / CONFIGURATION, {})
    with opened(settings) as store:
        desk = LocalDesk(settings, store, policy_of(settings), clock=Clock(NOON))
        sent = json.loads(json.dumps(desk.health("stretched", None)))
        chain = next(iter(sent["as_of"]))
        as_of = sent["as_of"] | {chain: sent["as_of"][chain] | {"hash": "0x" + "ee" * 32}}
        other = sent | {"health_factor": "9.9", "as_of": as_of, "methodology_version": "0", "input_digest": "sha256:0"}
        sent_before = Answer(account_id="stretched", served_at=NOON + 60, digest="sha256:0", document=json.dumps(other))
        store.save_sent({}, [sent_before])

        found = recalled(desk, "stretched", moment(NOON + 60))

    assert found["differing"] == ["health_factor"]
    assert found["now"]["health_factor"] == sent["health_factor"]
    assert [(each["code"], each["subject"]) for each in found["causes"]] == [("reorg", chain), ("new_method", None)]


def test_the_command_tells_what_was_known(indexed: Indexed) -> None:
    now = json.loads(crossmargin(indexed.folder, "health", "stretched", "--json").stdout)

    told = crossmargin(indexed.folder, "health", "stretched", "--known-at", "2999-01-01T00:00:00Z", "--json")
    before = crossmargin(indexed.folder, "health", "stretched", "--known-at", "2020-01-01T00:00:00Z", "--json")
    both = crossmargin(indexed.folder, "health", "stretched", "--known-at", "2020-01-01T00:00:00Z", "--at", "5")

    assert json.loads(told.stdout)["document"] == now
    assert (before.returncode, both.returncode) == (1, 2)
    assert "no answer about stretched" in json.loads(before.stderr)["error"]["message"]


def test_a_position_that_is_known_otherwise_now_is_named_with_its_cause(indexed: Indexed) -> None:
    settings = load(indexed.folder / CONFIGURATION, {})
    with opened(settings) as store:
        desk = LocalDesk(settings, store, policy_of(settings), clock=Clock(NOON))
        sent = json.loads(json.dumps(desk.health("stretched", None)))
        same = recalled_positions(desk, "stretched", moment(NOON))
        chain = next(iter(sent["as_of"]))
        other = json.loads(json.dumps(sent)) | {"input_digest": "sha256:0"}
        unit = other["venues"][0]["units"][0]
        gone = unit["positions"].pop()
        unit["positions"][0]["amount_raw"] = "7"
        other["as_of"][chain]["hash"] = "0x" + "ee" * 32
        sent_before = Answer(account_id="stretched", served_at=NOON + 60, digest="sha256:0", document=json.dumps(other))
        store.save_sent({}, [sent_before])
        found = recalled_positions(desk, "stretched", moment(NOON + 60))

    assert (same["differing"], same["causes"], same["then"]) == ([], [], same["now"])
    assert same["document"] == {key: sent[key] for key in same["document"]}
    assert len(found["differing"]) == 2
    place = f"{other['venues'][0]['venue']} {unit['unit_id']} {gone['side']} {gone['asset']}"
    assert (found["then"].get(place), found["now"][place]) == (None, gone["amount_raw"])
    assert [(each["code"], each["subject"]) for each in found["causes"]] == [("reorg", chain)]


def test_the_command_tells_what_was_known_of_positions(indexed: Indexed) -> None:
    crossmargin(indexed.folder, "health", "stretched", "--json")
    told = crossmargin(indexed.folder, "positions", "stretched", "--known-at", "2999-01-01T00:00:00Z", "--json")
    shown = crossmargin(indexed.folder, "positions", "stretched", "--known-at", "2999-01-01T00:00:00Z")
    now = crossmargin(indexed.folder, "positions", "stretched", "--json")

    assert json.loads(told.stdout)["document"] == json.loads(now.stdout)
    assert "the same is known of these blocks now" in shown.stdout
    both = crossmargin(indexed.folder, "positions", "stretched", "--known-at", "2020-01-01T00:00:00Z", "--at", "5")
    assert both.returncode == 2
