"""Numbers that contracts tell when they are asked and that change without any event: a vault's rate, a ratio, a source's own word.

A rate is followed as a price source of its own. Its key is the address of the contract followed by the calldata of the question; its
phase, under that key: {rate: true, since, outcome, output: the answer and the block from which on it is known, changes: the blocks
of its last changes, restless}. While it is calm, every change is located to its block. One that changed `MOST_CHANGES` times within
`WITHIN_BLOCKS` is restless from then on: what it answers is known of those blocks alone after which it was looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from chains.evm.abi import Function
from chains.evm.logs import unhex
from chains.evm.ports import PENDING, Answer, Look, Reads

ADDRESS = 20
WORD = 32
MOST_CHANGES = 8
WITHIN_BLOCKS = 10_000

Phase = dict[str, Any]

LATEST_ANSWER = Function("latestAnswer()", "int256")
LATEST_ROUND_DATA = Function("latestRoundData()", "uint80", "int256", "uint256", "uint256", "uint80")
GET_RATIO = Function("getRatio()", "int256")

_SIGNED = {view.selector for view in (LATEST_ANSWER, LATEST_ROUND_DATA, GET_RATIO)}
_PLACES = {LATEST_ROUND_DATA.selector: 1}


def key_of(address: bytes, calldata: bytes) -> bytes:
    """Return the key under which the answer of a contract to a question is followed."""
    return address + calldata


def is_rate(key: bytes) -> bool:
    """Whether a source is a question to a contract and no contract."""
    return len(key) > ADDRESS


def number_in(calldata: bytes, answer: Answer) -> int | None:
    """Return the number that a contract answers to a question, `None` where it gives none."""
    place = _PLACES.get(calldata[:4], 0) * WORD
    word = answer.output[place : place + WORD]
    if not answer.returned or len(word) < WORD:
        return None
    return int.from_bytes(word, signed=calldata[:4] in _SIGNED)


def known_of(phase: Mapping[str, Any]) -> Answer:
    """Return the answer that a phase tells."""
    return Answer(phase["outcome"], unhex(phase["output"]))


def number_of(key: bytes, phase: Mapping[str, Any]) -> int | None:
    """Return the number that a phase tells."""
    return number_in(key[ADDRESS:], known_of(phase))


def told_at(key: bytes, phase: Mapping[str, Any]) -> int:
    """Return the time (Unix seconds) of a source's own word where it tells one, else zero."""
    if key[ADDRESS : ADDRESS + 4] != LATEST_ROUND_DATA.selector:
        return 0
    values = LATEST_ROUND_DATA.result(known_of(phase).output)
    return int(values[3]) if values else 0


def begun(reads: Reads, block: int, key: bytes, *, restless: bool = False) -> Phase | None:
    """Return the first phase of a rate, `None` while the answer is pending; one that is restless is not asked for."""
    if restless:
        return _phase(-1, Answer("unavailable", b""), [], restless=True)
    answer = reads.state(block, key[:ADDRESS], key[ADDRESS:])
    return None if answer is PENDING else _phase(block, answer, [], restless=False)


def later(reads: Reads, key: bytes, phase: Phase, begin: int) -> Iterator[tuple[int, Phase]]:
    """Yield what a rate is from one block of the span after another; `begin` is the first block that matters."""
    while not phase["restless"]:
        after = max(phase["since"], reads.first - 1)
        block = reads.first_change(Look(after, reads.last, key[:ADDRESS], key[ADDRESS:], known_of(phase)))
        answer = PENDING if block is None else reads.state(block, key[:ADDRESS], key[ADDRESS:])
        if block is None or answer is PENDING:
            return
        changes = [*phase["changes"], block][-MOST_CHANGES:]
        restless = len(changes) == MOST_CHANGES and block - changes[0] < WITHIN_BLOCKS
        phase = _phase(block, answer, changes, restless=restless)
        yield block, phase
    for block, answer in reads.sights(key[:ADDRESS], key[ADDRESS:]):
        if block >= begin and block > phase["since"]:
            phase = _phase(block, answer, phase["changes"], restless=True)
            yield block, phase


def text_of(phase: Phase) -> str:
    """Return a phase as it stands in the journal."""
    return json.dumps(phase, separators=(",", ":"))


def _phase(since: int, answer: Answer, changes: list[int], *, restless: bool) -> Phase:
    return {
        "rate": True,
        "since": since,
        "outcome": answer.outcome,
        "output": "0x" + answer.output.hex(),
        "changes": changes,
        "restless": restless,
    }
