"""What Morpho Blue and its interest rate models emit, and the views that are read of models and oracles.

Sources: morpho-blue 1.0.0, `EventsLib`, `IIrm`, `IOracle`; morpho-blue-irm, `AdaptiveCurveIrm`; morpho-blue-oracles,
`IMorphoChainlinkOracleV2`.
"""

from chains.evm.abi import Event, Function

_PARAMS = "(address,address,address,address,uint256)"
_MARKET = "(uint128,uint128,uint128,uint128,uint128,uint128)"

CREATE_MARKET = Event(
    "CreateMarket(bytes32 indexed id, address loanToken, address collateralToken, address oracle, address irm, uint256 lltv)",
    hashed=f"CreateMarket(bytes32,{_PARAMS})",
)
ACCRUE_INTEREST = Event(
    "AccrueInterest(bytes32 indexed id, uint256 prevBorrowRate, uint256 interest, uint256 feeShares)"
)
SUPPLY = Event(
    "Supply(bytes32 indexed id, address indexed caller, address indexed onBehalf, uint256 assets, uint256 shares)"
)
WITHDRAW = Event(
    "Withdraw(bytes32 indexed id, address caller, address indexed onBehalf, address indexed receiver,"
    " uint256 assets, uint256 shares)"
)
BORROW = Event(
    "Borrow(bytes32 indexed id, address caller, address indexed onBehalf, address indexed receiver,"
    " uint256 assets, uint256 shares)"
)
REPAY = Event(
    "Repay(bytes32 indexed id, address indexed caller, address indexed onBehalf, uint256 assets, uint256 shares)"
)
SUPPLY_COLLATERAL = Event(
    "SupplyCollateral(bytes32 indexed id, address indexed caller, address indexed onBehalf, uint256 assets)"
)
WITHDRAW_COLLATERAL = Event(
    "WithdrawCollateral(bytes32 indexed id, address caller, address indexed onBehalf, address indexed receiver,"
    " uint256 assets)"
)
LIQUIDATE = Event(
    "Liquidate(bytes32 indexed id, address indexed caller, address indexed borrower, uint256 repaidAssets,"
    " uint256 repaidShares, uint256 seizedAssets, uint256 badDebtAssets, uint256 badDebtShares)"
)
SET_FEE = Event("SetFee(bytes32 indexed id, uint256 newFee)")
SET_FEE_RECIPIENT = Event("SetFeeRecipient(address indexed newFeeRecipient)")
SET_OWNER = Event("SetOwner(address indexed newOwner)")
ENABLE_IRM = Event("EnableIrm(address indexed irm)")
ENABLE_LLTV = Event("EnableLltv(uint256 lltv)")

# Of the interest rate models
BORROW_RATE_UPDATE = Event("BorrowRateUpdate(bytes32 indexed id, uint256 avgBorrowRate, uint256 rateAtTarget)")

EVENTS = (
    CREATE_MARKET,
    ACCRUE_INTEREST,
    SUPPLY,
    WITHDRAW,
    BORROW,
    REPAY,
    SUPPLY_COLLATERAL,
    WITHDRAW_COLLATERAL,
    LIQUIDATE,
    SET_FEE,
    SET_FEE_RECIPIENT,
    SET_OWNER,
    ENABLE_IRM,
    ENABLE_LLTV,
    BORROW_RATE_UPDATE,
)

# What no event carries
MARKET = Function("market(bytes32)", *("uint128",) * 6)
BORROW_RATE_VIEW = Function(
    # the market's parameters, then its six stored numbers
    f"borrowRateView({','.join([*('address',) * 4, 'uint256', *('uint128',) * 6])})",
    "uint256",
    hashed=f"borrowRateView({_PARAMS},{_MARKET})",
)
RATE_STORED = Function("borrowRateStored(bytes32 id)", "uint256")
SET_RATE = Function("setBorrowRate(bytes32 id, uint256 newBorrowRate)")
RATE_IS_SET = Function("Error(string)").calldata("rate set")
"""How a fixed rate model refuses to set the rate of a market again."""
