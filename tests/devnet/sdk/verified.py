"""The project's tables of accounts, each field against what a package of the registries says of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from chains.solana.layouts import KEY, Kind, Layout, Table
from chains.solana.oracles.pyth import account
from tests.devnet.sdk.interfaces import Described, Idl, Node, described, idl_of, jupiter, solend, squeezed

CHECKOUT = Path(__file__).parents[3]
SOLANA = CHECKOUT / "chains" / "solana"
DRIFT_SDK = "@drift-labs/sdk"

Given = Callable[[], tuple[Idl, str]]

SOURCES: Mapping[str, Sequence[Given]] = {
    "kamino": [partial(idl_of, "@kamino-finance/klend-sdk", "dist/idl/klend.json")],
    "marginfi": [partial(idl_of, "@mrgnlabs/marginfi-client-v2", "dist/idl/marginfi_0.1.8.json")],
    "drift": [partial(idl_of, DRIFT_SDK, "lib/node/idl/drift.json")],
    "jupiter_lend": [
        partial(jupiter, program)
        for program in ("vaults", "liquidity", "oracle", "lending", "lending_reward_rate_model")
    ],
    "oracles/switchboard": [
        partial(idl_of, DRIFT_SDK, "lib/node/idl/switchboard_on_demand_30.json"),
        partial(idl_of, DRIFT_SDK, "lib/node/idl/switchboard.json"),
    ],
    "oracles/stake_pool": [partial(idl_of, DRIFT_SDK, "src/marinade/idl/idl.json")],
}
"""By folder: the interface descriptions of its tables. The first that knows a table's name counts."""

PACKED: Mapping[str, Mapping[str, str]] = {
    "save": {
        "lending market": "LendingMarketLayout",
        "reserve": "ReserveLayout",
        "obligation": "ObligationLayout",
        "DEPOSIT": "ObligationCollateralLayout",
        "BORROW": "ObligationLiquidityLayout",
    }
}
"""By folder: the tables that Solend's SDK has under other names, in JavaScript; it says where numbers are, not of which sign."""

NAMES: Mapping[tuple[str, str], str] = {
    ("oracles/stake_pool", "Marinade state"): "State",
    ("jupiter_lend", "source"): "Sources",
}
"""Tables that the descriptions call otherwise."""

RENAMED: Mapping[tuple[str, str], str] = {
    ("kamino", "global_unhealthy_borrow_value"): "reserved0",  # padding since klend 1.8
    ("kamino", "interest_rate_basis"): "reserved1",  # padding until klend 1.25
    ("kamino", "index"): "Chain",
    ("marginfi", "key"): "oracleKeys",
    ("marginfi", "same_asset_emode_init_leverage"): "_padding",  # since 0.1.9
    ("marginfi", "same_asset_emode_maint_leverage"): "_padding",
    ("save", "quote_currency"): "quoteTokenMint",
    ("save", "asset_type"): "reserveType",
    ("save", "attributed_borrow_value_wads"): "padding",
}
"""Fields that the descriptions call otherwise, or that stand in what they call padding: their name there."""

SHORTER: Mapping[tuple[str, str], int] = {
    (
        "oracles/stake_pool",
        "Marinade state",
    ): 576,  # described before the program could be paused and limit moves of stake
}
"""Accounts that have grown since they were described: their size there."""

UNDESCRIBED: Mapping[tuple[str, str], str] = {
    ("oracles/chainlink", "Transmissions"): "no description in the packages that are installed",
    ("oracles/pyth_legacy", "price account"): "no description: a C structure of Pyth's first program",
    ("oracles/scope", "OraclePrices"): "no description in the packages that are installed",
    ("oracles/stake_pool", "stake pool"): "no description: Borsh without Anchor, of the SPL stake pool program",
}
"""Tables that no package here describes, and why."""


@dataclass(frozen=True, kw_only=True)
class Verified:
    """One table: how many fields were compared with what, and what differs."""

    folder: str
    name: str
    source: str
    fields: int
    differences: Sequence[str]


def verified() -> list[Verified]:
    """Compare every table that any folder has; raises `MissingPart`."""
    found = [check(folder, table) for folder, module in modules() for table in tables(module)]
    return [*found, price_update()]


def price_update() -> Verified:
    """Compare the one account that is read in order, and not by a table: behind its verification level everything may move by a byte."""
    idl, source = idl_of(DRIFT_SDK, "lib/node/idl/pyth_solana_receiver.json")
    found = described(idl, "PriceUpdateV2", source)
    assert found
    message = described(idl, "PriceFeedMessage", source)
    assert message
    letters = {"i64": "q", "u64": "Q", "i32": "i", "[u8;32]": "32s"}
    behind = next(each for each in idl["accounts"] if each["name"] == "priceUpdateV2")["type"]["fields"][3:]
    there = (
        "<" + "".join(letters[node.kind] for node in message.nodes) + "".join(letters[each["type"]] for each in behind)
    )
    lines = [] if account._MESSAGE.format == there else [f"{account._MESSAGE.format} here, {there} there"]
    lines += [] if found.discriminator == account.DISCRIMINATOR else ["discriminator"]
    lines += [] if [node.offset + node.size for node in found.nodes] == [account._LEVEL] else ["verification level"]
    fields = len(there) - there.count("32s") * 2
    return Verified(folder="oracles/pyth", name="PriceUpdateV2", source=source, fields=fields, differences=lines)


def modules() -> Iterator[tuple[str, ModuleType]]:
    """Yield the modules that may hold tables, with their folder below `chains/solana`."""
    for path in sorted({*SOLANA.glob("*/layout.py"), *SOLANA.glob("oracles/*/*.py")}):
        name = ".".join(path.relative_to(CHECKOUT).with_suffix("").parts)
        yield path.parent.relative_to(SOLANA).as_posix(), importlib.import_module(name)


def tables(module: ModuleType) -> Iterator[Layout]:
    """Yield a module's layouts, and its tables that are in none of them as layouts of no account."""
    own = vars(module)
    layouts = [value for value in own.values() if isinstance(value, Layout)]
    yield from layouts
    used = [id(table) for layout in layouts for table in inner(layout.fields)]
    for name, value in own.items():
        if is_table(value) and id(value) not in used:
            yield Layout(name=name, size=0, discriminator=b"", fields=value)


def inner(fields: Table) -> Iterator[Table]:
    """Yield a table and those inside it."""
    yield fields
    for _, kind in fields.values():
        if not isinstance(kind, str):
            yield from inner(kind[2])


def is_table(value: object) -> bool:
    """Whether a value has the shape of a table that is written out in a module."""
    if not isinstance(value, dict) or not value:
        return False
    return all(isinstance(each, tuple) and len(each) == 2 and isinstance(each[0], int) for each in value.values())


def check(folder: str, layout: Layout) -> Verified:
    """Compare one table with what describes it."""
    found = source_of(folder, layout.name)
    if isinstance(found, str):
        known = (folder, layout.name) in UNDESCRIBED
        return Verified(folder=folder, name=layout.name, source=found, fields=0, differences=[] if known else [found])
    lines = [*heads(folder, layout, found), *differences(folder, layout.fields, found.nodes)]
    count = sum(len(table) for table in inner(layout.fields))
    return Verified(folder=folder, name=layout.name, source=found.source, fields=count, differences=lines)


def source_of(folder: str, name: str) -> Described | str:
    """Return what describes a table, or why nothing does."""
    if (folder, name) in UNDESCRIBED:
        return UNDESCRIBED[folder, name]
    if folder in PACKED:
        packed = solend(PACKED[folder].get(name, name))
        return packed or f"Solend's SDK has no {name}"
    wanted = NAMES.get((folder, name), name)
    for given in SOURCES.get(folder, ()):
        idl, source = given()
        if found := described(idl, wanted, source):
            return found
    return f"nothing describes {wanted} of {folder}; name its source in tests/devnet/sdk/verified.py"


def heads(folder: str, layout: Layout, found: Described) -> Iterator[str]:
    """Yield what differs in the size and in what the account begins with."""
    fixed = found.size is not None or not layout.grows
    if layout.size and fixed and found.size not in {layout.size, SHORTER.get((folder, layout.name), layout.size)}:
        yield f"size: {layout.size} here, {found.size} there"
    if found.discriminator and layout.size and layout.discriminator != found.discriminator:
        yield f"discriminator: {layout.discriminator.hex()} here, {found.discriminator.hex()} there"


def differences(folder: str, fields: Table, nodes: Sequence[Node]) -> Iterator[str]:
    """Yield each field that does not stand where it should, or is of another type or name."""
    for name, (offset, kind) in fields.items():
        here = [node for node in nodes if node.offset == offset]
        wanted = RENAMED.get((folder, name), name)
        fitting = [node for node in here if fits(kind, node)] or list(around(wanted, name, offset, kind, nodes))
        if not fitting:
            there = ", ".join(f"{node.path} {node.kind} of {node.size} bytes" for node in here) or "nothing begins"
            yield f"{name}: {text_of(kind)} at {offset} here, there {there}"
        elif not any(alike(wanted, node.path) for node in fitting):
            yield f"{name}: at {offset} there is {', '.join(node.path for node in fitting)}"
        elif not isinstance(kind, str):
            yield from (f"{name}: {line}" for line in differences(folder, kind[2], fitting[0].inside))


def around(wanted: str, name: str, offset: int, kind: Kind, nodes: Sequence[Node]) -> Iterator[Node]:
    """Yield the padding that has a field in it, where one is named."""
    if wanted != name and isinstance(kind, str):
        end = offset + size_of(kind)
        yield from (
            node
            for node in nodes
            if node.offset <= offset and end <= node.offset + node.size and alike(wanted, node.path)
        )


def alike(name: str, path: str) -> bool:
    """Whether every word of a name is in a path."""
    return all(squeezed(word) in squeezed(path) for word in name.split("_"))


def fits(kind: Kind, node: Node) -> bool:
    """Whether a field's type says of its bytes what the description does; bytes with a name of their own say nothing."""
    if not isinstance(kind, str):
        count, stride, _ = kind
        return node.size == count * stride and bool(node.inside) and node.count == count
    if kind.startswith("bytes:"):
        return node.size == size_of(kind)
    if kind == "key":
        return node.size == KEY and node.kind in {"publicKey", "pubkey", "[u8;32]", ""}
    size = size_of(kind)
    return node.size == size and node.kind in {"", kind, *(_ONE_BYTE if size == 1 else ()), *_WORDS.get(kind, ())}


_ONE_BYTE = ("bool", "enum")
_WORDS = {"i128": ("[u8;16]",), "u128": ("[u8;16]", "[u64;2]"), "u256": ("[u64;4]",)}
"""What wide numbers are inside the structures that wrap them."""


def size_of(kind: str) -> int:
    """Return the bytes of a number, a key or bytes."""
    if kind == "key":
        return KEY
    return int(kind.removeprefix("bytes:")) if kind.startswith("bytes:") else int(kind[1:]) // 8


def text_of(kind: Any) -> str:
    """Return a field's type in few words."""
    return kind if isinstance(kind, str) else f"{kind[0]} of {kind[1]} bytes"
