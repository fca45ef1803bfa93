"""What a chain says and what is derived from it: plain values, shared by every adapter and by the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import pyarrow as pa

from chains.completeness import DEFAULT as DEFAULT_COMPLETENESS
from chains.liquidating import Exposed

START_OF_BLOCK = -1
"""Ordinal of a change that holds from the first instant of its block (a value found by looking back)."""

END_OF_BLOCK = 2**31 - 1
"""Ordinal of a change that was read from the state after the whole block."""

FEEDS = "feeds"
"""The `venue_id` under which the journals keep the phases of price feeds."""

WHOLE_VENUE = b""
"""The `market` of facts that belong to a venue and not to one of its markets."""


class Finality(StrEnum):
    """How settled a block is, in the words of the chain's own nodes."""

    LATEST = "latest"
    SAFE = "safe"
    CONFIRMED = "confirmed"
    FINALIZED = "finalized"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block of a chain: `number` (height or slot), `hash` and `parent_hash` in raw bytes, `time` in Unix seconds."""

    number: int
    hash: bytes
    parent_hash: bytes
    time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A slot that is proven to hold no block: the block `child` above it names the block `parent` below it as its own parent."""

    number: int
    parent: int
    child: int


class Side(StrEnum):
    """Which way a position counts."""

    SUPPLY = "supply"
    BORROW = "borrow"


class Basis(StrEnum):
    """How a journal row came about: from what a log says, from a read at a block, or seen between two reads."""

    EXACT = "exact"
    SETTLED = "settled"
    OBSERVED = "observed"


class PositionChange(NamedTuple):
    """The raw protocol amount of one position after a change (Aave: the scaled balance)."""

    block: int
    tx_index: int
    ordinal: int
    venue_id: str
    unit_id: bytes
    owner: bytes
    market: bytes
    side: Side
    asset: bytes
    amount_raw: int
    engine_version: str
    basis: Basis


class MarketChange(NamedTuple):
    """One aspect of a market after a change; `state` is exact JSON text whose shape the protocol's own `fold.py` documents."""

    block: int
    tx_index: int
    ordinal: int
    venue_id: str
    market: bytes
    aspect: str
    state: str
    engine_version: str
    basis: Basis


class AccountChange(NamedTuple):
    """One setting of a unit after a change: a collateral flag of a market, an eMode category, an elevation group."""

    block: int
    tx_index: int
    ordinal: int
    venue_id: str
    unit_id: bytes
    owner: bytes
    market: bytes
    aspect: str
    state: str
    engine_version: str
    basis: Basis


class PriceObservation(NamedTuple):
    """One answer of a price source (Chainlink: an aggregator behind a proxy; Pyth: a price account).

    `answer_raw` may be zero or negative, as said; `confidence_raw`: the half-width of the source's own interval at the same scale,
    `None` for a source that gives none.
    """

    block: int
    tx_index: int
    ordinal: int
    source: bytes
    answer_raw: int
    round_id: int
    updated_at: int
    basis: Basis
    confidence_raw: int | None = None


class LendingEvent(NamedTuple):
    """One line of human history: supply, withdraw, borrow, repay, transfer, liquidation; amounts in token units times 10^decimals.

    `basis`: `exact` as a log or a transaction says, `observed` where two looks at an account tell that it must have happened.
    """

    block: int
    tx_index: int
    ordinal: int
    tx_hash: bytes
    venue_id: str
    kind: str
    market: bytes
    owner: bytes
    counterparty: bytes | None
    asset: bytes
    amount_raw: int
    extra: str
    basis: Basis = Basis.EXACT


class AccountBytes(NamedTuple):
    """An account of an account-based chain as a node said it; `closed`: the account was not there, and the rest is empty."""

    slot: int
    owner: bytes
    lamports: int
    data: bytes
    closed: bool


class Quarantined(NamedTuple):
    """A word that fits no column or a log that fits no event: kept exactly, named, and never guessed at."""

    block: int
    tx_index: int
    ordinal: int
    venue_id: str
    reason: str
    word: bytes


@dataclass(slots=True, kw_only=True)
class Rows:
    """Everything that one fold derived from one batch, in chain order.

    `columns`: rows that a fold made as columns at once, by the field they belong to (`chains.columns.SCHEMAS`), each table in chain order
    and with one value at most for each key at one instant; a row stands in one of both.
    """

    positions: list[PositionChange] = field(default_factory=list)
    markets: list[MarketChange] = field(default_factory=list)
    accounts: list[AccountChange] = field(default_factory=list)
    prices: list[PriceObservation] = field(default_factory=list)
    events: list[LendingEvent] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    columns: dict[str, list[pa.Table]] = field(default_factory=dict)

    def extend(self, other: Rows) -> None:
        """Append the rows of `other` behind these."""
        self.positions += other.positions
        self.markets += other.markets
        self.accounts += other.accounts
        self.prices += other.prices
        self.events += other.events
        self.quarantined += other.quarantined
        for name, tables in other.columns.items():
            self.columns.setdefault(name, []).extend(tables)

    def __len__(self) -> int:
        """Return how many rows there are of all kinds."""
        lists = (self.positions, self.markets, self.accounts, self.prices, self.events, self.quarantined)
        tables = [table for kind in self.columns.values() for table in kind]
        return sum(len(rows) for rows in lists) + sum(int(table.num_rows) for table in tables)


class PriceAnswer(NamedTuple):
    """The last answer of a price source at a block, with the block that carried it; see `PriceObservation`.

    `basis`: `exact` as emitted, `settled` where it is computed of what is known of every block, `observed` where it was read at this one.
    """

    answer_raw: int
    round_id: int
    updated_at: int
    block: int
    confidence_raw: int | None = None
    basis: Basis = Basis.EXACT


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSnapshot:
    """All that decides a venue's numbers at one block, apart from what belongs to a single unit.

    `markets`: (market, aspect) → JSON text; `feeds`: feed proxy → JSON text of its phase at the block (see `chains.evm.oracles.chainlink`);
    `answers`: price source (the aggregator behind a proxy, a price account) → its last answer at the block.
    """

    venue: VenueSpec
    at: Block
    markets: Mapping[tuple[bytes, str], str]
    feeds: Mapping[bytes, str]
    answers: Mapping[bytes, PriceAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSnapshot:
    """What belongs to one unit at that block: (market, side) → raw protocol amount; (market, aspect) → JSON text of a setting."""

    unit_id: bytes
    owner: bytes
    positions: Mapping[tuple[bytes, Side], int]
    settings: Mapping[tuple[bytes, str], str]


class Reason(NamedTuple):
    """Why a number is missing or doubtful: a fixed `code`, what it is about, and one sentence for people."""

    code: str
    subject: str
    detail: str


class VenuePrice(NamedTuple):
    """The price that a venue itself uses: `answer_raw` / `unit_raw` in its base currency, as `source` (a feed proxy) gave it.

    `basis`: see `PriceAnswer`.
    """

    answer_raw: int
    unit_raw: int
    source: bytes
    updated_at: int
    block: int
    basis: Basis = Basis.EXACT


class Component(NamedTuple):
    """A claim that is a part of what some shares are: on a market of a venue, or with an empty `venue_id` on the asset itself.

    A protocol on Solana that need be no venue here is named with its market's address, as "kamino:7u3H…".

    `amount_raw`: raw units of the asset, rounded down; `payable_raw`: what of it the market could pay out at the block, `None` where
    that is not known.
    """

    venue_id: str
    market: bytes
    asset: bytes
    symbol: str
    decimals: int
    amount_raw: int
    payable_raw: int | None
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What an amount of shares is a claim on, all of it in one asset.

    `assets_raw`: what their contract converts them to, rounded down as it does; `lost_raw`: what of it nothing stands behind any more;
    `redeemable_raw`: what could be taken out at the block. All `None`, and no components, where `reasons` says why nothing is known.
    Components and what is lost add up to `assets_raw`, but for what was rounded off each and a unit that is the contract's own.
    Of a contract that is only asked, `assets_raw` is at most one raw unit less than what it says, as of the block `told_at`, and the
    other two are not known. `asset` is empty where the contract names none. `within`: where the asset is itself such shares, what those
    that stand behind the claim are a claim on.
    """

    asset: bytes
    symbol: str
    decimals: int
    assets_raw: int | None
    lost_raw: int | None
    redeemable_raw: int | None
    components: tuple[Component, ...] = ()
    reasons: tuple[Reason, ...] = ()
    told_at: int | None = None
    within: Claim | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPosition:
    """One position of a unit in token terms, as the venue counts it.

    `amount_raw`: token units times 10^`decimals`, with interest to the block; `protocol_raw`: the stored protocol amount (scaled
    balance, shares); `counts`: a supply that backs debt at the venue (enabled as collateral, with a threshold), or any debt;
    `price`: the venue's own, `None` with the reason listed in the unit; `liquidation_threshold`: the venue's, in basis points, `None`
    for debt; `claim`: what shares of a vault that the venue follows are a claim on, which is worth no more beside them.
    """

    market: bytes
    asset: bytes
    side: Side
    symbol: str
    decimals: int
    amount_raw: int
    protocol_raw: int
    counts: bool
    price: VenuePrice | None
    liquidation_threshold: int | None
    claim: Claim | None = None


class CollateralTerms(NamedTuple):
    """On what terms a collateral is taken from a unit that is liquidated: `bonus` of what is paid (10,500 = 5 % more), basis points.

    `protocol_fee`: the venue's share of the bonus, basis points.
    """

    market: bytes
    bonus: int
    protocol_fee: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidation:
    """The most that one liquidation of a unit may take now: it pays `covered` of the debt for `seized` of the collateral.

    Raw token units; `fee`: what the venue takes of the collateral besides. `close_factor`: the share of debt that may be covered at
    once, basis points. `blocked`: why it would be refused, empty where it would not; the amounts are then those without that.
    """

    collateral: bytes
    debt: bytes
    close_factor: int
    covered: int
    seized: int
    fee: int
    blocked: tuple[Reason, ...]


class Allowance(NamedTuple):
    """The most that an owner may borrow or withdraw of a market, raw token units: by his account and all that is known of the market.

    `blocked`: why it is nothing. `cap`: what all accounts together may borrow of the market, `None` without one; `cap_left`: what is left
    of it, `None` without one and where that is not known. `unknown`: what might still refuse the most, and was not looked at.
    """

    market: bytes
    most: int
    blocked: tuple[Reason, ...]
    cap: int | None = None
    cap_left: int | None = None
    unknown: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Permits:
    """What a venue's own rules let anybody do to a unit, and its owner with it, at the block.

    `liquidations`: of each collateral for each debt, where the venue's health factor lets anybody liquidate; else none. `reasons`: why
    nothing is known of it.
    """

    collaterals: tuple[CollateralTerms, ...] = ()
    liquidations: tuple[Liquidation, ...] = ()
    borrowable: tuple[Allowance, ...] = ()
    withdrawable: tuple[Allowance, ...] = ()
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueUnit:
    """What a venue liquidates separately, with the venue's own numbers under its own names.

    `native` is `None` when the venue itself could not answer or an input is unknown; then `reasons` says why. `health_factor_wad` is
    the venue's health factor normalised to 1e18 = liquidation boundary, `None` without debt or when unknown; `base_unit` is one unit
    of the currency of the `*_base` amounts and of the positions' prices, and `in_token` whether that is a token (the loan's, a vault's unit
    of account) and not the one in which all of the venue is reckoned. `roles`: what the owner is to the venue, where it is no customer:
    "treasury", "contract" (one of its own), "wrapper" (holds for others, as configured), "vault" (holds for those who have its shares).
    `permits` computes what may be done, `None` for a protocol that cannot say; `liquidating` likewise the unit as it would be
    liquidated, or why that is not known.
    """

    venue_id: str
    unit_id: bytes
    owner: bytes
    native: Mapping[str, int] | None
    health_factor_wad: int | None
    liquidatable: bool | None
    has_debt: bool
    collateral_base: int | None
    debt_base: int | None
    base_unit: int | None
    positions: tuple[UnitPosition, ...]
    reasons: tuple[Reason, ...]
    engine_version: str
    in_token: bool = False
    roles: tuple[str, ...] = ()
    permits: Callable[[], Permits] | None = field(default=None, compare=False, repr=False)
    liquidating: Callable[[], Exposed | tuple[Reason, ...]] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSpec:
    """A venue as configured: `address` in raw bytes, `start_block` the first block that can matter.

    `options`: what only this protocol has, as JSON values; its folder says which.
    """

    id: str
    protocol: str
    chain_id: str
    address: bytes
    start_block: int
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSpec:
    """A price feed as configured, for one asset on one chain; `heartbeat_s` seconds, `deviation` a fraction (0.005 = 0.5 %).

    `feed_id`: what the account at `address` must be a price of; `max_confidence`: the widest interval that is believed, as a
    fraction of the price. Both are for feeds that say them (Pyth), `None` for others. `operator`: who answers for the feed, `None`: whoever
    does for its kind (`chains.registry.operator_of`). Of a redemption rate `feed_id` is the calldata
    of the question to the contract, `of` the asset (CAIP-19) that is redeemed, and its answer / `unit_raw` how many of these one is worth.
    """

    asset: str
    kind: str
    chain_id: str
    address: bytes
    heartbeat_s: int
    deviation: float
    feed_id: bytes | None = None
    max_confidence: float | None = None
    of: str | None = None
    unit_raw: int | None = None
    operator: str | None = None


class GuardianSet(NamedTuple):
    """Who signs prices that come from no chain: the `number` of the set, and addresses in their order.

    `until`: the Unix second after which the set signs nothing.
    """

    number: int
    addresses: tuple[bytes, ...]
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSpec:
    """A chain as configured: CAIP-2 `id`, node addresses (may hold secrets: never printed), finality rule and first block to index.

    `ws`: websocket addresses that tell of news; without any the nodes are asked at intervals. `completeness`: the evidence that is looked
    for that no log is missing, a word of `chains.completeness.COMPLETENESS`. `guardian_sets`: whose signatures are asked for (`pyth` only).
    """

    id: str
    name: str
    rpc: tuple[str, ...] = field(repr=False)
    finality: str
    start_block: int
    ws: tuple[str, ...] = field(default=(), repr=False)
    completeness: str = DEFAULT_COMPLETENESS
    guardian_sets: tuple[GuardianSet, ...] = ()
