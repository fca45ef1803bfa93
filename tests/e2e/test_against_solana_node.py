"""Units of Solana beside a verifier's own node, which knows accounts only as they are now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from aggregator.audit.inputs import read
from aggregator.audit.manifest import Link
from aggregator.audit.signing import Signer
from aggregator.audit.snapshot import write_snapshot
from aggregator.book import judged
from chains.identifiers import base58
from crossmargin.rereading import SAMPLE
from tests.contract.test_solana_lending_live import BEFORE, GOLDEN, Expected, configured, put, samples_of
from tests.devnet.solana.keys import genesis_hash
from tests.devnet.solana.ledger import Ledger
from tests.devnet.solana.server import Server
from tests.e2e.test_against_node import against, message
from tests.e2e.test_solana_lending import configuration
from tests.support.product import crossmargin
from tests.support.programs import deploy
from tests.unit.aggregator.audit.test_verifier import OPERATOR, history

PAYER = Keypair.from_seed(bytes(range(32)))


@dataclass(frozen=True, slots=True)
class Cluster:
    """A node, and a snapshot of what it has."""

    ledger: Ledger
    url: str
    snapshot: Path


@pytest.fixture(scope="module", params=["klend", "marginfi", "solend"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    (folder,) = sorted((GOLDEN / request.param).glob("case-*"))
    venue, (slot, time, accounts) = configured(folder), samples_of(folder)[0]
    first, began = slot - slot % BEFORE - BEFORE, time - (slot % BEFORE + BEFORE) * 2 // 5
    ledger = Ledger(genesis_hash=genesis_hash(9), first_slot=first, genesis_time=began)
    ledger.set_account(PAYER.pubkey(), owner=SYSTEM, lamports=10**12)
    deploy(ledger, Expected(venue).fold.sets[0].program, first - 1)
    ledger.mine()
    ledger.skip(slot - ledger.tip.slot - 1)
    put(ledger, accounts)
    ledger.mine()
    ledger.finalize()
    place = tmp_path_factory.mktemp(request.param)
    chain_id = f"solana:{str(ledger.genesis_hash)[:32]}"
    with Server(ledger) as node:
        text = configuration(replace(venue), chain_id, first, node.url).replace("confirmed", "finalized")
        (place / "crossmargin.toml").write_text(text)
        assert crossmargin(place, "index", "--until", "latest").returncode == 0
        done = crossmargin(place, "snapshot", "create", "--json")
        assert done.returncode == 0, done.stderr
        yield Cluster(ledger, node.url, Path(json.loads(done.stdout)["path"]))


def named(ledger: Ledger, account: Pubkey) -> VersionedTransaction:
    """A transaction that names an account."""
    pay = transfer(TransferParams(from_pubkey=PAYER.pubkey(), to_pubkey=account, lamports=1))
    return VersionedTransaction(MessageV0.try_compile(PAYER.pubkey(), [pay], [], ledger.tip.hash), [PAYER])


def test_accounts_that_nothing_changed_since_must_be_those_of_the_snapshot(cluster: Cluster, tmp_path: Path) -> None:
    ledger, url, made = cluster.ledger, cluster.url, cluster.snapshot
    ledger.mine()
    ledger.finalize()
    equal = against(url, made)
    assert equal.returncode == 0, equal.stderr
    units = read(made).inputs.venues[0].units
    sample = min(SAMPLE, len(units))
    (told,) = (note for note in json.loads(equal.stdout)["notes"] if note.startswith("lending: "))
    assert told.startswith(f"lending: {sample} of {len(units)} units at block ")
    assert told.endswith(f": {sample} equal")
    assert sample > 2
    holding = next(unit for unit in units if any(unit.positions.values()))

    (venue,) = read(made).inputs.venues
    forged = [replace(u, positions={k: raw + 1 for k, raw in u.positions.items() if raw}) for u in units]
    inputs = replace(read(made).inputs, venues=(replace(venue, units=tuple(forged)),))
    signer = Signer(OPERATOR, history())
    wrong, _ = write_snapshot(tmp_path, judged(inputs), slot_time=1_700_000_000, link=Link(), signer=signer)
    found = against(url, wrong)
    assert found.returncode == 4, found.stdout
    assert "holds other amounts at slot" in message(found)

    address = Pubkey.from_bytes(holding.unit_id)
    image = ledger.read(address)
    assert image is not None
    ledger.set_account(address, owner=image.owner, data=image.data[:-1] + bytes([image.data[-1] ^ 1]))
    ledger.mine()
    ledger.finalize()
    changed = against(url, made)
    assert changed.returncode == 4, changed.stdout
    assert f"lending/{base58(holding.unit_id)}: its account" in message(changed)

    ledger.mine(named(ledger, address))
    ledger.finalize()
    since = against(url, made)
    assert since.returncode == 0, since.stderr
    assert any("changed since" in note for note in json.loads(since.stdout)["notes"])
