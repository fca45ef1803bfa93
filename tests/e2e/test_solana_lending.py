"""Lending markets on Solana, from the configuration to the health document: accounts of a recorded run, served by a node."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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


def compared(venue: VenueSpec, samples: Sequence[Sample], tmp_path: Path) -> int:
    """Index samples with the installed command, and compare each unit of each owner's document; return how many had numbers."""
    slot, time, _ = samples[0]
    first, began = slot - slot % BEFORE - BEFORE, time - (slot % BEFORE + BEFORE) * 2 // 5
    ledger, expected = Ledger(genesis_hash=genesis_hash(9), first_slot=first, genesis_time=began), Expected(venue)
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


def health(folder: Path, account: str) -> Mapping[str, Any]:
    said: dict[str, Any] = json.loads(crossmargin(folder, "health", account, "--json").stdout)
    return said


def units(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [unit for venue in document["venues"] for unit in venue["units"]]
