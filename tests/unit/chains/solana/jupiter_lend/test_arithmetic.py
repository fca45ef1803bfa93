"""Ticks, debt factors and exchange prices are those of the programs' own functions, to the last unit, and so is what they refuse."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from chains.solana.jupiter_lend.maths import (
    COLD_TICK,
    FULL_FACTOR,
    MAX_TICK,
    MIN_TICK,
    ONE_X48,
    Refused,
    factor_product,
    ratio_at_tick,
    scaled_by,
    tick_at_ratio,
)
from chains.solana.jupiter_lend.rates import (
    Lending,
    Magnifiers,
    Prices,
    Reserve,
    Rewards,
    VaultPrices,
    deposit_token_price,
    reserve_prices,
    vault_prices,
)

GOLDEN = Path(__file__).parents[4] / "golden" / "solana" / "jupiter_lend" / "arithmetic.json.gz"
Function = Callable[..., int | tuple[int, ...]]

FUNCTIONS: dict[str, Function] = {
    "reserve": lambda *n: reserve_prices(Reserve(*n[:10]), n[10]),
    "vault": lambda *n: vault_prices(VaultPrices(*n[:5]), Magnifiers(*n[5:7]), Prices(*n[7:9]), n[9]),
    "deposit_token": lambda *n: deposit_token_price(Lending(*n[:3]), Rewards(*n[3:9]), *n[9:]),
    "scaled_by": scaled_by,
    "factor_product": factor_product,
    "tick_at_ratio": tick_at_ratio,
    "ratio_at_tick": ratio_at_tick,
}


def said(function: Function, arguments: Sequence[int]) -> list[int] | None:
    try:
        found = function(*arguments)
    except Refused:
        return None
    return [found] if isinstance(found, int) else list(found)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_recorded_case_is_met(name: str) -> None:
    with gzip.open(GOLDEN, "rt", encoding="utf-8") as file:
        cases = json.load(file)[name]

    wrong = [(arguments, expected) for arguments, expected in cases if said(FUNCTIONS[name], arguments) != expected]

    assert wrong == []
    assert sum(expected is not None for _, expected in cases) == 150
    assert any(expected is None for _, expected in cases)


def test_ratios_grow_by_fifteen_basis_points_a_tick() -> None:
    assert ratio_at_tick(0) == ONE_X48
    assert ratio_at_tick(1) == ONE_X48 * 10_015 // 10_000 + 1  # rounded up above zero
    for tick in range(MIN_TICK + 5000, MAX_TICK):
        assert ratio_at_tick(tick) < ratio_at_tick(tick + 1)


@pytest.mark.parametrize("tick", [MIN_TICK - 1, MAX_TICK + 1, COLD_TICK])
def test_there_are_no_ticks_beyond_the_range(tick: int) -> None:
    with pytest.raises(Refused, match="OutOfBounds"):
        ratio_at_tick(tick)


def test_a_shift_that_loses_bits_there_loses_them_here() -> None:
    # 35 bits shifted by 100 keep 28 of them in 128: the program divides by less than it means to
    one, shifted = 2**34 << 15, (2**35 - 1) << 15 | 100

    assert scaled_by(2**60, one, shifted) == 2**60 * 2**34 // ((2**35 - 1) * 2**100 % 2**128)
    with pytest.raises(Refused, match="DivisionByZero"):
        scaled_by(2**60, one, 2**34 << 15 | 100)


def test_factors_too_large_for_one_stand_for_nothing_left() -> None:
    large = (2**35 - 1) << 15 | 32_000

    assert factor_product(large, large) == FULL_FACTOR
