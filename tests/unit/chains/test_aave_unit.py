"""What the pool's arithmetic does where something could not be read."""

from __future__ import annotations

import json

from chains.evm.aave_v3 import open_book
from chains.model import WHOLE_VENUE, Block, Side, UnitSnapshot, VenueSnapshot, VenueSpec

ASSET, OWNER = b"\x0a" * 20, b"\x0b" * 20
TOKEN = "0x" + "0c" * 20


def test_a_token_without_readable_decimals_is_named_and_never_valued_as_if_it_had_none() -> None:
    value = open_book(market(decimals=None))

    unit = value(UnitSnapshot(unit_id=OWNER, owner=OWNER, positions={(ASSET, Side.SUPPLY): 10**18}, settings={}))

    assert [reason.code for reason in unit.reasons] == ["no_decimals"]
    assert unit.native is None
    assert unit.positions == ()


def test_a_supply_that_is_no_collateral_needs_no_price() -> None:
    value = open_book(market(decimals=18))

    unit = value(UnitSnapshot(unit_id=OWNER, owner=OWNER, positions={(ASSET, Side.SUPPLY): 10**18}, settings={}))

    assert unit.reasons == ()
    assert unit.native is not None
    assert unit.native["totalCollateralBase"] == 0
    assert [(position.amount_raw, position.counts) for position in unit.positions] == [(10**18, False)]


def market(*, decimals: int | None) -> VenueSnapshot:
    ray = str(10**27)
    aspects = {
        (WHOLE_VENUE, "wiring"): {"base_unit": "100000000"},
        (WHOLE_VENUE, "engine"): {"engine": "aave-3.0", "revision": 1, "supported": True},
        (ASSET, "reserve"): {"id": 0, "symbol": "T", "decimals": decimals, "a_token": TOKEN},
        (ASSET, "terms"): {"ltv": 0, "liquidation_threshold": 0, "liquidation_bonus": 0, "emode": 0},
        (ASSET, "rates"): {
            "liquidity_index": ray,
            "liquidity_rate": "0",
            "variable_borrow_index": ray,
            "variable_borrow_rate": "0",
            "updated_at": 0,
        },
    }
    return VenueSnapshot(
        venue=VenueSpec(id="aave", protocol="aave-v3", chain_id="eip155:1", address=b"\x01" * 20, start_block=0),
        at=Block(number=1, hash=b"\x02" * 32, parent_hash=b"\x03" * 32, time=1_000),
        markets={key: json.dumps(state) for key, state in aspects.items()},
        feeds={},
        answers={},
    )
