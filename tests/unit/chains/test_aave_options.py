"""What the configuration of an Aave v3 venue may say of a fork, and what is wrong with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chains.evm.aave_v3.options import check_options, terms_of
from chains.evm.aave_v3.rounding import Rounding
from chains.model import VenueSpec
from chains.registry import followed

WRAPPER = "0x" + "ab" * 20


def test_without_options_the_protocols_own_numbering_holds() -> None:
    terms = terms_of({})

    assert [terms.pool(revision) for revision in (1, 9, None)] == [1, 9, None]
    assert [terms.rounding(9, token) for token in (1, 4, 6, 7)] == [
        Rounding.HALF_UP,
        Rounding.DIRECTED,
        Rounding.DIRECTED,
        None,
    ]


def test_a_fork_knows_the_revisions_that_it_names_and_no_others() -> None:
    terms = terms_of({"revisions": {"1": "3.0", "4": "3.0", "5": "3.3"}})

    assert [terms.pool(revision) for revision in (1, 4, 5, 7)] == [1, 1, 7, None]
    assert [terms.rounding(4, token) for token in (1, 2, 4)] == [Rounding.HALF_UP, None, None]


def test_a_fork_may_say_how_its_tokens_round() -> None:
    terms = terms_of({"token_revisions": {"2": "directed"}})

    assert [terms.rounding(1, token) for token in (1, 2, None)] == [None, Rounding.DIRECTED, None]


@pytest.mark.parametrize(
    "options, problem",
    [
        ({"revisions": "3.0"}, 'revisions must be a table such as { "1" = "3.0" }'),
        ({"revisions": {}}, 'revisions must be a table such as { "1" = "3.0" }'),
        ({"revisions": {"one": "3.0"}}, "revisions: 'one' is no revision; write the number that the contract answers"),
        (
            {"revisions": {"1": "2.0"}},
            "revisions: '2.0' is not known; use one of 3.0, 3.1, 3.2, 3.3, 3.4, 3.5, 3.6, 3.7",
        ),
        ({"token_revisions": {"1": "up"}}, "token_revisions: 'up' is not known; use one of half-up, directed"),
        ({"liquidity": "ask"}, "liquidity: 'ask' is not known; write \"read\", or leave it out"),
        ({"wrappers": WRAPPER}, "wrappers must be a list of addresses"),
        ({"wrappers": ["ab"]}, "wrappers: write addresses as 0x and 40 hexadecimal digits"),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, object], problem: str) -> None:
    assert check_options(options) == [problem]


def test_wrappers_change_no_row_and_revisions_do() -> None:
    venue = VenueSpec(id="spark", protocol="aave-v3", chain_id="eip155:1", address=b"\x01" * 20, start_block=0)

    assert followed(replace(venue, options={"wrappers": [WRAPPER]})) == followed(venue)
    assert followed(replace(venue, options={"revisions": {"1": "3.0"}})) != followed(venue)
    assert followed(replace(venue, options={"liquidity": "read"})) != followed(venue)
