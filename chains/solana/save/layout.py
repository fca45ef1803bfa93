"""The accounts of the program: a packed structure of fixed size each, no discriminator but a version byte of 1.

Source: solendprotocol/solana-program-library `token-lending/sdk/src/state/{lending_market,reserve,obligation}.rs`, the `Pack` of each.
An obligation's entries lie one behind the other: so many deposits, then so many borrows, ten at most together.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from chains.identifiers import from_base58
from chains.solana.layouts import Layout, Table, read

PROGRAM = from_base58("So1endDq2YkqhipRh3WViPa8hdiSpxWy6z3Z6tMCpAo")
NO_ORACLE = from_base58("nu11111111111111111111111111111111111111111")
"""What stands in a reserve for a price source that it has not."""

NOBODY = bytes(32)
MARKET_AT = 10
"""Where a reserve and an obligation name their lending market."""

OWNER = slice(42, 74)
"""Where an obligation names its owner."""

MOST_ENTRIES = 10

REGULAR, ISOLATED = 0, 1
"""Asset types of a reserve."""

_VERSION = b"\x01"

MARKET = Layout(
    name="lending market",
    size=290,
    discriminator=_VERSION,
    fields={"version": (0, "u8"), "owner": (2, "key"), "quote_currency": (34, "bytes:32")},
)

RESERVE = Layout(
    name="reserve",
    size=619,
    discriminator=_VERSION,
    fields={
        "version": (0, "u8"),
        "last_update_slot": (1, "u64"),
        "stale": (9, "u8"),
        "lending_market": (10, "key"),
        "liquidity_mint": (42, "key"),
        "liquidity_mint_decimals": (74, "u8"),
        "pyth_oracle": (107, "key"),
        "switchboard_oracle": (139, "key"),
        "available_amount": (171, "u64"),
        "borrowed_amount_wads": (179, "u128"),
        "cumulative_borrow_rate_wads": (195, "u128"),
        "collateral_mint_total_supply": (259, "u64"),
        "optimal_utilization_rate": (299, "u8"),
        "loan_to_value_ratio": (300, "u8"),
        "liquidation_bonus": (301, "u8"),
        "liquidation_threshold": (302, "u8"),
        "min_borrow_rate": (303, "u8"),
        "optimal_borrow_rate": (304, "u8"),
        "max_borrow_rate": (305, "u8"),
        "protocol_liquidation_fee": (371, "u8"),
        "protocol_take_rate": (372, "u8"),
        "accumulated_protocol_fees_wads": (373, "u128"),
        "added_borrow_weight_bps": (445, "u64"),
        "smoothed_market_price": (453, "u128"),
        "asset_type": (469, "u8"),
        "max_utilization_rate": (470, "u8"),
        "super_max_borrow_rate": (471, "u64"),
        "max_liquidation_bonus": (479, "u8"),
        "max_liquidation_threshold": (480, "u8"),
        "scaled_price_offset_bps": (481, "i64"),
        "extra_oracle": (489, "key"),
        "attributed_borrow_value": (538, "u128"),
        "attributed_borrow_limit_close": (562, "u64"),
    },
)

OBLIGATION = Layout(
    name="obligation",
    size=1300,
    discriminator=_VERSION,
    fields={
        "version": (0, "u8"),
        "lending_market": (10, "key"),
        "owner": (42, "key"),
        "closeable": (187, "u8"),
        "deposits_len": (202, "u8"),
        "borrows_len": (203, "u8"),
    },
)

ENTRIES = 204
DEPOSIT_SIZE, BORROW_SIZE = 88, 112
DEPOSIT: Table = {
    "deposit_reserve": (0, "key"),
    "deposited_amount": (32, "u64"),
    "attributed_borrow_value_wads": (56, "u128"),
}
BORROW: Table = {
    "borrow_reserve": (0, "key"),
    "cumulative_borrow_rate_wads": (32, "u128"),
    "borrowed_amount_wads": (48, "u128"),
}
_DEPOSIT, _BORROW = struct.Struct("<32sQ16xQQ16x"), struct.Struct("<32sQQQQ48x")
"""The same in one go; numbers of 128 bits as two of 64, the low one first."""


class Malformed(ValueError):
    """Bytes that are no account of the kind that their size says."""


class Deposit(NamedTuple):
    """Collateral in an obligation: raw units of the reserve's collateral token, and the debt last `attributed` to it (wad USD)."""

    reserve: bytes
    amount: int
    attributed: int


class Borrow(NamedTuple):
    """Debt in an obligation: raw token units as a wad, with interest up to the reserve's cumulative `rate`."""

    reserve: bytes
    rate: int
    amount: int


class Obligation(NamedTuple):
    """What an obligation's account holds and owes, in the order of its entries."""

    owner: bytes
    closeable: bool
    deposits: tuple[Deposit, ...]
    borrows: tuple[Borrow, ...]


def reserve_fields(data: bytes) -> dict[str, Any]:
    """Read a reserve; raises `Malformed`."""
    if problem := RESERVE.problem(data):
        raise Malformed(problem)
    fields = read(RESERVE.fields, data)
    if fields["asset_type"] not in {REGULAR, ISOLATED}:
        raise Malformed(f"the reserve's asset type {fields['asset_type']} is not known")
    return fields


def obligations(accounts: Sequence[bytes]) -> list[Obligation | Malformed]:
    """Read obligations, each of the right size, or say what is wrong with it."""
    records = OBLIGATION.records(accounts)
    heads = zip(
        records["version"].tolist(),
        records["closeable"].tolist(),
        records["deposits_len"].tolist(),
        records["borrows_len"].tolist(),
        strict=True,
    )
    return [_obligation(data, *head) for data, head in zip(accounts, heads, strict=True)]


def _obligation(data: bytes, version: int, closeable: int, deposits: int, borrows: int) -> Obligation | Malformed:
    if version != _VERSION[0]:
        return Malformed(OBLIGATION.problem(data))
    if deposits + borrows > MOST_ENTRIES:
        return Malformed(f"an obligation has at most {MOST_ENTRIES} entries, this one {deposits} and {borrows}")
    if closeable > 1:
        return Malformed(f"the obligation's flag closeable is {closeable}")
    debts = ENTRIES + deposits * DEPOSIT_SIZE
    supplied = _DEPOSIT.iter_unpack(data[ENTRIES:debts])
    owed = _BORROW.iter_unpack(data[debts : debts + borrows * BORROW_SIZE])
    held = Obligation(
        data[OWNER],
        bool(closeable),
        tuple(Deposit(reserve, amount, low | high << 64) for reserve, amount, low, high in supplied),
        tuple(Borrow(reserve, r | rate << 64, a | amount << 64) for reserve, r, rate, a, amount in owed),
    )
    for kind, entries in (("deposits", held.deposits), ("borrows", held.borrows)):
        if len({each[0] for each in entries}) < len(entries):
            return Malformed(f"two {kind} of the obligation are of one reserve")
    return held
