"""What Euler v2 emits, and the views read.

Sources: euler-vault-kit `Events`, `Governance`, `GenericFactory`; ethereum-vault-connector; euler-price-oracle.
"""

from chains.evm.abi import Event, Function

# Factory
PROXY_CREATED = Event(
    "ProxyCreated(address indexed proxy, bool upgradeable, address implementation, bytes trailingData)"
)
SET_IMPLEMENTATION = Event("SetImplementation(address indexed newImplementation)")

# Connector
OWNER_REGISTERED = Event("OwnerRegistered(bytes19 indexed addressPrefix, address indexed owner)")
COLLATERAL_STATUS = Event("CollateralStatus(address indexed account, address indexed collateral, bool enabled)")
CONTROLLER_STATUS = Event("ControllerStatus(address indexed account, address indexed controller, bool enabled)")
ACCOUNT_STATUS_CHECK = Event("AccountStatusCheck(address indexed account, address indexed controller)")

# Shares and debts of a vault
TRANSFER = Event("Transfer(address indexed from, address indexed to, uint256 value)")
BORROW = Event("Borrow(address indexed account, uint256 assets)")
REPAY = Event("Repay(address indexed account, uint256 assets)")
INTEREST_ACCRUED = Event("InterestAccrued(address indexed account, uint256 assets)")
PULL_DEBT = Event("PullDebt(address indexed from, address indexed to, uint256 assets)")
LIQUIDATE = Event(
    "Liquidate(address indexed liquidator, address indexed violator, address collateral, uint256 repayAssets,"
    " uint256 yieldBalance)"
)
DEBT_SOCIALIZED = Event("DebtSocialized(address indexed account, uint256 assets)")
VAULT_STATUS = Event(
    "VaultStatus(uint256 totalShares, uint256 totalBorrows, uint256 accumulatedFees, uint256 cash,"
    " uint256 interestAccumulator, uint256 interestRate, uint256 timestamp)"
)
CONVERT_FEES = Event(
    "ConvertFees(address indexed sender, address indexed protocolReceiver, address indexed governorReceiver,"
    " uint256 protocolShares, uint256 governorShares)"
)

# History for people
DEPOSIT = Event("Deposit(address indexed sender, address indexed owner, uint256 assets, uint256 shares)")
WITHDRAW = Event(
    "Withdraw(address indexed sender, address indexed receiver, address indexed owner, uint256 assets, uint256 shares)"
)

# What governance sets in a vault
SET_LTV = Event(
    "GovSetLTV(address indexed collateral, uint16 borrowLTV, uint16 liquidationLTV, uint16 initialLiquidationLTV,"
    " uint48 targetTimestamp, uint32 rampDuration)"
)
SET_INTEREST_FEE = Event("GovSetInterestFee(uint16 newFee)")
SET_RATE_MODEL = Event("GovSetInterestRateModel(address newInterestRateModel)")
SET_DISCOUNT = Event("GovSetMaxLiquidationDiscount(uint16 newDiscount)")
SET_COOL_OFF = Event("GovSetLiquidationCoolOffTime(uint16 newCoolOffTime)")
SET_HOOKS = Event("GovSetHookConfig(address indexed newHookTarget, uint32 newHookedOps)")
SET_FLAGS = Event("GovSetConfigFlags(uint32 newConfigFlags)")
SET_CAPS = Event("GovSetCaps(uint16 newSupplyCap, uint16 newBorrowCap)")

# Router
CONFIG_SET = Event("ConfigSet(address indexed asset0, address indexed asset1, address indexed oracle)")
RESOLVED_VAULT_SET = Event("ResolvedVaultSet(address indexed vault, address indexed asset)")
FALLBACK_SET = Event("FallbackOracleSet(address indexed fallbackOracle)")

EVENTS = (
    PROXY_CREATED,
    SET_IMPLEMENTATION,
    OWNER_REGISTERED,
    COLLATERAL_STATUS,
    CONTROLLER_STATUS,
    ACCOUNT_STATUS_CHECK,
    TRANSFER,
    BORROW,
    REPAY,
    INTEREST_ACCRUED,
    PULL_DEBT,
    LIQUIDATE,
    DEBT_SOCIALIZED,
    VAULT_STATUS,
    CONVERT_FEES,
    DEPOSIT,
    WITHDRAW,
    SET_LTV,
    SET_INTEREST_FEE,
    SET_RATE_MODEL,
    SET_DISCOUNT,
    SET_COOL_OFF,
    SET_HOOKS,
    SET_FLAGS,
    SET_CAPS,
    CONFIG_SET,
    RESOLVED_VAULT_SET,
    FALLBACK_SET,
)

# What no event carries: a price source says what it is and rests on (euler-price-oracle)
NAME = Function("name()", "string")
CONFIGURED_ORACLE = Function("getConfiguredOracle(address,address)", "address")
RESOLVED_VAULT = Function("resolvedVaults(address)", "address")
FALLBACK_ORACLE = Function("fallbackOracle()", "address")
BASE = Function("base()", "address")
QUOTE = Function("quote()", "address")
FEED = Function("feed()", "address")
MAX_STALENESS = Function("maxStaleness()", "uint256")
RATE = Function("rate()", "uint256")
CROSS = Function("cross()", "address")
BASE_CROSS = Function("oracleBaseCross()", "address")
CROSS_QUOTE = Function("oracleCrossQuote()", "address")
TOTAL_SUPPLY = Function("totalSupply()", "uint256")
TOTAL_BORROWS_EXACT = Function("totalBorrowsExact()", "uint256")
