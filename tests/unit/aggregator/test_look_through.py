"""What shares are a claim on, as the health document writes it."""

from __future__ import annotations

from aggregator.margin.views import look_through_view
from chains.model import Basis, Claim, Component, Reason

ASSET, MARKET = b"\x0a" * 20, b"\x77" * 32
USDC = "eip155:1/erc20:0x" + "0a" * 20


def test_a_claim_is_written_with_its_components() -> None:
    part = Component("morpho", MARKET, ASSET, "USDC", 6, 1_500_000, 1_000_000, Basis.EXACT)
    claim = Claim(
        asset=ASSET, symbol="USDC", decimals=6, assets_raw=1_600_001, lost_raw=100_000, redeemable_raw=1_000_000,
        components=(part,),
    )  # fmt: skip

    view = look_through_view(claim, "eip155:1")

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
