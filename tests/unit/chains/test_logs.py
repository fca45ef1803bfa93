"""An answer to eth_getLogs is one table, however its JSON is written; what is no log is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.errors import NodeWrong
from chains.evm import logs
from chains.evm.logs import log_table, logs_of
from chains.evm.records import RpcLog

HASHES = st.binary(min_size=32, max_size=32)


@st.composite
def answers(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Logs of one answer: any number of topics, data of any length, often all alike."""
    sizes = draw(st.sampled_from([(0,), (32,), (96,), (0, 1, 32, 33, 160)]))
    topics = draw(st.sampled_from([(3,), (0, 1, 2, 3, 4), (4,)]))
    places = draw(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), unique=True, max_size=12))
    return [
        said(draw, block, index, draw(st.sampled_from(sizes)), draw(st.sampled_from(topics))) for block, index in places
    ]


def said(draw: st.DrawFn, block: int, index: int, size: int, topics: int) -> dict[str, Any]:
    return {
        "address": "0x" + draw(st.binary(min_size=20, max_size=20)).hex(),
        "topics": ["0x" + draw(HASHES).hex() for _ in range(topics)],
        "data": "0x" + draw(st.binary(min_size=size, max_size=size)).hex(),
        "blockNumber": hex(block),
        "blockHash": "0x" + draw(HASHES).hex(),
        "transactionHash": "0x" + draw(HASHES).hex(),
        "transactionIndex": hex(draw(st.integers(0, 2**31 - 1))),
        "logIndex": hex(index),
        "removed": False,
        "blockTimestamp": "0x1",
    }


@given(answers(), st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]), st.sampled_from([str, str.upper]))
def test_columns_cut_out_of_the_answer_are_those_read_value_by_value(
    answer: list[dict[str, Any]], separators: tuple[str, str], spelled: Callable[[str], str]
) -> None:
    answer = [{**log, "data": "0x" + spelled(log["data"][2:])} for log in answer]
    body = json.dumps(answer, separators=separators).encode()

    cut = logs_of(body)

    assert cut.equals(log_table(msgspec.json.decode(body, type=list[RpcLog])))
    assert cut.num_rows == len(answer)


@given(answers().filter(len), st.data())
def test_an_answer_with_any_byte_changed_says_what_it_says_value_by_value_or_is_refused(
    answer: list[dict[str, Any]], data: st.DataObject
) -> None:
    body = bytearray(json.dumps(answer, separators=(",", ":")).encode())
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.sampled_from(b'"0x,:[]{}afgG9 \\\xff'))

    def value_by_value() -> Any:
        return log_table(msgspec.json.decode(bytes(body), type=list[RpcLog]))

    try:
        cut = logs_of(bytes(body))
    except NodeWrong:
        with pytest.raises((NodeWrong, msgspec.DecodeError, UnicodeDecodeError)):
            value_by_value()
    else:
        assert cut.equals(value_by_value())


def test_the_usual_way_of_writing_takes_no_detour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "log_table", lambda _: pytest.fail("read value by value"))
    usual = [log(data="0x" + "ab" * 64), log(logIndex="0x1", topics=[]), log(logIndex="0x2", data="0x")]

    table = logs_of(json.dumps(usual, separators=(",", ":")).encode())

    assert table["data"].to_pylist() == [b"\xab" * 64, b"\x01", b""]
    assert table["topic0"].to_pylist() == [b"\x22" * 32, None, b"\x22" * 32]


@pytest.mark.parametrize(
    "odd",
    [
        {"removed": True},
        {"address": "0x11"},
        {"address": "11" * 21},
        {"data": "0xabc"},
        {"data": "0xzz"},
        {"data": "abcd"},
        {"topics": ["0x" + "22" * 31]},
        {"topics": "0x"},
        {"topics": ["0x" + "22" * 32 + "0"]},
        {"topics": ["0x" + "22" * 32] * 5},
        {"blockHash": None},
        {"blockNumber": "x"},
        {"logIndex": "0x80000000"},
    ],
    ids=str,
)
def test_what_is_no_log_is_refused(odd: dict[str, Any]) -> None:
    body = json.dumps([log(), log(logIndex="0x1") | odd], separators=(",", ":")).encode()

    with pytest.raises(NodeWrong, match="eth_getLogs"):
        logs_of(body)


def test_the_same_place_twice_is_refused() -> None:
    with pytest.raises(NodeWrong, match="twice"):
        logs_of(json.dumps([log(), log()], separators=(",", ":")).encode())


def test_nothing_is_an_empty_table() -> None:
    assert logs_of(b"[]").num_rows == 0


def log(**fields: object) -> dict[str, Any]:
    return {
        "address": "0x" + "11" * 20,
        "topics": ["0x" + "22" * 32],
        "data": "0x01",
        "blockNumber": "0x5",
        "blockHash": "0x" + "33" * 32,
        "transactionHash": "0x" + "44" * 32,
        "transactionIndex": "0x0",
        "logIndex": "0x0",
    } | fields
