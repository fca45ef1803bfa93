"""Many accounts at once give the rows that they give one by one."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from chains.columns import ACCOUNTS, POSITIONS
from chains.model import AccountBytes, Rows
from chains.solana.marginfi import Marginfi
from chains.solana.marginfi import fold as module
from chains.solana.marginfi.layout import ACCOUNT
from indexer.store.journals import derive
from tests.support.marginfi_runs import Journals, row_by_row
from tests.support.state import Tips
from tests.unit.chains.solana.marginfi.builders import (
    ANN,
    GROUP_KEY,
    JTO,
    SLOT,
    SOL,
    USDC,
    USDC_MINT,
    balance,
    bank,
    encoded,
    group,
    member,
    seen,
    venue,
)

UNREAD = [bytes([number]) * 32 for number in range(0xB0, 0xBF)]


def crowd(seed: int, count: int) -> list[tuple[bytes, AccountBytes]]:
    """Accounts with any number of balances, gaps, dust, marks and flags; some are odd."""
    rng = random.Random(seed)
    return [(rng.randbytes(32), seen(one(rng))) for _ in range(count)]


def one(rng: random.Random) -> bytes:
    banks = rng.sample([SOL, USDC, JTO, *UNREAD], rng.choice([0, 1, 1, 2, 3, 16]))
    balances = [
        {
            "active": rng.choice([1, 1, 1, 0, 255]),
            "bank_pk": name,
            "asset_shares": rng.choice([0, 1, rng.getrandbits(60), rng.getrandbits(100)]),
            "liability_shares": rng.choice([0, 0, rng.getrandbits(90)]),
        }
        for name in banks
    ]
    match rng.randrange(12):
        case 0 if balances:
            balances[-1]["asset_shares"] = rng.choice([10**38, 10**38 - 1, 2**127 - 1, -1])
        case 1 if balances:
            balances = [*balances[:15], dict(balances[0])]
        case 2:
            return member(rng.randbytes(32), *balances, group=rng.randbytes(32))
        case 3:
            return member(rng.randbytes(32), *balances) + b"\0"
        case 4:
            return encoded(ACCOUNT)[:8] + rng.randbytes(2304)
        case _:
            pass
    marks = {"program_version": rng.choice([0, 5, 255]), "account_flags": rng.choice([0, 1, 2**64 - 1])}
    return member(rng.randbytes(32), *balances, **marks)


def folded(accounts: Sequence[tuple[bytes, AccountBytes]], *, journals: Journals | None = None) -> Rows:
    tips = Tips() if journals is None else journals.tips
    return Marginfi(venue()).fold(
        tips, [(GROUP_KEY, seen(group())), (SOL, seen(bank())), (USDC, seen(bank(USDC_MINT))), *accounts]
    )


@pytest.mark.parametrize("seed", range(5))
def test_together_or_one_by_one_the_rows_are_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = crowd(seed, 300)
    together = folded(accounts)
    monkeypatch.setattr(module, "WORTH_COLUMNS", 10**9)
    one_by_one = folded(accounts)

    assert len(together.columns["accounts"]) > 0
    assert one_by_one.columns == {}
    flat = row_by_row(together)
    assert sorted(flat.positions) == sorted(one_by_one.positions)
    assert sorted(flat.accounts) == sorted(one_by_one.accounts)
    assert sorted(flat.markets) == sorted(one_by_one.markets)
    assert sorted(flat.quarantined) == sorted(one_by_one.quarantined)
    assert flat.events == one_by_one.events == []
    assert min(len(flat.positions), len(flat.accounts), len(flat.quarantined)) > 20


def test_the_store_makes_the_same_tables_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = crowd(11, 200)
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
    accounts = [
        (name, seen(member(ANN, balance(SOL, held=1)))) for name in (bytes([n]) * 32 for n in range(200, 100, -1))
    ]
    rows = folded(accounts)

    supplied, owed = rows.columns["positions"]
    (settings,) = rows.columns["accounts"]
    assert supplied.schema == owed.schema == POSITIONS
    assert settings.schema == ACCOUNTS
    assert supplied["unit_id"].to_pylist() == settings["unit_id"].to_pylist() == [name for name, _ in accounts]
    assert owed.num_rows == 0


def test_units_that_are_known_are_compared_and_not_written_anew() -> None:
    journals = Journals(venue())
    accounts = [(bytes([n]) * 32, seen(member(ANN, balance(SOL, held=n)))) for n in range(1, 90)]
    journals.fold([(GROUP_KEY, seen(group())), (SOL, seen(bank())), *accounts])
    changed = [(name, account._replace(slot=SLOT + 1)) for name, account in accounts]
    changed[7] = (changed[7][0], seen(member(ANN, balance(SOL, held=1000)), slot=SLOT + 1))

    rows = journals.fold(changed)

    assert [row.unit_id for row in rows.positions] == [changed[7][0]]
    assert [row.kind for row in rows.events] == ["supply"]
