"""The drivers of the protocols' own SDKs answer from accounts alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.devnet.sdk.drivers import drift, driftpy

DRIFT = Path(__file__).parents[3] / "shared" / "fixtures" / "solana" / "drift"

pytestmark = pytest.mark.skipif(not DRIFT.exists(), reason="the dumps are not in ../shared/fixtures/solana")


def drift_case() -> dict[str, Any]:
    dumps = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in DRIFT.glob("liquidate_dust_*.json")}
    stated = json.loads((DRIFT / "expected.json").read_text(encoding="utf-8"))["liquidate_dust_spot_market"]
    return {
        "user": dumps["liquidate_dust_spot_market__user.json"]["pubkey"],
        "slot": stated["slot"],
        "time": stated["now"],
        "accounts": {
            each["pubkey"]: {"owner": each["account"]["owner"], "data": each["account"]["data"][0]}
            for each in dumps.values()
        },
    }


def test_driftpy_finds_an_account_below_its_requirement_that_the_program_let_be_liquidated() -> None:
    """By hand: 5,915 lamports of SOL weigh 0.001016 dollars, 1 unit of wBTC asks for 0.001064, rounded up to millionths."""
    with driftpy() as driver:
        said = driver.ask(drift_case())

    assert said["tokens"] == {"1": 5_915, "3": -1}
    assert said["total_collateral"]["maintenance"] == 1_016
    assert said["margin_requirement"]["maintenance"] == 1_065
    assert (said["health"], said["being_liquidated"]) == (0, True)


def test_drift_s_sdk_finds_the_same_account_below_its_requirement() -> None:
    """It cuts the value of a debt down too: 1,063 where exact arithmetic asks for 1,064.36 millionths, and driftpy for 1,065."""
    with drift() as driver:
        said = driver.ask(drift_case())

    assert said["tokens"] == {"1": "5915", "3": "-1"}
    assert said["maintenance"] == {"total_collateral": "1016", "margin_requirement": "1063", "isolated": {}}
    assert (said["health"], said["being_liquidated"]) == (0, True)


def test_a_case_that_driftpy_cannot_judge_is_answered_with_its_words_and_the_next_is_judged() -> None:
    case = drift_case()
    without = {**case, "accounts": {case["user"]: case["accounts"][case["user"]]}}

    with driftpy() as driver:
        refused, judged = driver.ask(without), driver.ask(case)

    assert refused == {"error": "KeyError: ('SpotMarket', 3)"}
    assert judged["total_collateral"]["maintenance"] == 1_016
