"""What shares are a claim on: through one vault after another, and as the health document writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from aggregator.margin import lookthrough
from aggregator.margin.lookthrough import Shares
from aggregator.margin.views import look_through_view
from chains.model import Basis, Claim, Component, Reason, Side, UnitPosition

CHAIN = "eip155:1"
OUTER, INNER, THIRD = (bytes([number]) * 20 for number in (1, 2, 3))
ASSET, MARKET = b"\x0a" * 20, b"\x77" * 32
USDC = "eip155:1/erc20:0x" + "0a" * 20


def test_a_claim_is_written_with_its_components() -> None:
    part = Component("morpho", MARKET, ASSET, "USDC", 6, 1_500_000, 1_000_000, Basis.EXACT)
    claim = Claim(
        asset=ASSET, symbol="USDC", decimals=6, assets_raw=1_600_001, lost_raw=100_000, redeemable_raw=1_000_000,
        components=(part,),
    )  # fmt: skip

    view = look_through_view(claim, "eip155:1")

    assert view.asset is not None
    assert (view.asset.lower(), view.assets_raw, view.lost_raw, view.redeemable_raw) == (
        USDC,
        "1600001",
        "100000",
        "1000000",
    )
    (component,) = view.components
    assert (component.venue, component.market, component.amount_raw) == ("morpho", "0x" + "77" * 32, "1500000")
    assert (float(component.amount), component.payable_raw, component.basis) == (1.5, "1000000", "exact")


def test_a_claim_that_is_not_known_says_why_and_has_no_amount() -> None:
    reason = Reason("vault_in_doubt", "0x", "it said something else")
    claim = Claim(
        asset=ASSET, symbol="", decimals=6, assets_raw=None, lost_raw=None, redeemable_raw=None, reasons=(reason,)
    )

    view = look_through_view(claim, "eip155:1")

    assert (view.assets_raw, view.lost_raw, view.redeemable_raw, view.components) == (None, None, None, ())
    assert [each.code for each in view.reasons] == ["vault_in_doubt"]


def shares(**rules: tuple[bytes, int, int]) -> Shares:
    """Vaults by their tokens' names: what one share is a claim on, how many of it, and how many of these are lost."""
    tokens = {"outer": OUTER, "inner": INNER, "third": THIRD}

    def rule(asset: bytes, times: int, lost: int) -> Callable[[int], Claim]:
        return lambda amount: Claim(
            asset=asset, symbol="", decimals=0, assets_raw=amount * times, lost_raw=amount * lost, redeemable_raw=None
        )

    return {(CHAIN, tokens[name]): rule(*terms) for name, terms in rules.items()}


def claim_of(amount: int, known: Shares, own: Claim | None = None) -> Claim:
    position = UnitPosition(
        market=MARKET, asset=OUTER, side=Side.SUPPLY, symbol="", decimals=0, amount_raw=amount, protocol_raw=amount,
        counts=True, price=None, liquidation_threshold=None, claim=own,
    )  # fmt: skip
    claim = lookthrough._with_claim(position, CHAIN, known).claim  # the step for one position
    assert claim is not None
    return claim


def chain_of(claim: Claim | None) -> list[tuple[bytes, int | None]]:
    return [] if claim is None else [(claim.asset, claim.assets_raw), *chain_of(claim.within)]


def test_shares_of_shares_are_looked_through_to_the_asset_that_is_no_shares() -> None:
    known = shares(outer=(INNER, 2, 0), inner=(THIRD, 3, 0), third=(ASSET, 5, 0))

    assert chain_of(claim_of(7, known)) == [(INNER, 14), (THIRD, 42), (ASSET, 210)]


def test_what_a_venue_says_of_its_own_shares_is_looked_through_further() -> None:
    own = Claim(asset=INNER, symbol="", decimals=0, assets_raw=10, lost_raw=4, redeemable_raw=3)

    claim = claim_of(1, shares(outer=(THIRD, 99, 0), inner=(ASSET, 2, 0)), own)

    assert chain_of(claim) == [(INNER, 10), (ASSET, (10 - 4) * 2)]


def test_nothing_stands_behind_what_is_lost_or_not_known() -> None:
    assert chain_of(claim_of(10, shares(outer=(INNER, 5, 2), inner=(ASSET, 1, 0)))) == [(INNER, 50), (ASSET, 30)]
    unknown = Claim(asset=INNER, symbol="", decimals=0, assets_raw=None, lost_raw=None, redeemable_raw=None)
    assert claim_of(10, shares(inner=(ASSET, 1, 0)), unknown).within is None


@pytest.mark.parametrize(
    "rules, steps",
    [
        ({"outer": (OUTER, 1, 0)}, [OUTER]),
        ({"outer": (INNER, 1, 0), "inner": (OUTER, 1, 0)}, [INNER, OUTER]),
        ({"outer": (INNER, 1, 0), "inner": (THIRD, 1, 0), "third": (INNER, 1, 0)}, [INNER, THIRD, INNER]),
    ],
)
def test_a_ring_of_vaults_is_gone_round_once_and_said(rules: Mapping[str, Any], steps: list[bytes]) -> None:
    claim = claim_of(3, shares(**rules))

    assert [asset for asset, _ in chain_of(claim)] == steps
    last = claim
    while last.within is not None:
        last = last.within
    assert [reason.code for reason in last.reasons] == ["shares_in_a_ring"]


def test_a_claim_within_a_claim_is_written() -> None:
    claim = claim_of(7, shares(outer=(INNER, 2, 0), inner=(ASSET, 3, 0)))

    view = look_through_view(claim, CHAIN)

    assert view.within is not None
    assert (view.assets_raw, view.within.assets_raw, view.within.within) == ("14", "42", None)
    assert view.within.asset is not None
    assert view.within.asset.lower() == USDC


def test_an_asset_that_the_vault_does_not_name_has_no_id() -> None:
    claim = Claim(asset=b"", symbol="", decimals=0, assets_raw=None, lost_raw=None, redeemable_raw=None)

    assert look_through_view(claim, CHAIN).asset is None
