"""What a venue's configuration may say, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from chains.identifiers import base58
from chains.registry import check_options, is_observed, namespace_of_protocol
from chains.solana.derived import program_address
from chains.solana.drift.options import engine_of, program_of
from tests.support.drift_runs import PROGRAM_ID, STATE_KEY


def test_without_options_it_is_the_newest_version_on_mainnet() -> None:
    assert engine_of({}) == "drift-2.156"
    assert program_of({}) == PROGRAM_ID
    assert program_address(PROGRAM_ID, b"drift_state") == STATE_KEY


def test_the_registry_finds_the_protocol_and_its_options() -> None:
    found = check_options("drift")
    assert found is not None
    keys, check = found

    assert set(keys) == {"program", "version", "program_slots"}
    assert check({"version": "2.156", "program": base58(PROGRAM_ID)}) == []
    assert is_observed("drift")
    assert namespace_of_protocol("drift") == "solana"


@pytest.mark.parametrize(
    "options, words",
    [
        ({"version": "2.10"}, "version '2.10' of the program is not known; use one of 2.156"),
        ({"program": "abc"}, "program: 'abc' is no address of 32 bytes in base58"),
        ({"program": "0OIl"}, "program: '0OIl' is no address in base58"),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, Any], words: str) -> None:
    found = check_options("drift")
    assert found is not None

    assert found[1](options) == [words]
