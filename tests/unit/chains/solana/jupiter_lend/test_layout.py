"""The tables of accounts are packed without a gap, and begin with what Anchor derives from their names."""

from __future__ import annotations

from hashlib import sha256

import pytest

from chains.solana.jupiter_lend import layout
from chains.solana.layouts import KEY, Layout, read

LAYOUTS = [each for each in vars(layout).values() if isinstance(each, Layout)]


def size_of(kind: object) -> int:
    return KEY if kind == "key" else int(str(kind)[1:]) // 8


@pytest.mark.parametrize("table", LAYOUTS, ids=lambda table: table.name)
def test_fields_follow_each_other_to_the_end(table: Layout) -> None:
    at = len(table.discriminator)
    for name, (offset, kind) in table.fields.items():
        assert offset == at, name
        at += size_of(kind)
    assert at == table.size - (table is layout.ORACLE)


@pytest.mark.parametrize("table", [each for each in LAYOUTS if each.discriminator], ids=lambda table: table.name)
def test_the_first_bytes_are_the_names_hash(table: Layout) -> None:
    assert table.discriminator == sha256(f"account:{table.name}".encode()).digest()[:8]


@pytest.mark.parametrize("table", [each for each in LAYOUTS if each.discriminator], ids=lambda table: table.name)
def test_another_size_or_kind_is_refused_by_name(table: Layout) -> None:
    data = table.discriminator.ljust(table.size, b"\0")

    assert table.problem(data) is None
    assert table.name in str(table.problem(data[:-1]))
    assert (table.problem(data + b"\0") is None) is table.grows
    assert table.name in str(table.problem(b"\1" * table.size))


def test_accounts_that_are_not_read_are_named() -> None:
    names = ("TickHasDebtArray", "VaultAdmin")

    assert {sha256(f"account:{name}".encode()).digest()[:8] for name in names} == layout.UNREAD


def test_signed_numbers_are_signed() -> None:
    data = bytearray(layout.POSITION.size)
    data[47:51] = (-(2**31)).to_bytes(4, "little", signed=True)

    assert read(layout.POSITION.fields, bytes(data))["tick"] == -(2**31)
