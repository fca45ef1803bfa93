"""An address that holds the chain's coin and a token, from the configuration to the health document."""

from __future__ import annotations

import json
from pathlib import Path

from eth_utils.address import to_checksum_address

from tests.devnet.evm import escrows
from tests.devnet.evm.escrows import CUSTODY, Escrows
from tests.devnet.evm.ledger import pay
from tests.support.product import crossmargin

CHAIN = "eip155:31337"


def configuration(net: Escrows, liabilities: str) -> str:
    owner = to_checksum_address(net.people[5])
    return f"""
[[chain]]
id = "{CHAIN}"
rpc = ["{net.node.url}"]
finality = "latest"

[[venue]]
id = "custody"
protocol = "escrow"
holdings = "custody"
chain = "{CHAIN}"
address = "{net.people[0]}"
owner = "{owner}"
tokens = ["{net.tokens[0].address}"]
coin = "slip44:60"
start_block = 2
{liabilities}

[[asset]]
id = "{CHAIN}/slip44:60"
symbol = "ETH"
class = "major"
same_as = "ETH"

[[account]]
id = "desk"
members = ["{CHAIN}:{owner}"]
"""


def test_a_coin_is_an_asset_like_any_other(tmp_path: Path) -> None:
    with escrows.build(seed=11) as net:
        net.ledger.do(pay(net.people[1], net.people[0], 123))
        held = int(net.node.call("eth_getBalance", net.people[0], "latest"), 16)
        (tmp_path / "crossmargin.toml").write_text(configuration(net, 'liabilities = "none"'))
        indexed = crossmargin(tmp_path, "index")
        positions = json.loads(crossmargin(tmp_path, "positions", "desk", "--json").stdout)
        views = crossmargin(
            tmp_path, "sql", "SELECT DISTINCT asset_address FROM public.fct_position ORDER BY 1", "--json"
        ).stdout

    assert indexed.returncode == 0, indexed.stderr
    held_in = [each for venue in positions["venues"] for unit in venue["units"] for each in unit["positions"]]
    coin = next(each for each in held_in if each["asset"] == f"{CHAIN}/slip44:60")
    assert (coin["symbol"], coin["amount_raw"]) == ("ETH", str(held))
    assert "slip44:60" in views


def test_a_custody_that_comes_later_is_filled_in(tmp_path: Path) -> None:
    with escrows.build(seed=11) as net:
        net.run(20, CUSTODY)
        whole = configuration(net, 'liabilities = "none"')
        before, _, rest = whole.partition("[[venue]]")
        file = tmp_path / "crossmargin.toml"
        file.write_text(before + "[[asset]]" + rest.partition("[[asset]]")[2])
        assert crossmargin(tmp_path, "index").returncode == 0
        file.write_text(whole)
        assert crossmargin(tmp_path, "index").returncode == 0
        status = json.loads(crossmargin(tmp_path, "status", "--json").stdout)
        late = json.loads(crossmargin(tmp_path, "positions", "desk", "--json").stdout)["venues"]
        (tmp_path / "data" / "crossmargin.duckdb").unlink()
        crossmargin(tmp_path, "index")
        early = json.loads(crossmargin(tmp_path, "positions", "desk", "--json").stdout)["venues"]

    assert status["chains"][0]["incomplete"] == []
    assert [unit["positions"] for venue in late for unit in venue["units"]] == [
        unit["positions"] for venue in early for unit in venue["units"]
    ]
    assert late[0]["units"][0]["positions"]


def test_a_coin_behind_liabilities_that_nobody_said_counts_zero(tmp_path: Path) -> None:
    key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    with escrows.build(seed=11) as net:
        text = configuration(net, f'liabilities = "import"\nliability_keys = ["{key}"]')
        (tmp_path / "crossmargin.toml").write_text(text)
        crossmargin(tmp_path, "index")
        document = json.loads(crossmargin(tmp_path, "health", "desk", "--json").stdout)

    assert document["status"] == "unknown"
    assert "liabilities_unknown" in json.dumps(document["reasons"])
