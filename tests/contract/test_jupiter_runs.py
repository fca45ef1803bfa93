"""Recorded vaults of Jupiter Lend: every position is what the program's own fetch found, to the last unit, and the model is what it was."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chains.model import Side
from tests.support.jupiter_accounts import Journals, Setting, accounts_of, position_address
from tests.support.jupiter_model import ModelVault
from tests.support.jupiter_parts import ModelBranch, ModelPosition, ModelState, ModelTick, Terms

GOLDEN = Path(__file__).parents[1] / "golden" / "solana" / "jupiter_lend" / "vaults.json.gz"
RUNS = range(6)
SETTING = Setting()


def recorded(number: int) -> Mapping[str, Any]:
    with gzip.open(GOLDEN, "rt", encoding="utf-8") as file:
        runs = json.load(file)
    assert len(runs) == len(RUNS)
    return dict(runs[number])


def vault_of(run: Mapping[str, Any], sample: Mapping[str, Any]) -> ModelVault:
    """A vault as it was at a sample; which ticks have debt is not asked of it."""
    (state,) = sample["state"]
    supply_price, borrow_price = run["prices"]
    return ModelVault(
        terms=Terms(*run["terms"]),
        supply_price=supply_price,
        borrow_price=borrow_price,
        state=ModelState(bool(state[0]), *state[1:]),
        ticks={
            tick: ModelTick(bool(liquidated), ids, debt, bool(fully), branch, factor)
            for tick, liquidated, ids, debt, fully, branch, factor in sample["ticks"]
        },
        earlier={
            (tick, number): (bool(fully), branch, factor) for tick, number, fully, branch, factor in sample["earlier"]
        },
        branches={number: ModelBranch(*rest) for number, *rest in sample["branches"]},
        positions={number: ModelPosition(bool(only), *rest) for number, only, *rest in sample["positions"]},
    )


@pytest.mark.parametrize("number", RUNS)
def test_every_position_is_what_the_program_found(number: int) -> None:
    run, journals, counted = recorded(number), Journals(), Counter[str]()
    for slot, sample in enumerate(run["samples"], 100):
        vault = vault_of(run, sample)
        rate = int(sample["rate"])
        journals.fold(accounts_of(vault, replace(SETTING, price=rate // 10**7), slot))
        units = journals.units(slot, SETTING.time)
        for position, supply, debt, tick in sample["fetched"]:
            unit = units[position_address(7, position)]
            assert unit.native is not None
            assert tuple(unit.native[name] for name in ("col_raw", "debt_raw", "tick")) == (supply, debt, tick)
            held = {side: amount for (_, side), amount in journals.unit(unit.unit_id).positions.items()}
            assert (held.get(Side.SUPPLY, 0), held.get(Side.BORROW, 0)) == (supply, debt)
            found = vault.fetch(position)
            assert (found.supply, found.debt, found.tick) == (supply, debt, tick)
            counted["compared"] += 1
            counted["changed"] += supply != vault.positions[position].supply
    assert counted["compared"] > 100
    assert counted["changed"] > 0
