"""Logs that are not what their event says: kept apart one by one, and never taken for another value."""

from __future__ import annotations

import pytest

from chains.evm.abi import Event, Function
from chains.evm.logs import log_table
from chains.evm.records import RpcLog

ADDRESS = b"\xab" * 20
FULL, EMPTY = b"\xff" * 32, b"\0" * 32


def log(event: Event, *words: bytes, index: int = 0, topics: tuple[bytes, ...] = ()) -> RpcLog:
    return RpcLog(
        address="0x" + ADDRESS.hex(),
        topics=["0x" + topic.hex() for topic in (event.topic0, *topics)],
        data="0x" + b"".join(words).hex(),
        block_number="0x1",
        block_hash="0x" + "11" * 32,
        transaction_hash="0x" + "22" * 32,
        transaction_index="0x0",
        log_index=hex(index),
    )


def word(value: int) -> bytes:
    return (value % 2**256).to_bytes(32)


@pytest.mark.parametrize(
    "kind, fitting, beyond",
    [
        ("address", [EMPTY, word(2**160 - 1)], [word(2**160), FULL]),
        ("bool", [word(0), word(1)], [word(2), word(256), FULL]),
        ("uint8", [word(255)], [word(256), FULL]),
        ("uint128", [word(2**128 - 1)], [word(2**128)]),
        ("uint256", [FULL], []),
        ("int8", [word(127), word(-128)], [word(128), word(-129)]),
        ("int128", [word(-(2**127)), word(2**127 - 1)], [word(2**127), word(-(2**127) - 1)]),
        ("int256", [FULL, EMPTY], []),
        ("bytes4", [b"\xff" * 4 + b"\0" * 28], [FULL, word(1)]),
        ("bytes32", [FULL, EMPTY], []),
    ],
)
@pytest.mark.parametrize("indexed", [False, True])
def test_a_word_beyond_its_type_is_a_misfit(
    kind: str, fitting: list[bytes], beyond: list[bytes], *, indexed: bool
) -> None:
    event = Event(f"Said({kind} {'indexed ' if indexed else ''}x)")
    logs = [
        log(event, index=i, topics=(value,)) if indexed else log(event, value, index=i)
        for i, value in enumerate([*fitting, *beyond])
    ]

    rows, misfits = event.rows(log_table(logs))

    assert [row.ordinal for row in rows] == list(range(len(fitting)))
    assert [misfit.ordinal for misfit in misfits] == list(range(len(fitting), len(logs)))


def test_arrays_of_fixed_size_stand_between_other_arguments() -> None:
    event = Event("Said(uint64 before, uint8[2][2] inner, uint64 after)")
    inner = [word(n) for n in (1, 2, 3, 4)]

    rows, misfits = event.rows(
        log_table(
            [
                log(event, word(7), *inner, word(9)),
                log(event, word(7), *inner[:3], word(256), word(9), index=1),
                log(event, word(7), *inner[:3], word(9), index=2),
            ]
        )
    )

    assert [row.args for row in rows] == [(7, tuple(inner), 9)]
    assert sorted(misfit.ordinal for misfit in misfits) == [1, 2]


def test_an_indexed_array_is_its_hash() -> None:
    event = Event("Said(address[2] indexed both)")

    (row,), _ = event.rows(log_table([log(event, topics=(FULL,))]))

    assert row.args == (FULL,)


def test_one_text_that_cannot_be_read_takes_no_other_with_it() -> None:
    event = Event("Said(uint8 id, string text)")
    good = (word(1), word(64), word(2), b"ok".ljust(32, b"\0"))
    not_utf8 = (word(1), word(64), word(2), b"\xff\xfe".ljust(32, b"\0"))
    nowhere = (word(1), word(2**255), word(2))

    rows, misfits = event.rows(
        log_table([log(event, *good), log(event, *not_utf8, index=1), log(event, *nowhere, index=2)])
    )

    assert [row.args for row in rows] == [(1, "ok")]
    assert [misfit.ordinal for misfit in misfits] == [1, 2]


def test_logs_of_which_none_can_be_read() -> None:
    event = Event("Said(string text)")

    rows, misfits = event.rows(log_table([log(event, word(2**255))]))

    assert (rows, len(misfits)) == ([], 1)


def test_an_answer_that_is_no_text_is_no_answer() -> None:
    assert Function("symbol()", "string").result(word(32) + word(2) + b"\xff\xfe".ljust(32, b"\0")) is None
