"""Which totals a Comet is asked for: those of collateral, and never one of its base token."""

from __future__ import annotations

import json

from chains.evm.compound_v3 import CompoundV3
from chains.evm.compound_v3 import events as ev
from chains.evm.ports import ETH_CALL, Read
from chains.model import WHOLE_VENUE, Block, Side, VenueSpec

COMET, BASE, WETH = b"\xc0" * 20, b"\xba" * 20, b"\xe1" * 20
VENUE = VenueSpec(id="comet", protocol="compound-v3", chain_id="eip155:1", address=COMET, start_block=1)
AT = Block(number=9, hash=b"\x09" * 32, parent_hash=b"\x08" * 32, time=90)


def test_collateral_is_added_up_and_base_is_not_even_where_nobody_ever_borrowed() -> None:
    terms = json.dumps({"problem": None, "base": "0x" + BASE.hex(), "assets": []})
    sums = {(WETH, Side.SUPPLY): 7, (BASE, Side.SUPPLY): 5}

    assert CompoundV3(VENUE).totals({(WHOLE_VENUE, "terms"): terms}, sums, AT) == {
        Read(9, ETH_CALL, COMET, ev.TOTALS_COLLATERAL.calldata(WETH)): 7
    }


def test_while_the_terms_are_not_known_all_that_is_held_is_collateral() -> None:
    assert len(CompoundV3(VENUE).totals({}, {(WETH, Side.SUPPLY): 7}, AT)) == 1
