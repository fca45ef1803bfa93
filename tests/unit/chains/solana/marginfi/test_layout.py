"""Tables of the program's accounts: the published layout, real accounts, and every stated fact of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import pytest

from chains.identifiers import from_base58
from chains.solana.layouts import Layout, Table, read
from chains.solana.marginfi.fixed import ONE
from chains.solana.marginfi.layout import ACCOUNT, BANK, GROUP
from chains.solana.marginfi.states import bank_of, bank_texts
from tests.support.marginfi_runs import FIXTURES
from tests.unit.chains.solana.marginfi.builders import bank, group, member

LAYOUTS = FIXTURES / "layouts.json"
DUMPS = FIXTURES / "marginfi"
needs_layouts = pytest.mark.skipif(not LAYOUTS.is_file(), reason=f"there are no published layouts at {LAYOUTS}")
needs_dumps = pytest.mark.skipif(not DUMPS.is_dir(), reason=f"there are no account dumps at {DUMPS}")

RENAMED = {
    "emode": "emode.emode_config.entries",
    "balances": "lending_account.balances",
    "program_version": "health_cache.program_version",
}
"""Fields that stand here under a shorter name than their path."""
LATER = {"same_asset_emode_init_leverage", "same_asset_emode_maint_leverage"}
"""Fields that came after the published layout."""


def published(kind: str) -> dict[str, tuple[int, str]]:
    """Every field of an account and of what is inside it, by its last name: (offset, type)."""
    described = json.loads(LAYOUTS.read_text(encoding="utf-8"))["marginfi"]
    return dict(_flat(described["types"], described["accounts"][kind]["fields"], 0, ""))


def _flat(
    types: Mapping[str, Any], fields: list[list[Any]], start: int, path: str
) -> Iterator[tuple[str, tuple[int, str]]]:
    for name, offset, _, kind in fields:
        inner = json.loads(kind).get("defined", {}).get("name", "") if kind.startswith("{") else ""
        yield path + name, (start + offset, kind)
        if inner in types and "fields" in types[inner]:
            yield from _flat(types, types[inner]["fields"], start + offset, f"{path}{name}.")


@needs_layouts
@pytest.mark.parametrize("layout", [ACCOUNT, BANK, GROUP], ids=lambda layout: layout.name)
def test_sizes_and_offsets_are_the_published_ones(layout: Layout) -> None:
    described = json.loads(LAYOUTS.read_text(encoding="utf-8"))["marginfi"]["accounts"][layout.name]
    fields = published(layout.name)
    by_last_name = {path.rpartition(".")[2]: at for path, at in fields.items()}

    assert (layout.size, layout.discriminator.hex()) == (described["size"], described["discriminator"])
    checked = 0
    for name, (offset, _) in layout.fields.items():
        if name in LATER or name in RATE_CONFIG:
            continue
        found = fields.get(RENAMED.get(name, name), by_last_name.get(RENAMED.get(name, name).rpartition(".")[2]))
        assert found is not None, name
        assert found[0] == offset, name
        checked += 1
    assert checked > 1


RATE_CONFIG = {
    "optimal_utilization_rate": 0, "plateau_interest_rate": 16, "max_interest_rate": 32, "insurance_fee_fixed_apr": 48,
    "insurance_ir_fee": 64, "protocol_fixed_fee_apr": 80, "protocol_ir_fee": 96, "protocol_origination_fee": 112,
    "zero_util_rate": 128, "hundred_util_rate": 132, "points": 136, "curve_type": 176, "program_fee_fixed": 80, "program_fee_rate": 96,
}  # fmt: skip
"""Fields of structures that the published layout names and does not spell out: eight I80F48, two u32, five pairs of u32, a byte."""


@needs_layouts
def test_the_rate_configuration_begins_where_it_is_published() -> None:
    start, _ = published("Bank")["config.interest_rate_config"]

    for name, offset in RATE_CONFIG.items():
        if name in BANK.fields:
            assert BANK.fields[name][0] == start + offset, name


@needs_layouts
@pytest.mark.parametrize("name, entry", [("Balance", "balances"), ("EmodeEntry", "emode")])
def test_what_is_repeated_inside_is_the_published(name: str, entry: str) -> None:
    described = json.loads(LAYOUTS.read_text(encoding="utf-8"))["marginfi"]["types"][name]
    layout = ACCOUNT if entry == "balances" else BANK
    kind = layout.fields[entry][1]
    assert not isinstance(kind, str)
    _, stride, table = kind

    offsets = {field: offset for field, offset, _, _ in described["fields"]}
    assert stride == described["size"]
    assert {field: offset for field, (offset, _) in table.items()} == {field: offsets[field] for field in table}


@pytest.mark.parametrize(
    "layout, data", [(ACCOUNT, member()), (BANK, bank()), (GROUP, group())], ids=["account", "bank", "group"]
)
def test_another_size_or_kind_is_refused_by_name(layout: Layout, data: bytes) -> None:
    assert layout.problem(data) is None
    assert layout.problem(data + b"\0") == f"the account has {layout.size + 1} bytes, a {layout.name} has {layout.size}"
    assert layout.problem(data[:-1]) is not None
    assert "begins with" in str(layout.problem(bytes(8) + data[8:]))


def facts() -> list[tuple[str, str, str]]:
    """(file, path, value as text) of all facts that the program's own regression test states."""
    if not DUMPS.is_dir():
        return []
    stated = json.loads((DUMPS / "expected.json").read_text(encoding="utf-8"))["asserted"]
    return [(file, path, value) for file, pairs in stated.items() for path, value in pairs]


def dump(name: str) -> bytes:
    return base64.b64decode(json.loads((DUMPS / name).read_text(encoding="utf-8"))["account"]["data"][0])


@needs_dumps
@pytest.mark.parametrize("file, path, value", facts(), ids=lambda part: str(part).removesuffix(".json"))
def test_every_stated_fact_of_a_real_account_is_reproduced(file: str, path: str, value: str) -> None:
    layout = BANK if path.startswith("bank.") else ACCOUNT
    data = dump(file)
    assert layout.problem(data) is None
    told: Any = read(layout.fields, data)
    head, _, name = path.partition(".")
    if head.startswith("balance_"):
        told = told["balances"][int(head.removeprefix("balance_")) - 1]

    name = name.rpartition(".")[2]
    kind = table_of(layout, head)[name][1]
    assert told[name] == meant(kind, value)


def table_of(layout: Layout, head: str) -> Table:
    kind = layout.fields["balances"][1] if head.startswith("balance_") else None
    return layout.fields if kind is None or isinstance(kind, str) else kind[2]


def meant(kind: object, value: str) -> object:
    """A stated value as it is stored: a key's bytes, the nearest I80F48 of a decimal, an integer."""
    if kind == "key":
        return from_base58(value)
    return round(Fraction(value) * ONE) if kind == "i128" else int(value)


@needs_dumps
def test_all_stated_facts_are_looked_at() -> None:
    assert len(facts()) == 103


@needs_dumps
@pytest.mark.parametrize(
    "file", ["cloud_bank.json", "pyusd_bank.json", "mainnet_staked_backfill_bank.json", "bank_sample_1.json"]
)
def test_real_banks_are_read_into_terms_and_totals(file: str) -> None:
    data = dump(file)
    found = bank_of(b"", *bank_texts(data))

    assert not isinstance(found, str)
    assert 0 <= found.weights.asset_init <= found.weights.asset_maint <= 2 * ONE
    assert found.weights.liability_init >= found.weights.liability_maint >= ONE
    assert found.totals.asset_share_value >= ONE
    assert found.oracle_setup in {1, 2, 3, 5}


@needs_dumps
def test_a_real_account_with_gaps_between_its_balances_keeps_them_all() -> None:
    balances = read(ACCOUNT.fields, dump("gappy_user3.json"))["balances"]
    active = [number for number, each in enumerate(balances) if each["active"]]

    assert len(active) > 1
    assert active != list(range(len(active)))
