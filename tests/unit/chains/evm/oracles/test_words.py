"""Which question a source that is not recognised is looked at by."""

from __future__ import annotations

from chains.evm.oracles.computed.recognised import TWO_WORDS, UNKNOWN, recognised
from chains.evm.oracles.rates import LATEST_ANSWER, LATEST_ROUND_DATA
from chains.evm.ports import Answer, Read, Reads

SOURCE, BLOCK, NOW = b"\x51" * 20, 9, 1_000_000


class Says(dict[Read, Answer]):
    """A contract that has some views, and reverts at all others."""

    def __init__(self, **words: tuple[int, ...]) -> None:
        super().__init__()
        self._said = {
            view.calldata(): b"".join(word.to_bytes(32) for word in words[name])
            for name, view in (("answer", LATEST_ANSWER), ("round", LATEST_ROUND_DATA))
            if name in words
        }

    def get(self, read: Read, default: object = None) -> Answer:
        del default
        said = self._said.get(read.input)
        return Answer("reverted", b"") if said is None or read.address != SOURCE else Answer("returned", said)


def test_the_view_that_tells_its_age_is_looked_at_where_there_are_two() -> None:
    found = recognised(Reads(Says(answer=(7,), round=(1, 7, 90, 100, 1))), BLOCK, SOURCE, NOW)

    assert found is not None
    assert (found.problem, found.word) == (UNKNOWN, LATEST_ROUND_DATA.calldata())


def test_one_view_alone_is_looked_at() -> None:
    found = recognised(Reads(Says(answer=(7,))), BLOCK, SOURCE, NOW)

    assert found is not None
    assert (found.problem, found.word) == (UNKNOWN, LATEST_ANSWER.calldata())


def test_two_views_that_differ_are_believed_in_neither() -> None:
    found = recognised(Reads(Says(answer=(8,), round=(1, 7, 90, 100, 1))), BLOCK, SOURCE, NOW)

    assert found is not None
    assert (found.problem, found.word) == (TWO_WORDS, b"")
