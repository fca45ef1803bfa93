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
        part = slice(cut[0], sum(cut))
        return said._replace(
            accounts={name: each._replace(data=each.data[part]) for name, each in said.accounts.items()}
        )


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


async def test_an_account_that_changed_just_before_a_whole_list_may_change_again_under_the_same_pulse() -> None:
    """The pulse counts seconds: at 100 it is A, at 102 the account holds something else, still A; at 110 that second is over."""
    wanted, other = SET._replace(pulse=(0, 1)), holding(100, b"Zx")

    def at(slot: int, data: bytes) -> Said:
        return said(holding(slot, data), other._replace(slot=slot))

    answers = Answers(at(100, b"A-first"), at(102, b"A"), at(111, b"A"))
    asked: list[Sequence[bytes]] = []

    async def reading(addresses: Sequence[bytes], least: int) -> Mapping[bytes, AccountBytes]:
        asked.append(addresses)
        return {address: holding(least, b"A-second" if address == EARLY else b"Zx") for address in addresses}

    lists = Lists(answers, reading, Told(since=90))
    await lists.take([wanted], 0)
    lists.stored()
    found = (await lists.take([wanted], 101))[wanted]
    lists.stored()
    assert found.accounts[EARLY].data == b"A-second"
    await lists.take([wanted], 110)
    assert asked == [[EARLY, LATE]], "nobody is read for ever"


async def test_only_who_changed_before_a_later_whole_list_is_read_again() -> None:
    wanted = SET._replace(pulse=(0, 1))
    lists_of = [
        said(holding(slot, data), holding(slot, b"Z")) for slot, data in ((100, b"A"), (300, b"B"), (301, b"B"))
    ]
    answers, asked = Answers(*lists_of), list[Sequence[bytes]]()

    async def reading(addresses: Sequence[bytes], least: int) -> Mapping[bytes, AccountBytes]:
        asked.append(addresses)
        return {address: holding(least, b"B-second") for address in addresses}

    lists = Lists(answers, reading, Told(since=90))
    for least in (0, 290, 301):
        await lists.take([wanted], least)
        lists.stored()
    assert answers.cuts == [False, False, True]
    assert asked == [[EARLY]]


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
