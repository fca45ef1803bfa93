"""What a venue's configuration may say."""

from __future__ import annotations

import pytest

from chains.solana.jupiter_lend.options import check_options, vaults_of, version_of


def test_without_options_all_vaults_are_followed_with_the_newest_arithmetic() -> None:
    assert check_options({}) == []
    assert vaults_of({}) is None
    assert version_of({}) == "2026-02"


def test_vaults_are_numbers_in_order() -> None:
    assert vaults_of({"vaults": [9, 1, 9]}) == [1, 9]


@pytest.mark.parametrize("vaults", [[], 1, ["1"], [True], [-1], [65_536]])
def test_anything_else_is_no_list_of_vaults(vaults: object) -> None:
    (problem,) = check_options({"vaults": vaults})

    assert "vaults is a list of numbers" in problem


def test_an_unknown_version_is_named_with_those_that_are_known() -> None:
    assert check_options({"version": "2030-01"}) == [
        "version '2030-01' of the programs is not known; use one of 2026-02"
    ]
