"""What a deployed market is: its addresses and the terms of what it lists."""

from dataclasses import dataclass, replace

from tests.devnet.evm.feeds import UNIT, Feed

RAY = 10**27


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The terms on which an asset is listed; rates in whole per cent, ratios in basis points."""

    symbol: str
    name: str
    decimals: int
    price_usd: float
    ltv_bps: int
    liquidation_threshold_bps: int
    liquidation_bonus_bps: int
    reserve_factor_bps: int = 1_500
    liquidation_protocol_fee_bps: int = 1_000
    supply_cap: int = 0
    borrow_cap: int = 0
    emode: int = 0
    base_rate_percent: int = 0
    slope_percent: int = 5
    steep_slope_percent: int = 80
    optimal_usage_percent: int = 80

    @property
    def first_answer(self) -> int:
        """The price as a feed tells it."""
        return round(self.price_usd * UNIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class EMode:
    """A category of assets that lend better to each other."""

    category: int
    label: str
    ltv_bps: int
    liquidation_threshold_bps: int
    liquidation_bonus_bps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """A listed asset; `number` is its place in the pool's list and in every account's bitmap."""

    number: int
    symbol: str
    decimals: int
    asset: str
    a_token: str
    stable_debt_token: str
    variable_debt_token: str
    feed: Feed
    listed_block: int

    @property
    def unit(self) -> int:
        """Raw amount of one whole token."""
        return int(10**self.decimals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Implementations:
    """Code that every new reserve's tokens share."""

    a_token: str
    stable_debt_token: str
    variable_debt_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One deployment; `start_block` is the last block before its first transaction. `flash_loans_switch`: reserves have one (3.0.1)."""

    chain_id: int
    start_block: int
    admin: str
    treasury: str
    provider: str
    pool: str
    configurator: str
    acl_manager: str
    oracle: str
    implementations: Implementations
    reserves: tuple[Reserve, ...]
    dropped: tuple[Reserve, ...] = ()
    flash_loans_switch: bool = True

    def reserve(self, symbol: str) -> Reserve:
        """The listed reserve of a symbol."""
        return next(reserve for reserve in self.reserves if reserve.symbol == symbol)

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """The feeds of the listed reserves."""
        return tuple(reserve.feed for reserve in self.reserves)

    def with_reserve(self, reserve: Reserve) -> "Market":
        """The market after a listing, or after a change of a listed reserve."""
        others = tuple(known for known in self.reserves if known.asset != reserve.asset)
        return replace(self, reserves=(*others, reserve))

    def without_reserve(self, symbol: str) -> "Market":
        """The market after a reserve was dropped."""
        gone = self.reserve(symbol)
        left = tuple(reserve for reserve in self.reserves if reserve is not gone)
        return replace(self, reserves=left, dropped=(*self.dropped, gone))


WETH = Listing(
    symbol="WETH",
    name="Wrapped Ether",
    decimals=18,
    price_usd=3_000,
    ltv_bps=8_000,
    liquidation_threshold_bps=8_250,
    liquidation_bonus_bps=10_500,
    emode=1,
)
USDC = Listing(
    symbol="USDC",
    name="USD Coin",
    decimals=6,
    price_usd=1,
    ltv_bps=7_700,
    liquidation_threshold_bps=8_000,
    liquidation_bonus_bps=10_450,
    reserve_factor_bps=1_000,
    slope_percent=6,
    optimal_usage_percent=90,
)
WBTC = Listing(
    symbol="WBTC",
    name="Wrapped BTC",
    decimals=8,
    price_usd=60_000,
    ltv_bps=7_300,
    liquidation_threshold_bps=7_800,
    liquidation_bonus_bps=10_650,
    reserve_factor_bps=2_000,
    emode=1,
)
GUSD = Listing(
    symbol="GUSD",
    name="Gemini dollar",
    decimals=2,
    price_usd=0.9987,
    ltv_bps=6_000,
    liquidation_threshold_bps=6_500,
    liquidation_bonus_bps=10_800,
)
WSTETH = Listing(
    symbol="wstETH",
    name="Wrapped liquid staked Ether 2.0",
    decimals=18,
    price_usd=3_525.37,
    ltv_bps=7_850,
    liquidation_threshold_bps=8_100,
    liquidation_bonus_bps=10_600,
    reserve_factor_bps=500,
    supply_cap=400_000,
    borrow_cap=100_000,
    emode=2,
)
FIRST_LISTINGS = (WETH, USDC, WBTC)

MAJORS = EMode(category=1, label="majors", ltv_bps=8_800, liquidation_threshold_bps=9_100, liquidation_bonus_bps=10_200)
STAKED = EMode(category=2, label="staked", ltv_bps=9_000, liquidation_threshold_bps=9_300, liquidation_bonus_bps=10_100)
EMODES = (MAJORS, STAKED)
