"""A vault's arithmetic where its two versions part: what markets lost."""

from __future__ import annotations

import pytest

from chains.evm.morpho_blue.options import check_options
from chains.evm.morpho_blue.vault import Books, backed_down, stand, to_assets_down

WAD = 10**18
BOOKS = Books(supply=1_000, last_total=1_000, lost=0, fee=WAD // 10)


def test_a_loss_lowers_the_total_in_1_0_and_stays_in_it_as_lost_in_1_1() -> None:
    first = stand(BOOKS, 900, 1, keeps_lost=False)
    second = stand(BOOKS, 900, 1, keeps_lost=True)

    assert (first.total, first.lost, first.fee_shares) == (900, 0, 0)
    assert (second.total, second.lost, second.fee_shares) == (1_000, 100, 0)
    assert to_assets_down(100, first, 1) == backed_down(100, first, 1) == 90  # 100 · 901 / 1,001
    assert (to_assets_down(100, second, 1), backed_down(100, second, 1)) == (100, 90)  # 100 · 1,001 / 1,001


def test_what_was_lost_stays_lost_while_interest_comes_and_pays_a_fee() -> None:
    books = BOOKS._replace(lost=100)

    standing = stand(books, 950, 1, keeps_lost=True)

    assert (standing.total, standing.lost) == (1_050, 100)
    assert standing.fee_shares == 4  # of 50 interest 5; 5 · 1,001 / 1,046 = 4.78
    assert standing.supply == 1_004


@pytest.mark.parametrize("said", ["0x" + "11" * 20, ["0x11"], ["vault"]])
def test_vaults_that_are_no_list_of_addresses_are_refused(said: object) -> None:
    assert check_options({"vaults": ["0x" + "11" * 20]}) == []
    (fault,) = check_options({"vaults": said})
    assert "list of addresses" in fault
