"""`crossmargin doctor` as an operator runs it: a table with a verdict, a document for scripts, and no secret in either."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crossmargin.exits import ExitCode
from tests.devnet.evm.anvil import anvil
from tests.devnet.evm.node import Node
from tests.support.product import crossmargin

CHAIN = 31_337
KEY = "canary-secret-key"
DEAD = f"http://127.0.0.1:9/v3/{KEY}"


@pytest.fixture(scope="module")
def nodes() -> Iterator[tuple[Node, Node, Node]]:
    """One with everything, one that forgot old state, one that is behind."""
    kept = ("--prune-history", "20")
    with anvil(chain_id=CHAIN) as whole, anvil(chain_id=CHAIN, more=kept) as forgetful, anvil(chain_id=CHAIN) as late:
        for node, height in ((whole, 100), (forgetful, 100), (late, 90)):
            node.call("anvil_mine", hex(height))
        yield whole, forgetful, late


def configured(folder: Path, *urls: str, more: str = "") -> Path:
    addresses = ", ".join(f'"{url}"' for url in urls)
    (folder / "crossmargin.toml").write_text(
        f'[[chain]]\nid = "eip155:{CHAIN}"\nname = "net"\nrpc = [{addresses}]\nstale_after = "10000d"\n{more}'
    )
    return folder


def measured(folder: Path, *arguments: str, code: ExitCode) -> dict[str, Any]:
    done = crossmargin(folder, "doctor", "--json", *arguments)
    assert done.returncode == code, done.stderr
    return dict(json.loads(done.stdout))


def test_good_nodes_end_well(nodes: tuple[Node, Node, Node], tmp_path: Path) -> None:
    whole, forgetful, _ = nodes
    document = measured(configured(tmp_path, whole.url, forgetful.url), code=ExitCode.OK)

    (chain,) = document["chains"]
    first, second = chain["nodes"]
    assert chain["usable"] is True
    assert (first["verdict"], first["sentence"], first["head"]["block"]) == ("good", "good", 100)
    assert first["abilities"]["state"] == {"value": 1, "whole": True, "said": None}
    assert second["abilities"]["state"]["value"] == 80
    assert first["requests"] <= 150


def test_a_node_behind_and_a_dead_one_are_doubted_while_another_serves(
    nodes: tuple[Node, Node, Node], tmp_path: Path
) -> None:
    whole, _, late = nodes
    document = measured(configured(tmp_path, whole.url, late.url, DEAD), code=ExitCode.UNKNOWN)

    (chain,) = document["chains"]
    assert [node["verdict"] for node in chain["nodes"]] == ["good", "doubtful", "unusable"]
    assert chain["nodes"][1]["remarks"][0]["detail"] == "it is 10 blocks behind the best node"


def test_a_chain_without_a_node_that_can_be_used_fails(nodes: tuple[Node, Node, Node], tmp_path: Path) -> None:
    document = measured(configured(tmp_path, DEAD), code=ExitCode.FAILED)

    assert document["chains"][0]["usable"] is False


def test_only_the_chain_that_was_named_is_measured(nodes: tuple[Node, Node, Node], tmp_path: Path) -> None:
    other = f'[[chain]]\nid = "eip155:1"\nrpc = ["{DEAD}"]\n'
    folder = configured(tmp_path, nodes[0].url, more=other)

    document = measured(folder, "--chain", f"eip155:{CHAIN}", code=ExitCode.OK)

    assert [chain["chain"] for chain in document["chains"]] == [f"eip155:{CHAIN}"]
    assert crossmargin(folder, "doctor", "--chain", "eip155:2").returncode == ExitCode.USAGE


@pytest.mark.parametrize("width", ["240", "130"])
def test_people_get_a_table_with_a_verdict_and_what_to_do(
    nodes: tuple[Node, Node, Node], tmp_path: Path, width: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    venue = (
        f'[[venue]]\nid = "v"\nprotocol = "escrow"\nchain = "eip155:{CHAIN}"\naddress = "0x{"aa" * 20}"\n'
        'start_block = 5\nliabilities = "none"\n'
    )
    whole, forgetful, _ = nodes
    done = crossmargin(configured(tmp_path, whole.url, forgetful.url, DEAD, more=venue), "doctor")

    title, header, good, limited, *rest = done.stdout.splitlines()
    assert title == f"net  eip155:{CHAIN}"
    columns = ["latency", "head", "behind", "age", "state", "logs", "range", "batch", "verdict"]
    assert header.split() == ["node", *columns]
    assert good.split()[-1] == "good"
    assert "full archive" in good
    assert "last ~21 blocks" in limited
    assert limited.rstrip().endswith("works") or "works, but it has state of the last ~21 blocks only" in limited
    assert any("works, but it has state of the last ~21 blocks only" in line for line in (limited, *rest))
    assert any("cannot be used: it cannot be reached" in line for line in rest)
    assert any(line.endswith("; safe, finalized, receipts, proofs, websocket; no gzip") for line in rest)
    assert done.stderr == "measuring 3 nodes …\n"
    assert done.returncode == ExitCode.UNKNOWN


def test_no_key_is_shown(nodes: tuple[Node, Node, Node], tmp_path: Path) -> None:
    folder = configured(tmp_path, nodes[0].url, DEAD)

    for arguments in (("-vv", "doctor"), ("doctor", "--json")):
        done = crossmargin(folder, *arguments)
        assert KEY not in done.stdout + done.stderr
