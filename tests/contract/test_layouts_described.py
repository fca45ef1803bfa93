"""Every table of Solana accounts is what the protocols' makers publish of them, and a table that is not would be found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chains.solana.kamino.layout import DEPOSIT, OBLIGATION
from chains.solana.layouts import Layout, Table
from chains.solana.marginfi.layout import ACCOUNT, BANK, GROUP
from tests.devnet.sdk.environments import MissingPart, node
from tests.devnet.sdk.interfaces import described, idl_of
from tests.devnet.sdk.verified import SOLANA, check, differences, heads, modules, verified


@pytest.fixture(autouse=True)
def _packages() -> None:
    try:
        node()
    except MissingPart as missing:
        pytest.skip(str(missing))


def test_every_field_of_every_table_is_where_its_interface_description_says() -> None:
    found = verified()

    assert {(each.folder, each.name): each.differences for each in found if each.differences} == {}
    assert sum(each.fields for each in found) > 240
    assert {path.parent.name for path in SOLANA.glob("*/layout.py")} <= {each.folder for each in found if each.fields}


def test_the_command_says_the_same(checkout: Path) -> None:
    done = subprocess.run(
        [sys.executable, "scripts/layouts"], cwd=checkout, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "kamino: Obligation: 16 fields as in @kamino-finance/klend-sdk" in done.stdout


@pytest.mark.parametrize("version", ["0.1.4", "0.1.5", "0.1.7"])
def test_earlier_versions_of_marginfi_have_the_same_accounts_with_padding_where_fields_came_later(version: str) -> None:
    idl, source = idl_of("@mrgnlabs/marginfi-client-v2", f"dist/idl/marginfi_{version}.json")
    later = []
    for layout in (ACCOUNT, BANK, GROUP):
        found = described(idl, layout.name, source)
        assert found
        assert list(heads("marginfi", layout, found)) == []
        later += list(differences("marginfi", layout.fields, found.nodes))

    assert bool(later) is (version != "0.1.7")
    assert [line for line in later if "nothing begins" not in line and "_padding" not in line] == []


def with_field(layout: Layout, name: str, place: tuple[int, Any]) -> Layout:
    return replace(layout, fields={**layout.fields, name: place})


def with_deposits(table: Table) -> Layout:
    return with_field(OBLIGATION, "deposits", (96, (8, 136, table)))


WRONG = {
    "a size": (replace(OBLIGATION, size=3336), "size: 3336 here, 3344 there"),
    "a beginning": (replace(OBLIGATION, discriminator=bytes(8)), "discriminator: 0000000000000000 here"),
    "an offset": (with_field(OBLIGATION, "owner", (72, "key")), "owner: key at 72 here, there nothing begins"),
    "another field's offset": (with_field(OBLIGATION, "owner", (32, "key")), "owner: at 32 there is lendingMarket"),
    "a type": (with_field(OBLIGATION, "has_debt", (2287, "u16")), "has_debt: u16 at 2287 here, there hasDebt u8"),
    "a sign": (with_deposits({**DEPOSIT, "deposited_amount": (32, "i64")}), "deposits: deposited_amount: i64 at 32"),
    "a count": (with_field(OBLIGATION, "deposits", (96, (7, 136, DEPOSIT))), "deposits: 7 of 136 bytes at 96 here"),
    "an offset inside": (with_deposits({"deposited_amount": (24, "u64")}), "deposits: deposited_amount: u64 at 24"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_table_that_is_wrong_in_one_place_is_told(what: str) -> None:
    layout, told = WRONG[what]

    (line,) = check("kamino", layout).differences

    assert line.startswith(told)


def test_a_table_of_a_folder_that_nothing_describes_is_told() -> None:
    (line,) = check("newcomer", BANK).differences

    assert line == "nothing describes Bank of newcomer; name its source in tests/devnet/sdk/verified.py"


def test_the_tables_of_a_folder_are_found_by_the_folder() -> None:
    assert {"kamino", "marginfi", "save", "oracles/switchboard"} <= {folder for folder, _ in modules()}


def idl_with(repr_: Mapping[str, Any] | None, *kinds: Any) -> dict[str, Any]:
    """A description of one account, with fields `f0`, `f1` and so on."""
    fields = [{"name": f"f{number}", "type": kind} for number, kind in enumerate(kinds)]
    said = {} if repr_ is None else {"repr": repr_}
    return {
        "accounts": [{"name": "Vault", "discriminator": [1, 2, 3, 4, 5, 6, 7, 8]}],
        "types": [{"name": "Vault", "type": {"kind": "struct", "fields": fields}, **said}],
    }


@pytest.mark.parametrize(
    "repr_,offsets,size",
    [
        ({"kind": "c"}, [8, 16, 24, 40, 44], 48),  # u8, then 7 of nothing; u128 at a multiple of 8; 1 + 3 behind, 4, 0
        ({"kind": "c", "packed": True}, [8, 9, 17, 33, 34], 38),
        (None, [8, 9, 17, 33, 34], 38),
    ],
)
def test_a_structure_of_c_has_gaps_and_a_packed_one_has_none(
    repr_: Mapping[str, Any] | None, offsets: list[int], size: int
) -> None:
    found = described(idl_with(repr_, "u8", "u64", "u128", "bool", "u32"), "Vault", "here")

    assert found
    assert ([node.offset for node in found.nodes], found.size) == (offsets, size)
    assert found.discriminator == bytes([1, 2, 3, 4, 5, 6, 7, 8])


def test_what_is_behind_a_list_has_no_place() -> None:
    found = described(idl_with(None, "u16", {"vec": "u8"}, "u64"), "Vault", "here")

    assert found
    assert [(node.path, node.offset, node.kind) for node in found.nodes] == [("f0", 8, "u16"), ("f1", 10, "u32")]
    assert found.size is None
