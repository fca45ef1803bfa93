"""What the journals keep of klend's accounts: written of their bytes, and read back for the arithmetic.

Market aspects, all JSON, wide integers as text, addresses as `0x…`, under the program's own names:
`market` (of the whole venue): what the lending market configures. `reserve` (of a reserve): `decimals`, `symbol`, `version`, configuration.
`liquidity` (of a reserve): what every refresh writes. `price` (of an account of prices): see `oracle_state`. `problem` (of any): why the
account is not what it must be, or null.
The setting `obligation` of a unit (market: the whole venue) is everything of an obligation beside amounts: `owner`, flags, `deposits`
[reserve], `borrows` {reserve: [cumulative_borrow_rate_bsf, last_borrowed_at_timestamp]} with the debt as a third where it has more digits
than a column, and `problem`. An obligation that is gone has no deposits and no borrows.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from chains.columns import TOO_WIDE
from chains.identifiers import hexed, unhexed
from chains.model import AccountBytes
from chains.solana.kamino.engines import PUSH, RECEIVER
from chains.solana.kamino.layout import MARKET, RESERVE
from chains.solana.kamino.maths import Point
from chains.solana.layouts import read
from chains.solana.oracles import scope
from chains.solana.oracles.pyth.account import DISCRIMINATOR as PYTH_UPDATE
from chains.solana.oracles.pyth.account import NoPrice as NoUpdate
from chains.solana.oracles.pyth.account import price_update
from chains.solana.oracles.pyth_legacy import NoLegacyPrice, legacy_price

MARKET_STATE, RESERVE_STATE, LIQUIDITY, PRICE, PROBLEM = "market", "reserve", "liquidity", "price", "problem"
OBLIGATION = "obligation"
SCOPE = "scope"

NO_KEY = bytes(32)
NULL_KEY = bytes.fromhex("0bc1eed8d074f1c337d44c164bca28d84cce1ba98a40b11c135a9c0000000000")
"""nu11111111111111111111111111111111111111111: klend's word for no account."""

_TOKEN_NUMBERS = (
    "heuristic_lower", "heuristic_upper", "heuristic_exp", "max_twap_divergence_bps", "max_age_price_seconds",
    "max_age_twap_seconds", "block_price_usage",
)  # fmt: skip
_CONFIG_NUMBERS = (
    "status", "host_fixed_interest_rate_bps", "interest_rate_basis", "protocol_take_rate_pct", "loan_to_value_pct",
    "liquidation_threshold_pct", "deleveraging_margin_call_period_secs", "borrow_factor_pct", "deposit_limit",
    "borrow_limit", "disable_usage_as_coll_outside_emode", "autodeleverage_enabled", "debt_maturity_timestamp",
    "debt_term_seconds", "rewards_amount_per_slot",
)  # fmt: skip

_LIQUIDATION_NUMBERS = (
    "protocol_liquidation_fee_pct", "min_liquidation_bonus_bps", "max_liquidation_bonus_bps", "bad_debt_liquidation_bonus_bps",
)  # fmt: skip
"""What a reserve says of liquidations, which older journals do not hold."""

CURRENT_VERSION = 1
"""`version` of a reserve that the program works with, and what older journals, which do not hold it, are taken to mean."""


def text_of(state: object) -> str:
    """Write a state as the journals keep it."""
    return json.dumps(state, separators=(",", ":"))


Borrowed = tuple[bytes, int, int, int]
"""Reserve, debt as a fraction, cumulative rate, last time of a loan."""


class Liquidity(NamedTuple):
    """What a refresh of a reserve reads and writes, under the program's names; `slot`, `price_status`: of its last update."""

    slot: int
    price_status: int
    total_available_amount: int
    borrowed_amount_sf: int
    market_price_sf: int
    market_price_last_updated_ts: int
    cumulative_borrow_rate_bsf: int
    accumulated_protocol_fees_sf: int
    accumulated_referrer_fees_sf: int
    pending_referrer_fees_sf: int
    absolute_referral_rate_sf: int
    mint_total_supply: int
    deposit_limit_crossed_timestamp: int
    borrow_limit_crossed_timestamp: int
    rewards_amount_available: int

    @property
    def total_supply(self) -> int:
        """Liquidity that belongs to depositors, as a fraction: what is there and what is lent, less fees."""
        fees = self.accumulated_protocol_fees_sf + self.accumulated_referrer_fees_sf + self.pending_referrer_fees_sf
        return (self.total_available_amount << 60) + self.borrowed_amount_sf - fees


class TokenInfo(NamedTuple):
    """How a reserve's price is checked, and where it comes from; an address is `None` where the source is off."""

    heuristic_lower: int
    heuristic_upper: int
    heuristic_exp: int
    max_twap_divergence_bps: int
    max_age_price_seconds: int
    max_age_twap_seconds: int
    block_price_usage: int
    pyth: bytes | None
    switchboard: bytes | None
    scope: bytes | None
    price_chain: tuple[int, ...]
    twap_chain: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """A reserve's configuration, under the program's names; bonuses and fee of a liquidation are `None` where they were not stored."""

    address: bytes
    mint: bytes
    symbol: str
    decimals: int
    status: int
    host_fixed_interest_rate_bps: int
    interest_rate_basis: int
    protocol_take_rate_pct: int
    loan_to_value_pct: int
    liquidation_threshold_pct: int
    deleveraging_margin_call_period_secs: int
    borrow_factor_pct: int
    deposit_limit: int
    borrow_limit: int
    disable_usage_as_coll_outside_emode: int
    autodeleverage_enabled: int
    debt_maturity_timestamp: int
    debt_term_seconds: int
    rewards_amount_per_slot: int
    curve: tuple[Point, ...]
    elevation_groups: frozenset[int]
    token: TokenInfo
    protocol_liquidation_fee_pct: int | None = None
    min_liquidation_bonus_bps: int | None = None
    max_liquidation_bonus_bps: int | None = None
    bad_debt_liquidation_bonus_bps: int | None = None
    version: int = CURRENT_VERSION


class ElevationGroup(NamedTuple):
    """An elevation group: its own terms for one debt reserve; the bonus is `None` where it was not stored."""

    id: int
    ltv_pct: int
    liquidation_threshold_pct: int
    max_reserves_as_collateral: int
    debt_reserve: bytes
    max_liquidation_bonus_bps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A lending market's configuration, under the program's names; `groups` by their index from 1 on.

    How much may be liquidated at once is `None` where it was not stored.
    """

    quote_currency: str
    referral_fee_bps: int
    emergency_mode: int
    autodeleverage_enabled: int
    price_refresh_trigger_to_max_age_pct: int
    global_unhealthy_borrow_value: int
    global_allowed_borrow_value: int
    min_value_skip_liquidation_ltv_checks: int
    min_value_skip_liquidation_bf_checks: int
    individual_autodeleverage_margin_call_period_secs: int
    obligation_order_execution_enabled: int
    price_triggered_liquidation_disabled: int
    mature_reserve_debt_liquidation_enabled: int
    obligation_borrow_debt_term_liquidation_enabled: int
    reserve_rewards_max_apr_bps: int
    groups: Mapping[int, ElevationGroup]
    liquidation_max_debt_close_factor_pct: int | None = None
    insolvency_risk_unhealthy_ltv_pct: int | None = None
    min_full_liquidation_value_threshold: int | None = None
    max_liquidatable_debt_market_value_at_once: int | None = None


class Debt(NamedTuple):
    """One borrow: its cumulative rate when it last accrued, when it was last added to, and its amount if no column holds it."""

    cumulative_borrow_rate_bsf: int
    last_borrowed_at_timestamp: int
    wide: int | None = None


NUMBERS = (
    "elevation_group", "has_debt", "lowest_reserve_deposit_max_ltv_pct", "autodeleverage_margin_call_started_timestamp", "orders",
)  # fmt: skip
"""The numbers of a setting in their order; `orders` says whether there are any, all others are fields of the account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligation:
    """An obligation beside its amounts; `borrows`: reserve → what is known of the debt."""

    owner: bytes
    elevation_group: int
    has_debt: int
    lowest_reserve_deposit_max_ltv_pct: int
    autodeleverage_margin_call_started_timestamp: int
    orders: int
    deposits: tuple[bytes, ...]
    borrows: Mapping[bytes, Debt]
    problem: str | None


def market_state(data: bytes) -> dict[str, Any]:
    """Write what a lending market configures."""
    fields = read(MARKET.fields, data)
    groups = {
        str(index): {**group, "debt_reserve": hexed(group["debt_reserve"])}
        for index, group in enumerate(fields.pop("elevation_groups"), start=1)
        if group["id"]
    }
    quote = _name(fields.pop("quote_currency"))
    return {"quote_currency": quote, **_texts(fields), "groups": groups}


def market_of(text: str) -> Market:
    """Read the aspect `market`."""
    said = json.loads(text)
    groups = {
        int(index): ElevationGroup(**{**group, "debt_reserve": unhexed(group["debt_reserve"])})
        for index, group in said.pop("groups").items()
    }
    quote = said.pop("quote_currency")
    return Market(quote_currency=quote, groups=groups, **{name: int(value) for name, value in said.items()})


def reserve_state(data: bytes) -> dict[str, Any]:
    """Write what a reserve is and how it is configured."""
    fields = read(RESERVE.fields, data)
    liquidity, config = fields["liquidity"][0], fields["config"][0]
    token = config["token_info"][0]
    return {
        "asset": hexed(liquidity["mint_pubkey"]),
        "symbol": _name(token["name"]),
        "decimals": liquidity["mint_decimals"],
        "version": str(fields["version"]),
        **_texts({name: config[name] for name in (*_CONFIG_NUMBERS, *_LIQUIDATION_NUMBERS)}),
        "curve": [[point["utilization_rate_bps"], point["borrow_rate_bps"]] for point in config["borrow_rate_curve"]],
        "elevation_groups": sorted(set(config["elevation_groups"]) - {0}),
        "token": {
            **_texts({name: token[name] for name in _TOKEN_NUMBERS}),
            "pyth": _source(token["pyth_price"]),
            "switchboard": _source(token["switchboard_price_aggregator"]),
            "scope": _source(token["scope_price_feed"]),
            "price_chain": [link["index"] for link in token["scope_price_chain"]],
            "twap_chain": [link["index"] for link in token["scope_twap_chain"]],
        },
    }


def reserve_of(address: bytes, text: str) -> Reserve:
    """Read the aspect `reserve`."""
    said = json.loads(text)
    return Reserve(
        address=address,
        mint=unhexed(said["asset"]),
        symbol=said["symbol"],
        decimals=said["decimals"],
        curve=tuple(Point(*point) for point in said["curve"]),
        elevation_groups=frozenset(said["elevation_groups"]),
        token=token_of(said),
        **{name: int(said[name]) for name in _CONFIG_NUMBERS},
        **{name: int(said[name]) for name in (*_LIQUIDATION_NUMBERS, "version") if name in said},
    )


def token_of(said: Mapping[str, Any]) -> TokenInfo:
    """Read where a reserve's price comes from."""
    token = said["token"]
    known: dict[str, Any] = {name: int(token[name]) for name in _TOKEN_NUMBERS}
    known |= {name: token[name] and unhexed(token[name]) for name in ("pyth", "switchboard", "scope")}
    return TokenInfo(**known, price_chain=tuple(token["price_chain"]), twap_chain=tuple(token["twap_chain"]))


def liquidity_state(data: bytes) -> dict[str, str]:
    """Write what a refresh of a reserve writes."""
    fields = read(RESERVE.fields, data)
    known = {**fields["last_update"][0], **fields["liquidity"][0], **fields["collateral"][0]}
    return {name: str(known[name]) for name in Liquidity._fields}


def liquidity_of(text: str) -> Liquidity:
    """Read the aspect `liquidity`."""
    return Liquidity(**{name: int(value) for name, value in json.loads(text).items()})


def obligation_text(
    owner: bytes, numbers: Sequence[int], deposits: Iterable[bytes], borrows: Iterable[Borrowed]
) -> str:
    """Write the setting `obligation`; `numbers` in the order of `NUMBERS`. Made without `json`, for it is made often."""
    group, has_debt, lowest, called, orders = numbers
    held = ",".join([f'"0x{reserve.hex()}"' for reserve in deposits])
    owed = ",".join([_borrow_text(*borrow) for borrow in borrows])
    return (
        f'{{"owner":"0x{owner.hex()}","elevation_group":{group},"has_debt":{has_debt},"lowest_reserve_deposit_max_ltv_pct":{lowest},'
        f'"autodeleverage_margin_call_started_timestamp":{called},"orders":{orders},"deposits":[{held}],"borrows":{{{owed}}},'
        '"problem":null}'
    )


def _borrow_text(reserve: bytes, amount: int, rate: int, at: int) -> str:
    wide = f',"{amount}"' if amount >= TOO_WIDE else ""
    return f'"0x{reserve.hex()}":["{rate}",{at}{wide}]'


def obligation_of(text: str) -> Obligation:
    """Read the setting `obligation`."""
    said = json.loads(text)
    return Obligation(
        owner=unhexed(said["owner"]),
        **{name: said[name] for name in NUMBERS},
        deposits=tuple(map(unhexed, said["deposits"])),
        borrows={unhexed(reserve): Debt(*map(int, words)) for reserve, words in said["borrows"].items()},
        problem=said["problem"],
    )


def closed_obligation(text: str) -> str:
    """Write the setting of an obligation that is gone."""
    return text_of({**json.loads(text), "has_debt": 0, "orders": 0, "deposits": [], "borrows": {}, "problem": None})


def doubtful_obligation(text: str, problem: str) -> str:
    """Write the setting of an obligation whose account is no longer what it must be."""
    return text_of({**json.loads(text), "problem": problem})


def oracle_state(account: AccountBytes, indexes: Collection[int]) -> dict[str, Any]:
    """Write an account of prices; raises `ValueError` for one that is none.

    Pyth: {"kind": "pyth-push" or "pyth-receiver", "price", "confidence", "exponent", "publish_time", "ema_price", "ema_confidence", "slot",
    "verified"}. Scope: {"kind": "scope", "prices": {index: [value, exponent, slot, time]}}, of the entries that reserves name.
    """
    if account.closed:
        raise ValueError("there is no account at this address")
    data = account.data
    if data[:8] == scope.account.ORACLE_PRICES.discriminator:
        prices = scope.dated_prices(data, indexes)
        return {"kind": SCOPE, "prices": {str(index): [str(word) for word in price] for index, price in prices.items()}}
    if data[:8] == PYTH_UPDATE:
        return _receiver(data)
    return _push(data)


def _receiver(data: bytes) -> dict[str, Any]:
    try:
        update = price_update(data)
    except NoUpdate as error:
        raise ValueError(str(error)) from error
    return {
        "kind": RECEIVER,
        "price": str(update.price),
        "confidence": str(update.confidence),
        "exponent": update.exponent,
        "publish_time": update.publish_time,
        "ema_price": str(update.ema_price),
        "ema_confidence": str(update.ema_confidence),
        "slot": update.posted_slot,
        "verified": update.signatures is None,
    }


def _push(data: bytes) -> dict[str, Any]:
    try:
        said = legacy_price(data)
    except NoLegacyPrice as error:
        raise ValueError(f"it holds no prices of Pyth or Scope: {error}") from error
    quote = said.latest if said.trading else said.previous
    return {
        "kind": PUSH,
        "price": str(quote.price),
        "confidence": str(quote.confidence),
        "exponent": said.exponent,
        "publish_time": quote.time,
        "ema_price": str(said.ema_price),
        "ema_confidence": str(said.ema_confidence & (2**64 - 1)),
        "slot": quote.slot,
        "verified": True,
    }


def _texts(numbers: Mapping[str, int]) -> dict[str, str]:
    return {name: str(value) for name, value in numbers.items()}


def _source(address: bytes) -> str | None:
    return None if address in {NO_KEY, NULL_KEY} else hexed(address)


def _name(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("utf-8", "replace")
