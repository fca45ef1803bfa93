"""Snapshots with state proofs of real contracts: they verify, alone too, and every change to them is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from aggregator.audit import state_verifier, states
from chains.evm.proofs.faults import BadProof
from chains.evm.proofs.trie import value_at
from chains.proving import sample_order
from tests.devnet.evm.chain import build
from tests.support.lines import line
from tests.support.product import chain_tables, crossmargin

Row = dict[str, Any]


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a market in a store, whose node answers."""
    folder = tmp_path_factory.mktemp("proven")
    with build(seed=6, actions=60, users=8, slots_in_an_epoch=4) as net:
        nodes = f'rpc = ["{net.url}"]\ncompleteness = "none"'
        tables = chain_tables(net).replace(f'rpc = ["{net.url}"]', nodes).replace('"finalized"', '"latest"')
        (folder / "crossmargin.toml").write_text(tables + "\n[snapshot]\nproofs = 4\n")
        assert crossmargin(folder, "index").returncode == 0
        shutil.copytree(folder / "data", folder / "untouched")
        yield folder


@pytest.fixture(scope="module")
def made(indexed: Path) -> Path:
    created = crossmargin(indexed, "snapshot", "create", "--json")
    again = crossmargin(indexed, "snapshot", "create", "--json")
    assert created.returncode == 0, created.stderr
    assert json.loads(again.stdout)["manifest_hash"] == json.loads(created.stdout)["manifest_hash"]
    return Path(json.loads(created.stdout)["path"])


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / made.name))


def rows(folder: Path, table: str = "proofs") -> list[Row]:
    return [json.loads(raw) for raw in (folder / f"{table}.ndjson").read_bytes().splitlines()]


def test_a_snapshot_proves_as_many_units_as_were_asked_for_and_verifies_alone(made: Path, tmp_path: Path) -> None:
    found = crossmargin(tmp_path, "snapshot", "verify", str(made), "--json")
    script = [sys.executable, "-I", "-W", "error", str(made / "verify_state.py"), str(made), "--json"]
    alone = subprocess.run(script, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert found.returncode == 0, found.stderr
    assert any("state proofs" in note for note in json.loads(found.stdout)["notes"])
    assert alone.returncode == 0, alone.stdout
    report = json.loads(alone.stdout)
    assert list(report["outcomes"]) == ["proven"]
    assert [len(contracts) for contracts in report["contracts"].values()] == [1], "but the pool all are named by it"
    assert len({row["unit_id"] for row in rows(made)}) == 4
    assert sorted(row["evidence"] for row in rows(made, "units"))[:5] == ["A", "A", "A", "A", "D"]


def test_amounts_that_storage_disproves_make_everybody_at_the_venue_unknown(indexed: Path, tmp_path: Path) -> None:
    """Two deposits are exchanged, so that every total is still the sum of what is stored."""
    shutil.copytree(indexed / "untouched", tmp_path / "data")
    configuration = (indexed / "crossmargin.toml").read_text().replace("proofs = 4", 'proofs = "all"')
    (tmp_path / "crossmargin.toml").write_text(configuration)
    with duckdb.connect(str(tmp_path / "data" / "crossmargin.duckdb")) as con:
        market, first, second = con.execute(TWO_DEPOSITS).fetchall()[0]
        for table in ("position_change", "position_current"):
            con.execute(EXCHANGE.format(table=table), [first, second, second, first, market, first, second])

    created = crossmargin(tmp_path, "snapshot", "create", "--json")
    assert created.returncode == 0, created.stderr
    folder = Path(json.loads(created.stdout)["path"])
    verified = crossmargin(tmp_path, "snapshot", "verify", str(folder), "--recompute", "--json")

    assert verified.returncode == 0, verified.stderr
    units = {row["unit_id"] for row in rows(folder) if row["outcome"] == "different"}
    assert {unit.lower() for unit in units} == {f"0x{each.hex()}" for each in (first, second)}
    reasons = [{reason["code"] for reason in json.loads(row["reasons"])} for row in rows(folder, "accounts")]
    assert all("proof_differs" in codes and "total_differs" not in codes for codes in reasons)
    assert {row["status"] for row in rows(folder, "accounts")} == {"unknown"}
    assert {row["outcome"] for row in rows(folder, "totals")} == {"equal"}
    assert all(row["evidence"] == "D" for row in rows(folder, "units") if row["unit_id"] in units)
    assert "A" in {row["evidence"] for row in rows(folder, "positions") if row["unit_id"] in units}


TWO_DEPOSITS = """
    SELECT a.market, a.unit_id, b.unit_id FROM position_current AS a
    INNER JOIN position_current AS b ON a.market = b.market AND a.side = b.side AND a.unit_id < b.unit_id
    WHERE a.side = 'supply' AND a.amount_raw > 0 AND b.amount_raw > 0 AND a.amount_raw <> b.amount_raw
    ORDER BY ALL LIMIT 1
"""
EXCHANGE = """
    UPDATE {table} SET amount_raw = (
        SELECT max_by(o.amount_raw, (o.block_number, o.ordinal)) FROM {table} AS o
        WHERE o.market = {table}.market AND o.side = 'supply'
            AND o.unit_id = CASE {table}.unit_id WHEN ? THEN CAST(? AS BLOB) WHEN ? THEN CAST(? AS BLOB) END
    ) WHERE side = 'supply' AND market = ? AND unit_id IN (?, ?)
"""


def edited(name: str, change: Callable[[Any], None]) -> Callable[[Row], None]:
    """Change the JSON text of a column."""

    def edit(row: Row) -> None:
        value = json.loads(row[name])
        change(value)
        row[name] = json.dumps(value, sort_keys=True, separators=(",", ":"))

    return edit


def flipped(text: str) -> str:
    return text[:-1] + ("0" if text[-1] != "0" else "1")


CHANGES: dict[str, Callable[[Row], None]] = {
    "a number": edited("quantities", lambda found: found[0].update(number="7", stored="7")),
    "a slot": edited("quantities", lambda found: found[0].update(base=found[0]["base"] + 1)),
    "a shift": edited("quantities", lambda found: found[0].update(shift=8)),
    "another's key": edited("quantities", lambda found: found[0].update(keys=["0x" + "11" * 32])),
    "a node of the account": edited("account_proof", lambda nodes: nodes.append(flipped(nodes.pop()))),
    "a node too few": edited("account_proof", list.pop),
    "a node too many": edited("account_proof", lambda nodes: nodes.append(nodes[-1])),
    "a node of a slot": edited(
        "storage_proofs", lambda found: found[0]["nodes"].append(flipped(found[0]["nodes"].pop()))
    ),
    "a slot's nodes": edited("storage_proofs", lambda found: found[0].update(nodes=[])),
    "the header": lambda row: row.update(header=flipped(row["header"])),
    "the outcome": lambda row: row.update(outcome="different"),
    "nothing proven": lambda row: row.update(header=None, account_proof=None, storage_proofs=None, quantities=None),
    "the contract": lambda row: row.update(contract="0x" + "22" * 20),
    "the unit": lambda row: row.update(unit_id="0x" + "33" * 20),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_proof_is_refused_wherever_it_is(change: str, folder: Path) -> None:
    for number in range(len(rows(folder))):
        found = rows(folder)
        CHANGES[change](found[number])
        original = (folder / "proofs.ndjson").read_bytes()
        (folder / "proofs.ndjson").write_bytes(b"".join(map(line, found)))

        faults = list(states.faults(folder))

        (folder / "proofs.ndjson").write_bytes(original)
        assert faults, (change, number)
        assert any(found[number]["unit_id"] in fault for fault in faults), faults


def test_changed_positions_and_grades_are_refused(folder: Path) -> None:
    proven = {row["unit_id"] for row in rows(folder)}
    for table, change in (
        ("positions", {"protocol_raw": "7"}),
        ("units", {"evidence": "D"}),
    ):
        original, found = (folder / f"{table}.ndjson").read_bytes(), rows(folder, table)
        next(row for row in found if row["unit_id"] in proven).update(change)
        (folder / f"{table}.ndjson").write_bytes(b"".join(map(line, found)))
        faults = list(state_verifier.faults(folder))
        (folder / f"{table}.ndjson").write_bytes(original)
        assert faults, table


def test_units_that_the_block_did_not_choose_are_refused(folder: Path) -> None:
    cut = json.loads((folder / "manifest.json").read_text())["cut"]
    (chain,) = {row["chain_id"] for row in rows(folder)}
    order = sample_order(cut[chain]["hash"], rows(folder)[0]["venue_id"])
    first = min((row["unit_id"] for row in rows(folder)), key=order)
    (folder / "proofs.ndjson").write_bytes(b"".join(line(row) for row in rows(folder) if row["unit_id"] != first))

    assert any("other units were proven" in fault for fault in states.faults(folder))


def test_both_followers_of_tries_agree_on_every_changed_byte(made: Path) -> None:
    row = rows(made)[0]
    header, nodes = bytes.fromhex(row["header"][2:]), [bytes.fromhex(n[2:]) for n in json.loads(row["account_proof"])]
    root, key = state_verifier.decoded(header)[3], bytes.fromhex(row["contract"][2:])
    assert value_at(root, key, nodes) == state_verifier.value_at(root, key, nodes) is not None
    for number, node in enumerate(nodes):
        for place in range(0, len(node), 7):
            changed = [*nodes]
            changed[number] = node[:place] + bytes([node[place] ^ 1]) + node[place + 1 :]
            with pytest.raises(BadProof):
                value_at(root, key, changed)
            with pytest.raises(state_verifier.Fault):
                state_verifier.value_at(root, key, changed)
