"""What a Comet emits (sources: `CometMainInterface`, `CometWithExtendedAssetList`, ERC-1967 proxy) and the views read."""

from chains.evm.abi import Event, Function

# Base token: who is concerned; amounts are history alone
SUPPLY = Event("Supply(address indexed from, address indexed dst, uint256 amount)")
WITHDRAW = Event("Withdraw(address indexed src, address indexed to, uint256 amount)")
TRANSFER = Event("Transfer(address indexed from, address indexed to, uint256 amount)")
ABSORB_DEBT = Event(
    "AbsorbDebt(address indexed absorber, address indexed borrower, uint256 basePaidOut, uint256 usdValue)"
)

# Collateral, whose amounts are exact
SUPPLY_COLLATERAL = Event(
    "SupplyCollateral(address indexed from, address indexed dst, address indexed asset, uint256 amount)"
)
WITHDRAW_COLLATERAL = Event(
    "WithdrawCollateral(address indexed src, address indexed to, address indexed asset, uint256 amount)"
)
TRANSFER_COLLATERAL = Event(
    "TransferCollateral(address indexed from, address indexed to, address indexed asset, uint256 amount)"
)
ABSORB_COLLATERAL = Event(
    "AbsorbCollateral(address indexed absorber, address indexed borrower, address indexed asset,"
    " uint256 collateralAbsorbed, uint256 usdValue)"
)

# The Comet as a whole: each names a block whose state is read
BUY_COLLATERAL = Event(
    "BuyCollateral(address indexed buyer, address indexed asset, uint256 baseAmount, uint256 collateralAmount)"
)
PAUSE_ACTION = Event(
    "PauseAction(bool supplyPaused, bool transferPaused, bool withdrawPaused, bool absorbPaused, bool buyPaused)"
)
WITHDRAW_RESERVES = Event("WithdrawReserves(address indexed to, uint256 amount)")
UPGRADED = Event("Upgraded(address indexed implementation)")

EVENTS = (
    SUPPLY,
    WITHDRAW,
    TRANSFER,
    ABSORB_DEBT,
    SUPPLY_COLLATERAL,
    WITHDRAW_COLLATERAL,
    TRANSFER_COLLATERAL,
    ABSORB_COLLATERAL,
    BUY_COLLATERAL,
    PAUSE_ACTION,
    WITHDRAW_RESERVES,
    UPGRADED,
)

COLLATERAL_SWITCHED = tuple(
    Event(f"{name}(uint24 assetIndex)").topic0 for name in ("CollateralDeactivated", "CollateralActivated")
)
"""Topic0 of the events after which the assets are asked whether they are active; what the events carry is not looked at."""

# What no event carries
USER_BASIC = Function("userBasic(address)", "int104", "uint64", "uint64", "uint16", "uint8")
TOTALS_BASIC = Function(
    "totalsBasic()", "uint64", "uint64", "uint64", "uint64", "uint104", "uint104", "uint40", "uint8"
)
TOTALS_COLLATERAL = Function("totalsCollateral(address)", "uint128", "uint128")
ASSET_INFO = Function(
    "getAssetInfo(uint8)", "uint8", "address", "address", "uint64", "uint64", "uint64", "uint64", "uint128"
)
DEACTIVATED = Function("isCollateralDeactivated(uint24)", "bool")
BASE_TOKEN = Function("baseToken()", "address")
BASE_FEED = Function("baseTokenPriceFeed()", "address")
ASSETS = Function("numAssets()", "uint8")
DESCRIPTION = Function("description()", "bytes")
"""Of a price feed; a `string` on the wire is the same as `bytes`, and need not be UTF-8."""
NUMBERS = {
    "base_scale": Function("baseScale()", "uint256"),
    "base_borrow_min": Function("baseBorrowMin()", "uint256"),
    "target_reserves": Function("targetReserves()", "uint256"),
    "store_front_price_factor": Function("storeFrontPriceFactor()", "uint256"),
}
SUPPLY_CURVE = {
    "kink": Function("supplyKink()", "uint256"),
    "low": Function("supplyPerSecondInterestRateSlopeLow()", "uint256"),
    "high": Function("supplyPerSecondInterestRateSlopeHigh()", "uint256"),
    "base": Function("supplyPerSecondInterestRateBase()", "uint256"),
}
BORROW_CURVE = {
    "kink": Function("borrowKink()", "uint256"),
    "low": Function("borrowPerSecondInterestRateSlopeLow()", "uint256"),
    "high": Function("borrowPerSecondInterestRateSlopeHigh()", "uint256"),
    "base": Function("borrowPerSecondInterestRateBase()", "uint256"),
}
