"""Aave v3.0.2 from the protocol's own artifacts: deployment, listing, and every call as a transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.devnet.evm.abi import calldata, decode
from tests.devnet.evm.artifacts import AAVE, aave_bytecode
from tests.devnet.evm.feeds import UNIT, deploy_feed
from tests.devnet.evm.ledger import DEPLOY_GAS, Ledger, Tx, invoke
from tests.devnet.evm.market import (
    EMODES,
    FIRST_LISTINGS,
    RAY,
    EMode,
    Implementations,
    Listing,
    Market,
    Reserve,
)
from tests.devnet.evm.node import Node

NOBODY = "0x" + "00" * 20
MAX_UINT = 2**256 - 1
VARIABLE_RATE = 2
LOGIC = "protocol/libraries/logic/"
POOL_LIBRARIES = ("SupplyLogic", "BorrowLogic", "LiquidationLogic", "EModeLogic", "BridgeLogic", "PoolLogic")
TOKENIZATION = "protocol/tokenization/"
INIT_RESERVES = (
    "initReserves((address,address,address,uint8,address,address,address,address,"
    "string,string,string,string,string,string,bytes)[])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The contracts that exist once, before anything is listed."""

    provider: str
    pool: str
    configurator: str
    acl_manager: str


def deploy_market(
    ledger: Ledger,
    *,
    chain_id: int,
    admin: str,
    treasury: str,
    listings: Sequence[Listing] = FIRST_LISTINGS,
    emodes: Sequence[EMode] = EMODES,
    package: str = AAVE,
) -> Market:
    """A market with its first reserves and eMode categories, each contract in its own block; `package`: whose code it runs."""
    start_block = ledger.node.height()
    core = deploy_core(ledger, admin, package)
    market = Market(
        chain_id=chain_id,
        start_block=start_block,
        admin=admin,
        treasury=treasury,
        provider=core.provider,
        pool=core.pool,
        configurator=core.configurator,
        acl_manager=core.acl_manager,
        oracle=deploy_oracle(ledger, admin, core.provider, [], []),
        implementations=deploy_implementations(ledger, admin, core.pool, package),
        reserves=(),
        flash_loans_switch=package == AAVE,
    )
    ledger.do(invoke(admin, market.provider, "setPriceOracle(address)", market.oracle))
    ledger.do(*(set_emode(market, emode) for emode in emodes))
    for listing in listings:
        market = list_reserve(ledger, market, listing)
    return market


def deploy_core(ledger: Ledger, admin: str, package: str = AAVE) -> Core:
    """The registry, the access rules, the pool and its configurator."""
    code = aave_bytecode("protocol/configuration/PoolAddressesProvider", package=package)
    provider = ledger.deploy(admin, code, ["string", "address"], ["devnet", admin])
    ledger.do(invoke(admin, provider, "setACLAdmin(address)", admin))
    acl_manager = deploy_on(ledger, admin, "protocol/configuration/ACLManager", provider, package=package)
    ledger.do(
        invoke(admin, provider, "setACLManager(address)", acl_manager),
        invoke(admin, acl_manager, "addPoolAdmin(address)", admin),
        invoke(admin, acl_manager, "addEmergencyAdmin(address)", admin),
    )
    libraries = deploy_libraries(ledger, admin, package)
    pool = deploy_on(ledger, admin, "protocol/pool/Pool", provider, libraries, package=package)
    configurator = ledger.deploy(admin, aave_bytecode("protocol/pool/PoolConfigurator", libraries, package))
    ledger.do(
        invoke(admin, provider, "setPoolImpl(address)", pool),
        invoke(admin, provider, "setPoolConfiguratorImpl(address)", configurator),
    )
    return Core(
        provider=provider,
        pool=address_in(ledger.node, provider, "getPool()"),
        configurator=address_in(ledger.node, provider, "getPoolConfigurator()"),
        acl_manager=acl_manager,
    )


def deploy_libraries(ledger: Ledger, admin: str, package: str = AAVE) -> dict[str, str]:
    """The pool's and the configurator's logic by name."""
    libraries = {
        name: ledger.deploy(admin, aave_bytecode(LOGIC + name, package=package))
        for name in (*POOL_LIBRARIES, "ConfiguratorLogic")
    }
    flash_loans = ledger.deploy(admin, aave_bytecode(LOGIC + "FlashLoanLogic", libraries, package))
    return libraries | {"FlashLoanLogic": flash_loans}


def deploy_implementations(ledger: Ledger, admin: str, pool: str, package: str = AAVE) -> Implementations:
    """The code behind the tokens of every reserve."""
    a_token, stable, variable = (
        deploy_on(ledger, admin, TOKENIZATION + name, pool, package=package)
        for name in ("AToken", "StableDebtToken", "VariableDebtToken")
    )
    return Implementations(a_token=a_token, stable_debt_token=stable, variable_debt_token=variable)


def deploy_oracle(ledger: Ledger, admin: str, provider: str, assets: Sequence[str], sources: Sequence[str]) -> str:
    """A price oracle in US dollars with eight decimals."""
    types = ["address", "address[]", "address[]", "address", "address", "uint256"]
    values = [provider, assets, sources, NOBODY, NOBODY, UNIT]
    return ledger.deploy(admin, aave_bytecode("misc/AaveOracle"), types, values)


def deploy_on(
    ledger: Ledger,
    admin: str,
    source: str,
    base: str,
    libraries: dict[str, str] | None = None,
    *,
    package: str = AAVE,
) -> str:
    """A contract whose constructor takes one address."""
    return ledger.deploy(admin, aave_bytecode(source, libraries, package), ["address"], [base])


def deploy_rate_strategy(ledger: Ledger, market_provider: str, admin: str, listing: Listing) -> str:
    """The interest rate curve of a listing."""
    percents = [
        listing.optimal_usage_percent,
        listing.base_rate_percent,
        listing.slope_percent,
        listing.steep_slope_percent,
        *(1, 60, 2, 5, 20),
    ]
    return ledger.deploy(
        admin,
        aave_bytecode("protocol/pool/DefaultReserveInterestRateStrategy"),
        ["address", *["uint256"] * len(percents)],
        [market_provider, *(percent * RAY // 100 for percent in percents)],
    )


def deploy_asset(ledger: Ledger, admin: str, listing: Listing) -> str:
    """The token that is lent: anyone may mint it."""
    if listing.symbol == "WETH":
        return ledger.deploy(admin, aave_bytecode("mocks/tokens/WETH9Mocked"))
    return ledger.deploy(
        admin,
        aave_bytecode("mocks/tokens/MintableERC20"),
        ["string", "string", "uint8"],
        [listing.name, listing.symbol, listing.decimals],
    )


def list_reserve(ledger: Ledger, market: Market, listing: Listing) -> Market:
    """The market after a new asset with its feed was listed and opened."""
    asset = deploy_asset(ledger, market.admin, listing)
    feed = deploy_feed(ledger, market.admin, f"{listing.symbol} / USD", listing.first_answer)
    ledger.do(set_source(market, asset, feed.proxy))
    strategy = deploy_rate_strategy(ledger, market.provider, market.admin, listing)
    (listed,) = ledger.do(init_reserve(market, listing, asset, strategy))
    ledger.do(*opening(market, listing, asset))
    number, a_token, stable, variable = reserve_data(ledger.node, market.pool, asset)
    return market.with_reserve(
        Reserve(
            number=number,
            symbol=listing.symbol,
            decimals=listing.decimals,
            asset=asset,
            a_token=a_token,
            stable_debt_token=stable,
            variable_debt_token=variable,
            feed=feed,
            listed_block=listed.block,
        )
    )


def init_reserve(market: Market, listing: Listing, asset: str, strategy: str) -> Tx:
    """Create the reserve and its three tokens."""
    code, symbol = market.implementations, listing.symbol
    reserve = (
        *(code.a_token, code.stable_debt_token, code.variable_debt_token),
        *(listing.decimals, strategy, asset, market.treasury, NOBODY),
        *(f"Aave Devnet {symbol}", f"aDev{symbol}"),
        *(f"Aave Devnet Variable Debt {symbol}", f"variableDebtDev{symbol}"),
        *(f"Aave Devnet Stable Debt {symbol}", f"stableDebtDev{symbol}"),
        b"",
    )
    return invoke(market.admin, market.configurator, INIT_RESERVES, [reserve], gas=DEPLOY_GAS)


def opening(market: Market, listing: Listing, asset: str) -> tuple[Tx, ...]:
    """Set the terms of a fresh reserve."""
    steps: list[Tx] = [
        set_collateral_terms(
            market,
            asset,
            ltv_bps=listing.ltv_bps,
            liquidation_threshold_bps=listing.liquidation_threshold_bps,
            liquidation_bonus_bps=listing.liquidation_bonus_bps,
        ),
        switch(market, "setReserveBorrowing", asset, on=True),
        configure(market, "setReserveFactor(address,uint256)", asset, listing.reserve_factor_bps),
        configure(
            market,
            "setLiquidationProtocolFee(address,uint256)",
            asset,
            listing.liquidation_protocol_fee_bps,
        ),
    ]
    if market.flash_loans_switch:
        steps.append(switch(market, "setReserveFlashLoaning", asset, on=True))
    if listing.supply_cap:
        steps.append(configure(market, "setSupplyCap(address,uint256)", asset, listing.supply_cap))
    if listing.borrow_cap:
        steps.append(configure(market, "setBorrowCap(address,uint256)", asset, listing.borrow_cap))
    if listing.emode:
        steps.append(set_asset_emode(market, asset, listing.emode))
    return tuple(steps)


def address_in(node: Node, contract: str, getter: str, block: int | str = "latest") -> str:
    """The address that a view answers."""
    (found,) = decode(["address"], node.eth_call(contract, calldata(getter), block))
    return str(found)


def reserve_data(node: Node, pool: str, asset: str, block: int | str = "latest") -> tuple[int, str, str, str]:
    """A reserve's number, aToken, stable debt token and variable debt token."""
    answer = node.eth_call(pool, calldata("getReserveData(address)", asset), block)
    words = decode(["uint256"] * 15, answer)
    a_token, stable, variable = (f"0x{word:040x}" for word in words[8:11])
    return int(words[7]), a_token, stable, variable


def configure(market: Market, signature: str, *arguments: Any) -> Tx:
    """A call of the configurator by the admin."""
    return invoke(market.admin, market.configurator, signature, *arguments)


def switch(market: Market, name: str, asset: str, *, on: bool) -> Tx:
    """One of the configurator's `name(address,bool)`, such as setReserveFreeze."""
    return configure(market, f"{name}(address,bool)", asset, on)


def set_collateral_terms(
    market: Market, asset: str, *, ltv_bps: int, liquidation_threshold_bps: int, liquidation_bonus_bps: int
) -> Tx:
    """Change what an asset is worth as collateral."""
    return configure(
        market,
        "configureReserveAsCollateral(address,uint256,uint256,uint256)",
        asset,
        ltv_bps,
        liquidation_threshold_bps,
        liquidation_bonus_bps,
    )


def set_emode(market: Market, emode: EMode, price_source: str = NOBODY) -> Tx:
    """Define an eMode category anew; its price source, when given, is an asset known to the oracle."""
    return configure(
        market,
        "setEModeCategory(uint8,uint16,uint16,uint16,address,string)",
        emode.category,
        emode.ltv_bps,
        emode.liquidation_threshold_bps,
        emode.liquidation_bonus_bps,
        price_source,
        emode.label,
    )


def set_asset_emode(market: Market, asset: str, category: int) -> Tx:
    """Put an asset into a category; 0 takes it out."""
    return configure(market, "setAssetEModeCategory(address,uint8)", asset, category)


def set_source(market: Market, asset: str, source: str) -> Tx:
    """Let the oracle read an asset's price elsewhere."""
    return invoke(market.admin, market.oracle, "setAssetSources(address[],address[])", [asset], [source])


def supply(market: Market, sender: str, asset: str, amount: int, owner: str | None = None) -> Tx:
    """Lend."""
    signature = "supply(address,uint256,address,uint16)"
    return invoke(sender, market.pool, signature, asset, amount, owner or sender, 0)


def withdraw(market: Market, sender: str, asset: str, amount: int, to: str | None = None) -> Tx:
    """Take back."""
    return invoke(sender, market.pool, "withdraw(address,uint256,address)", asset, amount, to or sender)


def borrow(market: Market, sender: str, asset: str, amount: int, owner: str | None = None) -> Tx:
    """Borrow at the variable rate."""
    signature = "borrow(address,uint256,uint256,uint16,address)"
    return invoke(sender, market.pool, signature, asset, amount, VARIABLE_RATE, 0, owner or sender)


def repay(market: Market, sender: str, asset: str, amount: int, owner: str | None = None) -> Tx:
    """Pay back variable debt."""
    signature = "repay(address,uint256,uint256,address)"
    return invoke(sender, market.pool, signature, asset, amount, VARIABLE_RATE, owner or sender)


def repay_with_a_tokens(market: Market, sender: str, asset: str, amount: int) -> Tx:
    """Pay back variable debt out of what the same account lends."""
    signature = "repayWithATokens(address,uint256,uint256)"
    return invoke(sender, market.pool, signature, asset, amount, VARIABLE_RATE)


def set_collateral(market: Market, sender: str, asset: str, *, enabled: bool) -> Tx:
    """Let an asset count as collateral, or not."""
    return invoke(sender, market.pool, "setUserUseReserveAsCollateral(address,bool)", asset, enabled)


def set_user_emode(market: Market, sender: str, category: int) -> Tx:
    """Enter or leave an eMode category."""
    return invoke(sender, market.pool, "setUserEMode(uint8)", category)


def liquidate(
    market: Market,
    liquidator: str,
    *,
    collateral: str,
    debt: str,
    owner: str,
    amount: int = MAX_UINT,
    receive_a_token: bool,
) -> Tx:
    """Repay somebody's debt for their collateral at a discount."""
    signature = "liquidationCall(address,address,address,uint256,bool)"
    return invoke(liquidator, market.pool, signature, collateral, debt, owner, amount, receive_a_token)


def mint_to_treasury(market: Market, sender: str, assets: Sequence[str]) -> Tx:
    """Turn the protocol's accrued share into aTokens of the treasury."""
    return invoke(sender, market.pool, "mintToTreasury(address[])", assets)


def flash_loan(market: Market, sender: str, receiver: str, asset: str, amount: int) -> Tx:
    """Borrow and repay in one transaction."""
    signature = "flashLoanSimple(address,address,uint256,bytes,uint16)"
    return invoke(sender, market.pool, signature, receiver, asset, amount, b"", 0)


def delegate(sender: str, reserve: Reserve, delegatee: str, amount: int) -> Tx:
    """Let somebody borrow against one's collateral."""
    signature = "approveDelegation(address,uint256)"
    return invoke(sender, reserve.variable_debt_token, signature, delegatee, amount)


def transfer(sender: str, token: str, to: str, amount: int) -> Tx:
    """Send a token."""
    return invoke(sender, token, "transfer(address,uint256)", to, amount)


def mint(asset: str, to: str, amount: int) -> Tx:
    """Make new units of a lent token."""
    return invoke(to, asset, "mint(address,uint256)", to, amount, gas=100_000)


def approve(sender: str, asset: str, spender: str) -> Tx:
    """Let a contract take any amount of a token."""
    return invoke(sender, asset, "approve(address,uint256)", spender, MAX_UINT, gas=100_000)
