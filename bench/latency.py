"""How long after a new head the changed health can be read: `python -m bench.latency [ROUNDS]`.

A local node with a vault; every block moves the holdings of 1,000 accounts. `crossmargin run` follows it, and one of the accounts,
another each time, is asked for until its health is as of the new block and holds what the account holds.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp

from bench.sync import ours
from bench.sync.anvil_chain import fountain, packed, pour
from bench.sync.escrow_chain import CHAIN_ID, TOKENS, Movement
from bench.sync.machine import described
from bench.sync.recorded import address
from bench.sync.task import Task
from bench.under_load import service, told
from tests.devnet.evm import keys
from tests.devnet.evm.anvil import anvil
from tests.devnet.evm.ledger import Ledger
from tests.devnet.evm.vault import deploy_token

ROUNDS = 200
TOUCHED = 1_000
WARM_UP = 10
PAUSE_S = 0.01
BETWEEN_S = 0.2
"""After a block was seen, until the next one is made: no chain makes one at once."""

WITHIN_S = 30.0


@dataclass(slots=True)
class Vault:
    """A vault on a node, the accounts that hold something in it, and how much of each token each holds."""

    ledger: Ledger
    admin: str
    contract: str
    people: list[str]
    born: int
    held: int = 0

    def move(self) -> int:
        """Add one raw unit of the first token to each account's holding, in one block; returns its number."""
        self.held += 1
        moves = [Movement(account, 0, incoming=True, amount=1) for account in range(len(self.people))]
        pour(self.ledger, self.admin, self.contract, packed(moves, self.people))
        return self.ledger.node.height()


def main(words: Sequence[str] = ()) -> None:
    rounds = int(words[0]) if words else ROUNDS
    print(described())
    for options in ((), ("--one-process",)):
        with vault_on_a_node() as vault, tempfile.TemporaryDirectory() as place:
            vault.move()
            (Path(place) / "crossmargin.toml").write_text(configuration(vault, Path(place)), encoding="utf-8")
            with service(Path(place), options) as url:
                seconds = asyncio.run(measured(vault, url, rounds))
        print(f"{TOUCHED:,} accounts a block, {' '.join(options) or 'processes of their own'}: {told(seconds)}")


@contextmanager
def vault_on_a_node() -> Iterator[Vault]:
    with anvil(chain_id=CHAIN_ID) as node, tempfile.TemporaryDirectory() as folder:
        ledger, admin = Ledger(node), keys.address(1, "fountain admin")
        ledger.enrich([admin])
        tokens = [deploy_token(ledger, admin, token.symbol, token.decimals).address.lower() for token in TOKENS]
        contract = ledger.deploy(admin, fountain(Path(folder)), ["address[]"], [tokens])
        people = [address("account", i) for i in range(TOUCHED)]
        yield Vault(ledger=ledger, admin=admin, contract=contract, people=people, born=node.height())


def configuration(vault: Vault, book: Path) -> str:
    task = Task(
        workload="escrow", source="anvil", url=vault.ledger.node.url, chain_id=CHAIN_ID, head=0, logs=0,
        contract=vault.contract, start_block=vault.born, book=book,
    )  # fmt: skip
    websocket = task.url.replace("http", "ws")
    return ours.configuration(task).replace("start_block = 0", f'start_block = 0\nws = ["{websocket}"]')


async def measured(vault: Vault, url: str, rounds: int) -> list[float]:
    """Return the seconds of each round from the moment at which the node has a block."""
    seconds = []
    async with aiohttp.ClientSession(url) as session:
        await seen(session, vault, 0, vault.ledger.node.height())
        for turn in range(WARM_UP + rounds):
            await asyncio.sleep(BETWEEN_S)
            number = await asyncio.to_thread(vault.move)
            began = monotonic()
            await seen(session, vault, turn % TOUCHED, number)
            if turn >= WARM_UP:
                seconds.append(monotonic() - began)
    return seconds


async def seen(session: aiohttp.ClientSession, vault: Vault, account: int, number: int) -> None:
    """Ask for an account's health until it is as of a block; raises `TimeoutError`, and `AssertionError` for another holding."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            document = await health(session, vault.people[account])
            as_of = document.get("as_of", {}).get(f"eip155:{CHAIN_ID}")
            if as_of is not None and as_of["block"] >= number:
                break
            await asyncio.sleep(PAUSE_S)
    (holding,) = [p for venue in document["venues"] for unit in venue["units"] for p in unit["positions"]]
    assert int(holding["amount_raw"]) == vault.held, holding


async def health(session: aiohttp.ClientSession, account: str) -> dict[str, Any]:
    async with session.get(f"/v1/accounts/eip155:{CHAIN_ID}:{account}/health") as answer:
        return dict(await answer.json())


if __name__ == "__main__":
    main(sys.argv[1:])
