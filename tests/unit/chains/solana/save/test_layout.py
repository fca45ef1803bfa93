"""The accounts of the program: where their fields are, and what is no account of its kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chains.solana.layouts import Layout, Table, read
from chains.solana.save.layout import (
    BORROW,
    DEPOSIT,
    OBLIGATION,
    RESERVE,
    Borrow,
    Deposit,
    Malformed,
    Obligation,
    obligations,
    reserve_fields,
)
from tests.support.save_accounts import SOL, USDC, WAD, obligation, reserve

LAYOUTS = Path(__file__).parents[6] / "shared" / "fixtures" / "solana" / "layouts.json"
WIDTHS = {"u8": 1, "u64": 8, "i64": 8, "u128": 16, "key": 32}


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    if not LAYOUTS.exists():
        pytest.skip(f"no layouts at {LAYOUTS}")
    layouts: dict[str, Any] = json.loads(LAYOUTS.read_text())["solend"]
    return layouts


@pytest.mark.parametrize("layout, name", [(RESERVE, "Reserve"), (OBLIGATION, "Obligation")])
def test_fields_are_where_the_programs_pack_has_them(known: dict[str, Any], layout: Layout, name: str) -> None:
    assert layout.size == known["accounts"][name]["size"]
    assert places(layout.fields).items() <= said(known["accounts"][name]["fields"]).items()


@pytest.mark.parametrize(
    "table, name, size", [(DEPOSIT, "ObligationCollateral", 88), (BORROW, "ObligationLiquidity", 112)]
)
def test_entries_are_what_the_programs_pack_has(known: dict[str, Any], table: Table, name: str, size: int) -> None:
    assert known["types"][name]["size"] == size
    assert places(table).items() <= said(known["types"][name]["fields"]).items()


def test_an_obligation_is_its_entries_in_order() -> None:
    deposits = (Deposit(SOL, 7, 2**127), Deposit(USDC, 2**64 - 1, 0))
    borrows = (Borrow(USDC, 3 * WAD, 2**128 - 1), Borrow(SOL, WAD, 1))
    data = obligation(b"\x77" * 32, deposits, borrows, closeable=1)

    assert obligations([data]) == [Obligation(b"\x77" * 32, closeable=True, deposits=deposits, borrows=borrows)]
    assert read(DEPOSIT, data, 204 + 88) == dict(zip(DEPOSIT, deposits[1], strict=True))
    assert read(BORROW, data, 204 + 2 * 88) == dict(zip(BORROW, borrows[0], strict=True))


def test_ten_entries_are_the_most() -> None:
    names = [bytes([i]) * 32 for i in range(10)]
    full = [Deposit(name, 1, 0) for name in names[:4]], [Borrow(name, WAD, 1) for name in names[4:]]
    (held,) = obligations([obligation(SOL, *full)])

    assert isinstance(held, Obligation)
    assert len(held.deposits) + len(held.borrows) == 10


@pytest.mark.parametrize(
    "data, problem",
    [
        (b"\x02" + obligation(SOL)[1:], "the account begins with 02, a obligation with 01"),
        (obligation(SOL)[:202] + b"\x06\x05" + bytes(1096), "an obligation has at most 10 entries, this one 6 and 5"),
        (obligation(SOL, closeable=2), "the obligation's flag closeable is 2"),
        (obligation(SOL, [Deposit(USDC, 1, 0)] * 2), "two deposits of the obligation are of one reserve"),
        (obligation(SOL, [], [Borrow(USDC, 1, 1)] * 2), "two borrows of the obligation are of one reserve"),
    ],
)
def test_what_is_no_obligation_is_named(data: bytes, problem: str) -> None:
    good, bad = obligations([obligation(SOL), data])

    assert isinstance(good, Obligation)
    assert isinstance(bad, Malformed)
    assert str(bad) == problem


@pytest.mark.parametrize(
    "data, problem",
    [
        (reserve()[:-1], "the account has 618 bytes, a reserve has 619"),
        (b"\x00" + reserve()[1:], "the account begins with 00, a reserve with 01"),
        (reserve(asset_type=2), "the reserve's asset type 2 is not known"),
    ],
)
def test_what_is_no_reserve_is_named(data: bytes, problem: str) -> None:
    with pytest.raises(Malformed, match=problem):
        reserve_fields(data)


def places(table: Table) -> dict[str, tuple[int, int]]:
    return {name: (at, WIDTHS[kind]) for name, (at, kind) in table.items() if isinstance(kind, str)}


def said(fields: list[list[Any]]) -> dict[str, tuple[int, int]]:
    return {name: (at, width) for name, at, width, _ in fields}
