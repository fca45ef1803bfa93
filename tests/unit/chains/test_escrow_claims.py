"""What shares of a followed ERC-4626 vault are a claim on, by the rate that the vault gave last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from chains.evm.escrow import knows_shares, open_shares
from chains.evm.escrow.shares import PROBE
from chains.model import WHOLE_VENUE, Block, Claim, VenueSnapshot, VenueSpec

VAULT, ASSET, CODE = (bytes([number]) * 20 for number in (1, 2, 3))
UNDERLYING = {"asset": "0x" + ASSET.hex(), "asset_decimals": 18, "asset_symbol": "mmUSDC"}
RATE = {"assets": str(PROBE * 5 // 4), "outcome": "returned", "block": 95}
UPGRADED = {"address": "0x" + CODE.hex(), "upgrades": 1}


def claim_of(shares: int, markets: Mapping[str, Any], **options: Any) -> Claim:
    (found,) = open_shares(snapshot(markets, **options)).items()
    assert found[0] == VAULT
    return found[1](shares)


def snapshot(markets: Mapping[str, Any], **options: Any) -> VenueSnapshot:
    venue = VenueSpec(
        id="wrapper", protocol="escrow", chain_id="eip155:1", address=VAULT, start_block=0,
        options={"holdings": "shares", "rate_every": 10, **options},
    )  # fmt: skip
    places = {"implementation": WHOLE_VENUE}
    texts = {(places.get(aspect, VAULT), aspect): json.dumps(state) for aspect, state in markets.items()}
    at = Block(number=104, hash=b"\x04" * 32, parent_hash=b"\x03" * 32, time=1_700_000_000)
    return VenueSnapshot(venue=venue, at=at, markets=texts, feeds={}, answers={})


def test_shares_are_worth_what_the_vault_said_last_downward_and_as_of_then() -> None:
    claim = claim_of(7, {"underlying": UNDERLYING, "rate": RATE})

    assert (claim.asset, claim.symbol, claim.decimals) == (ASSET, "mmUSDC", 18)
    assert (claim.assets_raw, claim.told_at) == (8, 100)  # 7 · 5/4 = 8.75; asked at the last multiple of ten
    assert (claim.lost_raw, claim.redeemable_raw, claim.components, claim.reasons) == (None, None, (), ())


@pytest.mark.parametrize(
    "markets, options, code",
    [
        ({"underlying": UNDERLYING}, {}, "rate_unknown"),
        ({"underlying": UNDERLYING, "rate": {**RATE, "assets": None, "outcome": "reverted"}}, {}, "rate_unknown"),
        ({"underlying": {**UNDERLYING, "asset_decimals": None}, "rate": RATE}, {}, "token_unknown"),
        ({"underlying": {**UNDERLYING, "asset": None}, "rate": RATE}, {}, "token_unknown"),
        (
            {"underlying": UNDERLYING, "rate": RATE, "implementation": UPGRADED},
            {"implementations": ["0x" + "09" * 20]},
            "vault_upgraded",
        ),
    ],
)
def test_what_is_not_known_of_shares_is_said(markets: Mapping[str, Any], options: Mapping[str, Any], code: str) -> None:
    claim = claim_of(7, markets, **options)

    assert (claim.assets_raw, claim.told_at) == (None, None)
    assert [reason.code for reason in claim.reasons] == [code]


def test_an_upgrade_that_nothing_forbids_is_said_beside_the_amount() -> None:
    claim = claim_of(8, {"underlying": UNDERLYING, "rate": RATE, "implementation": UPGRADED})

    assert claim.assets_raw == 10
    assert [reason.code for reason in claim.reasons] == ["vault_upgraded"]


def test_only_a_vault_that_has_shares_is_known_as_one() -> None:
    before = snapshot({})
    plain = VenueSpec(id="vault", protocol="escrow", chain_id="eip155:1", address=VAULT, start_block=0)

    assert open_shares(before) == {}
    assert knows_shares(before.venue)
    assert not knows_shares(plain)
