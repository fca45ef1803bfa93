"""Receipts of every kind add up to the root of their header, and one that lacks a log does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from chains.errors import NodeWrong
from chains.evm.evidence.headers import header_of
from chains.evm.evidence.receipts import Form, Receipt, encoded, logs_in, unproven
from chains.evm.evidence.trie import list_root
from tests.devnet.evm.anvil import anvil
from tests.devnet.evm.node import Node

SAYER, SENDER = "0x" + "11" * 20, "0x" + "22" * 20
SAYER_CODE = "0x366000600037600035366000a100"
"""Emits what it is called with, the first word as the topic."""

GAS = {"gas": "0x30000"}
LEGACY = {"gasPrice": hex(10**10)}
LISTED = {**LEGACY, "type": "0x1", "accessList": []}
PRICED = {"maxFeePerGas": hex(10**10)}
BLOB = {**PRICED, "type": "0x3", "blobVersionedHashes": ["0x01" + "00" * 31], "maxFeePerBlobGas": "0x1000"}
AUTHORIZATION = {
    "chainId": "0x0",
    "address": "0x" + "00" * 20,
    "nonce": "0x0",
    "yParity": "0x0",
    "r": "0x1",
    "s": "0x1",
}
CODE = {**PRICED, "type": "0x4", "authorizationList": [AUTHORIZATION]}
DEPOSIT = {**PRICED, "type": "0x7e", "sourceHash": "0x" + "33" * 32, "mint": "0x0", "isSystemTx": False}

FORKS: dict[str, tuple[list[str], list[dict[str, Any]]]] = {
    "frontier": (["--hardfork", "frontier"], [LEGACY]),
    "berlin": (["--hardfork", "berlin"], [LEGACY, LISTED]),
    "london": (["--hardfork", "london"], [LEGACY, LISTED, PRICED]),
    "osaka": (["--hardfork", "osaka"], [LEGACY, LISTED, PRICED, BLOB, CODE]),
    "optimism": (["--optimism"], [DEPOSIT, LEGACY, LISTED, PRICED]),
}
"""A fork → the options of a node, and the transactions that are possible there."""


def mined(node: Node, transactions: list[dict[str, Any]], *, copies: int = 1) -> tuple[bytes, list[dict[str, Any]]]:
    """The receipts root and the receipts of one block that holds these transactions, each with a log."""
    node.call("anvil_setCode", SAYER, SAYER_CODE)
    node.call("anvil_setBalance", SENDER, hex(10**24))
    for place, transaction in enumerate(transactions * copies):
        told = "0x" + bytes([place % 256] * 32).hex() + "00" * (place % 40)
        node.call("eth_sendTransaction", {"from": SENDER, "to": SAYER, "data": told, **GAS, **transaction})
    node.call("evm_mine")
    header = header_of(node.header())
    assert header.hashed
    return header.receipts_root, node.call("eth_getBlockReceipts", "latest")


def read(said: list[dict[str, Any]]) -> list[Receipt]:
    return msgspec.json.decode(json.dumps(said), type=list[Receipt])


@pytest.mark.parametrize("fork", FORKS)
def test_receipts_of_every_type_of_a_fork_add_up_to_the_root(fork: str) -> None:
    options, transactions = FORKS[fork]
    with anvil(chain_id=31_337, more=options) as node:
        root, said = mined(node, transactions)

    types = {
        int(transaction.get("type", "0x2" if transaction == PRICED else "0x0"), 16) for transaction in transactions
    }
    assert {int(receipt["type"], 16) for receipt in said} == types
    assert unproven(read(said), root) is None
    assert [log.log_index for log in logs_in(read(said))] == list(range(len(transactions)))


def test_a_block_of_more_receipts_than_one_byte_counts_adds_up() -> None:
    with anvil(chain_id=31_337) as node:
        root, said = mined(node, [LEGACY, PRICED], copies=150)

    assert len(said) == 300
    assert unproven(read(said), root) is None


def test_a_receipt_of_before_byzantium_adds_up() -> None:
    """The only receipt of block 46147 of the main network, the first block there with a transaction."""
    receipt = Receipt(
        transaction_hash="0x5c504ed432cb51138bcf09aa5e8a410dd4a1e204ef84bfed1be16dfba1b22060",
        cumulative_gas_used="0x5208",
        logs_bloom="0x" + "00" * 256,
        logs=[],
        root="0x96a8e009d2b88b1483e6941e6812e32263b05683fac202abc622a3e31aed1957",
    )

    assert (
        unproven([receipt], bytes.fromhex("fe2bf2a941abf41d72637e5b91750332a30283efd40c424dc522b77e6f0ed8c4")) is None
    )


@pytest.fixture(scope="module")
def block() -> Iterator[tuple[bytes, list[dict[str, Any]]]]:
    with anvil(chain_id=31_337) as node:
        yield mined(node, [LEGACY, PRICED], copies=3)


def without_log(said: list[dict[str, Any]], place: int) -> list[dict[str, Any]]:
    return [{**receipt, "logs": []} if i == place else receipt for i, receipt in enumerate(said)]


Block = tuple[bytes, list[dict[str, Any]]]


@pytest.mark.parametrize("place", range(6))
def test_receipts_that_lack_any_one_log_do_not_add_up(block: Block, place: int) -> None:
    root, said = block

    assert unproven(read(said), root) is None
    assert unproven(read(without_log(said, place)), root) == (
        "the receipts given do not add up to the header's receiptsRoot"
    )
    assert unproven(read(said[:place] + said[place + 1 :]), root) is not None


@pytest.mark.parametrize(
    "change", [{"status": "0x0"}, {"cumulativeGasUsed": "0x1"}, {"type": "0x1"}, {"logsBloom": "0x" + "00" * 256}]
)
def test_receipts_with_another_fact_do_not_add_up(block: Block, change: dict[str, Any]) -> None:
    root, said = block

    assert unproven(read([*said[:-1], said[-1] | change]), root) is not None


def test_a_type_that_is_not_known_is_named_where_the_usual_form_does_not_fit(block: Block) -> None:
    root, said = block

    assert unproven(read([*said[:-1], said[-1] | {"type": "0x71"}]), root) == "receipts of type 0x71 are not known"


@pytest.mark.parametrize("change", [{"status": None}, {"status": "yes"}, {"logsBloom": "00"}])
def test_a_receipt_that_cannot_be_read_is_unproven_and_no_error(block: Block, change: dict[str, Any]) -> None:
    root, said = block

    assert "cannot be read" in str(unproven(read([*said[:-1], said[-1] | change]), root))


def test_a_deposit_of_before_canyon_ends_without_its_nonce() -> None:
    with anvil(chain_id=31_337, more=["--optimism"]) as node:
        _, said = mined(node, [DEPOSIT])
    (now,) = read(said)
    (before,) = read([{name: value for name, value in said[0].items() if name != "depositReceiptVersion"}])

    plain = list_root([encoded(before, Form(nonce=False, version=False))])
    assert unproven([before], plain) is None
    assert unproven([now], plain) is None


def test_a_malformed_log_is_a_fault_of_the_node(block: Block) -> None:
    _, said = block
    log = {**said[-1]["logs"][0], "data": "nothing"}

    with pytest.raises(NodeWrong, match="malformed log"):
        logs_in(read([*said[:-1], {**said[-1], "logs": [log]}]))
