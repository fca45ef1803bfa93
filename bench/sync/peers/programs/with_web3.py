"""The loop that one writes first: web3.py's get_logs and process_log, rows into DuckDB span by span. Argument: JSON of the task."""

import json
import sys

import duckdb
import pyarrow as pa
from web3 import Web3

task = json.loads(sys.argv[1])
w3 = Web3(Web3.HTTPProvider(task["url"]))


def abi_of(signature: str) -> dict[str, object]:
    name, _, inner = signature.rstrip(")").partition("(")
    inputs = [
        {"type": part.split()[0], "name": part.split()[-1], "indexed": "indexed" in part} for part in inner.split(", ")
    ]
    return {"type": "event", "name": name, "anonymous": False, "inputs": inputs}


contract = w3.eth.contract(abi=[abi_of(signature) for signature in task["events"].values()])
events = dict(zip(task["topics"], (contract.events.Deposit(), contract.events.Withdraw()), strict=True))
con = duckdb.connect("web3.duckdb")
con.execute(
    "CREATE TABLE movement (block_number BIGINT, log_index INTEGER, tx_hash BLOB, incoming BOOLEAN, account VARCHAR,"
    " token VARCHAR, amount DECIMAL(38, 0), PRIMARY KEY (block_number, log_index))"
)
for first in range(0, task["head"] + 1, task["span"]):
    rows = []
    last = min(first + task["span"] - 1, task["head"])
    logs = w3.eth.get_logs(
        {
            "fromBlock": first,
            "toBlock": last,
            "address": Web3.to_checksum_address(task["vault"]),
            "topics": [task["topics"]],
        }
    )
    for log in logs:
        event = events["0x" + log["topics"][0].hex()].process_log(log)
        args = event["args"]
        place = (event["blockNumber"], event["logIndex"], bytes(event["transactionHash"]))
        rows.append((*place, event["event"] == "Deposit", args["account"], args["token"], args["amount"]))
    if rows:
        names = ("block_number", "log_index", "tx_hash", "incoming", "account", "token", "amount")
        columns = dict(zip(names, (list(column) for column in zip(*rows, strict=True)), strict=True))
        columns["amount"] = pa.array(columns["amount"], pa.decimal128(38, 0))
        batch = pa.table(columns)
        con.execute("INSERT INTO movement SELECT * FROM batch")
con.close()
