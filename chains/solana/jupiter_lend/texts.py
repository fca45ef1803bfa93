"""What the journals keep of vaults, ticks, branches and oracles: exact JSON texts, and what they mean.

Market aspects. Of a vault's `VaultConfig`: `params` (what it lends against what, as isolated markets of other protocols say it) and
`terms` (factors in basis points, rounded down where the program has finer ones). Of a token: `token`. Of the account that says it, under
a name that is the vault's own: `metadata:1`, `state:1`, `tick:1:-500`, `ids:1:-500:2`, `branch:1:7` (vault, tick, number of the record
or branch). Of an oracle: `oracle`. Of the mint that stands for a position: `holder`, the token account that has it and whose that is.
Numbers of 64 bits and more are text, keys base58, tokens 0x and hex. An account that is gone, or that is something else, has
{"problem": text}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chains.identifiers import base58, from_base58
from chains.solana.jupiter_lend.layout import SOURCE, SOURCES_AT
from chains.solana.jupiter_lend.rates import Magnifiers, VaultPrices
from chains.solana.jupiter_lend.settle import Branch, Liquidated, Position, Tick
from chains.solana.layouts import read

PROBLEM = "problem"
PARAMS, TERMS, TOKEN, ORACLE, HOLDER = "params", "terms", "token", "oracle", "holder"
POSITION_STATE = "position"
"""The setting of a unit: its position as written, under short names, and who holds it; or {"closed": true} in it, or a problem."""

_WAD_OF_THOUSANDTH = 10**15
_BPS_OF_THOUSANDTH = 10
_MAGNIFIERS = ("supply_rate_magnifier", "borrow_rate_magnifier")


def text_of(state: Mapping[str, object]) -> str:
    """Return a state as canonical JSON."""
    return json.dumps(state, sort_keys=True, separators=(",", ":"))


def problem_text(problem: str) -> str:
    """Return the state of something that is not what it should be."""
    return text_of({PROBLEM: problem})


def params_text(told: Mapping[str, Any]) -> str:
    """Return what a vault lends against what, and who says its prices."""
    return text_of(
        {
            "vault": told["vault_id"],
            "loan_token": f"0x{told['borrow_token'].hex()}",
            "collateral_token": f"0x{told['supply_token'].hex()}",
            "lltv": str(told["liquidation_threshold"] * _WAD_OF_THOUSANDTH),
            "oracle": base58(told["oracle"]),
            "oracle_program": base58(told["oracle_program"]),
            "liquidity_program": base58(told["liquidity_program"]),
        }
    )


def terms_text(told: Mapping[str, Any]) -> str:
    """Return on what terms a vault lends."""
    return text_of(
        {
            "vault": told["vault_id"],
            "ltv": told["collateral_factor"] * _BPS_OF_THOUSANDTH,
            "liquidation_threshold": told["liquidation_threshold"] * _BPS_OF_THOUSANDTH,
            "liquidation_max_limit": told["liquidation_max_limit"] * _BPS_OF_THOUSANDTH,
            "liquidation_bonus": 10_000 + told["liquidation_penalty"],
            "withdraw_gap": told["withdraw_gap"] * _BPS_OF_THOUSANDTH,
            "borrow_fee": told["borrow_fee"],
        }
        | {name: told[name] for name in _MAGNIFIERS}
    )


def magnifiers_of(terms: Mapping[str, Any]) -> Magnifiers:
    """Read what a vault adds to its tokens' rates."""
    return Magnifiers(*(terms[name] for name in _MAGNIFIERS))


_STATE_NARROW = ("branch_liquidated", "topmost_tick", "current_branch_id", "total_branch_id")
_STATE_WIDE = ("total_supply", "total_borrow", "absorbed_debt_amount", "absorbed_col_amount", "absorbed_dust_debt")


def state_text(told: Mapping[str, Any]) -> str:
    """Return a vault's totals and exchange prices."""
    wide = {name: str(told[name]) for name in (*_STATE_WIDE, *VaultPrices._fields)}
    return text_of({name: told[name] for name in _STATE_NARROW} | wide)


def prices_of(state: Mapping[str, Any]) -> VaultPrices:
    """Read a vault's exchange prices as stored."""
    return VaultPrices(*(int(state[name]) for name in VaultPrices._fields))


def tick_text(told: Mapping[str, Any]) -> str:
    """Return what became of a tick; how much is owed there says nothing of a position, and changes with each."""
    return text_of(
        {
            "total_ids": told["total_ids"],
            "liquidated": told["is_liquidated"],
            "last": [told["is_fully_liquidated"], told["liquidation_branch_id"], str(told["debt_factor"])],
        }
    )


def tick_of(text: str) -> Tick | None:
    """Read a tick; `None` where there is none."""
    told = json.loads(text)
    if PROBLEM in told:
        return None
    return Tick(told["total_ids"], told["liquidated"] == 1, _liquidated(told["last"]))


def ids_text(told: Mapping[str, Any]) -> str:
    """Return what became of three ids of a tick."""
    return text_of(
        {
            "ids": [
                [told[f"is_fully_liquidated_{n}"], told[f"liquidation_branch_id_{n}"], str(told[f"debt_factor_{n}"])]
                for n in (1, 2, 3)
            ]
        }
    )


def ids_of(text: str) -> tuple[Liquidated, ...] | None:
    """Read what became of three ids of a tick; `None` where there is no record."""
    told = json.loads(text)
    return None if PROBLEM in told else tuple(map(_liquidated, told["ids"]))


def _liquidated(told: tuple[int, int, str]) -> Liquidated:
    fully, branch, factor = told
    return Liquidated(fully == 1, branch, int(factor))


def branch_text(told: Mapping[str, Any]) -> str:
    """Return how far a branch was liquidated, and where it leads."""
    return text_of(
        {
            "status": told["status"],
            "minima_tick": told["minima_tick"],
            "partials": told["minima_tick_partials"],
            "factor": str(told["debt_factor"]),
            "connected": told["connected_branch_id"],
        }
    )


def branch_of(text: str) -> Branch | None:
    """Read a branch; `None` where there is none."""
    told = json.loads(text)
    if PROBLEM in told:
        return None
    return Branch(told["status"], told["minima_tick"], told["partials"], int(told["factor"]), told["connected"])


def oracle_text(data: bytes, count: int) -> str:
    """Return an oracle's sources; raises `ValueError` where the account is too short for them."""
    if len(data) < SOURCES_AT + count * SOURCE.size:
        raise ValueError(f"the account has {len(data)} bytes, too few for an oracle of {count} sources")
    sources = [read(SOURCE.fields, data, SOURCES_AT + number * SOURCE.size) for number in range(count)]
    return text_of(
        {
            "sources": [
                [
                    base58(each["source"]),
                    int(each["invert"] != 0),
                    each["source_type"],
                    int(each["multiplier"] == each["divisor"] == 1),
                ]
                for each in sources
            ]
        }
    )


def holder_text(unit: bytes | None, account: bytes | None, owner: bytes | None) -> str:
    """Return who holds a position's token: its token account and that one's owner; without `unit`, the position is closed."""
    return text_of(
        {
            "unit": None if unit is None else base58(unit),
            "account": None if account is None else base58(account),
            "owner": None if owner is None else base58(owner),
        }
    )


def key_of(text: str | None) -> bytes | None:
    """Read a key that may be missing."""
    return None if text is None else from_base58(text)


def position_of(told: Mapping[str, Any]) -> Position:
    """Read a position as written."""
    return Position(told["supply_only"] == 1, told["tick"], told["tick_id"], int(told["supply"]), int(told["dust"]))
