"""What pages show of the book is made once a version, and is never surer of a chain than its follower."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from aggregator.margin.status import Status
from crossmargin.errors import Busy
from crossmargin.local_desk import LocalDesk
from crossmargin.server.books import Books, lagging

CHAIN = "eip155:1"


class Desk:
    """A desk whose book is empty, and that counts how often it takes it."""

    def __init__(self, *, filled: bool) -> None:
        self.taken = 0
        self.live = SimpleNamespace(version=version() if filled else None)

    def take_book(self) -> Any:
        self.taken += 1
        self.live.version = version()
        return self.live.version


def version() -> Any:
    cut = SimpleNamespace(
        block=SimpleNamespace(number=100, hash=b"\x01" * 32, time=1_000_000), finality=SimpleNamespace(value="latest")
    )
    book = SimpleNamespace(accounts=(), context=SimpleNamespace(policy=SimpleNamespace(status=None)))
    return SimpleNamespace(order=(), rows={}, book=book, statuses=dict.fromkeys(Status, 0), cuts={CHAIN: cut})


def status(*, doubted: bool = False, block: int = 100, time: str = "1970-01-12T13:46:40Z") -> dict[str, Any]:
    reason = {"code": "chain_stale", "detail": "no node has answered"} if doubted else None
    return {"chains": [{"chain": CHAIN, "name": "main", "reason": reason, "indexed": {"block": block, "time": time}}]}


def books(desk: Desk) -> Books:
    return Books(cast(LocalDesk, desk), patience_s=0)


def test_a_version_is_looked_at_once() -> None:
    desk = Desk(filled=True)
    shown = books(desk)

    first = shown.now(status())

    assert shown.now(status()) is first
    assert desk.taken == 0
    desk.live.version = version()
    assert shown.now(status()) is not first


def test_a_book_that_is_not_there_yet_is_said_to_come() -> None:
    desk = Desk(filled=False)

    with pytest.raises(Busy, match="for the first time"):
        books(desk).now(status())
    desk.take_book()
    assert books(desk).now(status()).as_of[CHAIN]["block"] == 100


def test_a_chain_that_comes_to_be_doubted_or_believed_has_the_book_taken_anew_once() -> None:
    desk = Desk(filled=True)
    shown = books(desk)
    shown.now(status())
    for doubted, taken in ((True, 1), (True, 1), (False, 2), (False, 2)):
        shown.now(status(doubted=doubted))

        assert desk.taken == taken


def test_a_book_far_behind_the_store_says_so() -> None:
    view = books(Desk(filled=True)).now(status())

    assert lagging(view, status(block=109, time="1970-01-12T13:48:40Z")) == []
    assert lagging(view, status(block=110, time="1970-01-12T13:48:41Z")) == [
        "main: this is as of block 100, and block 110 is stored already"
    ]
