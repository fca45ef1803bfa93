"""A token's word about a balance: what can be one is compared, what cannot is unreadable, and no shortage."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, cast

import pytest

from chains.evm import controls
from chains.evm.controls import BALANCE, NO_BALANCE, SUPPLY, control
from chains.evm.ports import UNAVAILABLE, Answer, Holding, Read
from chains.model import Block, VenueSnapshot, VenueSpec
from chains.ports import Cover

TOKEN, HOLDER = b"\x70" * 20, b"\x48" * 20
REVERTED = Answer("reverted", b"")


class Own:
    """A protocol with one holding, of which 100 is claimed."""

    @staticmethod
    def totals(whole: object) -> tuple[()]:
        return ()

    @staticmethod
    def holdings(whole: object) -> tuple[Holding, ...]:
        return (Holding(HOLDER, TOKEN, b"", 0, 100),)


class Token:
    """Answers as it was told to."""

    def __init__(self, balance: Answer, supply: Answer) -> None:
        self.said = {BALANCE.calldata(HOLDER): balance, SUPPLY.calldata(): supply}

    async def read(self, reads: Collection[Read], blocks: Mapping[int, Block]) -> dict[Read, Answer]:
        return {read: self.said[read.input] for read in reads}


class Sums:
    """Nothing is stored."""

    def sums(self, venue_id: str, block: int) -> dict[Any, int]:
        return {}


def word(number: int) -> Answer:
    return Answer("returned", number.to_bytes(32))


@pytest.mark.parametrize(
    "balance, supply, outcome, why",
    [
        (word(100), word(1000), Cover.COVERED, ""),
        (word(99), word(1000), Cover.SHORT, ""),
        (word(99), REVERTED, Cover.SHORT, ""),
        (word(2**255), word(1000), Cover.UNREADABLE, "beyond its own supply of 1000"),
        (word(1001), word(1000), Cover.UNREADABLE, "beyond its own supply of 1000"),
        (word(2**255), REVERTED, Cover.COVERED, ""),
        (REVERTED, word(1000), Cover.UNREADABLE, NO_BALANCE),
        (Answer("returned", b"\x01"), word(1000), Cover.UNREADABLE, NO_BALANCE),
        (UNAVAILABLE, UNAVAILABLE, Cover.UNANSWERED, ""),
    ],
)
def test_only_a_balance_that_can_be_one_says_that_something_is_missing(
    balance: Answer, supply: Answer, outcome: Cover, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controls, "controls", lambda _: Own)
    monkeypatch.setattr(controls, "told", lambda _: ())
    venue = VenueSpec(id="v", protocol="own", chain_id="eip155:1", address=HOLDER, start_block=0)
    at = Block(number=1, hash=b"", parent_hash=b"", time=0)
    snapshot = VenueSnapshot(venue=venue, at=at, markets={}, feeds={}, answers={})

    found = asyncio.run(control(Token(balance, supply), snapshot, cast("Any", Sums())))

    (held,) = found.holdings
    assert (held.outcome, why in held.why) == (outcome, True)
    again = asyncio.run(control(cast("Any", None), snapshot, cast("Any", Sums()), found.replies))
    assert again == found, "what was answered is weighed again without asking"
