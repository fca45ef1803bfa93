"""What `--fail-below` looks at is the lowest health factor that anything of an account is judged by."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from crossmargin.cli.asking import lowest_factor


@pytest.mark.parametrize(
    "house, unit, pools, lowest",
    [
        ("2.5", "1.4", ["2.5"], "1.4"),
        ("1.2", "1.4", ["1.2"], "1.2"),
        ("1.88", "1.05", ["0.94", None], "0.94"),
        (None, "1.4", ["1.1"], "1.1"),
        (None, None, [None], None),
    ],
)
def test_it_is_the_house_s_a_pool_s_or_a_unit_s(
    house: str | None, unit: str | None, pools: list[str | None], lowest: str | None
) -> None:
    document: dict[str, Any] = {
        "health_factor": house,
        "min_unit_health_factor": unit,
        "pools": [{"health_factor": each} for each in pools],
    }

    assert lowest_factor(document) == (None if lowest is None else Decimal(lowest))
