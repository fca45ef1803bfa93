"""A toy lending protocol and an account on it, to state the house's rules without any real protocol's arithmetic.

Its health factor is Σ value · threshold / Σ debt, its base currency is USD with 8 decimals, and it does not look at ages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from aggregator.margin.inputs import METHODOLOGY_VERSION, Asset, Cut, HealthInputs, MarginAccount, VenueInputs
from aggregator.margin.liabilities import USD as USD_STEP
from aggregator.margin.liabilities import Liabilities
from aggregator.margin.policy import Policy, parse_policy
from aggregator.oracle.mark import Observation, Reading
from chains.identifiers import Account, token
from chains.liquidating import Discount, Lot, Weighted
from chains.model import (
    Block,
    FeedSpec,
    Finality,
    Reason,
    Side,
    UnitPosition,
    UnitSnapshot,
    VenuePrice,
    VenueSnapshot,
    VenueSpec,
    VenueUnit,
)

NOW = 1_700_000_000
CHAIN, OTHER_CHAIN, SOLANA = "eip155:1", "eip155:10", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
OWNER, SOLANA_OWNER = bytes.fromhex("11" * 20), bytes.fromhex("33" * 32)
SIGNER = bytes.fromhex("5a" * 32)
USD = 10**8
WAD = 10**18
MAX = 2**256 - 1

WETH, USDC, JUNK = (bytes([n]) * 20 for n in (0xE0, 0xC0, 0xD0))
SYMBOLS = {WETH: "WETH", USDC: "USDC", JUNK: "JUNK"}
DECIMALS = {WETH: 18, USDC: 6, JUNK: 0}
MINT = bytes([0xC5]) * 32
"""USDC on Solana."""

POLICY = """
[status]
danger_below = 1.1
watch_below = 1.5
full_score_at = 3.0
dust_share = 0.01

[class.stable]
haircut = 0.1
liquidation_threshold = 0.9
initial_factor = 1.0
maintenance_factor = 1.0
heartbeat = "24h"
deviation = "0%"

[class.major]
haircut = 0.25
liquidation_threshold = 0.8
initial_factor = 1.25
maintenance_factor = 1.0
heartbeat = "1h"
deviation = "1%"

[class.default]
haircut = 0.5
liquidation_threshold = 0.5
initial_factor = 1.5
maintenance_factor = 1.25
heartbeat = "1h"
deviation = "0%"
"""


def policy() -> Policy:
    return parse_policy(POLICY)


def shipped_policy() -> Policy:
    return parse_policy((Path(__file__).parents[3] / "config" / "policy.toml").read_text(encoding="utf-8"))


def block(number: int = 100, time: int = NOW, chain: str = CHAIN) -> Block:
    return Block(
        number=number, hash=bytes([number % 256]) * 32, parent_hash=bytes([(number - 1) % 256]) * 32, time=time
    )


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a venue says of an asset; `usd` `None`: nothing."""

    usd: float | None
    age_s: int = 0
    threshold_bp: int = 8_000


@dataclass(frozen=True, kw_only=True)
class Holding:
    """A unit of the toy protocol, in whole tokens; `flagged`: assets enabled as collateral; `in_token`: prices are in one, not in USD."""

    supplied: Mapping[bytes, float] = field(default_factory=dict)
    owed: Mapping[bytes, float] = field(default_factory=dict)
    flagged: Iterable[bytes] = (WETH, USDC)
    owner: bytes = OWNER
    mute: str | None = None
    in_token: bool = False


def borrower(owed: float, **supplied: float) -> Holding:
    """Supplies by name, all enabled but JUNK, against USDC."""
    by_name = {"weth": WETH, "usdc": USDC, "junk": JUNK}
    return Holding(supplied={by_name[name]: tokens for name, tokens in supplied.items()}, owed={USDC: owed})


def escrow(
    deposits: Mapping[bytes, float],
    *,
    said: Liabilities | None = None,
    imports: bool = True,
    name: str = "vault",
    chain: str = CHAIN,
    owner: bytes = OWNER,
    max_age_s: int = 600,
) -> VenueInputs:
    """Put deposits in whole tokens into a vault; with `imports` other systems have a claim on it, as `said`."""
    options = {"liabilities": "import", "liability_keys": (SIGNER.hex(),), "liability_max_age_s": max_age_s}
    tokens = {asset: (SYMBOLS[asset], DECIMALS[asset]) for asset in SYMBOLS} | {MINT: ("USDC", 6)}
    snapshot = VenueSnapshot(
        venue=VenueSpec(
            id=name,
            protocol="escrow" if chain.startswith("eip155:") else "spl-escrow",
            chain_id=chain,
            address=b"\xbb" * len(owner),
            start_block=1,
            options=options if imports else {"liabilities": "none"},
        ),
        at=block(),
        markets={
            (asset, "token"): json.dumps({"decimals": decimals, "symbol": symbol})
            for asset, (symbol, decimals) in tokens.items()
        },
        feeds={},
        answers={},
    )
    positions = {(asset, Side.SUPPLY): round(amount * 10 ** tokens[asset][1]) for asset, amount in deposits.items()}
    unit = UnitSnapshot(unit_id=owner, owner=owner, positions=positions, settings={})
    return VenueInputs(snapshot=snapshot, units=(unit,), liabilities={owner: said} if imports else {})


def liabilities(
    maintenance: str = "0", pnl: str = "0", *, initial: str | None = None, age_s: int = 0, signer: bytes = SIGNER
) -> Liabilities:
    """What another system says of a unit; the initial requirement is the maintenance one unless it is given."""
    return Liabilities(
        as_of=NOW - age_s,
        initial_requirement_usd=Decimal(maintenance if initial is None else initial).quantize(USD_STEP),
        maintenance_requirement_usd=Decimal(maintenance).quantize(USD_STEP),
        pnl_usd=Decimal(pnl).quantize(USD_STEP),
        key=signer,
        document="sha256:" + "d0" * 32,
    )


def raw(asset: bytes, tokens: float) -> int:
    scale: int = 10 ** DECIMALS[asset]
    return round(tokens * scale)


def venue(prices: Mapping[bytes, Price], *holdings: Holding, name: str = "toy-1", chain: str = CHAIN) -> VenueInputs:
    """Put holdings on a venue of a chain."""
    snapshot = VenueSnapshot(
        venue=VenueSpec(id=name, protocol="toy", chain_id=chain, address=b"\xaa" * 20, start_block=1),
        at=block(),
        markets={(asset, "price"): _price(asset, price) for asset, price in prices.items()},
        feeds={},
        answers={},
    )
    return VenueInputs(snapshot=snapshot, units=tuple(map(unit, holdings)))


def _price(asset: bytes, price: Price) -> str:
    return json.dumps(
        {
            "answer": None if price.usd is None else round(price.usd * USD),
            "updated_at": NOW - price.age_s,
            "threshold_bp": price.threshold_bp,
        }
    )


def unit(holding: Holding) -> UnitSnapshot:
    positions = {(asset, Side.SUPPLY): raw(asset, tokens) for asset, tokens in holding.supplied.items()}
    positions |= {(asset, Side.BORROW): raw(asset, tokens) for asset, tokens in holding.owed.items()}
    settings = {(asset, "collateral"): "true" for asset in holding.flagged}
    if holding.mute:
        settings[b"", "mute"] = holding.mute
    if holding.in_token:
        settings[b"", "in_token"] = "true"
    return UnitSnapshot(unit_id=holding.owner, owner=holding.owner, positions=positions, settings=settings)


def open_book(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], VenueUnit]:
    """The toy protocol's own arithmetic, as `chains.registry` finds it."""
    return lambda unit: _open(snapshot, unit)


def _open(snapshot: VenueSnapshot, unit: UnitSnapshot) -> VenueUnit:
    positions = tuple(
        _position(snapshot, unit, asset, side, amount) for (asset, side), amount in sorted(unit.positions.items())
    )
    has_debt = any(item.side is Side.BORROW and item.amount_raw for item in positions)
    mute = unit.settings.get((b"", "mute"))
    silent = mute is not None or any(item.counts and item.price is None for item in positions)
    collateral = sum(_base(item) for item in positions if item.side is Side.SUPPLY and item.counts)
    debt = sum(_base(item) for item in positions if item.side is Side.BORROW)
    covering = sum(_base(item) * (item.liquidation_threshold or 0) for item in positions if item.counts)
    health_factor = covering * WAD // (debt * 10_000) if debt else MAX
    missing = tuple(
        Reason("feed_without_answer", item.symbol, "the toy has no price of it") for item in positions if not item.price
    )
    return VenueUnit(
        venue_id=snapshot.venue.id,
        unit_id=unit.unit_id,
        owner=unit.owner,
        native=None if silent else {"collateral": collateral, "debt": debt, "healthFactor": health_factor},
        health_factor_wad=None if silent or not has_debt else health_factor,
        liquidatable=None if silent else has_debt and health_factor < WAD,
        has_debt=has_debt,
        collateral_base=None if silent else collateral,
        debt_base=None if silent else debt,
        base_unit=USD,
        in_token=(b"", "in_token") in unit.settings,
        positions=positions,
        reasons=(*missing, *((Reason(mute, snapshot.venue.id, "the toy is mute"),) if mute else ())),
        engine_version="toy-1",
        liquidating=None if silent else lambda: _liquidating(positions),
    )


def _liquidating(positions: Iterable[UnitPosition]) -> Weighted:
    """Let half of a debt be paid at once for a tenth more, of which the venue keeps a tenth; who has nothing left owes nothing."""
    lots = {
        side: tuple(
            Lot(each.market, each.asset, each.decimals, each.amount_raw, *(each.price or (1, 1))[:2], threshold)
            for each in positions
            if each.side is side and each.counts and each.amount_raw
            for threshold in (each.liquidation_threshold or 10_000,)
        )
        for side in Side
    }
    terms = Discount(WAD * 11 // 10, WAD * 11 // 10, fee=1_000, close=5_000)
    return Weighted(rule="toy", lots=lots[Side.SUPPLY], owed=lots[Side.BORROW], discount=terms, forgives=True)


def _position(snapshot: VenueSnapshot, unit: UnitSnapshot, asset: bytes, side: Side, amount_raw: int) -> UnitPosition:
    said = json.loads(snapshot.markets.get((asset, "price"), '{"answer": null, "updated_at": 0, "threshold_bp": 0}'))
    price = None if said["answer"] is None else VenuePrice(said["answer"], USD, source(asset), said["updated_at"], 99)
    return UnitPosition(
        market=asset,
        asset=asset,
        side=side,
        symbol=SYMBOLS[asset],
        decimals=DECIMALS[asset],
        amount_raw=amount_raw,
        protocol_raw=amount_raw,
        counts=side is Side.BORROW or unit.settings.get((asset, "collateral")) == "true",
        price=price,
        liquidation_threshold=said["threshold_bp"] if side is Side.SUPPLY else None,
    )


def _base(item: UnitPosition) -> int:
    return 0 if item.price is None else item.amount_raw * item.price.answer_raw // 10**item.decimals


def source(asset: bytes) -> bytes:
    """The feed that the toy venue asks for an asset."""
    return b"\xfe" + asset[:19]


def house_feed(asset: bytes) -> bytes:
    """A feed of the house's own for an asset."""
    return b"\xfd" + asset[:19]


def observation(
    asset: bytes,
    usd: float | None,
    *,
    age_s: int = 0,
    chain: str = CHAIN,
    feed: bytes | None = None,
    heartbeat_s: int | None = 3600,
    deviation: float = 0.0,
    answer_raw: int | None = None,
    confidence: float | None = None,
    operator: str = "chainlink",
    past: Iterable[tuple[int, float]] = (),
) -> Observation:
    """What a feed of the house says of an asset; `past`: how many seconds ago it said what before, oldest first."""
    answer = answer_raw if answer_raw is not None else None if usd is None else round(usd * USD)
    return Observation(
        asset=str(token(chain, asset)),
        kind="chainlink",
        chain_id=chain,
        feed=feed or house_feed(asset),
        heartbeat_s=heartbeat_s,
        deviation=deviation,
        reading=None if answer is None else Reading(answer, USD, NOW - age_s, 99, _confidence_raw(confidence)),
        operator=operator,
        past=tuple(Reading(round(said * USD), USD, NOW - ago, 98) for ago, said in past),
    )


def _confidence_raw(usd: float | None) -> int | None:
    return None if usd is None else round(usd * USD)


def assets() -> tuple[Asset, ...]:
    """WETH and USDC on both EVM chains, USDC on Solana; JUNK is nowhere configured."""
    evm = (
        Asset(id=str(token(chain, asset)), symbol=SYMBOLS[asset], asset_class=asset_class, same_as=same_as)
        for chain in (CHAIN, OTHER_CHAIN)
        for asset, asset_class, same_as in ((WETH, "major", "ETH"), (USDC, "stable", "USDC"))
    )
    return (*evm, Asset(id=str(token(SOLANA, MINT)), symbol="USDC", asset_class="stable", same_as="USDC"))


def inputs(
    *venues: VenueInputs,
    observations: Iterable[Observation] = (),
    feeds: Iterable[FeedSpec] = (),
    stale_chains: Iterable[Reason] = (),
    gaps: Iterable[Reason] = (),
) -> HealthInputs:
    """An account with the same key on both EVM chains, and with another one on Solana where it has something there."""
    members = [Account(CHAIN, OWNER), Account(OTHER_CHAIN, OWNER)]
    if any(item.snapshot.venue.chain_id == SOLANA for item in venues):
        members.append(Account(SOLANA, SOLANA_OWNER))
    return HealthInputs(
        methodology_version=METHODOLOGY_VERSION,
        account=MarginAccount(id="acme", members=tuple(map(str, members))),
        as_of={member.chain_id: Cut(block=block(), finality=Finality.FINALIZED) for member in members},
        stale_chains=tuple(stale_chains),
        gaps=tuple(gaps),
        consulted=tuple(item.snapshot.venue.id for item in venues),
        venues=tuple(venues),
        assets=assets(),
        feeds=tuple(feeds),
        observations=tuple(observations),
        policy=policy(),
    )
