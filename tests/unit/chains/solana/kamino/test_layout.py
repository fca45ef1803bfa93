"""The tables of klend's accounts, against the program's own interface description."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from chains.solana.kamino.layout import MARKET, OBLIGATION, RESERVE
from chains.solana.layouts import Layout, Table
from tests.support.kamino_runs import FIXTURES

LAYOUTS = FIXTURES / "layouts.json"

RENAMED = {"global_unhealthy_borrow_value": "reserved0", "interest_rate_basis": "reserved1"}
"""Fields that the description of 1.22 calls padding: before, or from later on, they have a meaning."""

INSIDE = {
    "heuristic_lower": ("heuristic", 0),
    "heuristic_upper": ("heuristic", 8),
    "heuristic_exp": ("heuristic", 16),
    "scope_price_feed": ("scopeConfiguration", 0),
    "scope_price_chain": ("scopeConfiguration", 32),
    "scope_twap_chain": ("scopeConfiguration", 40),
    "switchboard_price_aggregator": ("switchboardConfiguration", 0),
    "pyth_price": ("pythConfiguration", 0),
}
"""Fields of small structures inside, whose own fields the description here does not list, and where they begin."""

STRUCTURES = {
    "deposits": "ObligationCollateral",
    "borrows": "ObligationLiquidity",
    "last_update": "LastUpdate",
    "liquidity": "ReserveLiquidity",
    "collateral": "ReserveCollateral",
    "config": "ReserveConfig",
    "token_info": "TokenInfo",
    "elevation_groups": "ElevationGroup",
}
SIZES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "u128": 16, "u256": 32, "key": 32}


@pytest.mark.parametrize("layout", [OBLIGATION, RESERVE, MARKET], ids=lambda layout: layout.name)
def test_an_account_begins_with_the_hash_of_its_name(layout: Layout) -> None:
    assert layout.discriminator == hashlib.sha256(f"account:{layout.name}".encode()).digest()[:8]


@pytest.mark.skipif(not LAYOUTS.exists(), reason="the interface description is not in ../shared/fixtures/solana")
@pytest.mark.parametrize("layout", [OBLIGATION, RESERVE, MARKET], ids=lambda layout: layout.name)
def test_every_field_stands_where_the_interface_description_says(layout: Layout) -> None:
    described = json.loads(LAYOUTS.read_text())["klend"]
    account = described["accounts"][layout.name]

    assert account["size"] == layout.size
    assert account["discriminator"] == layout.discriminator.hex()
    checked = list(compared(layout.fields, account["fields"], described["types"]))
    assert len(checked) > 12
    for name, ours, theirs in checked:
        assert ours == theirs, name


def compared(
    fields: Table, described: list[list[Any]], types: dict[str, Any]
) -> Iterator[tuple[str, tuple[int, int], tuple[int, int]]]:
    """Yield each field with its offset and size, here and there."""
    theirs = {name: (offset, size) for name, offset, size, _ in described}
    for name, (offset, kind) in fields.items():
        if name in INSIDE:
            parent, inner = INSIDE[name]
            yield name, (offset, 0), (theirs[parent][0] + inner, 0)
            continue
        known = theirs[RENAMED.get(name, camel(name))]
        if isinstance(kind, str):
            size = int(kind[6:]) if kind.startswith("bytes:") else SIZES[kind]
            both = name in RENAMED or kind == "u256"
            yield name, (offset, known[1] if both else size), known
        else:
            count, stride, table = kind
            yield name, (offset, count * stride), known
            if name in STRUCTURES:
                structure = types[STRUCTURES[name]]
                assert structure["size"] == stride
                yield from compared(table, structure["fields"], types)


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
