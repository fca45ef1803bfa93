"""What a price source is made of: asked at one block, and believed where its own word there is what that makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from chains.evm.abi import Function
from chains.evm.oracles.computed.events import PRICE
from chains.evm.oracles.computed.prices import computed
from chains.evm.oracles.computed.shapes import SHAPES, Made
from chains.evm.oracles.rates import ADDRESS, LATEST_ANSWER, LATEST_ROUND_DATA, is_rate, number_in
from chains.evm.ports import PENDING, Answer, Reads

WORDS = (LATEST_ROUND_DATA, LATEST_ANSWER, PRICE)
"""In this order: of those that answer, the first is looked at where nothing else is known, and only one tells how old it is."""

UNKNOWN = "not a plain feed, nor a computed source that is known here"
OTHERWISE = "the source says something else than what its parts make it"
TWO_WORDS = "latestAnswer() and latestRoundData() say different things"
SILENT = "the source gives no answer"


class Recognised(NamedTuple):
    """Either a rule, as JSON, with its parts; or why there is none, with the question whose answer can be looked at instead."""

    rule: dict[str, Any] | None
    parts: tuple[bytes, ...]
    problem: str
    word: bytes


def recognised(reads: Reads, block: int, source: bytes, time: int | None) -> Recognised | None:
    """Tell what a source is made of at a block of that time; `None` while something is still to be asked."""
    asked = _Asked(reads, block, source)
    found = [made for shape in SHAPES if (made := shape(asked, source)) is not None]
    words = [asked.number(source, view.calldata()) for view in WORDS]
    if asked.pending() or time is None:
        return None
    word = next((view.calldata() for view, number in zip(WORDS, words, strict=True) if number is not None), b"")
    if None not in words[:2] and words[0] != words[1]:
        return Recognised(None, (), TWO_WORDS, b"")
    if not found:
        return Recognised(None, (), UNKNOWN if word else SILENT, word)
    said = [_said(asked, source, made, time) for made in found]
    if asked.pending():
        return None
    right = next((made for made, fits in zip(found, said, strict=True) if fits), None)
    if right is None:
        return Recognised(None, (), OTHERWISE, word)
    return Recognised(_rule(right), tuple(right.parts.values()), "", right.word.calldata())


def _said(asked: _Asked, source: bytes, made: Made, time: int) -> bool:
    """Whether a source's own word is what its parts make it; one that reverts where its parts make it revert is right too."""
    parts = {name: asked.part(part, made.asks) for name, part in made.parts.items()}
    known = {name: number for name, number in parts.items() if number is not None}
    if len(known) < len(parts):
        return False
    return computed(made.kind, made.numbers | known, time) == asked.number(source, made.word.calldata())


def _rule(made: Made) -> dict[str, Any]:
    return {
        "kind": made.kind,
        "word": "0x" + made.word.calldata().hex(),
        "parts": {name: "0x" + part.hex() for name, part in made.parts.items()},
        "numbers": {name: str(number) for name, number in made.numbers.items()},
    }


class _Asked:
    """Asks contracts at one block, and remembers whether an answer is still to come."""

    def __init__(self, reads: Reads, block: int, source: bytes) -> None:
        self.reads = reads
        self.block = block
        self.source = source
        self._waits: set[bytes] = set()

    def pending(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self._waits)

    def __call__(self, view: Function, *arguments: object, of: bytes | None = None, whole: bool = False) -> Any:  # noqa: ANN401 - the ABI decides
        answer = self._answer(self.source if of is None else of, view.calldata(*arguments))
        values = view.result(answer.output) if answer.returned else None
        return None if values is None else values if whole else values[0]

    def number(self, address: bytes, calldata: bytes, *, ask: Callable[..., Answer] | None = None) -> int | None:
        return number_in(calldata, self._answer(address, calldata, ask))

    def part(self, part: bytes, word: Function) -> int | None:
        """Return what a part answers: a rate is asked as it is followed, so that it is asked once."""
        if is_rate(part):
            return self.number(part[:ADDRESS], part[ADDRESS:], ask=self.reads.state)
        return self.number(part, word.calldata())

    def _answer(self, address: bytes, calldata: bytes, ask: Callable[..., Answer] | None = None) -> Answer:
        answer = (ask or self.reads)(self.block, address, calldata)
        if answer is PENDING:
            self._waits.add(calldata)
        return answer
