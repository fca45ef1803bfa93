"""The fold of price sources over made-up answers: what is asked where a source begins, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pytest
from eth_abi.abi import encode

from chains.evm.logs import LOG_SCHEMA, empty_logs
from chains.evm.oracles.answer import current_answer
from chains.evm.oracles.chainlink import Chainlink
from chains.evm.oracles.chainlink.events import AGGREGATOR, ANSWER_UPDATED, ROUND
from chains.evm.oracles.computed import events as ev
from chains.evm.oracles.rates import LATEST_ANSWER, LATEST_ROUND_DATA, MOST_CHANGES, begun, key_of, later
from chains.evm.ports import Answer, Folded, Look, Read, Reads, Sight, Sighted
from chains.model import FEEDS, Basis, Block, PriceAnswer, Quarantined, Reason, Rows
from tests.support.state import Tips

SOURCE, OTHER, AGG = (bytes([n]) * 20 for n in (0x51, 0x52, 0x53))
BEGIN, TIME = 5, 1_700_000_000
RATE = key_of(OTHER, bytes.fromhex("679aefce"))

Words = Mapping[tuple[bytes, bytes], bytes]
"""(contract, calldata) → answer; all others revert, and no log is found."""


def folded(chainlink: Chainlink, words: Words, logs: pa.Table | None = None) -> Rows:
    """Fold one span in which one source begins, and at whose end nothing was looked at."""
    known: dict[Read, Answer] = {}
    sights: dict[Sight, Sighted] = {}
    while True:
        reads = Reads(known, {}, sights, first=0, last=10)
        decoded, sources = chainlink.decode(empty_logs() if logs is None else logs), {SOURCE: BEGIN}
        outcome = chainlink.fold(Tips(), decoded, sources, [], times={BEGIN: TIME}, reads=reads)
        if isinstance(outcome, Folded):
            return outcome.rows
        known |= {read: told(read, words) for read in outcome.reads}
        sights |= dict.fromkeys(outcome.sights, ())


def told(read: Read, words: Words) -> Answer:
    if read.method == "last_log":
        return Answer("absent", b"")
    said = words.get((read.address, read.input))
    return Answer("reverted", b"") if said is None else Answer("returned", said)


def phase_of(rows: Rows) -> dict[str, object]:
    return next(dict(json.loads(row.state)) for row in rows.markets if row.market == SOURCE)


def number(value: int) -> bytes:
    return encode(["int256"], [value])


def round_of(answer: int, *, since: int = 0, updated_at: int = TIME) -> bytes:
    types = ["uint80", "int256", "uint256", "uint256", "uint80"]
    return encode(types, [2**64 + 7, answer, since, updated_at, 1])


def test_an_answer_of_a_time_that_no_calendar_has_is_kept_beside_and_is_none() -> None:
    words = {(SOURCE, AGGREGATOR.calldata()): encode(["address"], [AGG])}
    times = [TIME, 2**255, TIME + 5]
    logs = pa.Table.from_pylist(
        [
            {
                "block_number": BEGIN + index, "tx_index": 0, "log_index": index, "block_hash": b"", "tx_hash": b"",
                "address": AGG, "topic0": ANSWER_UPDATED.topic0, "topic1": number(7 + index), "topic2": number(index),
                "data": encode(["uint256"], [time]),
            }
            for index, time in enumerate(times)
        ],
        schema=LOG_SCHEMA,
    )  # fmt: skip

    rows = folded(Chainlink([]), words, logs)

    assert [(price.answer_raw, price.updated_at) for price in rows.prices] == [(7, TIME), (9, TIME + 5)]
    assert rows.quarantined == [
        Quarantined(BEGIN + 1, 0, 1, FEEDS, "malformed_event:AnswerUpdated", (2**255).to_bytes(32, "big"))
    ]


def test_nothing_that_was_emitted_before_and_cannot_be_kept_is_an_answer() -> None:
    words = {(SOURCE, AGGREGATOR.calldata()): encode(["address"], [AGG])}
    for answer, since in ((10**38, TIME), (1, 2**200)):
        said = words | {(SOURCE, ROUND.calldata()): round_of(answer, since=since)}
        assert folded(Chainlink([], seldom=[SOURCE]), said).prices == []


def test_a_feed_that_is_seldom_heard_is_read_where_it_begins() -> None:
    words = {
        (SOURCE, AGGREGATOR.calldata()): encode(["address"], [AGG]),
        (SOURCE, ROUND.calldata()): round_of(1, since=TIME - 90),
    }

    (price,) = folded(Chainlink([], seldom=[SOURCE]), words).prices
    assert (price.source, price.answer_raw, price.round_id, price.updated_at) == (AGG, 1, 7, TIME - 90)
    assert price.basis is Basis.SETTLED
    assert folded(Chainlink([]), words).prices == [], "the word of any other is never taken over"


def cap(word: int) -> Words:
    """A stable cap of 104 over a feed at 110."""
    return {
        (SOURCE, ev.ASSET_TO_USD.calldata()): encode(["address"], [OTHER]),
        (SOURCE, ev.PRICE_CAP.calldata()): number(104),
        (SOURCE, LATEST_ANSWER.calldata()): number(word),
        (OTHER, LATEST_ANSWER.calldata()): number(110),
        (OTHER, AGGREGATOR.calldata()): encode(["address"], [AGG]),
    }


def test_a_source_of_a_known_shape_has_a_rule_only_where_its_word_is_what_that_makes() -> None:
    assert phase_of(folded(Chainlink([]), cap(104)))["rule"] == {
        "kind": "capped",
        "word": "0x" + LATEST_ANSWER.calldata().hex(),
        "parts": {"asset": "0x" + OTHER.hex()},
        "numbers": {"cap": "104"},
    }
    other = phase_of(folded(Chainlink([]), cap(105)))
    assert "rule" not in other
    assert other["sight"] == "0x" + key_of(SOURCE, LATEST_ANSWER.calldata()).hex()
    assert str(other["problem"]).endswith("the source says something else than what its parts make it")


@pytest.mark.parametrize(
    "words, problem",
    [
        ({}, "the source gives no answer"),
        (
            {(SOURCE, LATEST_ANSWER.calldata()): number(1), (SOURCE, LATEST_ROUND_DATA.calldata()): round_of(2)},
            "latestAnswer() and latestRoundData() say different things",
        ),
    ],
)
def test_a_source_without_one_word_is_not_even_looked_at(words: Words, problem: str) -> None:
    phase = phase_of(folded(Chainlink([]), words))

    assert "sight" not in phase
    assert str(phase["problem"]).endswith(problem)


# Rates


@dataclass(frozen=True)
class At:
    """A moment at which nothing is known but one rate."""

    at: Block
    feeds: dict[bytes, str]
    answers: dict[bytes, PriceAnswer]


def followed(values: Mapping[int, int], last: int) -> dict[int, dict[str, object]]:
    """Follow a rate that has these values from these blocks on, looked at after block `last`."""
    history = {block: Answer("returned", number(value)) for block, value in values.items()}
    first = min(history)
    reads: dict[Read, Answer] = {Read(b, "state", RATE[:20], RATE[20:]): answer for b, answer in history.items()}
    looks: dict[Look, int | None] = {}
    sights = {Sight(0, last, RATE[:20], RATE[20:]): ((last, history[max(history)]),)}
    while True:
        asked = Reads(reads, looks, sights, first=0, last=last)
        start = begun(asked, first, RATE)
        assert start is not None
        phases = {first: start, **dict(later(asked, RATE, start, first))}
        if not asked.is_open():
            return phases
        for look in asked.unlooked:
            changes = [block for block, answer in history.items() if block > look.after and answer != look.known]
            looks[look] = min(changes, default=None)


def said(phase: Mapping[str, object], block: int) -> int | str:
    moment = At(Block(number=block, hash=b"", parent_hash=b"", time=TIME), {RATE: json.dumps(phase)}, {})
    answer = current_answer(moment, RATE)
    return answer.code if isinstance(answer, Reason) else answer.answer_raw


def test_a_calm_rate_is_known_of_every_block_and_a_restless_one_of_those_that_were_looked_at() -> None:
    calm = followed({block: block for block in range(1, 2 * MOST_CHANGES)}, last=9)
    assert sorted(calm) == [*range(1, MOST_CHANGES + 2)]
    assert [phase["restless"] for phase in calm.values()] == [False] * MOST_CHANGES + [True]

    seldom = followed({1 + 2_000 * n: n for n in range(12)}, last=40_000)
    assert not any(phase["restless"] for phase in seldom.values())
    assert said(seldom[22_001], 39_999) == 11


def test_what_was_looked_at_is_known_of_that_block_alone() -> None:
    phases = followed({block: block for block in range(1, 20)}, last=30)

    assert said(phases[30], 30) == 19
    assert said(phases[30], 31) == "not_read_at_block"
    assert said(phases[30], 29) == "not_read_at_block"
