"""A user's account as its setting keeps it: everything that valuation needs beside the balances.

Unit aspect, of the venue: `account` {"authority": "0x…", "margin_mode": n, "max_margin_ratio": n, "perp": […], "pool_id": n, "spot": […],
"status": n, "sub_account_id": n}, in which `spot` and `perp` list the positions that are in use, in their order, each as an array of the
numbers that `SPOT` and `PERP` name; those of 64 bits as text. Or {"problem": text, "authority": …}, with the positions as they were.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from chains.solana.drift.layout import USER
from chains.solana.drift.states import PROBLEM
from chains.solana.layouts import read

ACCOUNT_STATE = "account"
SPOT = ("market_index", "balance_type", "open_bids", "open_asks", "open_orders")
PERP = (
    "market_index", "base_asset_amount", "quote_asset_amount", "quote_entry_amount", "quote_break_even_amount",
    "last_cumulative_funding_rate", "open_bids", "open_asks", "open_orders", "max_margin_ratio", "position_flag", "lp_shares",
    "last_quote_asset_amount_per_lp",
)  # fmt: skip
WIDE = frozenset(
    {
        "open_bids", "open_asks", "base_asset_amount", "quote_asset_amount", "quote_entry_amount", "quote_break_even_amount",
        "last_cumulative_funding_rate", "lp_shares", "last_quote_asset_amount_per_lp",
    }
)  # fmt: skip
SPOT_IN_USE = ("scaled_balance", "open_orders", "open_bids", "open_asks")
PERP_IN_USE = ("base_asset_amount", "quote_asset_amount", "open_bids", "open_asks", "open_orders", "lp_shares")
"""A position without any of these is not looked at by the program, unless it is isolated, whatever else stands in it."""

DEPOSIT, BORROW = 0, 1
SUPPLY, LOAN, OF_ISOLATED = "supply", "loan", "isolated"
HIGH_LEVERAGE, HIGH_LEVERAGE_MAINTENANCE = 1, 2

BEING_LIQUIDATED, BANKRUPT = 1, 2
"""Bits of a user's status."""

ISOLATED, POSITION_BEING_LIQUIDATED, POSITION_BANKRUPT = 1, 2, 4
"""Bits of a perp position's flag."""

KNOWN_POSITION_FLAGS = ISOLATED | POSITION_BEING_LIQUIDATED | POSITION_BANKRUPT


class SpotPosition(NamedTuple):
    """A spot position without its balance."""

    market_index: int
    balance_type: int
    open_bids: int
    open_asks: int
    open_orders: int


class PerpPosition(NamedTuple):
    """A perp position without its isolated balance; amounts of base with 9 decimals, of quote with 6."""

    market_index: int
    base_asset_amount: int
    quote_asset_amount: int
    quote_entry_amount: int
    quote_break_even_amount: int
    last_cumulative_funding_rate: int
    open_bids: int
    open_asks: int
    open_orders: int
    max_margin_ratio: int
    position_flag: int
    lp_shares: int
    last_quote_asset_amount_per_lp: int

    @property
    def has_open_order(self) -> bool:
        """Whether anything is on offer."""
        return bool(self.open_orders or self.open_bids or self.open_asks)

    @property
    def is_isolated(self) -> bool:
        """Whether the position has collateral of its own."""
        return bool(self.position_flag & ISOLATED)

    @property
    def is_being_liquidated(self) -> bool:
        """Whether a liquidation of the position has begun."""
        return bool(self.position_flag & (POSITION_BEING_LIQUIDATED | POSITION_BANKRUPT))


class User(NamedTuple):
    """An account's terms and its positions in use, in their order."""

    max_margin_ratio: int
    margin_mode: int
    pool_id: int
    status: int
    spot: Sequence[SpotPosition]
    perp: Sequence[PerpPosition]

    @property
    def is_being_liquidated(self) -> bool:
        """Whether a liquidation of what is not isolated has begun."""
        return bool(self.status & (BEING_LIQUIDATED | BANKRUPT))


def read_user(data: bytes) -> dict[str, Any]:
    """Read an account's fields, with the positions in use alone."""
    told = read(USER.fields, data)
    told["spot_positions"] = [each for each in told["spot_positions"] if any(each[name] for name in SPOT_IN_USE)]
    told["perp_positions"] = [
        each for each in told["perp_positions"] if any(each[name] for name in PERP_IN_USE) or _is_set_apart(each)
    ]
    return told


def _is_set_apart(position: Mapping[str, int]) -> bool:
    """Whether a position has collateral of its own, or a liquidation of its own has begun; not where LP shares once stood."""
    flagged = position["position_flag"] & ~ISOLATED or position["isolated_position_scaled_balance"]
    return bool(flagged) and position["last_quote_asset_amount_per_lp"] == 0


def balances_of(told: Mapping[str, Any]) -> dict[tuple[int, str], int]:
    """Return the scaled balances of an account: (number of the market, `SUPPLY`, `LOAN` or `OF_ISOLATED`) → balance."""
    found = {
        (each["market_index"], LOAN if each["balance_type"] else SUPPLY): each["scaled_balance"]
        for each in told["spot_positions"]
    }
    return found | {
        (each["market_index"], OF_ISOLATED): each["isolated_position_scaled_balance"]
        for each in told["perp_positions"]
        if each["position_flag"] & ISOLATED and each["last_quote_asset_amount_per_lp"] == 0
    }


def user_text(told: Mapping[str, Any]) -> str:
    """Return the aspect `account`."""
    spot = ",".join(_listed(each, SPOT) for each in told["spot_positions"])
    perp = ",".join(_listed(each, PERP) for each in told["perp_positions"])
    return (
        f'{{"authority":"0x{told["authority"].hex()}","margin_mode":{told["margin_mode"]}'
        f',"max_margin_ratio":{told["max_margin_ratio"]},"perp":[{perp}],"pool_id":{told["pool_id"]},"spot":[{spot}]'
        f',"status":{told["status"]},"sub_account_id":{told["sub_account_id"]}}}'
    )


def _listed(position: Mapping[str, int], names: Iterable[str]) -> str:
    numbers = (f'"{position[name]}"' if name in WIDE else str(position[name]) for name in names)
    return f"[{','.join(numbers)}]"


def closed_text(authority: bytes) -> str:
    """Return the aspect `account` of one that is gone."""
    nothing = dict.fromkeys(("margin_mode", "max_margin_ratio", "pool_id", "status", "sub_account_id"), 0)
    return user_text({"authority": authority, "spot_positions": (), "perp_positions": (), **nothing})


def problem_of(told: Mapping[str, Any]) -> str | None:
    """Say what an account holds that none can hold."""
    for positions in ("spot_positions", "perp_positions"):
        numbers = [each["market_index"] for each in told[positions]]
        if len(set(numbers)) < len(numbers):
            return f"the account has two {positions.replace('_', ' ')} in one market"
    if any(each["balance_type"] > BORROW for each in told["spot_positions"]):
        return "the account has a balance that is neither a deposit nor a loan"
    return None


def user_of(text: str) -> User | str:
    """Read the aspect `account`; says what is wrong where there is none."""
    told = json.loads(text)
    if PROBLEM in told:
        return str(told[PROBLEM])
    return User(
        max_margin_ratio=told["max_margin_ratio"],
        margin_mode=told["margin_mode"],
        pool_id=told["pool_id"],
        status=told["status"],
        spot=[SpotPosition(*map(int, each)) for each in told["spot"]],
        perp=[PerpPosition(*map(int, each)) for each in told["perp"]],
    )
