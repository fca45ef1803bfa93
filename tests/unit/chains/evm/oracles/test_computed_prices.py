"""The arithmetic of computed price sources: recorded answers of real contracts, and the corners that they round or revert in."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from chains.evm.oracles.computed.prices import FORMULAS, computed

RECORDED = Path(__file__).parents[4] / "golden" / "evm" / "computed-sources" / "answers.json.gz"
NOW = 1_000_000
RATIO_CAP = {
    "base": 2_000, "ratio": 15, "ratio_decimals": 1, "snapshot_ratio": 10, "snapshot_time": NOW - 10, "growth": 3,
    "growth_scale": 10,
}  # fmt: skip
DISCOUNT = {"asset": 1_001, "maturity": NOW + 10, "discount_rate": 5, "year": 100, "whole": 10}


def test_every_recorded_answer_of_a_real_contract_is_computed() -> None:
    counted = Counter[str]()
    for kind, numbers, time, answer in json.loads(gzip.decompress(RECORDED.read_bytes())):
        found = {name: int(number) for name, number in numbers.items()}
        assert computed(kind, found, time) == int(answer), (kind, numbers, time)
        counted[kind] += 1

    assert set(counted) == {"capped_ratio", "capped", "capped_by_base", "discounted", "peg_to_base"}
    assert min(counted.values()) > 100


@pytest.mark.parametrize(
    "kind, numbers, expected",
    [
        ("capped_ratio", RATIO_CAP, 2_000 * (10 + 3 * 10 // 10) // 10),
        ("capped_ratio", RATIO_CAP | {"ratio": 12}, 2_000 * 12 // 10),
        ("capped_ratio", RATIO_CAP | {"growth": 39}, 2_000 * 15 // 10),
        ("capped_ratio", RATIO_CAP | {"base": 0}, 0),
        ("capped_ratio", RATIO_CAP | {"ratio": -1}, 0),
        ("capped_ratio", RATIO_CAP | {"snapshot_time": NOW + 1}, None),
        ("capped_ratio", RATIO_CAP | {"base": 2**255 - 1, "ratio": 12}, None),
        ("capped_ratio_scaled", RATIO_CAP | {"feed_decimals": 2, "decimals": 0}, 26),
        ("capped_ratio_scaled", RATIO_CAP | {"feed_decimals": 2, "decimals": 5}, 2_600_000),
        ("capped", {"asset": 105, "cap": 104}, 104),
        ("capped", {"asset": -3, "cap": 104}, 0),
        ("capped_by_base", {"asset": 111, "base": 107, "cap_ratio": 104, "ratio_decimals": 2}, 107 * 104 // 100),
        ("capped_by_base", {"asset": 111, "base": -107, "cap_ratio": 104, "ratio_decimals": 2}, -111),
        ("peg_to_base", {"asset": 11, "peg": 13, "decimals": 1, "denominator": 100}, 14),
        ("peg_to_base", {"asset": 11, "peg": 0, "decimals": 1, "denominator": 100}, 0),
        ("base_to_peg", {"asset": 11, "base": 3, "decimals": 1}, 36),
        ("base_to_peg", {"asset": 11, "base": -3, "decimals": 1}, 0),
        ("share_of_inverse", {"base": 7, "price_ratio": 9_500, "multiplier": 1_000}, 9_500 * 1_000 // 70_000),
        ("discounted", DISCOUNT, 1_001 * (10 - 10 * 5 // 100) // 10),
        ("discounted", DISCOUNT | {"discount_rate": 25}, 1_001 * 8 // 10),
        ("discounted", DISCOUNT | {"discount_rate": 110}, None),
        ("discounted", DISCOUNT | {"maturity": NOW - 1}, 1_001),
        ("fixed", {"price": 7}, 7),
        ("scaled", {"asset": -7, "up": 0, "factor": 2}, -3),
        ("scaled", {"asset": 7, "up": 1, "factor": 2}, 14),
        ("rescaled", {"asset": -29, "feed_decimals": 1, "decimals": 0}, -2),
        ("product", {"first": 3, "second": 5, "scale": 10, "combined_scale": 100}, 1),
        ("product", {"first": 3, "second": 0, "scale": 10, "combined_scale": 100}, 0),
        ("quotient", {"first": 7, "second": 3, "second_decimals": 1, "scale": 10, "first_scale": 10}, 23),
        ("composition", {"scale": 10**3, "base_1": 7, "quote_1": 3}, 2_333),
        ("composition", {"scale": 10**3}, 1_000),
        ("composition", {"scale": 10**3, "base_vault": 5, "base_1": 0, "quote_1": 3}, 0),
        ("composition", {"scale": 10**3, "base_1": -1, "quote_1": 3}, None),
        ("composition", {"scale": 10**3, "base_1": 1, "quote_1": 0}, None),
        ("composition", {"scale": 1, "base_1": 2**200, "base_2": 2**100}, None),
        ("composition", {"scale": 2**56, "base_1": 2**200, "quote_1": 2}, 2**255),
        ("composition", {"scale": 2**56, "base_1": 2**200}, None),
    ],
)
def test_a_formula_rounds_and_reverts_as_its_contract_does(
    kind: str, numbers: dict[str, int], expected: int | None
) -> None:
    assert computed(kind, numbers, NOW) == expected


def test_every_formula_is_met_above() -> None:
    met = {mark.args[1][i][0] for mark in _marks() for i in range(len(mark.args[1]))}
    assert met == set(FORMULAS)


def _marks() -> list[pytest.Mark]:
    return list(getattr(test_a_formula_rounds_and_reverts_as_its_contract_does, "pytestmark", []))
