"""What MetaMorpho vaults and their factory emit, and the views that are read where a vault begins.

Sources: metamorpho 1.0 and 1.1, `EventsLib`, `IMetaMorpho`; OpenZeppelin's `IERC20`, `IERC4626`.
"""

from chains.evm.abi import Event, Function

CREATE_META_MORPHO = Event(
    "CreateMetaMorpho(address indexed metaMorpho, address indexed caller, address initialOwner, uint256 initialTimelock,"
    " address indexed asset, string name, string symbol, bytes32 salt)"
)
TRANSFER = Event("Transfer(address indexed from, address indexed to, uint256 value)")
SET_TIMELOCK = Event("SetTimelock(address indexed caller, uint256 newTimelock)")
SET_FEE = Event("SetFee(address indexed caller, uint256 newFee)")
SET_WITHDRAW_QUEUE = Event("SetWithdrawQueue(address indexed caller, bytes32[] newWithdrawQueue)")
UPDATE_LAST_TOTAL_ASSETS = Event("UpdateLastTotalAssets(uint256 updatedTotalAssets)")
UPDATE_LOST_ASSETS = Event("UpdateLostAssets(uint256 newLostAssets)")
ACCRUE_FEE = Event("AccrueInterest(uint256 newTotalAssets, uint256 feeShares)")

EVENTS = (
    TRANSFER,
    SET_TIMELOCK,
    SET_FEE,
    SET_WITHDRAW_QUEUE,
    UPDATE_LAST_TOTAL_ASSETS,
    UPDATE_LOST_ASSETS,
    ACCRUE_FEE,
)

MORPHO = Function("MORPHO()", "address")
ASSET = Function("asset()", "address")
DECIMALS_OFFSET = Function("DECIMALS_OFFSET()", "uint8")
LOST_ASSETS = Function("lostAssets()", "uint256")
