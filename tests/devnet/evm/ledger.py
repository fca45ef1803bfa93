"""Blocks made one at a time, with the transactions and the time that the caller says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.devnet.evm.abi import calldata, creation
from tests.devnet.evm.node import Node

BLOCK_SECONDS = 12
TX_GAS = 2_500_000
DEPLOY_GAS = 40_000_000
RICH_WEI = 10**24


@dataclass(frozen=True, slots=True, kw_only=True)
class Tx:
    """A transaction to be mined, even when it reverts: its gas is stated, never estimated."""

    sender: str
    to: str | None
    payload: str
    gas: int = TX_GAS
    value: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a transaction."""

    block: int
    succeeded: bool
    contract: str | None


class Disobedient(Exception):
    """The node did something else than it was told."""


class Reverted(Exception):
    """A transaction that had to succeed did not."""


def invoke(sender: str, to: str, signature: str, *arguments: Any, gas: int = TX_GAS, value: int = 0) -> Tx:
    """A call of a contract as a transaction."""
    return Tx(sender=sender, to=to, payload=calldata(signature, *arguments), gas=gas, value=value)


def pay(sender: str, to: str, value: int) -> Tx:
    """A transfer of the chain's coin."""
    return Tx(sender=sender, to=to, payload="0x", value=value)


class Ledger:
    """The only writer of a chain."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def mine(self, *txs: Tx, seconds: int = BLOCK_SECONDS) -> tuple[Receipt, ...]:
        """One block `seconds` after the last, holding exactly these transactions in this order."""
        for tx in txs:
            self.node.call("eth_sendTransaction", wire(tx))
        expected = int(self.node.header()["timestamp"], 16) + seconds
        self.node.call("evm_mine", {"timestamp": expected})
        header, mined = self.node.batch(
            [("eth_getBlockByNumber", ("latest", False)), ("eth_getBlockReceipts", ("latest",))]
        )
        if int(header["timestamp"], 16) != expected or [m["from"] for m in mined] != [tx.sender for tx in txs]:
            raise Disobedient(f"block {header['number']} is not what was asked for")
        return tuple(receipt(answer) for answer in mined)

    def do(self, *txs: Tx, seconds: int = BLOCK_SECONDS) -> tuple[Receipt, ...]:
        """Mine one block whose transactions must all succeed. Raises Reverted."""
        receipts = self.mine(*txs, seconds=seconds)
        for tx, outcome in zip(txs, receipts, strict=True):
            if not outcome.succeeded:
                raise Reverted(f"block {outcome.block}: {tx}")
        return receipts

    def deploy(self, sender: str, bytecode: str, types: Sequence[str] = (), arguments: Sequence[Any] = ()) -> str:
        """Mine one block with a new contract; its address."""
        payload = creation(bytecode, types, arguments)
        (outcome,) = self.do(Tx(sender=sender, to=None, payload=payload, gas=DEPLOY_GAS))
        if outcome.contract is None:
            raise Reverted(f"block {outcome.block} made no contract")
        return outcome.contract

    def idle(self, blocks: int) -> None:
        """Mine empty blocks."""
        for _ in range(blocks):
            self.mine()

    def enrich(self, addresses: Sequence[str]) -> None:
        """Give each address the coin that pays for gas."""
        for address in addresses:
            self.node.call("anvil_setBalance", address, hex(RICH_WEI))


def wire(tx: Tx) -> dict[str, str]:
    """A transaction as the node wants it."""
    fields = {"from": tx.sender, "data": tx.payload, "gas": hex(tx.gas), "value": hex(tx.value)}
    return fields if tx.to is None else fields | {"to": tx.to}


def receipt(answer: dict[str, Any]) -> Receipt:
    """A receipt from its JSON."""
    return Receipt(
        block=int(answer["blockNumber"], 16),
        succeeded=answer["status"] == "0x1",
        contract=answer["contractAddress"],
    )
