"""The published definition in SQL says what the arrays say, to 1e-12."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator.arrays import stacked
from aggregator.arrays.book import ArrayBook
from aggregator.arrays.columns import ALONE, CLAIMED, DEBT_UNKNOWN
from aggregator.arrays.entries import entry_of, estimates_of, marks_of
from aggregator.arrays.standing import HeldBack
from aggregator.arrays.tables import margin_tables
from chains.model import Side
from indexer.store import Store
from tests.unit.aggregator.arrays.books import Holding, Toy, toy
from tests.unit.aggregator.arrays.test_equal import REGIMES, books

SUPPLY, BORROW = Side.SUPPLY, Side.BORROW
NUMBERS = """
SELECT
    account_id, health_factor, health_factor_low, health_factor_high, collateral_usd, debt_usd, headroom_usd,
    maintenance_debt_usd, maintenance_excess_usd
FROM public.fct_margin_account
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store.open(tmp_path_factory.mktemp("margin") / "store.duckdb")


def told(store: Store, world: Toy, *, slot_time: int = 1_700_000_000) -> ArrayBook:
    """Put a world's book into the store and into arrays."""
    assessed = {name: world.assessed(name) for name in world.accounts}
    entries = [entry_of(name, each, world.context) for name, each in assessed.items()]
    marks, estimates = marks_of(assessed.values(), world.context), estimates_of(world.context)
    store.replace_margin(slot_time, margin_tables(entries, marks, estimates, snapshot_id="s", slot_time=slot_time))
    return ArrayBook.build(entries, marks, estimates, stacked.revalue)


def asked(store: Store) -> dict[str, tuple[float | None, ...]]:
    found = store.query(NUMBERS, timeout_s=30, max_rows=999)
    return {name: tuple(numbers) for name, *numbers in found.rows}


@REGIMES
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(accounts=books, seed=st.integers(0, 100))
def test_sql_and_arrays_agree(
    store: Store, regime: Mapping[str, str], accounts: Mapping[str, Sequence[Holding]], seed: int
) -> None:
    world = toy(accounts, seed=seed, **regime)  # type: ignore[arg-type]

    standing = told(store, world).standing

    found = asked(store)
    assert set(found) == set(accounts)
    for name, (health, low, high, collateral, debt, headroom, required, excess) in found.items():
        try:
            numbers = standing.account(name)
        except HeldBack:
            assert (health, low, high, debt, headroom, required, excess) == (None,) * 7
            continue
        assert numbers is not None
        scale = 1e-12 * (numbers.collateral + (numbers.debt or 0.0))
        assert (health, low, high) == (
            _near(numbers.health_factor),
            _near(numbers.low),
            _near(numbers.high),
        )
        assert (collateral, debt, required) == (
            _near(numbers.collateral),
            _near(numbers.debt),
            _near(numbers.maintenance_debt),
        )
        assert headroom == _near(numbers.headroom, scale)
        assert excess == _near(numbers.maintenance_excess, scale)


def test_what_is_unknown_is_null_in_sql_too(store: Store) -> None:
    world = toy({name: [(0, SUPPLY, 10.0), (1, BORROW, 1.0)] for name in ("unknown", "apart", "known")})
    assessed = {name: world.assessed(name) for name in world.accounts}
    flags = {"unknown": DEBT_UNKNOWN, "apart": ALONE, "known": CLAIMED}
    entries = [
        replace(entry := entry_of(name, each, world.context), said=entry.said | flags[name])
        for name, each in assessed.items()
    ]
    marks, estimates = marks_of(assessed.values(), world.context), estimates_of(world.context)
    store.replace_margin(
        1_700_000_000, margin_tables(entries, marks, estimates, snapshot_id="t", slot_time=1_700_000_000)
    )

    found = asked(store)

    assert [number is None for number in found["unknown"]] == [True, True, True, False, True, True, True, True]
    assert all(number is None for number in found["apart"][:6])
    assert all(number is not None for number in found["known"])


def test_a_snapshot_of_an_earlier_slot_changes_nothing(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store.duckdb") as store:
        told(store, toy({"new": [(0, SUPPLY, 1.0)]}), slot_time=200)

        told(store, toy({"old": [(0, SUPPLY, 1.0)]}), slot_time=100)

        assert list(asked(store)) == ["new"]


def _near(number: float | None, scale: float = 0.0) -> object:
    return None if number is None else pytest.approx(number, rel=1e-12, abs=scale)
