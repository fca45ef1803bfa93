"""Positions are what a vault that really executes makes of them: opened, changed, liquidated, absorbed, through branches that merge."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from chains.model import Side
from chains.solana.jupiter_lend.liquidating import Liquidable
from tests.support.jupiter_accounts import Journals, Setting, accounts_of, position_address
from tests.support.jupiter_crowd import Crowd
from tests.support.jupiter_parts import Reverted

SETTING = Setting()
LOOKS, STEPS = 8, 18
SEEDS = (2, 5, 7, 11)


def compare(crowd: Crowd, journals: Journals, slot: int) -> Counter[str]:
    """Compare every position with what the model's next instruction would find of it."""
    counted: Counter[str] = Counter()
    journals.fold(accounts_of(crowd.vault, replace(SETTING, price=crowd.rate // 10**7), slot))
    units = journals.units(slot, SETTING.time)
    _, lower, upper = crowd.vault.ticks_at(crowd.rate // 10**7 * 10**7)
    for number, written in crowd.vault.positions.items():
        unit, expected = units[position_address(7, number)], crowd.vault.fetch(number)
        assert unit.native is not None
        found = tuple(unit.native[name] for name in ("col_raw", "debt_raw", "tick"))
        assert found == (expected.supply, expected.debt, expected.tick)
        held = {side: amount for (_, side), amount in journals.unit(unit.unit_id).positions.items()}
        assert held.get(Side.SUPPLY, 0) == expected.supply
        assert held.get(Side.BORROW, 0) == expected.debt
        if expected.debt:
            assert (unit.native["liquidation_tick"], unit.native["max_tick"]) == (lower, upper)
        counted["compared"] += 1
        counted["liquidated"] += 0 < expected.supply != written.supply
        counted["lost"] += expected.supply == 0 < written.supply
        counted["liquidatable"] += bool(unit.liquidatable)
    return counted


@pytest.mark.parametrize("seed", SEEDS)
def test_positions_are_what_the_vault_made_of_them(seed: int) -> None:
    crowd, journals, counted = Crowd(seed), Journals(), Counter[str]()
    for look in range(LOOKS):
        crowd.live(STEPS)
        counted += compare(crowd, journals, 100 + look)

    assert counted["compared"] > 100
    assert counted["liquidated"] + counted["lost"] > 0


def test_the_crowds_meet_everything_that_can_happen_to_a_position() -> None:
    done, branches, ids = Counter[str](), Counter[int](), 0
    for seed in SEEDS:
        crowd = Crowd(seed)
        crowd.live(LOOKS * STEPS)
        done += crowd.done
        branches += Counter(branch.status for branch in crowd.vault.branches.values())
        ids += len(crowd.vault.earlier)

    assert all(done[name] > 10 for name in ("enter", "change", "liquidate"))
    assert done["absorb"] > 0
    assert branches[2] > 0, "merged"
    assert branches[3] > 0, "closed"
    assert ids > 0, "ticks that were used again after a liquidation"


@pytest.mark.parametrize("seed", SEEDS)
def test_who_may_be_liquidated_is_whom_a_liquidation_reaches(seed: int) -> None:
    """Nobody is reached where nobody may be; and where somebody may be, a large one leaves nobody who may still be."""
    crowd, reached = Crowd(seed), Counter[bool]()
    for look in range(25):
        crowd.live(6)
        rate = crowd.rate // 10**7 * 10**7
        before = liquidatable(crowd, 100 + look)
        refused = struck(crowd, rate)
        if refused is None:
            assert before
            assert liquidatable(crowd, 101 + look) == set()
        elif before:
            absorbed = (
                refused == "VaultInvalidLiquidation" and crowd.vault.state.topmost_tick > crowd.vault.ticks_at(rate)[2]
            )
            assert absorbed or refused == "VaultBranchDebtTooLow"
        reached[bool(before)] += 1
    assert min(reached[True], reached[False]) > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_simulated_liquidation_leaves_what_the_vault_s_leaves(seed: int) -> None:
    """One of all at once: each position to two raw units and a hundred-millionth, by which factors differ.

    All together pay what the vault is paid, but for what branches owe and no position does: a ten-thousandth for each time.
    """
    crowd, met = Crowd(seed), Counter[str]()
    for look in range(40):
        crowd.live(6)
        exposed = exposed_of(crowd, 100 + look)
        absorbed = {number for number, each in exposed.items() if each.limits and each.now.tick > each.limits.max_tick}
        found = {number: each.struck(None) for number, each in exposed.items() if number not in absorbed}
        try:
            taken, paid = crowd.vault.liquidate(2 * crowd.vault.state.total_borrow + 1000, crowd.rate // 10**7 * 10**7)
        except Reverted:
            continue
        assert all((crowd.vault.fetch(each).supply, crowd.vault.fetch(each).debt) == (0, 0) for each in absorbed)
        for number, each in found.items():
            after = crowd.vault.fetch(number)
            assert each is not None
            assert (each.left.supply, each.left.debt, each.left.tick) == (
                near(after.supply),
                near(after.debt),
                after.tick,
            )
        assert sum(each.paid for each in found.values() if each) == pytest.approx(paid, rel=5e-4, abs=100)
        assert sum(each.seized for each in found.values() if each) == pytest.approx(taken, rel=5e-4, abs=100)
        met["liquidated"] += len(found)
        met["absorbed"] += len(absorbed)
    assert met["liquidated"] > 0
    assert met.total() > 10


def near(amount: int) -> object:
    return pytest.approx(amount, rel=1e-8, abs=2)


def exposed_of(crowd: Crowd, slot: int) -> dict[int, Liquidable]:
    """Positions that a liquidation reaches, by their number."""
    journals = Journals()
    journals.fold(accounts_of(crowd.vault, replace(SETTING, price=crowd.rate // 10**7), slot))
    units = journals.units(slot, SETTING.time)
    found = {}
    for number in crowd.vault.positions:
        unit = units[position_address(7, number)]
        exposed = unit.liquidating() if unit.liquidating and unit.liquidatable else None
        if isinstance(exposed, Liquidable):
            found[number] = exposed
    return found


def struck(crowd: Crowd, rate: int) -> str | None:
    """Pay more than all that is owed; says why it is refused, `None` where it is not."""
    try:
        crowd.vault.liquidate(2 * crowd.vault.state.total_borrow + 1000, rate)
    except Reverted as error:
        return str(error)
    return None


def liquidatable(crowd: Crowd, slot: int) -> set[bytes]:
    journals = Journals()
    journals.fold(accounts_of(crowd.vault, replace(SETTING, price=crowd.rate // 10**7), slot))
    return {unit_id for unit_id, unit in journals.units(slot, SETTING.time).items() if unit.liquidatable}
