"""`--at` means a block, a block per chain, or a time; whatever is ambiguous is asked back."""

from __future__ import annotations

import pytest

from crossmargin.cut import AtBlock, AtBlocks, AtTime, blocks_of, parse_at
from crossmargin.errors import UsageError


@pytest.mark.parametrize(
    "text, at",
    [
        ("20100000", AtBlock(20_100_000)),
        ("0", AtBlock(0)),
        ("999999999", AtBlock(999_999_999)),
        ("1000000000", AtTime(1_000_000_000)),
        ("@12", AtTime(12)),
        ("2026-01-31T00:00:00Z", AtTime(1_769_817_600)),
        ("2026-01-31T01:00:00+01:00", AtTime(1_769_817_600)),
        ("eip155:1=5,eip155:10=6", AtBlocks({"eip155:1": 5, "eip155:10": 6})),
        (" eip155:1 = 5 ", AtBlocks({"eip155:1": 5})),
        ("eip155:1=5,@12", AtBlocks({"eip155:1": 5}, rest=12)),
        ("eip155:1=5, 2026-01-31T00:00:00Z", AtBlocks({"eip155:1": 5}, rest=1_769_817_600)),
    ],
)
def test_each_form_has_one_meaning(text: str, at: object) -> None:
    assert parse_at(text) == at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "-1",
        "1.5",
        "eip155:1=",
        "=5",
        "eip155:1=x",
        "eip155:1=5,6",
        "@12,eip155:1=5",
        "eip155:1=5,@12,@13",
        "2026-13-01T00:00:00Z",
    ],
)
def test_what_means_nothing_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match="write a block"):
        parse_at(text)


def test_a_chain_is_named_once() -> None:
    with pytest.raises(UsageError, match="names a chain twice"):
        parse_at("eip155:1=5,eip155:10=6, eip155:1 =7")


@pytest.mark.parametrize("text", ["@253402300800", "253402300800", "1769817600000"])
def test_a_time_that_no_calendar_has_is_refused(text: str) -> None:
    assert parse_at("@253402300799") == AtTime(253_402_300_799)
    with pytest.raises(UsageError, match="beyond the year 9999"):
        parse_at(text)


def test_a_time_must_name_its_zone() -> None:
    with pytest.raises(UsageError, match="has no time zone"):
        parse_at("2026-01-31T00:00:00")


def test_a_block_is_of_the_only_chain() -> None:
    assert blocks_of(AtBlock(5), ["eip155:1"]) == {"eip155:1": 5}


def test_a_block_of_several_chains_is_asked_back() -> None:
    with pytest.raises(UsageError, match=r'block 5 of which chain\?.*"eip155:1=N,eip155:10=N"'):
        blocks_of(AtBlock(5), ["eip155:10", "eip155:1"])


@pytest.mark.parametrize("named", [{"eip155:1": 5}, {"eip155:1": 5, "eip155:10": 6, "eip155:137": 7}])
def test_blocks_must_be_of_the_chains_that_are_asked_about_and_of_no_unknown_one(named: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="concerns 2 chains"):
        blocks_of(AtBlocks(named), ["eip155:1", "eip155:10"], ["eip155:1", "eip155:10", "eip155:8453"])


def test_with_a_time_for_all_others_some_chains_need_not_be_named() -> None:
    at = AtBlocks({"eip155:1": 5}, rest=12)

    assert blocks_of(at, ["eip155:1", "eip155:10"], ["eip155:1", "eip155:10"]) == {"eip155:1": 5}
    with pytest.raises(UsageError, match="concerns 1 chain"):
        blocks_of(AtBlocks({"eip155:9": 5}, rest=12), ["eip155:1"], ["eip155:1"])


def test_a_chain_that_only_prices_what_is_asked_about_may_be_named_too() -> None:
    named = {"eip155:1": 5, "eip155:137": 7}

    assert blocks_of(AtBlocks(named), ["eip155:1"], ["eip155:1", "eip155:137"]) == named
