"""The tables of the program's accounts are the published ones, and what is of another kind is refused by name."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest

from chains.solana.drift.layout import (
    PERP_MARKET,
    PERP_POSITION,
    PERP_SIZE,
    PRELAUNCH_ORACLE,
    PYTH_LAZER_ORACLE,
    SPOT_MARKET,
    SPOT_POSITION,
    SPOT_SIZE,
    STATE,
    USER,
)
from chains.solana.layouts import Layout
from tests.support.drift_runs import FIXTURES

LAYOUTS = FIXTURES / "layouts.json"
needs_layouts = pytest.mark.skipif(not LAYOUTS.exists(), reason="the published layouts are not here")
ALL = (USER, SPOT_MARKET, PERP_MARKET, STATE, PRELAUNCH_ORACLE, PYTH_LAZER_ORACLE)


def published() -> dict[str, Any]:
    said: dict[str, Any] = json.loads(LAYOUTS.read_text(encoding="utf-8"))["drift"]
    return said


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def offsets(fields: list[list[Any]], types: dict[str, Any], start: int = 0) -> dict[str, int]:
    """Every field by its last name, those of structures inside too, but for what is named twice."""
    found: dict[str, int] = {}
    for name, offset, _, kind in fields:
        inner = json.loads(kind).get("defined", "") if kind.startswith("{") else ""
        inner = inner.get("name", "") if isinstance(inner, dict) else inner
        found.setdefault(snake(name), start + offset)
        if inner in types and "fields" in types[inner]:
            for key, at in offsets(types[inner]["fields"], types, start + offset).items():
                found.setdefault(key, at)
    return found


@pytest.mark.parametrize("layout", ALL, ids=lambda layout: layout.name)
def test_an_account_begins_with_the_hash_of_its_name(layout: Layout) -> None:
    assert layout.discriminator == sha256(f"account:{layout.name}".encode()).digest()[:8]


IN_INSURANCE_FUND = 32 + 3 * 16 + 3 * 8
"""Where `total_factor` stands in a structure that is named and not spelt out: behind a key, three u128 and three i64."""


@needs_layouts
@pytest.mark.parametrize("layout", [USER, SPOT_MARKET, PERP_MARKET], ids=lambda layout: layout.name)
def test_sizes_and_offsets_are_the_published_ones(layout: Layout) -> None:
    said = published()
    account = said["accounts"][layout.name]
    fields = offsets(account["fields"], said["types"])
    fields |= {"last_oracle_price_twap_5min": fields.get("last_oracle_price_twap5min", -1)}
    fields.setdefault("total_factor", fields.get("insurance_fund", 0) + IN_INSURANCE_FUND)

    assert (layout.size, layout.discriminator.hex()) == (account["size"], account["discriminator"])
    assert {name: fields[name] for name in layout.fields} == {name: at for name, (at, _) in layout.fields.items()}


SINCE_2_156 = {"isolated_position_scaled_balance": "last_base_asset_amount_per_lp", "position_flag": "per_lp_base"}
"""What later versions keep where an LP position once was."""


@needs_layouts
@pytest.mark.parametrize(
    "name, table, size", [("SpotPosition", SPOT_POSITION, SPOT_SIZE), ("PerpPosition", PERP_POSITION, PERP_SIZE)]
)
def test_positions_are_the_published_ones(name: str, table: dict[str, Any], size: int) -> None:
    said = published()["types"][name]
    fields = {snake(field): offset for field, offset, _, _ in said["fields"]}

    assert said["size"] == size
    for field, (offset, _) in table.items():
        known = field if field in fields else SINCE_2_156.get(field)
        if known is not None and known in fields:
            assert fields[known] == offset, field
        else:
            assert field == "max_margin_ratio"


@pytest.mark.parametrize("layout", ALL, ids=lambda layout: layout.name)
def test_another_size_or_kind_is_refused_by_name(layout: Layout) -> None:
    data = layout.discriminator + bytes(layout.size - 8)

    assert layout.problem(data) is None
    assert layout.problem(data + b"\0") == f"the account has {layout.size + 1} bytes, a {layout.name} has {layout.size}"
    assert layout.problem(data[:-1]) is not None
    assert "begins with" in str(layout.problem(bytes(8) + data[8:]))
