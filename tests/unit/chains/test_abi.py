"""Columns against the reference decoder: web3 and eth_abi say what every event of every adapter means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st
from web3 import Web3
from web3._utils.events import get_event_data

from chains.evm.aave_v3 import events as aave
from chains.evm.abi import Event, by_topic, decode_all, empty
from chains.evm.logs import log_table
from chains.evm.oracles.chainlink.events import ANSWER_UPDATED
from chains.evm.records import RpcLog

EVENTS = (*aave.EVENTS, ANSWER_UPDATED)
WORD = 2**256


def value_of(kind: str) -> st.SearchStrategy[Any]:
    if kind == "address":
        return st.binary(min_size=20, max_size=20)
    if kind == "bool":
        return st.booleans()
    if kind == "string":
        return st.text(max_size=40)
    if kind.startswith("bytes"):
        return st.binary(min_size=32, max_size=32)
    if kind.startswith("uint"):
        top = 2 ** int(kind[4:]) - 1
        return st.one_of(st.integers(0, top), st.sampled_from([0, 1, top, top // 2]))
    edge = 2 ** (int(kind[3:]) - 1)
    return st.one_of(st.integers(-edge, edge - 1), st.sampled_from([0, -1, -edge, edge - 1]))


@st.composite
def emitted(draw: st.DrawFn, event: Event) -> tuple[RpcLog, tuple[Any, ...]]:
    values = tuple(draw(value_of(argument.type)) for argument in event.arguments)
    pairs = list(zip(event.arguments, values, strict=True))
    topics = [event.topic0, *(encode([a.type], [v]) for a, v in pairs if a.indexed)]
    plain = [(a.type, v) for a, v in pairs if not a.indexed]
    log = RpcLog(
        address="0x" + draw(st.binary(min_size=20, max_size=20)).hex(),
        topics=["0x" + topic.hex() for topic in topics],
        data="0x" + encode([kind for kind, _ in plain], [v for _, v in plain]).hex(),
        block_number=hex(draw(st.integers(0, 2**40))),
        block_hash="0x" + "11" * 32,
        transaction_hash="0x" + "22" * 32,
        transaction_index="0x0",
        log_index=hex(draw(st.integers(0, 2**20))),
    )
    return log, values


@pytest.mark.parametrize("event", EVENTS, ids=[f"{i}-{event.name}" for i, event in enumerate(EVENTS)])
def test_columns_decode_what_was_encoded_and_what_web3_reads(event: Event) -> None:
    @given(emitted(event))
    def check(drawn: tuple[RpcLog, tuple[Any, ...]]) -> None:
        log, values = drawn

        (row,), misfits = event.rows(log_table([log]))

        assert misfits == []
        assert row.args == values
        assert row.args == by_web3(event, log)

    check()


def by_web3(event: Event, log: RpcLog) -> tuple[Any, ...]:
    abi: Any = {
        "type": "event",
        "name": event.name,
        "anonymous": False,
        "inputs": [{"name": a.name, "type": a.type, "indexed": a.indexed} for a in event.arguments],
    }
    entry: Any = {
        "address": Web3.to_checksum_address(log.address),
        "topics": [bytes.fromhex(topic[2:]) for topic in log.topics],
        "data": bytes.fromhex(log.data[2:]),
        "blockNumber": int(log.block_number, 16),
        "blockHash": b"\x11" * 32,
        "transactionHash": b"\x22" * 32,
        "transactionIndex": 0,
        "logIndex": int(log.log_index, 16),
    }
    decoded = get_event_data(Web3().codec, abi, entry)["args"]
    values = [decoded[a.name] for a in event.arguments]
    return tuple(
        bytes.fromhex(value[2:]) if a.type == "address" else value
        for a, value in zip(event.arguments, values, strict=True)
    )


def test_events_of_many_kinds_come_back_in_chain_order() -> None:
    logs = [supply_log(block, index) for block, index in ((7, 1), (6, 9), (7, 0), (6, 2))]

    rows, _ = decode_all(aave.EVENTS, log_table(logs))

    assert [(row.block, row.ordinal) for row in rows] == [(6, 2), (6, 9), (7, 0), (7, 1)]


def test_a_log_of_another_shape_is_a_misfit_and_not_dropped() -> None:
    log = supply_log(1, 1)
    log.data += "00" * 32

    rows, misfits = decode_all(aave.EVENTS, log_table([log]))

    assert rows == []
    assert [(misfit.event.name, len(misfit.data)) for misfit in misfits] == [("Burn", 128)]


def test_logs_are_taken_apart_by_topic_and_one_without_any_is_in_no_part() -> None:
    logs = [supply_log(block, 0) for block in (3, 1, 2)]
    logs[1].topics = ["0x" + aave.MINT.topic0.hex()]
    logs[2].topics = []

    parts = by_topic(log_table(logs))

    assert {topic: part["block_number"].to_pylist() for topic, part in parts.items()} == {
        aave.BURN.topic0: [3],
        aave.MINT.topic0: [1],
    }
    assert by_topic(log_table([])) == {}


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=20), st.integers(0, 32))
def test_bytes_are_empty_where_every_one_is_zero(words: list[bytes], size: int) -> None:
    bare = [word if word[0] & 1 else bytes(size) + word[size:] for word in words]
    rows = np.frombuffer(b"".join(bare), np.uint8).reshape(-1, 32)

    assert empty(rows[:, :size]).tolist() == [not any(word[:size]) for word in bare]


def supply_log(block: int, index: int) -> RpcLog:
    return RpcLog(
        address="0x" + "aa" * 20,
        topics=["0x" + aave.BURN.topic0.hex(), "0x" + "00" * 32, "0x" + "00" * 32],
        data="0x" + encode(["uint256"] * 3, [WORD - 1, 0, 10**27]).hex(),
        block_number=hex(block),
        block_hash="0x" + "11" * 32,
        transaction_hash="0x" + "22" * 32,
        transaction_index="0x0",
        log_index=hex(index),
    )
