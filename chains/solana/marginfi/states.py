"""What the journals keep of groups, banks and price accounts: exact JSON texts, and what they mean.

Market aspects: `group` of the venue; `terms` (what changes by configuration) and `totals` (what changes by use) of a bank's address;
`price` of a price account's. Wide integers are text, keys base58; in `terms`, `asset` is the mint as 0x and hex, and `ltv` and
`liquidation_threshold` are its deposits' weights in basis points, rounded down. An account that is gone or is something else has
{"problem": text}.
`program` of the venue: the highest version with which the program marked an account, as text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chains.identifiers import base58, from_base58
from chains.model import AccountBytes
from chains.solana.layouts import read
from chains.solana.marginfi.fixed import FRACTION_BITS
from chains.solana.marginfi.layout import BANK, GROUP
from chains.solana.marginfi.rates import Curve, Fees, Totals
from chains.solana.oracles.pyth.account import RECEIVER, NoPrice, price_update
from chains.solana.oracles.switchboard.account import PROGRAM as SWITCHBOARD
from chains.solana.oracles.switchboard.account import NoFeed, pull_feed

GROUP_STATE, TERMS, TOTALS, PRICE, PROGRAM_STATE = "group", "terms", "totals", "price", "program"
PYTH, SWITCHBOARD_PULL = "pyth", "switchboard"
PROBLEM = "problem"

PROGRAM_FEES_ENABLED = 1
"""Flag of a group: the program's own fees are part of its banks' rates."""

BASIS_POINTS = 10_000
COLLATERAL_TIER = 0
NO_ORACLE, PYTH_PUSH_ORACLE, SWITCHBOARD_PULL_ORACLE, FIXED = 0, 3, 4, 8
PRICED_BY_ACCOUNT = frozenset({3, 4, 6, 7, 9, 10, 11, 12})
"""Oracle setups whose first key is a price account of Pyth's or Switchboard's (3: of a feed, in banks that are not migrated)."""

SETUPS = (
    "None", "PythLegacy", "SwitchboardV2", "PythPushOracle", "SwitchboardPull", "StakedWithPythPush", "KaminoPythPush",
    "KaminoSwitchboardPull", "Fixed", "DriftPythPull", "DriftSwitchboardPull", "SolendPythPull", "SolendSwitchboardPull",
    "FixedKamino", "FixedDrift", "JuplendPythPull", "JuplendSwitchboardPull", "FixedJuplend",
)  # fmt: skip
"""`OracleSetup` by number, up to version 0.1.7; the last five came with 0.1.8."""

ASSET_TAGS = ("default", "SOL", "staked SOL", "Kamino", "Drift", "Solend", "JupLend")
DRIFT_TAG, SCALED_BALANCE_DECIMALS = 4, 9
"""Deposits in Drift are scaled balances of so many decimals, whatever the token has."""

FIRST_INTEGRATION = 3
"""From this asset tag on a bank's balances are positions in another protocol."""

MIGRATED = 1
"""Flag of a bank's configuration: its oracle key is the price account's address; before, it is the feed's id."""

_NARROW = (
    "mint_decimals", "zero_util_rate", "hundred_util_rate", "curve_type", "operational_state", "oracle_setup", "risk_tier",
    "asset_tag", "config_flags", "oracle_max_age", "oracle_max_confidence", "emode_tag",
)  # fmt: skip
_WIDE = (
    "asset_weight_init", "asset_weight_maint", "liability_weight_init", "liability_weight_maint", "optimal_utilization_rate",
    "plateau_interest_rate", "max_interest_rate", "insurance_fee_fixed_apr", "insurance_ir_fee", "protocol_fixed_fee_apr",
    "protocol_ir_fee", "total_asset_value_init_limit", "fixed_price", "flags",
)  # fmt: skip
_TOTALS = tuple(Totals.__dataclass_fields__)
_GROUP_WIDE = ("group_flags", "program_fee_fixed", "program_fee_rate")
_GROUP_NARROW = ("same_asset_emode_init_leverage", "same_asset_emode_maint_leverage")


def text_of(state: Mapping[str, object]) -> str:
    """Return a state as canonical JSON."""
    return json.dumps(state, sort_keys=True, separators=(",", ":"))


def problem_text(problem: str) -> str:
    """Return the state of something that is not what it should be."""
    return text_of({PROBLEM: problem})


def group_text(data: bytes) -> str:
    """Return what matters of a group's bytes."""
    told = read(GROUP.fields, data)
    return text_of({name: str(told[name]) for name in _GROUP_WIDE} | {name: told[name] for name in _GROUP_NARROW})


def bank_texts(data: bytes) -> tuple[str, str]:
    """Return what matters of a bank's bytes: its configuration, and its totals."""
    told = read(BANK.fields, data)
    config: dict[str, object] = {name: told[name] for name in _NARROW} | {name: str(told[name]) for name in _WIDE}
    config |= {
        "asset": "0x" + told["mint"].hex(),
        "symbol": None,
        "decimals": told["mint_decimals"],
        "ltv": _basis_points(told, "asset_weight_init"),
        "liquidation_threshold": _basis_points(told, "asset_weight_maint"),
        "oracle_keys": _keys([entry["key"] for entry in told["oracle_keys"]]),
        "points": [[point["util"], point["rate"]] for point in told["points"] if point["util"] or point["rate"]],
        "emode": [
            [entry["collateral_bank_emode_tag"], str(entry["asset_weight_init"]), str(entry["asset_weight_maint"])]
            for entry in told["emode"]
            if entry["collateral_bank_emode_tag"]
        ],
    }
    return text_of(config), text_of({name: str(told[name]) for name in _TOTALS})


def _basis_points(told: Mapping[str, Any], weight: str) -> int:
    return 0 if told["risk_tier"] != COLLATERAL_TIER else told[weight] * BASIS_POINTS >> FRACTION_BITS


def _keys(keys: Sequence[bytes]) -> list[str]:
    """Return keys in base58, without those of zeros behind the last."""
    last = max((number for number, key in enumerate(keys) if any(key)), default=-1)
    return [base58(key) for key in keys[: last + 1]]


def price_text(account: AccountBytes) -> str:
    """Return the price that an account holds, in the words of its oracle; {"problem": …} where it holds none."""
    if account.closed:
        return problem_text("there is no account at this address")
    try:
        if account.owner == RECEIVER:
            return _pyth_text(account.data)
        if account.owner == SWITCHBOARD:
            return _switchboard_text(account.data)
    except (NoPrice, NoFeed) as error:
        return problem_text(str(error))
    return problem_text(f"the account belongs to program {base58(account.owner)}, which is no oracle known here")


def _pyth_text(data: bytes) -> str:
    update = price_update(data)
    state = {
        "kind": PYTH,
        "feed_id": update.feed_id.hex(),
        "price": str(update.price),
        "confidence": str(update.confidence),
        "ema_price": str(update.ema_price),
        "ema_confidence": str(update.ema_confidence),
        "exponent": update.exponent,
        "publish_time": str(update.publish_time),
        "slot": str(update.posted_slot),
        "signatures": update.signatures,
    }
    return text_of(state)


def _switchboard_text(data: bytes) -> str:
    feed = pull_feed(data)
    state = {
        "kind": SWITCHBOARD_PULL,
        "value": str(feed.value),
        "std_dev": str(feed.std_dev),
        "last_update_timestamp": str(feed.last_update_timestamp),
        "slot": str(feed.slot),
    }
    return text_of(state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What values are multiplied with, I80F48 bits."""

    asset_init: int
    asset_maint: int
    liability_init: int
    liability_maint: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """A bank as stored: its terms, and its totals at `totals.last_update`. `emode`: tag → (initial, maintenance) weight of collateral."""

    address: bytes
    mint: bytes
    decimals: int
    weights: Weights
    curve: Curve
    insurance: Fees
    group: Fees
    operational_state: int
    risk_tier: int
    asset_tag: int
    oracle_setup: int
    oracle_keys: Sequence[bytes]
    migrated: bool
    oracle_max_age: int
    oracle_max_confidence: int
    fixed_price: int
    flags: int
    init_limit_usd: int
    emode_tag: int
    emode: Mapping[int, tuple[int, int]]
    totals: Totals

    @property
    def balance_decimals(self) -> int:
        """Decimals of one unit of what deposits are in (`get_balance_decimals`)."""
        return SCALED_BALANCE_DECIMALS if self.asset_tag == DRIFT_TAG else self.decimals


def bank_of(address: bytes, config: str, totals: str) -> Bank | str:
    """Read both aspects of a bank; says what is wrong where there is none."""
    told = json.loads(config)
    if PROBLEM in told:
        return str(told[PROBLEM])
    wide = {name: int(told[name]) for name in _WIDE}
    return Bank(
        address=address,
        mint=bytes.fromhex(told["asset"][2:]),
        decimals=told["mint_decimals"],
        weights=Weights(
            asset_init=wide["asset_weight_init"],
            asset_maint=wide["asset_weight_maint"],
            liability_init=wide["liability_weight_init"],
            liability_maint=wide["liability_weight_maint"],
        ),
        curve=_curve(told, wide),
        insurance=Fees(wide["insurance_ir_fee"], wide["insurance_fee_fixed_apr"]),
        group=Fees(wide["protocol_ir_fee"], wide["protocol_fixed_fee_apr"]),
        operational_state=told["operational_state"],
        risk_tier=told["risk_tier"],
        asset_tag=told["asset_tag"],
        oracle_setup=told["oracle_setup"],
        oracle_keys=[from_base58(key) for key in told["oracle_keys"]],
        migrated=bool(told["config_flags"] & MIGRATED),
        oracle_max_age=told["oracle_max_age"],
        oracle_max_confidence=told["oracle_max_confidence"],
        fixed_price=wide["fixed_price"],
        flags=wide["flags"],
        init_limit_usd=wide["total_asset_value_init_limit"],
        emode_tag=told["emode_tag"],
        emode=_emode(told["emode"]),
        totals=totals_of(totals),
    )


def totals_of(text: str) -> Totals:
    """Read the aspect `totals`."""
    told = json.loads(text)
    return Totals(**{name: int(told[name]) for name in _TOTALS})


def _emode(entries: Sequence[tuple[int, str, str]]) -> dict[int, tuple[int, int]]:
    """The first entry of a tag is the one that the program finds."""
    return {tag: (int(init), int(maint)) for tag, init, maint in reversed(entries)}


def _curve(told: Mapping[str, Any], wide: Mapping[str, int]) -> Curve:
    return Curve(
        kind=told["curve_type"],
        optimal=wide["optimal_utilization_rate"],
        plateau=wide["plateau_interest_rate"],
        maximum=wide["max_interest_rate"],
        at_zero=told["zero_util_rate"],
        at_full=told["hundred_util_rate"],
        points=[(util, rate) for util, rate in told["points"]],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What a group adds: the program's fees, and whether collateral counts more against a debt of the same mint (since after 0.1.7)."""

    program: Fees
    same_asset_emode: bool


def group_of(text: str) -> Group | str:
    """Read the aspect `group`; says what is wrong where there is none."""
    told = json.loads(text)
    if PROBLEM in told:
        return str(told[PROBLEM])
    enabled = int(told["group_flags"]) & PROGRAM_FEES_ENABLED
    fees = Fees(int(told["program_fee_rate"]), int(told["program_fee_fixed"])) if enabled else Fees(0, 0)
    return Group(program=fees, same_asset_emode=any(told[name] for name in _GROUP_NARROW))
