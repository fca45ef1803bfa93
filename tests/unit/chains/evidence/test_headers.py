"""Headers of every fork hash to what their chain says, and one that was tampered with does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chains.errors import NodeWrong
from chains.evm.evidence.headers import FIRST_FIELDS, LATER_FIELDS, encodings, header_of, linked
from tests.devnet.evm.anvil import anvil

RECORDED = "../shared/fixtures/evm/*/proofs.json"
FORKS = {"frontier": 15, "london": 16, "shanghai": 17, "cancun": 20, "osaka": 21}
"""A fork → how many fields a header has there."""


@pytest.mark.parametrize("fork", FORKS)
def test_headers_of_a_fork_hash_to_their_hash_and_hang_together(fork: str) -> None:
    with anvil(chain_id=31_337, more=["--hardfork", fork]) as node:
        for _ in range(3):
            node.call("evm_mine")
        said = [node.header(number) for number in range(4)]

    headers = [header_of(header) for header in said]
    assert [header.number for header in headers] == [0, 1, 2, 3]
    assert all(header.hashed and header.without_logs for header in headers)
    assert linked(headers, headers[-1].hash) is None
    assert sum(name in said[3] for name in (*FIRST_FIELDS, *LATER_FIELDS)) == FORKS[fork]


def test_recorded_headers_are_encoded_as_they_were_recorded(checkout: Path) -> None:
    recorded = [json.loads(path.read_text()) for path in sorted(checkout.glob(RECORDED))]
    if not recorded:
        pytest.skip("no recorded runs here")

    for run in recorded:
        assert next(encodings(run["block"])) == bytes.fromhex(run["headerRlp"][2:])
        assert header_of(run["block"]).hashed


@pytest.fixture(scope="module")
def chain() -> list[dict[str, Any]]:
    with anvil(chain_id=31_337) as node:
        for _ in range(3):
            node.call("evm_mine")
        return [node.header(number) for number in range(4)]


@pytest.mark.parametrize("name", [*FIRST_FIELDS, "baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "requestsHash"])
def test_a_header_with_another_field_does_not_hash(chain: list[dict[str, Any]], name: str) -> None:
    value = chain[2][name]
    changed = value[:-1] + ("1" if value[-1] == "0" else "0") if len(value) > 2 else "0x01"

    assert not header_of(chain[2] | {name: changed}).hashed


def test_fields_that_are_not_hashed_change_nothing(chain: list[dict[str, Any]]) -> None:
    assert header_of(chain[2] | {"l1BlockNumber": "0x1", "sendCount": "0x2", "slotNumber": None}).hashed


def test_a_header_with_a_field_of_a_later_fork_that_its_chain_does_not_hash_is_known(
    chain: list[dict[str, Any]],
) -> None:
    assert header_of(chain[2] | {"blockAccessListHash": chain[2]["hash"]}).hashed


def test_a_header_of_an_unknown_shape_is_not_hashed_and_no_error(chain: list[dict[str, Any]]) -> None:
    without = {name: value for name, value in chain[2].items() if name != "mixHash"}

    assert not header_of(without).hashed


@pytest.mark.parametrize(
    "wrong", [{"hash": "0x12"}, {"number": None}, {"receiptsRoot": "0xzz"}, {"logsBloom": "0x00"}, {"parentHash": 7}]
)
def test_a_malformed_header_is_a_fault_of_the_node(chain: list[dict[str, Any]], wrong: dict[str, Any]) -> None:
    with pytest.raises(NodeWrong, match="malformed header"):
        header_of(chain[2] | wrong)


def test_the_highest_header_that_does_not_hang_together_is_named(chain: list[dict[str, Any]]) -> None:
    headers = [header_of(said) for said in chain]
    torn = [headers[0], header_of(chain[1] | {"hash": "0x" + "ab" * 32}), *headers[2:]]

    assert linked(torn, headers[-1].hash) is torn[1]
    assert linked(headers, b"\x01" * 32) is headers[-1]
    assert linked([], b"\x01" * 32) is None
