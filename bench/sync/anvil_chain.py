"""Workload A on a real local node: one transaction a block makes a contract of ours tell of many movements."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.sync import escrow_chain
from bench.sync.escrow_chain import CHAIN_ID, TOKENS, Book, Movement
from bench.sync.recorded import TAIL
from bench.sync.task import Task
from tests.devnet.evm import artifacts, keys
from tests.devnet.evm.anvil import anvil
from tests.devnet.evm.ledger import Ledger, Tx, invoke, wire
from tests.devnet.evm.vault import deploy_token

HERE = Path(__file__).parent
GAS = 250_000_000


@contextmanager
def filled(folder: Path, cores: frozenset[int], *, seed: int, logs: int, logs_per_block: int) -> Iterator[Task]:
    """A node whose chain holds the movements of a seed; the book is written to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with running_on(cores):
            node = stack.enter_context(anvil(chain_id=CHAIN_ID))
        ledger = Ledger(node)
        admin = keys.address(seed, "fountain admin")
        ledger.enrich([admin])
        tokens = [deploy_token(ledger, admin, token.symbol, token.decimals).address.lower() for token in TOKENS]
        vault = ledger.deploy(admin, fountain(folder), ["address[]"], [tokens])
        born = node.height()
        people, book = escrow_chain.accounts(), Book()
        moves = escrow_chain.movements(seed, logs, book)
        for part in escrow_chain.parts(moves, seed, logs_per_block):
            pour(ledger, admin, vault, packed(part, people))
        ledger.idle(TAIL)
        escrow_chain.write_book(folder, book, people, tokens)
        yield Task(
            workload="escrow", source="anvil", url=node.url, chain_id=CHAIN_ID, head=node.height(), logs=logs,
            contract=vault.lower(), start_block=born, book=folder,
        )  # fmt: skip


@contextmanager
def running_on(cores: frozenset[int]) -> Iterator[None]:
    """Let what is started meanwhile have these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pour(ledger: Ledger, sender: str, vault: str, records: bytes) -> None:
    """Mine one block with one transaction; without its receipt, which would be as large as the block."""
    call: Tx = invoke(sender, vault, "pour(bytes)", records, gas=GAS)
    ledger.node.call("eth_sendTransaction", wire(call))
    ledger.node.call("evm_mine")


def packed(part: list[Movement], people: list[str]) -> bytes:
    return b"".join(
        bytes.fromhex(people[move.account][2:]) + bytes([move.token, move.incoming]) + move.amount.to_bytes(32)
        for move in part
    )


def fountain(folder: Path) -> str:
    """The creation code of the contract."""
    stored = folder / "Fountain.json"
    if not stored.exists():
        command = ["node", str(artifacts.HERE / "compile.js"), str(HERE / "contracts")]
        stored.write_text(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return str(json.loads(stored.read_text())["Fountain"]["bytecode"])
