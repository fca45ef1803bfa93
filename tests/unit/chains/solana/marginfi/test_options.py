"""What a venue's configuration may say, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from chains.identifiers import base58
from chains.registry import check_options
from chains.solana.marginfi.options import engine_of, price_accounts_of, program_of
from tests.unit.chains.solana.marginfi.builders import PROGRAM_ID, SOL_PRICE


def test_without_options_it_is_the_newest_version_on_mainnet() -> None:
    assert engine_of({}).name == "marginfi-0.1.7"
    assert program_of({}) == PROGRAM_ID
    assert price_accounts_of({}) == []


def test_the_registry_finds_the_options() -> None:
    found = check_options("marginfi")
    assert found is not None
    keys, check = found

    assert set(keys) == {
        "program",
        "version",
        "price_accounts",
        "program_slots",
        "history",
        "kamino_version",
        "integration_slots",
    }
    assert check({"version": "0.1.0", "price_accounts": [base58(SOL_PRICE)], "program": base58(PROGRAM_ID)}) == []


@pytest.mark.parametrize(
    "options, words",
    [
        ({"version": "0.2.0"}, "version '0.2.0' of the program is not known; use one of 0.1.0, 0.1.7"),
        ({"program": "abc"}, "program: 'abc' is no address of 32 bytes in base58"),
        ({"program": "0OIl"}, "program: '0OIl' is no address in base58"),
        ({"price_accounts": "abc"}, "price_accounts is a list of addresses in base58"),
        ({"price_accounts": [7]}, "price_accounts: 7 is no address"),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, Any], words: str) -> None:
    found = check_options("marginfi")
    assert found is not None

    (problem,) = found[1](options)
    assert words in problem
