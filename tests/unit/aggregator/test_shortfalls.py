"""What a venue lacks of a token it cannot pay out: of each claim on it counts the part that is there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aggregator.margin.canonical import digest, from_json, to_json
from aggregator.margin.health import evaluate
from aggregator.margin.inputs import HealthInputs, Shortfall
from tests.unit.aggregator.builders import USDC, WETH, Price, borrower, inputs, venue

PRICES = {WETH: Price(usd=2000), USDC: Price(usd=1, threshold_bp=9_000)}


def account(*missing: Shortfall) -> HealthInputs:
    """1 WETH at 2000 (t = 0.8) against 1000 USDC."""
    return replace(inputs(venue(PRICES, borrower(1000, weth=1))), shortfalls=missing)


def short_of(asset: bytes, *, there: int = 3, claims: int = 4, market: bytes = b"", name: str = "") -> Shortfall:
    held_in = name or account().venues[0].snapshot.venue.id
    return Shortfall(venue_id=held_in, market=market, asset=asset, there=there, claims=claims, block=90)


def test_of_each_claim_the_part_that_is_there_counts() -> None:
    document = evaluate(account(short_of(WETH)))

    assert document.collateral.raw == "1500.00000000"  # 2000 · 3/4
    assert document.health_factor == "1.200000"  # 2000 · 3/4 · 0.8 / 1000
    assert document.min_unit_health_factor == "1.600000"  # the venue still says 2000 · 0.8 / 1000
    assert [reason.code for reason in document.reasons] == ["venue_short"]


@pytest.mark.parametrize(
    "missing",
    [short_of(USDC), short_of(WETH, market=b"\x77" * 20), short_of(WETH, name="elsewhere")],
    ids=["a token that is only owed", "another market of the token", "another venue"],
)
def test_what_lacks_elsewhere_changes_nothing(missing: Shortfall) -> None:
    document = evaluate(account(missing))

    assert (document.health_factor, document.collateral.raw) == ("1.600000", "2000.00000000")
    assert document.reasons == ()


def test_where_nothing_is_there_nothing_counts() -> None:
    document = evaluate(account(short_of(WETH, there=0)))

    assert (document.health_factor, document.status.value) == ("0.000000", "liquidatable")


def test_shortfalls_are_part_of_the_inputs_and_their_absence_leaves_no_trace() -> None:
    sound, short = account(), account(short_of(WETH, market=WETH), short_of(USDC, there=2**70, claims=2**71))

    assert from_json(to_json(short)) == short
    assert digest(short) != digest(sound)
    assert "shortfalls" not in to_json(sound)
