"""Lending markets on Solana, from the configuration to the health document: accounts of a recorded run, served by a node."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from chains.identifiers import base58, from_base58
from chains.model import Block, VenueSpec
from tests.contract.test_solana_lending_live import (
    BEFORE,
    CASES,
    Expected,
    Sample,
    account_bytes,
    configured,
    put,
    samples_of,
)
from tests.devnet.solana.keys import genesis_hash
from tests.devnet.solana.ledger import Ledger
from tests.devnet.solana.server import Server
from tests.support.product import crossmargin
from tests.support.programs import deploy

SAMPLES = 12


def configuration(venue: VenueSpec, chain_id: str, first: int, url: str) -> str:
    options = "\n".join(f"{name} = {json.dumps(value)}" for name, value in venue.options.items())
    return f"""
[[chain]]
id = "{chain_id}"
rpc = ["{url}"]
finality = "confirmed"
start_block = {first}

[[venue]]
id = "lending"
protocol = "{venue.protocol}"
chain = "{chain_id}"
address = "{base58(venue.address)}"
start_block = {first}
{options}
"""


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_every_borrower_has_the_program_s_own_numbers(folder: Path, tmp_path: Path) -> None:
    assert compared(configured(folder), samples_of(folder)[:SAMPLES], tmp_path) > 3
    assert_weighed(tmp_path)


def compared(venue: VenueSpec, samples: Sequence[Sample], tmp_path: Path) -> int:
    """Index samples with the installed command, and compare each unit of each owner's document; return how many had numbers."""
    slot, time, _ = samples[0]
    first, began = slot - slot % BEFORE - BEFORE, time - (slot % BEFORE + BEFORE) * 2 // 5
    ledger, expected = Ledger(genesis_hash=genesis_hash(9), first_slot=first, genesis_time=began), Expected(venue)
    deploy(ledger, expected.fold.sets[0].program, first - 1)
    ledger.mine()
    for slot, _, changed in samples:
        ledger.skip(slot - ledger.tip.slot - 1 if ledger.blocks else slot - first)
        put(ledger, changed)
        ledger.mine()
        expected.take([(from_base58(name), account_bytes(slot, said)) for name, said in sorted(changed.items())])
    ledger.mine()
    chain_id = f"solana:{str(ledger.genesis_hash)[:32]}"
    with Server(ledger) as node:
        (tmp_path / "crossmargin.toml").write_text(configuration(venue, chain_id, first, node.url))
        indexed = crossmargin(tmp_path, "index", "--until", "latest")
    assert indexed.returncode == 0, indexed.stderr
    at = Block(number=slot, hash=b"", parent_hash=b"", time=ledger.time_of(slot))

    numbers = 0
    for unit in expected.units(at):
        said = health(tmp_path, f"{chain_id}:{base58(unit.owner)}")
        (ours,) = (each for each in units(said) if each["unit_id"] == base58(unit.unit_id))
        assert ours["native"] == (None if unit.native is None else {k: str(v) for k, v in unit.native.items()})
        assert ours["liquidatable"] == unit.liquidatable
        numbers += unit.native is not None
    return numbers


def assert_weighed(folder: Path) -> None:
    """A snapshot's totals are sums, and with one amount too much in the store they are not."""
    tampered = folder / "tampered"
    tampered.mkdir()
    shutil.copytree(folder / "data", tampered / "data")
    shutil.copy(folder / "crossmargin.toml", tampered)
    with duckdb.connect(str(tampered / "data" / "crossmargin.duckdb")) as con:
        for table in ("position_change", "position_current"):
            con.execute(f"UPDATE {table} SET amount_raw = amount_raw * 2 WHERE side = 'borrow'")  # noqa: S608 - one of two names

    totals, accounts = snapshot(folder)
    wrong, doubted = snapshot(tampered)

    assert {total["told_by"] for total in totals} == {"journals"}
    assert {total["outcome"] for total in totals} <= {"equal", "within"}
    assert all(total["reason"] for total in totals if total["outcome"] == "within")
    assert {total["outcome"] for total in wrong} & {"different", "unknown"}
    if "different" in {total["outcome"] for total in wrong}:
        assert {account["status"] for account in doubted} == {"unknown"}
        assert all("total_differs" in account["reasons"] for account in doubted)
    assert not any("total_differs" in account["reasons"] for account in accounts)


def snapshot(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    done = crossmargin(folder, "--json", "snapshot", "create")
    assert done.returncode == 0, done.stderr
    made = Path(json.loads(done.stdout)["path"])
    totals, accounts = (pq.read_table(made / f"{name}.parquet").to_pylist() for name in ("totals", "accounts"))
    return totals, accounts


def test_after_an_upgrade_nobody_s_debt_at_the_venue_is_known_until_its_slot_is_configured(tmp_path: Path) -> None:
    (folder,) = (each for each in CASES if each.parent.name == "klend")
    samples, venue = samples_of(folder)[:SAMPLES], configured(folder)
    slot, time, _ = samples[0]
    first, began = slot - slot % BEFORE - BEFORE, time - (slot % BEFORE + BEFORE) * 2 // 5
    ledger = Ledger(genesis_hash=genesis_hash(9), first_slot=first, genesis_time=began)
    chain_id = f"solana:{str(ledger.genesis_hash)[:32]}"
    program = Expected(venue).fold.sets[0].program
    for _, _, changed in samples:
        put(ledger, changed)
    stranger = f"{chain_id}:{base58(bytes([0x5A]) * 32)}"

    def reasons(**more: Any) -> tuple[str, set[str]]:
        asked = replace(venue, options={**venue.options, **more})
        (tmp_path / "crossmargin.toml").write_text(configuration(asked, chain_id, first, node.url))
        said = health(tmp_path, stranger)
        return said["status"], {reason["code"] for reason in said["reasons"]}

    told: list[tuple[str, set[str]]] = []
    deployed = 0
    with Server(ledger) as node:
        (tmp_path / "crossmargin.toml").write_text(configuration(venue, chain_id, first, node.url))
        for deployed in (first - 1, ledger.open_slot + 1):
            deploy(ledger, program, deployed)
            ledger.mine()
            ledger.idle(1)
            indexed = crossmargin(tmp_path, "index", "--until", "latest")
            assert indexed.returncode == 0, indexed.stderr
            told.append(reasons())
        told.append(reasons(program_slots=[first - 1, deployed]))
    before, after, stated = told
    assert before == stated == ("no_debt", set())
    assert (after[0], after[1]) == ("unknown", {"program_upgraded"})


def health(folder: Path, account: str) -> Mapping[str, Any]:
    said: dict[str, Any] = json.loads(crossmargin(folder, "health", account, "--json").stdout)
    return said


def units(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [unit for venue in document["venues"] for unit in venue["units"]]
