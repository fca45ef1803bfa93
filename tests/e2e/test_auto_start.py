"""`start_block = "auto"`: found at the nodes once, shown, kept, and the same without them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.devnet.evm import escrows
from tests.devnet.evm.chain import build
from tests.devnet.evm.escrows import MARGIN, MARGIN_OPTIONS, Escrows
from tests.support.older import set_back
from tests.support.product import chain_tables, crossmargin, get
from tests.support.recorded import service

USAGE = 2


def configuration(net: Escrows, **changes: str) -> str:
    written = {
        "rpc": f'["{net.node.url}"]', "chain_start": '"auto"', "venue_start": '"auto"', "address": net.margin.address
    } | changes  # fmt: skip
    options = "".join(f"{key} = {json.dumps(value)}\n" for key, value in MARGIN_OPTIONS.items())
    return f"""
[[chain]]
id = "eip155:31337"
rpc = {written["rpc"]}
finality = "latest"
start_block = {written["chain_start"]}

[[venue]]
id = "margin"
protocol = "escrow"
chain = "eip155:31337"
address = "{written["address"]}"
start_block = {written["venue_start"]}
liabilities = "none"
{options}"""


def shown(folder: Path) -> tuple[Any, Any]:
    document = json.loads(crossmargin(folder, "check", "--json").stdout)
    return document["chain"][0]["start_block"], document["venue"][0]["start_block"]


def test_the_first_block_is_found_kept_and_needs_no_node_again(tmp_path: Path) -> None:
    file = tmp_path / "crossmargin.toml"
    with escrows.build(seed=1) as net:
        net.run(20, MARGIN)
        file.write_text(configuration(net))
        before = shown(tmp_path)
        unasked = crossmargin(tmp_path, "rebuild")
        indexed = crossmargin(tmp_path, "index")
        after = shown(tmp_path)
        file.write_text(configuration(net, rpc='["http://127.0.0.1:9"]'))
        rebuilt = crossmargin(tmp_path, "rebuild")
        start = net.margin.start_block
        status = json.loads(crossmargin(tmp_path, "status", "--json").stdout)

    assert before == ("auto", "auto")
    assert (indexed.returncode, indexed.stderr.count("Traceback")) == (0, 0), indexed.stderr
    assert after == (start, start)
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert unasked.returncode != 0
    assert [(each["venue"], each["start_block"], each["found"]) for each in status["chains"][0]["venues"]] == [
        ("margin", start, f"eth_getCode: code at block {start}, none at block {start - 1}")
    ]


def test_a_service_finds_it_too(tmp_path: Path) -> None:
    with escrows.build(seed=1) as net:
        net.run(5, MARGIN)
        (tmp_path / "crossmargin.toml").write_text(configuration(net))
        with service(tmp_path, "run") as (url, _):
            (venue,) = get(f"{url}/v1/status")["chains"][0]["venues"]

    assert venue["start_block"] == net.margin.start_block


def test_a_chain_may_not_start_behind_what_is_found(tmp_path: Path) -> None:
    with escrows.build(seed=1) as net:
        (tmp_path / "crossmargin.toml").write_text(configuration(net, chain_start=str(net.margin.start_block + 1)))
        done = crossmargin(tmp_path, "index")

    assert done.returncode == USAGE
    assert "let the chain start no later" in done.stderr


def test_an_address_without_code_is_refused(tmp_path: Path) -> None:
    with escrows.build(seed=1) as net:
        (tmp_path / "crossmargin.toml").write_text(configuration(net, address=net.people[0]))
        done = crossmargin(tmp_path, "index")

    assert done.returncode == USAGE
    assert f"{net.people[0]} on eip155:31337 has no code".lower() in done.stderr.lower()


def test_a_lending_pool_is_followed_from_where_it_is_found(tmp_path: Path) -> None:
    file = tmp_path / "crossmargin.toml"
    with build(seed=2, actions=10, users=3) as net:
        file.write_text(chain_tables(net).replace(f"start_block = {net.market.start_block}", 'start_block = "auto"'))
        done = crossmargin(tmp_path, "index")
        chain, venue = shown(tmp_path)

        assert done.returncode == 0, done.stderr
        code = [net.node.call("eth_getCode", net.market.pool, hex(number)) for number in (venue - 1, venue)]
    assert chain == 0
    assert code[0] == "0x"
    assert len(code[1]) > len("0x")


def test_a_store_of_an_older_schema_is_brought_up_to_date_by_what_writes_and_else_says_how(tmp_path: Path) -> None:
    with escrows.build(seed=1) as net:
        net.run(20, MARGIN)
        (tmp_path / "crossmargin.toml").write_text(configuration(net))
        assert crossmargin(tmp_path, "index").returncode == 0
        whole = crossmargin(tmp_path, "--json", "status")
        set_back(tmp_path / "data" / "crossmargin.duckdb")
        asked = crossmargin(tmp_path, "status")
        made = crossmargin(tmp_path, "--json", "snapshot", "create")
        after = crossmargin(tmp_path, "--json", "status")

    assert whole.returncode == 0, whole.stderr
    assert asked.returncode != 0
    assert "its schema is 9" in asked.stderr
    assert "run `crossmargin index` once" in asked.stderr
    assert made.returncode == 0, made.stderr
    assert after.returncode == 0, after.stderr
    assert [chain["venues"] for chain in json.loads(after.stdout)["chains"]] == [
        chain["venues"] for chain in json.loads(whole.stdout)["chains"]
    ]
