"""Accounts of klend, Pyth and Scope made of field values, by the tables that read them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from chains.model import AccountBytes
from chains.solana.kamino.layout import MARKET, OBLIGATION, PROGRAM, RESERVE
from chains.solana.layouts import Layout, Table
from chains.solana.oracles.pyth.account import DISCRIMINATOR, RECEIVER
from chains.solana.oracles.pyth_legacy.account import PRICE
from chains.solana.oracles.scope.account import ORACLE_PRICES

ONE = 1 << 60
MARKET_ADDRESS = b"M" * 32
SOL, USDC = b"S" * 32, b"U" * 32
SOL_MINT, USDC_MINT = b"s" * 32, b"u" * 32
SOL_PRICE, USDC_PRICE = b"P" * 32, b"Q" * 32
UNIT, OWNER = b"1" * 32, b"O" * 32

Values = Mapping[str, Any]


def packed(layout: Layout, values: Values) -> bytes:
    """An account of a layout; fields that are not named are zero."""
    data = bytearray(layout.size)
    data[: len(layout.discriminator)] = layout.discriminator
    _fill(data, layout.fields, values, 0)
    return bytes(data)


def _fill(data: bytearray, fields: Table, values: Values, start: int) -> None:
    for name, value in values.items():
        offset, kind = fields[name]
        at = start + offset
        if not isinstance(kind, str):
            count, stride, table = kind
            slots = [value] if isinstance(value, Mapping) else value
            assert len(slots) <= count
            for number, slot in enumerate(slots):
                _fill(data, table, slot, at + number * stride)
        elif isinstance(value, bytes):
            data[at : at + len(value)] = value
        else:
            size = int(kind[1:]) // 8
            data[at : at + size] = value.to_bytes(size, "little", signed=kind.startswith("i"))


def account(slot: int, data: bytes, owner: bytes = PROGRAM) -> AccountBytes:
    """An account as a node says it."""
    return AccountBytes(slot, owner, 1, data, closed=False)


def gone(slot: int) -> AccountBytes:
    """An account that is not there."""
    return AccountBytes(slot, b"", 0, b"", closed=True)


def market(slot: int = 10, **values: Any) -> AccountBytes:
    """The lending market, in USD, with limits that bind nobody."""
    known = {
        "quote_currency": b"USD",
        "global_allowed_borrow_value": 10**9,
        "global_unhealthy_borrow_value": 10**9,
        "min_value_skip_liquidation_ltv_checks": 1,
        "min_value_skip_liquidation_bf_checks": 1,
    }
    return account(slot, packed(MARKET, known | values))


def reserve(
    slot: int = 10,
    *,
    mint: bytes = SOL_MINT,
    decimals: int = 9,
    pyth: bytes = SOL_PRICE,
    liquidity: Values | None = None,
    config: Values | None = None,
    token: Values | None = None,
    version: int = 1,
) -> AccountBytes:
    """A reserve with a thousand tokens, none lent, cTokens at one to one, LTV 70, threshold 80, no interest."""
    information = {"name": b"SOL", "max_age_price_seconds": 60, "pyth_price": pyth} | dict(token or {})
    data = packed(
        RESERVE,
        {
            "version": version,
            "last_update": {"slot": slot},
            "lending_market": MARKET_ADDRESS,
            "liquidity": {
                "mint_pubkey": mint,
                "total_available_amount": 1000 * 10**decimals,
                "mint_decimals": decimals,
                "cumulative_borrow_rate_bsf": ONE,
                **(liquidity or {}),
            },
            "collateral": {"mint_total_supply": 1000 * 10**decimals},
            "config": {
                "loan_to_value_pct": 70,
                "liquidation_threshold_pct": 80,
                "borrow_factor_pct": 100,
                "deposit_limit": 2**64 - 1,
                "borrow_limit": 2**64 - 1,
                "borrow_rate_curve": [{}, {"utilization_rate_bps": 10_000}],
                "token_info": information,
                **(config or {}),
            },
        },
    )
    return account(slot, data)


def obligation(
    slot: int = 10,
    *,
    owner: bytes = OWNER,
    deposits: Sequence[tuple[bytes, int]] = (),
    borrows: Sequence[tuple[bytes, int]] = (),
    rate: int = ONE,
    **values: Any,
) -> AccountBytes:
    """An obligation: cTokens by reserve, debts as fractions by reserve at one cumulative rate."""
    data = packed(
        OBLIGATION,
        {
            "lending_market": MARKET_ADDRESS,
            "owner": owner,
            "deposits": [{"deposit_reserve": key, "deposited_amount": amount} for key, amount in deposits],
            "borrows": [
                {"borrow_reserve": key, "borrowed_amount_sf": amount, "cumulative_borrow_rate_bsf": rate}
                for key, amount in borrows
            ],
            "has_debt": int(bool(borrows)),
            **values,
        },
    )
    return account(slot, data)


def push(
    price: int, *, slot: int = 10, time: int = 1000, confidence: int = 0, ema: int | None = None, exponent: int = -8
) -> AccountBytes:
    """A price account of Pyth's first program."""
    values = {
        "version": 2,
        "type": 3,
        "exponent": exponent,
        "ema_price": price if ema is None else ema,
        "time": time,
        "price": price,
        "confidence": confidence,
        "status": 1,
        "slot": slot,
    }
    return account(slot, packed(PRICE, values), b"pyth" * 8)


def pull(
    price: int,
    *,
    slot: int = 10,
    time: int = 1000,
    confidence: int = 0,
    ema: int | None = None,
    ema_confidence: int = 0,
    exponent: int = -8,
    signatures: int | None = None,
) -> AccountBytes:
    """A price update of Pyth's receiver."""
    level = b"\x01" if signatures is None else bytes([0, signatures])
    average = price if ema is None else ema
    message = struct.pack(
        "<32sqQiqqqQQ", b"f" * 32, price, confidence, exponent, time, time, average, ema_confidence, slot
    )
    return account(slot, DISCRIMINATOR + bytes(32) + level + message + b"\0", RECEIVER)


def scope(entries: Mapping[int, tuple[int, int, int, int]], slot: int = 10) -> AccountBytes:
    """A Scope account: index → value, exponent, slot, time."""
    names = ("value", "exponent", "last_updated_slot", "unix_timestamp")
    prices = [dict(zip(names, entries.get(index, (0, 0, 0, 0)), strict=True)) for index in range(max(entries) + 1)]
    return account(slot, packed(ORACLE_PRICES, {"prices": prices}), b"scop" * 8)
