"""Lists that notifications confirm: nothing is forgotten, or taken for told, that a whole list has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chains.model import AccountBytes
from chains.solana.lists import Lists
from chains.solana.members import Members, Said
from chains.solana.ports import AccountSet

PROGRAM = b"p" * 32
SET = AccountSet("purse", PROGRAM, None, ())
EARLY, LATE = b"e" * 32, b"l" * 32


def holding(slot: int, data: bytes) -> AccountBytes:
    """An account of the program."""
    return AccountBytes(slot, PROGRAM, 1, data, closed=False)


class Told:
    """A session that begins with slot `since`, and what it told."""

    session: int | None = 1

    def __init__(self, since: int | None) -> None:
        self.since = since
        self.news: dict[bytes, int] = {}

    async def heard(self, slot: int) -> bool:
        """Return that all was told."""
        del slot
        return True

    def told(self, wanted: AccountSet) -> Mapping[bytes, int]:
        """Return what was told."""
        del wanted
        return self.news

    def forget(self, wanted: AccountSet, told: Mapping[bytes, int]) -> None:
        """Forget it."""
        del wanted
        for address in told:
            self.news.pop(address)


class Answers(Members):
    """A node whose lists are given, one after another; `cuts`: of which it gave only slices."""

    def __init__(self, *answers: Said) -> None:
        self.answers = list(answers)
        self.cuts: list[bool] = []

    async def list(self, wanted: AccountSet, least: int, cut: tuple[int, int] | None = None) -> Said:
        """Give the next."""
        del wanted, least
        self.cuts.append(cut is not None)
        said = self.answers.pop(0)
        if cut is None:
            return said
        return said._replace(accounts={name: each._replace(data=b"") for name, each in said.accounts.items()})


def said(early: AccountBytes, late: AccountBytes) -> Said:
    """A list of two parts."""
    return Said(max(early.slot, late.slot), {EARLY: early, LATE: late}, min(early.slot, late.slot))


async def read(addresses: Sequence[bytes], least: int) -> Mapping[bytes, AccountBytes]:
    """Read accounts, all of which hold something new."""
    return {address: holding(least, b"new") for address in addresses}


async def test_what_was_told_of_after_its_own_part_of_a_list_is_not_forgotten_with_the_list() -> None:
    """The part that has it was listed at 100, the last one at 103; it changed at 102."""
    teller = Told(since=90)
    whole, slices = said(holding(100, b"old"), holding(103, b"x")), said(holding(105, b"new"), holding(105, b"x"))
    lists = Lists(Answers(whole, slices), read, teller)
    teller.news = {EARLY: 102, LATE: 102}
    await lists.take([SET], 0)
    lists.stored()
    assert teller.news == {EARLY: 102}
    found = (await lists.take([SET], 103))[SET]
    assert found.accounts == {EARLY: holding(105, b"new")}


async def test_a_whole_list_from_before_notifications_begin_is_followed_by_another() -> None:
    """The node that lists was at 100 when the one that tells was at 110: nobody told of 101 to 109."""
    teller = Told(since=110)
    before, after = said(holding(100, b"old"), holding(100, b"x")), said(holding(112, b"new"), holding(112, b"x"))
    members = Answers(before, after, after, after)
    lists = Lists(members, read, teller)
    await lists.take([SET], 0)
    lists.stored()
    found = (await lists.take([SET], 101))[SET]
    assert found.whole
    assert found.accounts[EARLY].data == b"new"
    lists.stored()
    assert not (await lists.take([SET], 112))[SET].whole
    assert members.cuts == [False, True, False, True]
