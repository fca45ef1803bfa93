"""Accounts of the Save program and of the oracles it reads, made of their fields."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from chains.model import AccountBytes
from chains.solana.layouts import Layout, Table
from chains.solana.oracles.pyth.account import DISCRIMINATOR, RECEIVER
from chains.solana.oracles.pyth_legacy.account import ORACLE, PRICE
from chains.solana.oracles.switchboard.account import PROGRAM as ON_DEMAND
from chains.solana.oracles.switchboard.account import PULL_FEED
from chains.solana.oracles.switchboard.aggregator import AGGREGATOR, AGGREGATORS
from chains.solana.save.layout import BORROW, DEPOSIT, MARKET, NO_ORACLE, OBLIGATION, PROGRAM, RESERVE, Borrow, Deposit

WAD = 10**18
SLOT, TIME = 400_000_000, 1_760_000_000
MARKET_ADDRESS = b"\x4d" * 32
SOL, USDC = b"\x01" * 32, b"\x02" * 32
SOL_PRICE, USDC_PRICE = b"\xf1" * 32, b"\xf2" * 32
FIRST_ENTRY = 204

PLAIN: Mapping[str, Any] = {
    "version": 1,
    "last_update_slot": SLOT,
    "lending_market": MARKET_ADDRESS,
    "liquidity_mint": b"\x10" * 32,
    "liquidity_mint_decimals": 9,
    "pyth_oracle": SOL_PRICE,
    "switchboard_oracle": NO_ORACLE,
    "available_amount": 1_000 * 10**9,
    "borrowed_amount_wads": 0,
    "cumulative_borrow_rate_wads": WAD,
    "collateral_mint_total_supply": 1_000 * 10**9,
    "optimal_utilization_rate": 80,
    "max_utilization_rate": 90,
    "loan_to_value_ratio": 75,
    "liquidation_threshold": 80,
    "max_liquidation_threshold": 88,
    "min_borrow_rate": 0,
    "optimal_borrow_rate": 8,
    "max_borrow_rate": 60,
    "super_max_borrow_rate": 150,
    "protocol_take_rate": 10,
    "smoothed_market_price": 100 * WAD,
    "attributed_borrow_limit_close": 2**64 - 1,
}
"""A reserve of SOL that lends nothing out and is worth as much as its collateral token."""


def reserve(**fields: Any) -> bytes:
    """A reserve's account: a plain one but for these fields."""
    return packed(RESERVE, {**PLAIN, **fields})


def usdc(**fields: Any) -> bytes:
    """A reserve of USDC, 6 decimals."""
    plain = {
        "liquidity_mint": b"\x20" * 32,
        "liquidity_mint_decimals": 6,
        "pyth_oracle": USDC_PRICE,
        "available_amount": 10**12,
        "collateral_mint_total_supply": 10**12,
        "smoothed_market_price": WAD,
    }
    return reserve(**{**plain, **fields})


def obligation(
    owner: bytes, deposits: Sequence[Deposit] = (), borrows: Sequence[Borrow] = (), *, closeable: int = 0
) -> bytes:
    """An obligation's account with these entries."""
    head = {"version": 1, "lending_market": MARKET_ADDRESS, "owner": owner, "closeable": closeable}
    counts = {"deposits_len": len(deposits), "borrows_len": len(borrows)}
    data = bytearray(packed(OBLIGATION, {**head, **counts}))
    entries = b"".join(
        [filled(DEPOSIT, 88, dict(zip(DEPOSIT, each, strict=True))) for each in deposits]
        + [filled(BORROW, 112, dict(zip(BORROW, each, strict=True))) for each in borrows]
    )
    data[FIRST_ENTRY : FIRST_ENTRY + len(entries)] = entries
    return bytes(data)


def market() -> bytes:
    """The lending market's account."""
    return packed(MARKET, {"version": 1, "quote_currency": b"USD".ljust(32, b"\0")})


def pyth(
    price: int,
    *,
    confidence: int = 0,
    exponent: int = -8,
    time: int = TIME,
    ema: int | None = None,
    level: bytes = b"\1",
) -> AccountBytes:
    """A price account of Pyth's receiver; `level`: the verification level's bytes."""
    average = price if ema is None else ema
    message = struct.pack("<32sqQiqqqQQ", bytes(32), price, confidence, exponent, time, time - 1, average, 0, SLOT)
    return seen_of(RECEIVER, (DISCRIMINATOR + bytes(32) + level + message).ljust(134, b"\0"))


def legacy(**fields: int) -> AccountBytes:
    """A price account of Pyth's first program: by default one of today, trading at 100."""
    plain = {"version": 2, "type": 3, "exponent": -8, "status": 1, "price": 100 * 10**8, "slot": SLOT, "time": TIME}
    return seen_of(ORACLE, packed(PRICE, {**plain, "ema_price": 100 * 10**8, **fields}))


def feed(**result: int) -> AccountBytes:
    """A pull feed of Switchboard: by default one of today at 100."""
    data = bytearray(packed(PULL_FEED, {"name": b"SOL/USD", "last_update_timestamp": TIME}))
    fields: Mapping[str, tuple[int, str]] = PULL_FEED.fields["result"][1][2]  # type: ignore[assignment]
    data[2264 : 2264 + 128] = filled(fields, 128, {"value": 100 * WAD, "slot": SLOT, **result})
    return seen_of(ON_DEMAND, bytes(data))


def aggregator(**fields: int) -> AccountBytes:
    """An aggregator of Switchboard V2: by default one of today at 100."""
    plain = {"num_success": 3, "min_oracle_results": 3, "round_open_slot": SLOT, "mantissa": 1_000, "scale": 1}
    return seen_of(AGGREGATORS, packed(AGGREGATOR, {**plain, **fields}))


def seen_of(owner: bytes, data: bytes, slot: int = SLOT) -> AccountBytes:
    """An account as it was seen at a slot."""
    return AccountBytes(slot, owner, 1, data, closed=False)


def ours(data: bytes, slot: int = SLOT) -> AccountBytes:
    """An account of the program."""
    return seen_of(PROGRAM, data, slot)


def gone(slot: int = SLOT) -> AccountBytes:
    """No account."""
    return AccountBytes(slot, b"", 0, b"", closed=True)


def packed(layout: Layout, values: Mapping[str, Any]) -> bytes:
    """An account of a layout with these fields, and zeros elsewhere."""
    data = bytearray(filled(layout.fields, layout.size, values))
    data[: len(layout.discriminator)] = layout.discriminator
    return bytes(data)


def filled(fields: Table, size: int, values: Mapping[str, Any]) -> bytes:
    """A structure with these fields, and zeros elsewhere."""
    data = bytearray(size)
    for name, value in values.items():
        at, kind = fields[name]
        assert isinstance(kind, str)
        width = 32 if kind == "key" else int(kind.partition(":")[2] or int(kind[1:]) // 8)
        raw = value if isinstance(value, bytes) else value.to_bytes(width, "little", signed=kind.startswith("i"))
        data[at : at + width] = raw.ljust(width, b"\0")
    return bytes(data)
