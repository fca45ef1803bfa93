"""What of a contract is followed: all of it, or the logs that name somebody."""

from __future__ import annotations

import pyarrow as pa

from chains.evm.emitters import NEVER, contract_of, first_block, is_whole, named_by, naming, split, without_repeats
from chains.evm.evidence.by_bloom import may_hold
from chains.evm.evidence.compare import Followed
from chains.evm.evidence.receipts import BlockLog
from chains.evm.logs import LOG_SCHEMA
from tests.unit.chains.evidence.test_blooms import bloom_of

TOKEN, OTHER, ANN, BOB = (digit * 20 for digit in (b"\x0a", b"\x0b", b"\x01", b"\x02"))
TOPIC = b"\x77" * 32


def word(address: bytes) -> bytes:
    return bytes(12) + address


def log(address: bytes, *topics: bytes) -> BlockLog:
    return BlockLog(0, 0, b"", address, topics, b"")


def table(*rows: tuple[bytes, bytes | None, bytes | None]) -> pa.Table:
    made = [
        {"block_number": 1, "log_index": place, "address": address, "topic0": TOPIC, "topic1": one, "topic2": two}
        for place, (address, one, two) in enumerate(rows)
    ]
    return pa.Table.from_pylist(made, schema=LOG_SCHEMA)


def test_a_key_is_a_contract_or_names_somebody_too() -> None:
    key = naming(TOKEN, ANN)

    assert (contract_of(key), contract_of(TOKEN)) == (TOKEN, TOKEN)
    assert (is_whole(key), is_whole(TOKEN)) == (False, True)
    assert split([TOKEN, key, OTHER]) == ([TOKEN, OTHER], [key])


def test_a_log_is_followed_from_the_first_block_of_any_key_that_means_it() -> None:
    keys = {naming(TOKEN, ANN): 5, naming(TOKEN, BOB): 3, OTHER: 7}

    assert first_block(keys, TOKEN, (TOPIC, word(ANN), word(BOB))) == 3
    assert first_block(keys, TOKEN, (TOPIC, word(ANN))) == 5
    assert first_block(keys, TOKEN, (TOPIC, word(OTHER), TOPIC, word(ANN))) == NEVER
    assert first_block(keys, OTHER, (TOPIC, word(ANN))) == 7
    assert first_block({**keys, TOKEN: 4}, TOKEN, (TOPIC,)) == 4


def test_logs_that_name_nobody_are_left_out() -> None:
    rows = table(
        (TOKEN, word(ANN), word(OTHER)),
        (TOKEN, word(OTHER), word(ANN)),
        (TOKEN, word(BOB), None),
        (OTHER, word(ANN), None),
        (TOKEN, None, None),
    )

    assert named_by(rows, [naming(TOKEN, ANN)])["log_index"].to_pylist() == [0, 1]


def test_what_two_questions_found_is_there_once() -> None:
    one = table((TOKEN, word(ANN), None), (TOKEN, word(BOB), None))

    assert sorted(without_repeats(pa.concat_tables([one, one.slice(1)]))["log_index"].to_pylist()) == [0, 1]


def test_evidence_asks_only_where_a_filter_may_hold_the_name_too() -> None:
    followed = Followed({naming(TOKEN, ANN): 5, OTHER: 1}, frozenset({TOPIC}))

    assert may_hold(bloom_of([TOKEN, TOPIC, word(ANN)]), followed, 5) == {(TOKEN, TOPIC)}
    assert may_hold(bloom_of([TOKEN, TOPIC, word(ANN)]), followed, 4) == set()
    assert may_hold(bloom_of([TOKEN, TOPIC, word(BOB)]), followed, 5) == set()
    assert may_hold(bloom_of([OTHER, TOPIC]), followed, 5) == {(OTHER, TOPIC)}
    assert followed.addresses(4) == [OTHER]
    assert followed.has(5, log(TOKEN, TOPIC, word(ANN)))
    assert not followed.has(5, log(TOKEN, TOPIC, word(BOB)))
    assert not followed.has(5, log(TOKEN, word(ANN), TOPIC))
