"""What an Aave v3 market emits (sources: aave-v3-core 1.19, `IPool`, `IPoolConfigurator`, `IScaledBalanceToken`, …) and the views read."""

from collections.abc import Mapping

from chains.evm.abi import Event, Function

# Interest-bearing and debt tokens
MINT = Event(
    "Mint(address indexed caller, address indexed onBehalfOf, uint256 value, uint256 balanceIncrease, uint256 index)"
)
BURN = Event(
    "Burn(address indexed from, address indexed target, uint256 value, uint256 balanceIncrease, uint256 index)"
)
BALANCE_TRANSFER = Event("BalanceTransfer(address indexed from, address indexed to, uint256 value, uint256 index)")
STABLE_MINT = Event(
    "Mint(address indexed user, address indexed onBehalfOf, uint256 amount, uint256 currentBalance,"
    " uint256 balanceIncrease, uint256 newRate, uint256 avgStableRate, uint256 newTotalSupply)"
)
STABLE_BURN = Event(
    "Burn(address indexed from, uint256 amount, uint256 currentBalance, uint256 balanceIncrease,"
    " uint256 avgStableRate, uint256 newTotalSupply)"
)
DISCOUNT_PERCENT_UPDATED = Event(
    "DiscountPercentUpdated(address indexed user, uint256 oldDiscountPercent, uint256 indexed newDiscountPercent)"
)

# Pool: indexes and user settings
RESERVE_DATA_UPDATED = Event(
    "ReserveDataUpdated(address indexed reserve, uint256 liquidityRate, uint256 stableBorrowRate,"
    " uint256 variableBorrowRate, uint256 liquidityIndex, uint256 variableBorrowIndex)"
)
COLLATERAL_ENABLED = Event("ReserveUsedAsCollateralEnabled(address indexed reserve, address indexed user)")
COLLATERAL_DISABLED = Event("ReserveUsedAsCollateralDisabled(address indexed reserve, address indexed user)")
USER_EMODE_SET = Event("UserEModeSet(address indexed user, uint8 categoryId)")

# Pool, history for people
SUPPLY = Event(
    "Supply(address indexed reserve, address user, address indexed onBehalfOf, uint256 amount,"
    " uint16 indexed referralCode)"
)
WITHDRAW = Event("Withdraw(address indexed reserve, address indexed user, address indexed to, uint256 amount)")
BORROW = Event(
    "Borrow(address indexed reserve, address user, address indexed onBehalfOf, uint256 amount,"
    " uint8 interestRateMode, uint256 borrowRate, uint16 indexed referralCode)"
)
REPAY = Event(
    "Repay(address indexed reserve, address indexed user, address indexed repayer, uint256 amount, bool useATokens)"
)
LIQUIDATION_CALL = Event(
    "LiquidationCall(address indexed collateralAsset, address indexed debtAsset, address indexed user,"
    " uint256 debtToCover, uint256 liquidatedCollateralAmount, address liquidator, bool receiveAToken)"
)
# Pool, what moves a reserve's tokens besides
FLASH_LOAN = Event(
    "FlashLoan(address indexed target, address initiator, address indexed asset, uint256 amount, uint8 interestRateMode,"
    " uint256 premium, uint16 indexed referralCode)"
)
BACK_UNBACKED = Event("BackUnbacked(address indexed reserve, address indexed backer, uint256 amount, uint256 fee)")

# The configurator lists reserves and sets their terms
RESERVE_INITIALIZED = Event(
    "ReserveInitialized(address indexed asset, address indexed aToken, address stableDebtToken,"
    " address variableDebtToken, address interestRateStrategyAddress)"
)
RESERVE_DROPPED = Event("ReserveDropped(address indexed asset)")
COLLATERAL_CONFIGURATION_CHANGED = Event(
    "CollateralConfigurationChanged(address indexed asset, uint256 ltv, uint256 liquidationThreshold,"
    " uint256 liquidationBonus)"
)
EMODE_CATEGORY_ADDED = Event(
    "EModeCategoryAdded(uint8 indexed categoryId, uint256 ltv, uint256 liquidationThreshold,"
    " uint256 liquidationBonus, address oracle, string label)"
)
EMODE_ASSET_CATEGORY_CHANGED = Event(
    "EModeAssetCategoryChanged(address indexed asset, uint8 oldCategoryId, uint8 newCategoryId)"
)
ASSET_COLLATERAL_IN_EMODE_CHANGED = Event(
    "AssetCollateralInEModeChanged(address indexed asset, uint8 categoryId, bool collateral)"
)
ASSET_LTVZERO_IN_EMODE_CHANGED = Event(
    "AssetLtvzeroInEModeChanged(address indexed asset, uint8 categoryId, bool ltvzero)"
)
ASSET_BORROWABLE_IN_EMODE_CHANGED = Event(
    "AssetBorrowableInEModeChanged(address indexed asset, uint8 categoryId, bool borrowable)"
)
EMODE_CATEGORY_ISOLATION_CHANGED = Event("EModeCategoryIsolationChanged(uint8 indexed categoryId, bool isolated)")

# The configurator switches reserves and limits what may be done with them
RESERVE_ACTIVE = Event("ReserveActive(address indexed asset, bool active)")
RESERVE_FROZEN = Event("ReserveFrozen(address indexed asset, bool frozen)")
RESERVE_PAUSED = Event("ReservePaused(address indexed asset, bool paused)")
RESERVE_BORROWING = Event("ReserveBorrowing(address indexed asset, bool enabled)")
BORROW_CAP_CHANGED = Event("BorrowCapChanged(address indexed asset, uint256 oldBorrowCap, uint256 newBorrowCap)")
DEBT_CEILING_CHANGED = Event(
    "DebtCeilingChanged(address indexed asset, uint256 oldDebtCeiling, uint256 newDebtCeiling)"
)
BORROWABLE_IN_ISOLATION_CHANGED = Event("BorrowableInIsolationChanged(address asset, bool borrowable)")
SILOED_BORROWING_CHANGED = Event("SiloedBorrowingChanged(address indexed asset, bool oldState, bool newState)")
LIQUIDATION_PROTOCOL_FEE_CHANGED = Event(
    "LiquidationProtocolFeeChanged(address indexed asset, uint256 oldFee, uint256 newFee)"
)
GRACE_PERIOD_CHANGED = Event("LiquidationGracePeriodChanged(address indexed asset, uint40 gracePeriodUntil)")
GRACE_PERIOD_DISABLED = Event("LiquidationGracePeriodDisabled(address indexed asset)")
ISOLATED_DEBT_UPDATED = Event("IsolationModeTotalDebtUpdated(address indexed asset, uint256 totalDebt)")
DEFICIT_CREATED = Event("DeficitCreated(address indexed user, address indexed debtAsset, uint256 amountCreated)")
DEFICIT_COVERED = Event("DeficitCovered(address indexed reserve, address caller, uint256 amountCovered)")
A_TOKEN_INITIALIZED = Event(
    "Initialized(address indexed underlyingAsset, address indexed pool, address treasury, address incentivesController,"
    " uint8 aTokenDecimals, string aTokenName, string aTokenSymbol, bytes params)"
)

# Oracle
ASSET_SOURCE_UPDATED = Event("AssetSourceUpdated(address indexed asset, address indexed source)")

# Addresses provider and proxies
OWNERSHIP_TRANSFERRED = Event("OwnershipTransferred(address indexed previousOwner, address indexed newOwner)")
PROXY_CREATED = Event(
    "ProxyCreated(bytes32 indexed id, address indexed proxyAddress, address indexed implementationAddress)"
)
PRICE_ORACLE_SENTINEL_UPDATED = Event(
    "PriceOracleSentinelUpdated(address indexed oldAddress, address indexed newAddress)"
)
PRICE_ORACLE_UPDATED = Event("PriceOracleUpdated(address indexed oldAddress, address indexed newAddress)")
UPGRADED = Event("Upgraded(address indexed implementation)")

# What accounts do all day, folded by column
TOKEN_EVENTS = (MINT, BURN, BALANCE_TRANSFER)
POOL_EVENTS = (
    RESERVE_DATA_UPDATED,
    COLLATERAL_ENABLED,
    COLLATERAL_DISABLED,
    USER_EMODE_SET,
    SUPPLY,
    WITHDRAW,
    BORROW,
    REPAY,
    FLASH_LOAN,
    BACK_UNBACKED,
)
MANY = (*TOKEN_EVENTS, *POOL_EVENTS)

LIMITS: Mapping[Event, tuple[str, int]] = {
    RESERVE_ACTIVE: ("active", 1),
    RESERVE_FROZEN: ("frozen", 1),
    RESERVE_PAUSED: ("paused", 1),
    RESERVE_BORROWING: ("borrowing", 1),
    BORROW_CAP_CHANGED: ("borrow_cap", 2),
    DEBT_CEILING_CHANGED: ("debt_ceiling", 2),
    BORROWABLE_IN_ISOLATION_CHANGED: ("borrowable_in_isolation", 1),
    SILOED_BORROWING_CHANGED: ("siloed", 2),
    LIQUIDATION_PROTOCOL_FEE_CHANGED: ("protocol_fee", 2),
    GRACE_PERIOD_CHANGED: ("grace_until", 1),
}
"""Which field of the aspect `limits` an event tells anew, and which of its arguments is the value; the first is the asset."""

# What changes a market, and what is seldom, folded one by one; nothing of it depends on what the many say
FEW = (
    STABLE_MINT,
    STABLE_BURN,
    DISCOUNT_PERCENT_UPDATED,
    LIQUIDATION_CALL,
    RESERVE_INITIALIZED,
    RESERVE_DROPPED,
    COLLATERAL_CONFIGURATION_CHANGED,
    EMODE_CATEGORY_ADDED,
    EMODE_ASSET_CATEGORY_CHANGED,
    ASSET_COLLATERAL_IN_EMODE_CHANGED,
    ASSET_LTVZERO_IN_EMODE_CHANGED,
    ASSET_BORROWABLE_IN_EMODE_CHANGED,
    EMODE_CATEGORY_ISOLATION_CHANGED,
    *LIMITS,
    GRACE_PERIOD_DISABLED,
    ISOLATED_DEBT_UPDATED,
    DEFICIT_CREATED,
    DEFICIT_COVERED,
    A_TOKEN_INITIALIZED,
    PRICE_ORACLE_SENTINEL_UPDATED,
    ASSET_SOURCE_UPDATED,
    OWNERSHIP_TRANSFERRED,
    PROXY_CREATED,
    PRICE_ORACLE_UPDATED,
    UPGRADED,
)
EVENTS = (*MANY, *FEW)

# What no event carries
POOL_REVISION = Function("POOL_REVISION()", "uint256")
EMODE_BITMAP = Function("getEModeCategoryCollateralBitmap(uint8)", "uint128")
TOKEN_REVISIONS = {
    "a_token": Function("ATOKEN_REVISION()", "uint256"),
    "variable_debt_token": Function("DEBT_TOKEN_REVISION()", "uint256"),
}
HANDLE_REPAYMENT = Function("handleRepayment(address,address,uint256)")
HANDLE_REPAYMENT_BEFORE_3_0_1 = Function("handleRepayment(address,uint256)")
SCALED_TOTAL_SUPPLY = Function("scaledTotalSupply()", "uint256")
BASE_CURRENCY_UNIT = Function("BASE_CURRENCY_UNIT()", "uint256")
SOURCE_OF_ASSET = Function("getSourceOfAsset(address)", "address")
RESERVE_DATA = Function(
    "getReserveData(address)",
    # configuration, indexes and rates, timestamp, id, tokens, strategy, treasury, unbacked, isolation debt
    *("uint256", "uint128", "uint128", "uint128", "uint128", "uint128", "uint40", "uint16"),
    *(*("address",) * 4, *("uint128",) * 3),
)
NORMALIZED_INCOME = Function("getReserveNormalizedIncome(address)", "uint256")
NORMALIZED_DEBT = Function("getReserveNormalizedVariableDebt(address)", "uint256")
RESERVE_DEFICIT = Function("getReserveDeficit(address)", "uint256")
VIRTUAL_BALANCE = Function("getVirtualUnderlyingBalance(address)", "uint128")
FACILITATOR_BUCKET = Function("getFacilitatorBucket(address)", "uint256", "uint256")
RESERVES_LIST = Function("getReservesList()", "address[]")
PRICE_ORACLE = Function("getPriceOracle()", "address")
IS_BORROW_ALLOWED = Function("isBorrowAllowed()", "bool")
IS_LIQUIDATION_ALLOWED = Function("isLiquidationAllowed()", "bool")
PRICE_ORACLE_SENTINEL = Function("getPriceOracleSentinel()", "address")
POOL_CONFIGURATOR = Function("getPoolConfigurator()", "address")
