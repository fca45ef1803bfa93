"""What answers of several nodes about one account are worth."""

from __future__ import annotations

from hashlib import sha256

import pytest

from chains.agreeing import Agreed, agreement
from chains.model import AccountBytes

UNIT, PROGRAM = b"\x07" * 32, b"\x01" * 32


def said(slot: int, data: bytes = b"same", *, owner: bytes = PROGRAM, lamports: int = 5) -> AccountBytes:
    return AccountBytes(slot, owner, lamports, data, closed=False)


def gone(slot: int) -> AccountBytes:
    return AccountBytes(slot, b"", 0, b"", closed=True)


STORED = said(90)


@pytest.mark.parametrize(
    "answers, outcome, kept",
    [
        ([], Agreed.UNANSWERED, False),
        ([said(100)], Agreed.UNANSWERED, True),
        ([said(100), said(100)], Agreed.AGREED, True),
        ([said(100), said(100, lamports=9)], Agreed.AGREED, True),
        ([said(100), said(100), said(100)], Agreed.AGREED, True),
        ([said(100), said(101)], Agreed.APART, True),
        ([said(100), said(101, b"other")], Agreed.APART, False),
        ([said(100, b"new"), said(100, b"new")], Agreed.CHANGED, True),
        ([gone(100), gone(100)], Agreed.CHANGED, True),
        ([said(100), said(100, b"other")], Agreed.DIFFERENT, False),
        ([said(100), said(100, owner=b"\x02" * 32)], Agreed.DIFFERENT, False),
        ([said(100), gone(100)], Agreed.DIFFERENT, False),
        ([said(100), said(101), said(100, b"other")], Agreed.DIFFERENT, False),
    ],
)
def test_agreement_and_contradiction_are_of_one_slot(answers: list[AccountBytes], outcome: Agreed, kept: bool) -> None:  # noqa: FBT001
    found = agreement(UNIT, STORED, dict(enumerate(answers, start=1)))

    assert (found.unit_id, found.outcome) == (UNIT, outcome)
    assert [each.node for each in found.answers] == list(range(1, len(answers) + 1))
    assert found.data == (answers[0].data if kept else b"")
    assert {each.sha256 for each in found.answers} == {sha256(each.data).digest() for each in answers}
    slots = {each.slot for each in answers}
    assert found.slot == (slots.pop() if len(slots) == 1 else None)


def test_what_is_gone_and_was_gone_is_agreed() -> None:
    assert agreement(UNIT, gone(80), {1: gone(100), 2: gone(100)}).outcome is Agreed.AGREED
