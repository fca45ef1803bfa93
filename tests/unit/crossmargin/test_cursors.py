"""A cursor that somebody else wrote, as anybody can for readers of a lake, gives a refusal and nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from crossmargin.errors import UsageError
from crossmargin.server.cursors import Cursors
from crossmargin.server.pages import paged
from crossmargin.server.questions import PageQuery
from crossmargin.server.rooms.accounts import _event_place

CURSORS = Cursors(b"known to everybody")
NAME = "accounts"
LINES = [{"account": "a", "rank": 1}, {"account": "b", "rank": 2}]


def place(line: Mapping[str, Any]) -> list[Any]:
    return [line["rank"], line["account"]]


def page(said: Any) -> Mapping[str, Any]:
    query = PageQuery(limit=1)
    question = f"{NAME} {query.model_dump_json(exclude={'limit', 'cursor'})}"
    return paged(LINES, query.model_copy(update={"cursor": CURSORS.write(question, said)}), CURSORS, NAME, place)


@pytest.mark.parametrize(
    "said",
    [None, 7, "x", {"a": 1}, ["x"], [None, None], [{}], [{"decimal": "x"}, "a"], [{"decimal": "sNaN"}, "a"], [[1]]],
)
def test_a_place_that_is_none_in_its_list_is_refused(said: Any) -> None:
    with pytest.raises(UsageError, match="begin again without one"):
        page(said)


def test_a_place_of_its_list_goes_on() -> None:
    assert page([1, "a"])["accounts"] == [LINES[1]]


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        [1],
        [1, 2, 3, 4, 5],
        [1, "c", "x", 0, 0],
        [2**63, "c", 0, 0, 0],
        [1, "c", 0, None, 0],
        [1, "c", 0, 0, [0]],
    ],
)
def test_a_place_that_is_none_in_a_history_is_refused(said: Any) -> None:
    with pytest.raises(UsageError, match="begin again without one"):
        _event_place(said)
