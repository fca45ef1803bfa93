"""What the market's owner and the feeds' operators do. A plan that needs a new contract mines it first."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tests.devnet.evm import aave
from tests.devnet.evm.feeds import answer_of, change_aggregator, deploy_aggregator, deploy_feed, transmit
from tests.devnet.evm.ledger import Tx, invoke
from tests.devnet.evm.market import FIRST_LISTINGS, GUSD, MAJORS, STAKED, USDC, WETH, WSTETH, Reserve
from tests.devnet.evm.people import Plan
from tests.devnet.evm.scene import Scene


def move_price(scene: Scene) -> Sequence[Tx]:
    return [scaled_answer(scene, scene.reserve(), scene.rng.uniform(-0.03, 0.03))]


def change_phase(scene: Scene) -> Sequence[Tx]:
    """The proxy silently points to another aggregator, whose last answer differs."""
    feed = scene.reserve().feed
    answer = int(answer_of(scene.ledger.node, feed) * scene.rng.uniform(0.99, 1.01))
    aggregator = deploy_aggregator(scene.ledger, feed.owner, feed.description, answer)
    return change_aggregator(feed, aggregator)


def change_source(scene: Scene) -> Sequence[Tx]:
    """The oracle reads an asset's price from another feed."""
    reserve = scene.reserve()
    answer = int(answer_of(scene.ledger.node, reserve.feed) * scene.rng.uniform(0.99, 1.01))
    feed = deploy_feed(scene.ledger, scene.market.admin, reserve.feed.description, answer)
    scene.market = scene.market.with_reserve(replace(reserve, feed=feed))
    return [aave.set_source(scene.market, reserve.asset, feed.proxy)]


def replace_oracle(scene: Scene) -> Sequence[Tx]:
    """Another oracle with the same sources takes over."""
    sources = {reserve.asset: reserve.feed.proxy for reserve in scene.market.reserves} | scene.extra_sources
    market = scene.market
    oracle = aave.deploy_oracle(scene.ledger, market.admin, market.provider, list(sources), list(sources.values()))
    scene.market = replace(market, oracle=oracle)
    return [invoke(market.admin, market.provider, "setPriceOracle(address)", oracle)]


def change_collateral_terms(scene: Scene) -> Sequence[Tx]:
    """Now and then with an LTV of zero: nothing new can be borrowed, old loans stay safe."""
    threshold = scene.rng.randrange(7_000, 8_300)
    ltv = 0 if scene.rng.random() < 0.25 else threshold - scene.rng.randrange(100, 600)
    return [
        aave.set_collateral_terms(
            scene.market,
            scene.reserve().asset,
            ltv_bps=ltv,
            liquidation_threshold_bps=threshold,
            liquidation_bonus_bps=scene.rng.randrange(10_300, 11_000),
        )
    ]


def usual_terms(scene: Scene, symbol: str) -> Sequence[Tx]:
    listing = next(listing for listing in FIRST_LISTINGS if listing.symbol == symbol)
    return [
        aave.set_collateral_terms(
            scene.market,
            scene.market.reserve(symbol).asset,
            ltv_bps=listing.ltv_bps,
            liquidation_threshold_bps=listing.liquidation_threshold_bps,
            liquidation_bonus_bps=listing.liquidation_bonus_bps,
        )
    ]


def change_caps(scene: Scene) -> Sequence[Tx]:
    asset = scene.reserve().asset
    return [
        aave.configure(scene.market, "setSupplyCap(address,uint256)", asset, scene.rng.randrange(10**8, 10**9)),
        aave.configure(scene.market, "setBorrowCap(address,uint256)", asset, scene.rng.randrange(10**8, 10**9)),
    ]


def change_reserve_factor(scene: Scene) -> Sequence[Tx]:
    factor_bps = scene.rng.randrange(500, 3_500)
    signature = "setReserveFactor(address,uint256)"
    return [aave.configure(scene.market, signature, scene.reserve().asset, factor_bps)]


def change_liquidation_fee(scene: Scene) -> Sequence[Tx]:
    fee_bps = scene.rng.randrange(0, 2_000)
    signature = "setLiquidationProtocolFee(address,uint256)"
    return [aave.configure(scene.market, signature, scene.reserve().asset, fee_bps)]


def change_rates(scene: Scene) -> Sequence[Tx]:
    """Another interest rate curve; it acts from the reserve's next update on."""
    curve = replace(USDC, base_rate_percent=scene.rng.randrange(4), slope_percent=scene.rng.randrange(3, 12))
    strategy = aave.deploy_rate_strategy(scene.ledger, scene.market.provider, scene.market.admin, curve)
    signature = "setReserveInterestRateStrategyAddress(address,address)"
    return [aave.configure(scene.market, signature, scene.reserve().asset, strategy)]


def change_emode_terms(scene: Scene) -> Sequence[Tx]:
    emode = replace(
        MAJORS,
        ltv_bps=scene.rng.randrange(8_350, 8_900),
        liquidation_threshold_bps=scene.rng.randrange(9_000, 9_300),
        liquidation_bonus_bps=scene.rng.randrange(10_100, 10_300),
    )
    return [aave.set_emode(scene.market, emode)]


def change_emode_price(scene: Scene) -> Sequence[Tx]:
    """A category's assets all get the price of a basket, which is no reserve, or lose it again."""
    if scene.basket in scene.extra_sources:
        del scene.extra_sources[scene.basket]
        return [aave.set_emode(scene.market, STAKED)]
    feed = deploy_feed(scene.ledger, scene.market.admin, "STAKED / USD", WSTETH.first_answer)
    scene.extra_sources[scene.basket] = feed.proxy
    return [
        aave.set_source(scene.market, scene.basket, feed.proxy),
        aave.set_emode(scene.market, STAKED, scene.basket),
    ]


def move_asset_between_emodes(scene: Scene) -> Sequence[Tx]:
    """Accounts in the category that the asset leaves lose its better terms at once."""
    category = scene.rng.choice([0, MAJORS.category, STAKED.category])
    return [aave.set_asset_emode(scene.market, scene.market.reserve(WETH.symbol).asset, category)]


def freeze(scene: Scene) -> Sequence[Tx]:
    """For the length of two transactions."""
    return interrupted(scene, "setReserveFreeze")


def pause(scene: Scene) -> Sequence[Tx]:
    """For the length of two transactions."""
    return interrupted(scene, "setReservePause")


def list_reserve(scene: Scene) -> Sequence[Tx]:
    """A further asset; once it is listed, somebody lends it."""
    scene.market = aave.list_reserve(scene.ledger, scene.market, WSTETH)
    reserve = scene.market.reserve(WSTETH.symbol)
    scene.fund((*scene.people, scene.liquidator), [reserve])
    amount = scene.amount_of_usd(reserve, 1_000_000)
    return [aave.supply(scene.market, scene.person(), reserve.asset, amount)]


def drop_reserve(scene: Scene) -> Sequence[Tx]:
    """An asset is listed, lent, taken back and dropped; the next listing gets its number."""
    scene.market = aave.list_reserve(scene.ledger, scene.market, GUSD)
    reserve, person = scene.market.reserve(GUSD.symbol), scene.person()
    scene.fund([person], [reserve])
    scene.ledger.do(aave.supply(scene.market, person, reserve.asset, 123_456))
    scene.ledger.do(aave.withdraw(scene.market, person, reserve.asset, aave.MAX_UINT))
    scene.market = scene.market.without_reserve(GUSD.symbol)
    return [aave.configure(scene.market, "dropReserve(address)", reserve.asset)]


GOVERNANCE_PLANS: Mapping[str, Plan] = {
    "drop_reserve": drop_reserve,
    "change_phase": change_phase,
    "list_reserve": list_reserve,
    "change_emode_price": change_emode_price,
    "change_collateral_terms": change_collateral_terms,
    "change_source": change_source,
    "change_caps": change_caps,
    "change_rates": change_rates,
    "change_reserve_factor": change_reserve_factor,
    "move_asset_between_emodes": move_asset_between_emodes,
    "change_emode_terms": change_emode_terms,
    "freeze": freeze,
    "replace_oracle": replace_oracle,
    "change_liquidation_fee": change_liquidation_fee,
    "pause": pause,
}
ONCE = frozenset({"drop_reserve", "list_reserve"})


def scaled_answer(scene: Scene, reserve: Reserve, change: float) -> Tx:
    """Publish a price that differs from the last by a ratio."""
    answer = int(answer_of(scene.ledger.node, reserve.feed) * (1 + change))
    return transmit(scene.ledger.node, reserve.feed, answer)


def interrupted(scene: Scene, name: str) -> Sequence[Tx]:
    """Switch a reserve off, fail to lend it, switch it on."""
    reserve, person = scene.reserve(), scene.person()
    return [
        aave.switch(scene.market, name, reserve.asset, on=True),
        aave.supply(scene.market, person, reserve.asset, 1),
        aave.switch(scene.market, name, reserve.asset, on=False),
    ]


def refreshed(scene: Scene) -> Sequence[Tx]:
    """Every feed that the oracle reads repeats its answer, as of the next block."""
    feeds = [reserve.feed for reserve in scene.market.reserves]
    return [transmit(scene.ledger.node, feed, answer_of(scene.ledger.node, feed)) for feed in feeds]
