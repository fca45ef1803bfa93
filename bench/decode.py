"""Logs as a node's JSON → decoded events: this program's columns against web3.py, on the same logs in the same run."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from importlib.metadata import version
from statistics import median
from time import perf_counter
from typing import Any

from eth_abi.abi import encode
from web3 import Web3

from chains.evm.aave_v3.events import MINT
from chains.evm.logs import logs_of

LOGS = 50_000
PEER_LOGS = 2_000
RUNS = 5
LOGS_A_BLOCK = 100


def main() -> None:
    body = json.dumps(rpc_logs(LOGS), separators=(",", ":")).encode()
    few = rpc_logs(PEER_LOGS)
    contract = Web3().eth.contract(abi=[abi_of_mint()])

    rows, _ = MINT.rows(logs_of(body))
    assert [row.args[2] for row in rows[:PEER_LOGS]] == [e["args"]["value"] for e in by_web3(contract, few)]

    ours, theirs = [], []
    for _ in range(RUNS):
        ours.append(LOGS / seconds(lambda: MINT.rows(logs_of(body))))
        theirs.append(PEER_LOGS / seconds(lambda: by_web3(contract, few)))
    mine, peer = median(ours), median(theirs)
    print(f"decode · Aave Mint logs, JSON to events, median of {RUNS} paired runs, one core")
    print(f"  Python {platform.python_version()}, web3 {version('web3')}, pyarrow {version('pyarrow')}")
    print(f"  crossmargin  {mine:>12,.0f} logs/s")
    print(f"  web3.py      {peer:>12,.0f} logs/s")
    print(f"  ratio        {mine / peer:>12,.0f} ×")


def seconds(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


def rpc_logs(count: int) -> list[dict[str, Any]]:
    topics = ["0x" + MINT.topic0.hex(), "0x" + "11".rjust(64, "0"), "0x" + "22".rjust(64, "0")]
    return [
        {
            "address": "0x" + "aa" * 20,
            "topics": topics,
            "data": "0x" + encode(["uint256"] * 3, [10**18 + i, i, 10**27 + i]).hex(),
            "blockNumber": hex(i // LOGS_A_BLOCK),
            "blockHash": "0x" + "33" * 32,
            "transactionHash": "0x" + "44" * 32,
            "transactionIndex": "0x0",
            "logIndex": hex(i % LOGS_A_BLOCK),
            "removed": False,
        }
        for i in range(count)
    ]


def by_web3(contract: Any, logs: list[dict[str, Any]]) -> list[Any]:
    entries = [
        {
            "address": Web3.to_checksum_address(log["address"]),
            "topics": [bytes.fromhex(topic[2:]) for topic in log["topics"]],
            "data": bytes.fromhex(log["data"][2:]),
            "blockNumber": int(log["blockNumber"], 16),
            "blockHash": bytes.fromhex(log["blockHash"][2:]),
            "transactionHash": bytes.fromhex(log["transactionHash"][2:]),
            "transactionIndex": 0,
            "logIndex": int(log["logIndex"], 16),
        }
        for log in logs
    ]
    return [contract.events.Mint().process_log(entry) for entry in entries]


def abi_of_mint() -> dict[str, Any]:
    inputs = [{"name": a.name, "type": a.type, "indexed": a.indexed} for a in MINT.arguments]
    return {"type": "event", "name": "Mint", "anonymous": False, "inputs": inputs}
