"""Snapshots that prove their prices: by receipts of a real chain and by what guardians signed; whatever is changed in them is found."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import time
from typing import Any

import duckdb
import pytest
from eth_utils.address import to_checksum_address

from aggregator.audit import price_verifier
from aggregator.audit.price_verifier import Guardians
from tests.devnet.evm.chain import Devnet, build
from tests.support.hermes import GUARDIANS, KEYS, OTHERS, Price, Served, encoded, hermes, signing
from tests.support.lines import rewrite, rows
from tests.support.product import chain_tables, crossmargin

Row = dict[str, Any]
ETH = bytes.fromhex("ff61491a931112ddf1bd8147cd1b641375f79f5825126d665480874634fd0ace")
OTHER = Price(feed_id=ETH, price=2_400 * 10**8, publish_time=int(time()) - 1, confidence=10**8)
STRANGERS = signing(keys=tuple(OTHERS))
SETS: Guardians = {GUARDIANS.number: (list(GUARDIANS.addresses), None)}


def configuration(net: Devnet, url: str) -> str:
    tables = chain_tables(net).replace('"finalized"', '"latest"')
    tables = tables.replace(f'rpc = ["{net.url}"]', f'rpc = ["{net.url}"]\ncompleteness = "none"')
    feeds = "".join(
        f"""
[[feed]]
asset = "eip155:{net.chain_id}/erc20:{to_checksum_address(net.market.reserve(symbol).asset)}"
kind = "chainlink"
chain = "eip155:{net.chain_id}"
address = "{to_checksum_address(net.market.reserve(symbol).feed.proxy)}"
heartbeat = "24h"
deviation = "1%"
"""
        for symbol in ("WETH", "USDC")
    )
    return f"""{tables}{feeds}
[snapshot]
proofs = "all"

[[chain]]
id = "pyth:mainnet"
rpc = ["{url}/key"]

[[feed]]
asset = "eip155:{net.chain_id}/erc20:{to_checksum_address(net.market.reserve("WETH").asset)}"
kind = "pyth-hermes"
feed_id = "{ETH.hex()}"
heartbeat = "60s"
deviation = "0.1%"
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder with a store, and the snapshot that was made of it."""
    folder = tmp_path_factory.mktemp("proven")
    price = Price(feed_id=ETH, price=2_500 * 10**8, publish_time=int(time()) - 1, confidence=10**8)
    with build(seed=6, actions=40, users=6) as net, hermes(Served(lambda _: [encoded([price], slot=7)])) as url:
        (folder / "crossmargin.toml").write_text(configuration(net, url))
        indexed = crossmargin(folder, "index")
        assert indexed.returncode == 0, indexed.stderr
        created = crossmargin(folder, "snapshot", "create", "--json")
        assert created.returncode == 0, created.stderr
    again = crossmargin(folder, "snapshot", "create", "--json")
    assert json.loads(again.stdout)["manifest_hash"] == json.loads(created.stdout)["manifest_hash"], "without any node"
    return folder, Path(json.loads(created.stdout)["path"])


@pytest.fixture
def copy(made: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[1], tmp_path / made[1].name))


def test_every_price_is_proven_and_verifies_alone(made: tuple[Path, Path], tmp_path: Path) -> None:
    _, folder = made
    file = tmp_path / "guardians.json"
    addresses = [f"0x{address.hex()}" for address in GUARDIANS.addresses]
    file.write_text(json.dumps([{"index": GUARDIANS.number, "addresses": addresses}]))
    script = [sys.executable, "-I", "-W", "error", str(folder / "verify_prices.py"), str(folder), "--json"]
    alone = subprocess.run(
        [*script, "--guardians", str(file)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    whole = crossmargin(tmp_path, "snapshot", "verify", str(folder), "--recompute", "--guardians", str(file), "--json")
    found = rows(folder, "price_proofs")
    of_logs = [row for row in found if row["evidence"] and row["chain_id"].startswith("eip155")]
    links = {json.loads(row["evidence"])["link"]["by"] for row in of_logs}

    assert alone.returncode == 0, alone.stdout
    assert whole.returncode == 0, whole.stderr
    assert {row["outcome"] for row in found if row["place"] == "mark"} == {"proven"}
    assert [row["place"] for row in found].count("mark") == 3
    counts = Counter(row["outcome"] for row in found)
    assert counts.keys() == {"proven", "unknown"}
    assert counts["proven"] > 5
    assert links <= {"cut", "headers", "history", "word"}
    assert links & {"headers", "history"}, links
    assert json.loads(alone.stdout)["outcomes"] == counts
    assert any("by no log" in note for note in json.loads(alone.stdout)["notes"]), (
        "nodes were asked, and told it in no log"
    )
    assert not any("guardians" in note for note in json.loads(alone.stdout)["notes"])
    assert any("who signed 1 prices was not looked at" in note for note in price_verifier.checked(folder).notes)


def edited(change: Callable[[Row], Any]) -> Callable[[Row], None]:
    def edit(row: Row) -> None:
        evidence = json.loads(row["evidence"])
        change(evidence)
        row["evidence"] = json.dumps(evidence, sort_keys=True, separators=(",", ":"))

    return edit


def flipped(text: str, place: int = -1) -> str:
    place %= len(text)
    return text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]


def unlinked(evidence: Row) -> None:
    """Cut the first header out of the way, or change a node of it."""
    link = evidence["link"]
    if link["by"] == "cut":
        link.update(by="headers", headers=[evidence["header"]])
    elif link["by"] == "word":
        link.update(by="cut")
    elif link["by"] == "headers":
        link["headers"].pop(0)
        link["headers"] or link.update(by="cut")
    else:
        link["nodes"].append(flipped(link["nodes"].pop()))


RECEIPTS: dict[str, Callable[[Row], Any]] = {
    "the block": lambda row: row.update(block=row["block"] - 1),
    "the answer": lambda row: row.update(answer_raw=str(int(row["answer_raw"]) + 1)),
    "the time": lambda row: row.update(updated_at=row["updated_at"] + 60),
    "the source": lambda row: row.update(source="0x" + "22" * 20),
    "the name": lambda row: row.update(name="0x" + "22" * 20),
    "the outcome": lambda row: row.update(outcome="unanswered"),
    "an outcome of no kind": lambda row: row.update(outcome="sure", evidence=None),
    "nothing shown": lambda row: row.update(evidence=None),
    "the header": edited(lambda said: said.update(header=flipped(said["header"], 40))),
    "the end of a node": edited(lambda said: said["nodes"].append(flipped(said["nodes"].pop()))),
    "a node too few": edited(lambda said: said["nodes"].pop()),
    "a node too many": edited(lambda said: said["nodes"].append(said["nodes"][-1])),
    "the receipt": edited(lambda said: said.update(receipt=said["receipt"] + 1)),
    "the log": edited(lambda said: said.update(log=said["log"] + 1)),
    "the way to the cut": edited(unlinked),
    "no known way": edited(lambda said: said.update(link={"by": "magic"})),
}
UPDATES: dict[str, Callable[[Row], Any]] = {
    "the second": lambda row: row.update(block=row["block"] - 5),
    "the answer": lambda row: row.update(answer_raw=str(int(row["answer_raw"]) + 1)),
    "the confidence": lambda row: row.update(confidence_raw="1"),
    "the feed": lambda row: row.update(source="0x" + "22" * 32),
    "another update": edited(lambda said: said.update(update="0x" + encoded([OTHER], slot=8).hex())),
    "strangers": edited(lambda said: said.update(update="0x" + encoded([OTHER], slot=8, signing=STRANGERS).hex())),
    "the beginning": edited(lambda said: said.update(update=flipped(said["update"], 3))),
    "the end": edited(lambda said: said.update(update=flipped(said["update"]))),
    "a byte more": edited(lambda said: said.update(update=said["update"] + "00")),
    "a byte less": edited(lambda said: said.update(update=said["update"][:-2])),
}


@pytest.mark.parametrize("change", RECEIPTS)
def test_a_changed_proof_of_a_log_is_refused_wherever_it_is(change: str, copy: Path) -> None:
    _refused(copy, "eip155", RECEIPTS[change])


@pytest.mark.parametrize("change", UPDATES)
def test_a_changed_update_is_refused(change: str, copy: Path) -> None:
    _refused(copy, "pyth", UPDATES[change])


def _refused(folder: Path, family: str, change: Callable[[Row], Any]) -> None:
    for number, row in enumerate(rows(folder, "price_proofs")):
        if row["chain_id"].startswith(family) and row["evidence"]:
            found = rows(folder, "price_proofs")
            change(found[number])
            rewrite(folder, "price_proofs", found)
            faults = price_verifier.checked(folder, SETS).faults
            rewrite(folder, "price_proofs", [*found[:number], row, *found[number + 1 :]])
            assert faults, row["name"]
    assert not price_verifier.checked(folder, SETS).faults


def test_a_block_that_is_forged_in_inputs_and_proofs_alike_is_found(copy: Path) -> None:
    """The price is right, and fresher than it was: what whoever wrote the inputs could do while nobody looked at receipts."""
    found, inputs = rows(copy, "price_proofs"), rows(copy, "inputs")
    row = next(row for row in found if row["place"] == "mark" and row["chain_id"].startswith("eip155"))
    row["block"] += 1
    for part in inputs:
        if part["part"] == "observation" and row["name"] in part["document"]:
            document = json.loads(part["document"])
            document["reading"]["block"] = type(document["reading"]["block"])(row["block"])
            part["document"] = json.dumps(document, sort_keys=True, separators=(",", ":"))
    rewrite(copy, "price_proofs", found)
    rewrite(copy, "inputs", inputs)

    (fault,) = price_verifier.checked(copy, SETS).faults
    assert "the header is of block" in fault


def test_signatures_are_checked_one_by_one(copy: Path) -> None:
    raw = next(row for row in rows(copy, "price_proofs") if row["chain_id"].startswith("pyth"))
    evidence = json.loads(raw["evidence"])
    assert list(price_verifier.update_faults(raw, evidence, SETS)) == []
    addresses = list(GUARDIANS.addresses)
    for guardians in (
        {6: (addresses, None)},
        {7: (addresses, raw["updated_at"] - 1)},
        {7: (addresses[1:], None)},
        {7: ([*addresses[:5], b"\0" * 20, *addresses[6:]], None)},
        {7: ([*addresses, addresses[0], addresses[1]], None)},
    ):
        with pytest.raises(price_verifier.Fault):
            list(price_verifier.update_faults(raw, evidence, guardians))
    digest = bytes(range(32))
    signed = KEYS[0].sign_msg_hash(digest)
    assert price_verifier.recovered(digest, signed.r, signed.s, signed.v) == GUARDIANS.addresses[0]
    assert price_verifier.recovered(digest, signed.r, signed.s, 1 - signed.v) != GUARDIANS.addresses[0]


def test_prices_that_were_left_out_or_that_chance_did_not_choose_are_named(copy: Path) -> None:
    found, passed = rows(copy, "price_proofs"), list[str]()
    for number, row in enumerate(found):
        rewrite(copy, "price_proofs", found[:number] + found[number + 1 :])
        if not any("than the hash of the block chooses" in fault for fault in price_verifier.checked(copy).faults):
            passed.append(row["place"])

    assert passed == ["venues"], "without the last that chance chooses it is a choice of one less"


def test_an_answer_that_its_block_did_not_carry_makes_the_chain_unknown(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    """Nodes said so when they were asked: what they said is what the store keeps."""
    folder, _ = made
    shutil.copytree(folder / "data", tmp_path / "data")
    shutil.copy(folder / "crossmargin.toml", tmp_path)
    with duckdb.connect(str(tmp_path / "data" / "crossmargin.duckdb")) as con:
        con.execute(
            "UPDATE control_reply SET outcome = 'different', output = 'another'::BLOB"
            " WHERE venue_id = '(prices)' AND outcome = 'proven'"
        )
        con.execute("DELETE FROM snapshot")
    shutil.rmtree(tmp_path / "data" / "snapshots")
    created = crossmargin(tmp_path, "snapshot", "create", "--json")
    assert created.returncode == 0, created.stderr
    other = tmp_path / "data" / "snapshots" / json.loads(created.stdout)["snapshot"]
    verified = crossmargin(tmp_path, "snapshot", "verify", str(other), "--recompute", "--json")

    assert verified.returncode == 0, verified.stderr
    assert {row["status"] for row in rows(other, "accounts")} == {"unknown"}
    assert all("price_differs" in row["reasons"] for row in rows(other, "accounts"))
