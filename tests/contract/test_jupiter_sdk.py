"""Positions of generated vaults of Jupiter Lend: what @jup-ag/lend-read computes of their accounts, beside what is computed here.

Raw amounts and ticks are equal, through every liquidation, merge and absorption, with two things that the SDK (0.0.10, `vault/reader.ts`)
leaves to its caller: of a liquidated position that owes no more than its dust the program leaves nothing at all (`operate`), and what is
owed is the debt that it says less the dust. It names the lowest tick where the program has none.

Exchange prices are near: of what is owed the SDK rounds the interest down where the program rounds up (`liquidity/calculator.ts`), and the
share of suppliers that earn has 18 decimals where the program has 17. A unit of 10^12 in the reserve's price becomes at most two of the
vault's here. To the last unit prices are compared with the program's own functions, in `test_arithmetic.py`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from chains.identifiers import base58
from tests.devnet.sdk.drivers import Driver, lend
from tests.support.jupiter_accounts import Accounts, Journals, Setting, accounts_of, position_address
from tests.support.jupiter_crowd import Crowd
from tests.support.jupiter_model import ModelVault

SETTING = Setting()
NEAR = 2


@pytest.fixture(scope="module")
def sdk() -> Iterator[Driver]:
    with lend() as driver:
        yield driver


def case(accounts: Accounts, vault: ModelVault, time: int) -> dict[str, object]:
    told = {
        base58(key): {"owner": base58(each.owner), "data": base64.b64encode(each.data).decode()}
        for key, each in accounts.items()
    }
    return {"vault": 7, "positions": list(vault.positions), "time": time, "accounts": told}


@pytest.mark.parametrize("seed", [2, 5, 7, 11])
def test_raw_amounts_are_the_sdks(sdk: Driver, seed: int) -> None:
    crowd, journals, alive = Crowd(seed), Journals(), 0
    for look in range(4):
        crowd.live(30)
        accounts = accounts_of(crowd.vault, replace(SETTING, price=crowd.rate // 10**7), 100 + look)
        journals.fold(accounts)
        units = journals.units(100 + look, SETTING.time)
        said = sdk.ask(case(accounts, crowd.vault, SETTING.time))["positions"]
        for number, written in crowd.vault.positions.items():
            native, theirs = units[position_address(7, number)].native, said[str(number)]
            assert native is not None
            assert "error" not in theirs
            debt, dust = int(theirs["debt"]), int(theirs["dust"])
            nothing = debt <= dust and not written.supply_only
            assert (native["col_raw"], native["debt_raw"]) == ((0, 0) if nothing else (int(theirs["col"]), debt - dust))
            if native["debt_raw"]:
                assert native["tick"] == theirs["tick"]
                alive += native["tick"] != written.tick
    assert alive > 0


def test_exchange_prices_are_near_the_sdks(sdk: Driver) -> None:
    random, compared = Random(3), 0
    for _ in range(40):
        supply, borrow = random.randrange(1, 10**13), random.randrange(0, 10**13)
        values = {
            "borrow_rate": random.randrange(1, 3_000), "last_utilization": random.randrange(10_001),
            "fee_on_interest": random.randrange(3_000), "total_supply_with_interest": supply,
            "total_supply_interest_free": random.choice([0, random.randrange(2 * supply)]),
            "total_borrow_with_interest": borrow + 1,
            "total_borrow_interest_free": random.choice([0, random.randrange(2 * borrow + 1)]),
        }  # fmt: skip
        magnifiers = {
            f"{side}_magnifier": random.choice([0, random.randrange(-50, 500)]) for side in ("supply", "borrow")
        }
        vault = ModelVault(
            supply_price=10**12 + random.randrange(10**11), borrow_price=10**12 + random.randrange(10**11)
        )
        vault.operate(vault.open(), 10**9, 0, 10**15)
        accounts = accounts_of(vault, replace(SETTING, reserve=values, **magnifiers), 5)
        time = SETTING.time + random.randrange(10**7)
        journals = Journals()
        journals.fold(accounts)
        (unit,) = journals.units(5, time).values()
        assert unit.native is not None
        said = sdk.ask(case(accounts, vault, time))["prices"]
        assert abs(unit.native["supply_ex_price"] - int(said[0])) <= NEAR
        assert 0 <= unit.native["borrow_ex_price"] - int(said[1]) <= NEAR
        compared += unit.native["supply_ex_price"] != vault.supply_price
    assert compared > 20
