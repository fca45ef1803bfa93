"""What computed price sources emit when a parameter changes, and the views by which their shapes are known.

Sources: aave-capo, aave-price-feeds, cl-synchronicity-price-adapter, comet (`contracts/pricefeeds`), morpho-blue-oracles.
"""

from chains.evm.abi import Event, Function

CHANGES = (
    Event(
        "CapParametersUpdated(uint256 snapshotRatio, uint256 snapshotTimestamp, uint256 maxRatioGrowthPerSecond,"
        " uint16 maxYearlyRatioGrowthPercent)"
    ),
    Event("PriceCapUpdated(int256 priceCap)"),
    Event("PriceCapRatioUpdated(int256 priceCapRatio)"),
    Event("DiscountRatePerYearUpdated(uint64 oldDiscountRatePerYear, uint64 newDiscountRatePerYear)"),
    Event("FixedPriceUpdated(int256 currentPrice, int256 newPrice)"),
    Event(
        "NewPriceCapSnapshot(uint256 indexed snapshotRatio, uint256 snapshotTimestamp,"
        " uint256 indexed maxRatioGrowthPerSecond, uint32 indexed maxYearlyRatioGrowthPercent)"
    ),
)
"""After any of these the parameters of its contract are read anew."""


def address(name: str) -> Function:
    """Return a view that answers an address."""
    return Function(f"{name}()", "address")


def number(name: str) -> Function:
    """Return a view that answers an unsigned number."""
    return Function(f"{name}()", "uint256")


def signed(name: str) -> Function:
    """Return a view that answers a signed number."""
    return Function(f"{name}()", "int256")


DECIMALS = number("decimals")
PRICE = number("price")

# Caps upon a ratio
BASE_TO_USD = address("BASE_TO_USD_AGGREGATOR")
RATIO_PROVIDER = address("RATIO_PROVIDER")
RATIO_DECIMALS = number("RATIO_DECIMALS")
SNAPSHOT_RATIO = number("getSnapshotRatio")
SNAPSHOT_TIME = number("getSnapshotTimestamp")
GROWTH = number("getMaxRatioGrowthPerSecond")
GROWTH_SCALED = number("getMaxRatioGrowthPerSecondScaled")
SCALING_FACTOR = number("SCALING_FACTOR")

# Other caps, discounts, fixed prices
ASSET_TO_USD = address("ASSET_TO_USD_AGGREGATOR")
PRICE_CAP = signed("getPriceCap")
PRICE_CAP_RATIO = signed("getPriceCapRatio")
MATURITY = number("MATURITY")
DISCOUNT_RATE = number("discountRatePerYear")
PERCENTAGE_FACTOR = number("PERCENTAGE_FACTOR")
SECONDS_PER_YEAR = number("SECONDS_PER_YEAR")
FIXED_PRICE = signed("price")
ACL_MANAGER = address("ACL_MANAGER")
CONSTANT_PRICE = signed("constantPrice")

# Two feeds through a peg
ASSET_TO_PEG = address("ASSET_TO_PEG")
PEG_TO_BASE = address("PEG_TO_BASE")
BASE_TO_PEG = address("BASE_TO_PEG")
DENOMINATOR = signed("DENOMINATOR")
OWN_DECIMALS = number("DECIMALS")
PRICE_RATIO = signed("PRICE_RATIO")
MULTIPLIER = signed("MULTIPLIER")

# One feed at another scale, products and quotients
SOURCE = address("source")
SCALE = Function("scale()", "bool", "uint256")
UNDERLYING_FEED = address("underlyingPriceFeed")
FEED_A, FEED_B = address("priceFeedA"), address("priceFeedB")
COMBINED_SCALE = signed("combinedScale")
FEED_SCALE = signed("priceFeedScale")
FEED_A_SCALE = signed("priceFeedAScalling")
RATE_PROVIDER = address("rateProvider")
CONVERT_TO_ASSETS = Function("convertToAssets(uint256 shares)", "uint256")

# Caps upon a ratio, as Comets have them
ASSET_TO_BASE = address("assetToBaseAggregator")
SNAPSHOT_RATIO_2 = number("snapshotRatio")
SNAPSHOT_TIME_2 = number("snapshotTimestamp")
GROWTH_2 = number("maxRatioGrowthPerSecond")
GROWTH_SCALE_2 = number("GROWTH_RATIO_SCALE")
RATIO_DECIMALS_2 = number("ratioDecimals")

# Compositions of feeds and vaults
SCALE_FACTOR = number("SCALE_FACTOR")
VAULTS = (address("BASE_VAULT"), address("QUOTE_VAULT"))
SAMPLES = (number("BASE_VAULT_CONVERSION_SAMPLE"), number("QUOTE_VAULT_CONVERSION_SAMPLE"))
ONLY_VAULT, ONLY_SAMPLE = address("VAULT"), number("VAULT_CONVERSION_SAMPLE")
BASE_FEEDS = (address("BASE_FEED_1"), address("BASE_FEED_2"))
QUOTE_FEEDS = (address("QUOTE_FEED_1"), address("QUOTE_FEED_2"))
