"""Real accounts of Drift: the complete liquidation case, and fifty users."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest

from chains.model import VenueUnit
from chains.solana.drift.accounts import read_user
from chains.solana.drift.layout import USER
from tests.support.drift_runs import ABSENT, DUMPS, PROGRAM_ID, Journals, dump, dumped_users, dust_case, expected, seen

pytestmark = pytest.mark.skipif(not DUMPS.exists(), reason=ABSENT)


@pytest.fixture(scope="module")
def dust() -> VenueUnit:
    accounts, at = dust_case()
    journals = Journals()
    journals.fold(accounts)
    assert journals.rows.quarantined == []
    return journals.value(dump("user")[0], at)


def test_the_account_that_was_liquidated_is_liquidatable(dust: VenueUnit) -> None:
    assert dust.native is not None
    assert dust.liquidatable is True
    assert dust.reasons == ()
    assert (dust.native["total_collateral"], dust.native["margin_requirement"]) == (1_016, 1_064)
    assert dust.health_factor_wad == 1_016 * 10**18 // 1_064


def test_every_stated_number_is_reproduced(dust: VenueUnit) -> None:
    said = expected()["liquidate_dust_spot_market"]["decoded"]
    sol, wbtc = (next(each for each in dust.positions if each.symbol == name) for name in ("SOL", "wBTC"))
    assert sol.price is not None
    assert wbtc.price is not None
    collateral = Fraction(sol.amount_raw * sol.price.answer_raw * 9, 10**9 * 10**6 * 10)
    requirement = Fraction(wbtc.amount_raw * wbtc.price.answer_raw * 11, 10**8 * 10**6 * 10)

    assert sol.amount_raw / 10**sol.decimals == said["SOL deposit"]
    assert wbtc.amount_raw / 10**wbtc.decimals == said["wBTC borrow"]
    assert float(collateral) == pytest.approx(said["maintenance_weighted_collateral_usd"], rel=1e-8)
    assert float(requirement) == pytest.approx(said["maintenance_requirement_usd"], rel=1e-8)
    assert float(collateral / requirement) == pytest.approx(said["health"], rel=1e-8)


def test_markets_stand_where_their_numbers_say(dust: VenueUnit) -> None:
    assert {each.market for each in dust.positions} == {dump("sol_market")[0], dump("btc_market")[0]}


def test_the_fifty_users_hold_what_is_stated() -> None:
    said, users = expected()["users_50.json"], dumped_users()
    names = {"USDC": 0, "SOL": 1}
    stated = {}
    for text, count in said["spot_positions"].items():
        word, kind, _ = text.split()
        stated[names[word] if word in names else int(word), kind] = count

    held: Counter[tuple[int, str]] = Counter()
    for data in users:
        for each in read_user(data)["spot_positions"]:
            if each["scaled_balance"]:
                held[each["market_index"], ("deposit", "borrow")[each["balance_type"]]] += 1
    with_perp = sum(any(each["base_asset_amount"] for each in read_user(data)["perp_positions"]) for data in users)

    assert (len(users), {len(data) for data in users}) == (said["count"], {said["size"]})
    assert with_perp == said["with_open_perp"]
    assert dict(held) == stated


def test_the_fifty_users_are_folded_whole_and_those_with_remains_of_lp_shares_are_unknown() -> None:
    accounts, at = dust_case()
    journals = Journals()
    names = [bytes([number]) * 32 for number in range(1, 51)]
    journals.fold(
        [*accounts, *((name, seen(data, at.number)) for name, data in zip(names, dumped_users(), strict=True))]
    )

    assert journals.rows.quarantined == []
    assert all(journals.owners[name] == data[8:40] for name, data in zip(names, dumped_users(), strict=True))
    codes = Counter(code for name in names for code in {reason.code for reason in journals.value(name, at).reasons})
    assert codes["lp_shares"] > 0
    assert codes["lp_remains"] > 0
    known = [unit for name in names if (unit := journals.value(name, at)).native is not None]
    assert len(known) > 10
    assert PROGRAM_ID not in journals.owners
    assert USER.problem(dumped_users()[0]) is None
