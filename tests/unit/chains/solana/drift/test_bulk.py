"""Many accounts at once give the rows that they give one by one."""

from __future__ import annotations

import random

import pytest

from chains.columns import ACCOUNTS, POSITIONS
from chains.model import Rows
from chains.solana.drift import Drift
from chains.solana.drift import fold as module
from indexer.store.journals import derive
from tests.support.drift_runs import Journals, Seen, seen, venue
from tests.support.marginfi_runs import row_by_row
from tests.support.state import Tips
from tests.unit.chains.solana.drift.builders import deposit, user
from tests.unit.chains.solana.drift.crowd import crowd, first_look


def folded(accounts: Seen) -> Rows:
    return Drift(venue()).fold(Tips(), [*first_look(), *accounts])


@pytest.mark.parametrize("seed", range(5))
def test_together_or_one_by_one_the_rows_are_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = crowd(random.Random(seed), 300)
    together = folded(accounts)
    monkeypatch.setattr(module, "WORTH_COLUMNS", 10**9)
    one_by_one = folded(accounts)

    assert sum(table.num_rows for table in together.columns["accounts"]) > 150
    assert one_by_one.columns == {}
    flat = row_by_row(together)
    for name in ("positions", "accounts", "markets", "quarantined"):
        assert sorted(getattr(flat, name)) == sorted(getattr(one_by_one, name)), name
    assert flat.events == one_by_one.events == []
    assert min(len(flat.positions), len(flat.accounts), len(flat.quarantined)) > 20


def test_the_store_makes_the_same_tables_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = crowd(random.Random(11), 200)
    together = tables(folded(accounts))
    monkeypatch.setattr(module, "WORTH_COLUMNS", 10**9)

    assert together == tables(folded(accounts))
    assert {"position_change", "account_change", "market_change"} <= together.keys()


def tables(rows: Rows) -> dict[str, list[list[object]]]:
    return {
        table.journal.name: sorted([list(row.values()) for row in table.rows.to_pylist()], key=repr)
        for table in derive(rows)
    }


def test_columns_have_the_schemas_of_their_tables_and_stand_in_the_order_of_the_answer() -> None:
    accounts = [(bytes([n]) * 31 + b"\0", seen(user(spot=[deposit(0, n)]), 1)) for n in range(200, 100, -1)]
    rows = folded(accounts)

    (supplied,) = rows.columns["positions"]
    (settings,) = rows.columns["accounts"]
    assert supplied.schema == POSITIONS
    assert settings.schema == ACCOUNTS
    assert supplied["unit_id"].to_pylist() == settings["unit_id"].to_pylist() == [name for name, _ in accounts]


def test_units_that_are_known_are_compared_and_not_written_anew() -> None:
    journals = Journals()
    accounts = [(bytes([n]) * 32, seen(user(spot=[deposit(0, n)]), 1)) for n in range(1, 90)]
    journals.fold([*first_look(), *accounts])
    changed = [(name, account._replace(slot=2)) for name, account in accounts]
    changed[7] = (changed[7][0], seen(user(spot=[deposit(0, 10_000)]), 2))

    rows = journals.fold(changed)

    assert [row.unit_id for row in rows.positions] == [changed[7][0]]
    assert [row.kind for row in rows.events] == ["supply"]
