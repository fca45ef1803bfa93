"""A snapshot of Solana says how old its accounts are, and what every configured node says of some of them at one slot."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM

from aggregator.audit.account_verifier import checked
from chains.identifiers import base58, from_base58
from tests.contract.test_solana_lending_live import BEFORE, GOLDEN, Expected, configured, put, samples_of
from tests.devnet.solana.faults import Answer
from tests.devnet.solana.keys import genesis_hash
from tests.devnet.solana.ledger import Ledger
from tests.devnet.solana.server import Server
from tests.e2e.test_solana_lending import configuration
from tests.support.product import crossmargin
from tests.support.programs import deploy

READS = "getMultipleAccounts"
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Two nodes of one chain, a store of what the first one has, and the slots of two looks at it."""

    ledger: Ledger
    first: Server
    second: Server
    folder: Path
    looks: tuple[int, int]


def confirmed(ledger: Ledger) -> int:
    """The newest slot that nodes answer as of: the one below the tip."""
    return ledger.blocks[-2].slot


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    (case,) = sorted((GOLDEN / "solend").glob("case-*"))
    venue, (slot, time, accounts) = configured(case), samples_of(case)[0]
    first, began = slot - slot % BEFORE - BEFORE, time - (slot % BEFORE + BEFORE) * 2 // 5
    ledger = Ledger(genesis_hash=genesis_hash(11), first_slot=first, genesis_time=began)
    ledger.set_account(Keypair.from_seed(bytes(range(32))).pubkey(), owner=SYSTEM, lamports=10**12)
    deploy(ledger, Expected(venue).fold.sets[0].program, first - 1)
    ledger.mine()
    ledger.skip(slot - ledger.tip.slot - 1)
    put(ledger, accounts)
    ledger.mine()
    ledger.mine()
    folder = tmp_path_factory.mktemp("agreeing")
    chain_id = f"solana:{str(ledger.genesis_hash)[:32]}"
    with Server(ledger) as one, Server(ledger) as other:
        text = configuration(venue, chain_id, first, one.url)
        (folder / "crossmargin.toml").write_text(text.replace(f'["{one.url}"]', f'["{one.url}", "{other.url}"]'))
        looks = []
        for _ in range(2):
            looks.append(confirmed(ledger))
            assert crossmargin(folder, "index", "--until", "latest").returncode == 0
            for _ in range(3):
                ledger.mine()
        yield Cluster(ledger, one, other, folder, (looks[0], looks[1]))


@pytest.fixture
def copied(cluster: Cluster, tmp_path: Path) -> Path:
    """The store as it was indexed, of which no snapshot was made."""
    return Path(shutil.copytree(cluster.folder, tmp_path / "copied"))


def made(folder: Path, *more: str) -> Path:
    done = crossmargin(folder, "snapshot", "create", *more, "--json")
    assert done.returncode == 0, done.stderr
    return Path(json.loads(done.stdout)["path"])


def rows(snapshot: Path, table: str) -> Rows:
    return [json.loads(line) for line in (snapshot / f"{table}.ndjson").read_bytes().splitlines()]


def verified(folder: Path, snapshot: Path) -> Any:
    done = crossmargin(folder, "snapshot", "verify", str(snapshot), "--recompute", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_accounts_that_nodes_agree_on_at_one_slot_are_kept_with_their_bytes(cluster: Cluster, copied: Path) -> None:
    snapshot = made(copied)
    agreements, kept = rows(snapshot, "agreements"), {row["unit_id"]: row for row in rows(snapshot, "account_bytes")}
    (look,) = rows(snapshot, "looks")

    assert len(agreements) == len(kept) > 3
    assert {row["outcome"] for row in agreements} == {"agreed"}
    assert {row["slot"] for row in agreements} == {confirmed(cluster.ledger)}
    for row in agreements:
        image = cluster.ledger.read(Pubkey.from_bytes(from_base58(row["unit_id"])))
        assert image is not None
        answers = json.loads(row["answers"])
        assert b64decode(row["data"]) == image.data
        assert [each["node"] for each in answers] == [1, 2]
        assert {each["sha256"] for each in answers} == {hashlib.sha256(image.data).hexdigest()}
    assert (look["slot"], look["observed_slot"], look["skew_slots"], look["skew_s"]) == (*[cluster.looks[1]] * 2, 0, 0)
    named = {row["unit_id"] for row in agreements}
    assert {row["evidence"] for row in rows(snapshot, "units") if row["unit_id"] in named} == {"C"}
    assert any(f"{len(agreements)} agreed" in note for note in verified(copied, snapshot)["notes"])

    alone = [sys.executable, "-I", str(snapshot / "verify_accounts.py"), str(snapshot), "--json"]
    done = subprocess.run(alone, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["faults"]) == (0, [])


def test_the_same_snapshot_is_made_again_of_what_nodes_said_then(cluster: Cluster, copied: Path) -> None:
    first = made(copied)
    before = {path.name: path.read_bytes() for path in first.iterdir()}
    shutil.rmtree(first)
    asked = cluster.second.requests.count(READS)
    again = made(copied)

    assert {path.name: path.read_bytes() for path in again.iterdir()} == before
    assert cluster.second.requests.count(READS) == asked


def test_a_set_of_before_the_cut_says_how_old_it_is(cluster: Cluster, copied: Path) -> None:
    between = cluster.looks[0] + 2
    snapshot = made(copied, "--at", str(between))
    (look,) = rows(snapshot, "looks")
    units = rows(snapshot, "units")

    assert (look["slot"], look["look_slot"], look["observed_slot"]) == (between, cluster.looks[0], cluster.looks[0])
    assert look["skew_slots"] == 2
    assert 0 < look["skew_s"] <= 2
    assert {(unit["observed_slot"], unit["skew_slots"]) for unit in units} == {(cluster.looks[0], 2)}
    notes = verified(copied, snapshot)["notes"]
    assert any(f"its accounts are as of slot {cluster.looks[0]}, 2 slots" in note for note in notes)
    assert any("whether nodes agree on it, is not in the snapshot" in note for note in notes)
    assert "2 slots before the cut" in (snapshot / "report.html").read_text()


def lie(cluster: Cluster, names: list[str], chosen: str) -> Answer:
    """Make up what a node says of accounts, one of them with another byte."""
    values = []
    for name in names:
        image = cluster.ledger.read(Pubkey.from_string(name))
        assert image is not None
        data = image.data[:-1] + bytes([image.data[-1] ^ 1]) if name == chosen else image.data
        said = {"lamports": image.lamports, "owner": str(image.owner), "data": [b64encode(data).decode(), "base64"]}
        values.append(said | {"executable": False, "rentEpoch": 0})
    return Answer(result={"context": {"slot": confirmed(cluster.ledger)}, "value": values})


def test_nodes_that_contradict_each_other_make_a_unit_unknown(cluster: Cluster, copied: Path, tmp_path: Path) -> None:
    honest = made(Path(shutil.copytree(copied, tmp_path / "honest")))
    addresses = sorted(from_base58(row["unit_id"]) for row in rows(honest, "agreements"))
    names = [base58(address) for address in addresses]
    owners = {row["unit_id"]: row["owner"] for row in rows(honest, "units")}
    held = {row["account"].rpartition(":")[2] for row in rows(honest, "accounts") if row["status"] != "unknown"}
    chosen = next(name for name in names if owners[name] in held)
    with cluster.second.faults.inject(lie(cluster, names, chosen), READS, where=lambda params: params[0] == names):
        snapshot = made(copied)
    agreements = {row["unit_id"]: row for row in rows(snapshot, "agreements")}
    units = {row["unit_id"]: row for row in rows(snapshot, "units")}
    wrong = agreements[chosen]

    assert (wrong["outcome"], wrong["data"]) == ("different", None)
    assert {row["outcome"] for name, row in agreements.items() if name != chosen} == {"agreed"}
    assert units[chosen]["evidence"] == "D"
    accounts = {row["account"]: row for row in rows(snapshot, "accounts")}
    (theirs,) = [row for name, row in accounts.items() if name.endswith(owners[chosen])]
    assert theirs["status"] == "unknown"
    assert "nodes_differ" in theirs["reasons"]
    assert "different" in (snapshot / "report.html").read_text()
    assert any("1 different" in note for note in verified(copied, snapshot)["notes"])


def test_without_a_second_answer_nothing_is_agreed(cluster: Cluster, copied: Path) -> None:
    with Server(cluster.ledger, lag=9) as behind:
        file = copied / "crossmargin.toml"
        file.write_text(file.read_text().replace(cluster.second.url, behind.url))
        snapshot = made(copied)
    assert {row["outcome"] for row in rows(snapshot, "agreements")} == {"unanswered"}
    assert {row["evidence"] for row in rows(snapshot, "units")} == {"D"}
    assert verified(copied, snapshot)["faults"] == []


def _answers(row: dict[str, Any], change: Callable[[Rows], object]) -> None:
    answers = json.loads(row["answers"])
    change(answers)
    row["answers"] = json.dumps(answers, sort_keys=True, separators=(",", ":"))


FORGED: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "another hash": ("agreements", lambda row: _answers(row, lambda said: said[1].update(sha256="0" * 64))),
    "another owner": ("agreements", lambda row: _answers(row, lambda said: said[0].update(owner="1" * 32))),
    "another slot": ("agreements", lambda row: _answers(row, lambda said: said[0].update(slot=said[0]["slot"] + 1))),
    "an older slot": ("agreements", lambda row: _answers(row, lambda said: [each.update(slot=1) for each in said])),
    "one node twice": ("agreements", lambda row: _answers(row, lambda said: said[1].update(node=1))),
    "an answer less": ("agreements", lambda row: _answers(row, lambda said: said.pop())),
    "another outcome": ("agreements", lambda row: row.update(outcome="apart")),
    "other bytes": ("agreements", lambda row: row.update(data=b64encode(b"other").decode())),
    "no bytes": ("agreements", lambda row: row.update(data=None)),
    "another unit": ("agreements", lambda row: row.update(unit_id="1" * 32)),
    "stored bytes": ("account_bytes", lambda row: row.update(sha256="0" * 64)),
    "a better grade": ("units", lambda row: row.update(evidence="A")),
    "a worse grade": ("units", lambda row: row.update(evidence="D")),
    "a younger unit": ("units", lambda row: row.update(observed_slot=row["observed_slot"] + 1)),
    "a younger venue": ("looks", lambda row: row.update(observed_slot=row["observed_slot"] - 1)),
    "a later look": ("looks", lambda row: row.update(look_slot=row["look_slot"] + 1)),
    "an older cut": ("looks", lambda row: row.update(slot=row["slot"] - 1)),
}


def test_every_change_to_what_nodes_said_is_found(copied: Path, tmp_path: Path) -> None:
    snapshot = made(copied)
    chosen = rows(snapshot, "agreements")[0]["unit_id"]
    assert checked(snapshot).faults == []
    for name, (table, change) in FORGED.items():
        forged = tmp_path / "forged"
        shutil.copytree(snapshot, forged)
        found = rows(snapshot, table)
        change(next(row for row in found if row.get("unit_id") in {None, chosen}))
        lines = (json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n" for row in found)
        (forged / f"{table}.ndjson").write_text("".join(lines))
        assert checked(forged).faults, name
        shutil.rmtree(forged)
