"""What is asked of every followed source at the end of a span, beside its events: where it points to, and its own word."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from chains.evm.logs import unhex
from chains.evm.oracles.answer import computed_answer
from chains.evm.oracles.chainlink.events import AGGREGATOR, LATEST_ANSWER
from chains.evm.oracles.rates import number_in
from chains.evm.ports import CHECK, Answer, Read, Watched
from chains.model import Block, PriceAnswer, Reason

T = TypeVar("T")
Dated = Mapping[bytes, Sequence[tuple[int, T]]]
"""Key → (block, value), ascending."""


class Seen(NamedTuple):
    """A watched answer that is new at `block`."""

    block: int
    proxy: bytes
    answer: Answer


class Doubt(NamedTuple):
    """What a check of a source found wrong from `block` on, by its `word`; empty when it is right again."""

    block: int
    proxy: bytes
    fault: bytes
    word: bytes


@dataclass(frozen=True, slots=True)
class _Then(Generic[T]):
    """The values of a block, of many."""

    dated: Dated[T]
    block: int

    def get(self, key: bytes, /) -> T | None:
        values = self.dated.get(key, ())
        place = bisect_right(values, self.block, key=lambda value: value[0])
        return values[place - 1][1] if place else None


@dataclass(frozen=True, slots=True)
class Then:
    """What the journals say of a block within the span that is folded."""

    at: Block
    feeds: _Then[str]
    answers: _Then[PriceAnswer]


@dataclass(frozen=True, slots=True)
class History:
    """All phases and answers that the blocks of a span can rest on."""

    phases: Dated[str]
    answers: Dated[PriceAnswer]

    def watched(self, proxy: bytes, phase: Mapping[str, Any]) -> Watched:
        """Return what is to be asked of a source."""
        aggregator, (speaker, word) = unhex(phase["aggregator"] or "0x"), speaks(proxy, phase)
        if phase.get("rule"):
            judge = partial(self._judge_computed, proxy, word)
        else:
            word = word if self.answers.get(aggregator) else b""
            judge = partial(self._judge_delayed if phase.get("delayed") else self._judge_plain, aggregator)
        pointer, fault = Answer(phase["outcome"], unhex(phase["output"])), phase["fault"].encode()
        return Watched(since=phase["since"], pointer=pointer, fault=fault, word=word, speaker=speaker, judge=judge)

    def _judge_plain(self, aggregator: bytes, at: Block, said: Answer) -> bytes:
        value = number_in(LATEST_ANSWER.calldata(), said)
        if value is None:
            return b"latestAnswer() reverts"
        emitted = _Then(self.answers, at.number).get(aggregator)
        return (
            b"" if emitted is None or emitted.answer_raw == value else b"latestAnswer() is not the last answer emitted"
        )

    def _judge_delayed(self, aggregator: bytes, at: Block, said: Answer) -> bytes:
        """Judge the aggregator itself, which shows what it emitted to anybody else than one proxy, after the block of that."""
        emitted = _Then(self.answers, at.number).get(aggregator)
        return b"" if emitted is not None and emitted.block == at.number else self._judge_plain(aggregator, at, said)

    def _judge_computed(self, proxy: bytes, word: bytes, at: Block, said: Answer) -> bytes:
        """Compare with what the parts make; where these are not known, what was found before stands."""
        feeds = _Then(self.phases, at.number)
        text = feeds.get(proxy)
        phase: dict[str, Any] = json.loads(text) if text else {"fault": ""}
        rule, before = phase.get("rule"), str(phase["fault"]).encode()
        if rule is None or unhex(rule["word"]) != word:
            return before
        made = computed_answer(Then(at, feeds, _Then(self.answers, at.number)), proxy, rule)
        if isinstance(made, Reason):
            reverts = made.code == "source_reverts" and made.subject == "0x" + proxy.hex()
            if not reverts:
                return before
            return b"the source answers where its parts make it revert" if said.returned else b""
        value = number_in(word, said)
        if value is None:
            return b"the source reverts"
        return b"" if value == made.answer_raw else b"the source says something else than what its parts make it"


def speaks(proxy: bytes, phase: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return who says a source's own word, and the calldata by which it is asked."""
    if phase.get("rule"):
        return proxy, unhex(phase["rule"]["word"])
    return unhex(phase["aggregator"]) if phase.get("delayed") else proxy, LATEST_ANSWER.calldata()


def watch(proxy: bytes, block: int) -> Read:
    """Return the question that tells whether a proxy changed its aggregator."""
    return Read(block, "eth_call", proxy, AGGREGATOR.calldata())


def question(speaker: bytes, block: int, word: bytes) -> Read:
    """Return the question whose answer is checked against what is known."""
    return Read(block, "eth_call", speaker, word)


def verdict(proxy: bytes, block: int, word: bytes) -> Read:
    """Return the name under which it is stored what a check of a source found."""
    return Read(block, CHECK, proxy, word)
