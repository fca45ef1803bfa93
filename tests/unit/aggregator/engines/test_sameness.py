"""When two engines say the same of margin accounts, and when they do not."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from aggregator.engines.sameness import alike

ROWS: list[dict[str, Any]] = [
    {"account_id": "a", "health_factor": 1.5, "collateral_usd": 3e6, "debt_usd": 2e6, "headroom_usd": 1e-3},
    {"account_id": "b", "health_factor": None, "collateral_usd": 10.0, "debt_usd": None, "headroom_usd": None},
]


def table(**changed: Any) -> pa.Table:
    return pa.Table.from_pylist([ROWS[0] | changed, ROWS[1]])


@pytest.mark.parametrize(
    "changed, same",
    [
        ({}, True),
        ({"health_factor": 1.5 * (1 + 1e-15)}, True),
        # A difference is no better known than what it is a difference of: 5e6 · 1e-12 = 5e-6.
        ({"headroom_usd": 1e-3 + 4e-6}, True),
        ({"headroom_usd": 1e-3 + 6e-6}, False),
        ({"collateral_usd": 3e6 + 1e-3}, False),
        ({"headroom_usd": None}, False),
        ({"account_id": "c"}, False),
    ],
)
def test_rows_are_alike_to_the_size_of_the_account(changed: dict[str, Any], same: bool) -> None:  # noqa: FBT001 - parametrised
    assert alike(table(), table(**changed), key="account_id") is same


def test_order_tells_nothing_and_a_row_more_or_another_column_does() -> None:
    turned = table().take([1, 0])

    assert alike(table(), turned, key="account_id")
    assert not alike(table(), pa.concat_tables([table(), table()]), key="account_id")
    assert not alike(table(), table().drop_columns(["debt_usd"]), key="account_id")
