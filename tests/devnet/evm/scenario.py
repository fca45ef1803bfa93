"""A story of some hundreds of accounts: they open positions, prices crash, liquidators act, calm returns."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from tests.devnet.evm import aave, keys
from tests.devnet.evm.anvil import GENESIS_TIME, anvil
from tests.devnet.evm.chain import found
from tests.devnet.evm.feeds import UNIT, change_aggregator, deploy_aggregator, transmit
from tests.devnet.evm.ledger import BLOCK_SECONDS, Receipt, Tx
from tests.devnet.evm.market import FIRST_LISTINGS, MAJORS, WBTC, WETH, WSTETH, Market
from tests.devnet.evm.node import Node
from tests.devnet.evm.people import largest
from tests.devnet.evm.prices import Path, Prices, price_path, seen_by_feeds
from tests.devnet.evm.scene import WAD, AccountData, Scene

SEED = 7
ACCOUNTS = 400
SHARED = 120
ACCOUNTS_PER_BLOCK = 5
DAY = 86_400
CRASH_AT = GENESIS_TIME + 14 * DAY
CRASH_STEPS, CRASH_STEP_SECONDS = 8, 600
CALM_STEPS, CALM_STEP_SECONDS = 24, 5_400
ROUNDS_AFTER_CRASH = 8
LIQUIDATIONS_PER_BLOCK = 12
WORTHWHILE_USD = 2_500
LISTING_SHARE, PHASE_SHARE = 0.3, 0.6
PROVIDER_USD = 40_000_000
WEAK_BELOW = WAD * 115 // 100
LTV_BPS = {listing.symbol: listing.ltv_bps for listing in (*FIRST_LISTINGS, WSTETH)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A way to use the market: what is lent, what is borrowed, and how much of what could be."""

    weight: int
    lent: tuple[str, ...]
    owed: tuple[str, ...] = ()
    usage: tuple[float, float] = (0.0, 0.0)
    emode: int = 0


VOLATILE = ("WETH", "WBTC", "wstETH")
PROFILES: Mapping[str, Profile] = {
    "lender": Profile(weight=24, lent=("USDC", *VOLATILE)),
    "cautious": Profile(weight=30, lent=VOLATILE, owed=("USDC",), usage=(0.2, 0.55)),
    "usual": Profile(weight=14, lent=VOLATILE, owed=("USDC",), usage=(0.5, 0.66)),
    "bold": Profile(weight=10, lent=VOLATILE, owed=("USDC",), usage=(0.7, 0.95)),
    "short": Profile(weight=10, lent=("USDC",), owed=("WETH", "WBTC"), usage=(0.3, 0.85)),
    "pair": Profile(weight=8, lent=("WETH",), owed=("WBTC",), usage=(0.6, 0.96), emode=1),
    "counterpair": Profile(weight=4, lent=("WBTC",), owed=("WETH",), usage=(0.5, 0.9), emode=1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One account's first position: dollars lent, and the share of what could be borrowed on them."""

    usd: float
    lent: tuple[str, ...]
    owed: str | None = None
    usage: float = 0.0
    emode: int = 0


CHARACTERS: Mapping[str, tuple[Opening, Opening]] = {
    "hedged": (
        Opening(usd=400_000, lent=("USDC",), owed="WETH", usage=0.45),
        Opening(usd=600_000, lent=("WETH",), owed="USDC", usage=0.63),
    ),
    "liquidated": (
        Opening(usd=900_000, lent=("WETH", "WBTC")),
        Opening(usd=250_000, lent=("WETH",), owed="USDC", usage=0.78),
    ),
    "stretched": (
        Opening(usd=300_000, lent=("WETH", "WBTC"), owed="USDC", usage=0.5),
        Opening(usd=300_000, lent=("WBTC",), owed="USDC", usage=0.72),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A chain whose story has been told. `events` names blocks and accounts worth showing."""

    chain_id: int
    label: str
    side: int
    node: Node
    scene: Scene
    users: tuple[str, ...]
    events: dict[str, int | str] = field(default_factory=dict)

    @property
    def market(self) -> Market:
        """The market as it is at the end."""
        return self.scene.market

    def mark(self, event: str) -> None:
        """Remember the newest block by a name."""
        self.events[event] = self.node.height()


@contextmanager
def tell(
    *,
    chain_id: int,
    label: str,
    side: int,
    seed: int = SEED,
    accounts: int = ACCOUNTS,
    shared: int = SHARED,
) -> Iterator[Story]:
    """One of the two sides (0 or 1) of a story: both have the same prices and times, and some owners."""
    numbers = range(side * (accounts - shared), side * (accounts - shared) + accounts)
    provider = keys.address(seed, "provider")
    with anvil(chain_id=chain_id) as node:
        users = keys.owners(seed, numbers)
        scene = found(node, chain_id=chain_id, seed=seed, owners=(*users, provider))
        story = Story(chain_id=chain_id, label=label, side=side, node=node, scene=scene, users=users)
        openings = plan_openings(story, users[(1 - side) * (accounts - shared) :])
        steps = -(-accounts // ACCOUNTS_PER_BLOCK)
        path = price_path(seed, before=steps, crash=CRASH_STEPS, calm=CALM_STEPS)
        provide_liquidity(story, provider)
        open_positions(story, path, openings)
        crash(story, path)
        calm_down(story, path)
        yield story


def plan_openings(story: Story, shared: Sequence[str]) -> list[tuple[str, Opening]]:
    """What every account will open, in a shuffled order; the first shared owners are the characters."""
    rng = story.scene.rng
    cast = dict(zip(shared, CHARACTERS, strict=False))
    story.events.update({name: owner for owner, name in cast.items()})
    openings = {owner: random_opening(rng) for owner in story.users}
    openings |= {owner: CHARACTERS[name][story.side] for owner, name in cast.items()}
    order = list(openings.items())
    rng.shuffle(order)
    return order


def random_opening(rng: Random) -> Opening:
    """A position by a profile drawn by weight; most are small, a few are large."""
    profile = rng.choices(list(PROFILES.values()), [profile.weight for profile in PROFILES.values()])[0]
    count = 1 if len(profile.lent) == 1 or rng.random() < 0.7 else 2
    return Opening(
        usd=min(2_000_000.0, max(400.0, float(10 ** rng.gauss(4.1, 0.7)))),
        lent=tuple(rng.sample(profile.lent, count)),
        owed=rng.choice(profile.owed) if profile.owed else None,
        usage=rng.uniform(*profile.usage),
        emode=profile.emode,
    )


def provide_liquidity(story: Story, provider: str) -> None:
    """One large lender of everything, so that others can borrow."""
    scene = story.scene
    scene.fund((provider, scene.liquidator), scene.market.reserves, PROVIDER_USD)
    scene.ledger.do(
        *(
            aave.supply(scene.market, provider, reserve.asset, scene.amount_of_usd(reserve, PROVIDER_USD))
            for reserve in scene.market.reserves
        )
    )
    story.events["provider"] = provider
    story.events["liquidator"] = scene.liquidator


def open_positions(story: Story, path: Path, openings: Sequence[tuple[str, Opening]]) -> None:
    """A few accounts a block until the eve of the crash; a listing and a silent phase change on the way."""
    start, steps = now(story), len(path.before)
    for step, prices in enumerate(path.before):
        if step == int(steps * LISTING_SHARE):
            list_staked(story)
        if step == int(steps * PHASE_SHARE) and story.side == 1:
            change_phase(story)
        seen = seen_by_feeds(story.scene.rng, prices)
        few = openings[step * ACCOUNTS_PER_BLOCK : (step + 1) * ACCOUNTS_PER_BLOCK]
        deeds = [tx for owner, opening in few for tx in open_position(story, owner, opening, seen)]
        mine_at(story, start + (CRASH_AT - start) * (step + 1) // (steps + 1), *publish(story, seen), *deeds)


def list_staked(story: Story) -> None:
    """A further reserve is listed in mid-run."""
    story.scene.market = aave.list_reserve(story.scene.ledger, story.market, WSTETH)
    story.mark("listing_block")


def change_phase(story: Story) -> None:
    """A feed's proxy moves to another aggregator, and no log tells of it."""
    feed = story.market.reserve(WBTC.symbol).feed
    aggregator = deploy_aggregator(story.scene.ledger, feed.owner, feed.description, WBTC.first_answer)
    story.scene.ledger.do(*change_aggregator(feed, aggregator))
    story.mark("phase_change_block")


def open_position(story: Story, owner: str, opening: Opening, seen: Prices) -> Iterator[Tx]:
    """Everything that one account does in its first block."""
    market = story.market
    listed = {reserve.symbol for reserve in market.reserves}
    lent = {symbol if symbol in listed else WETH.symbol for symbol in opening.lent}
    for symbol in sorted(lent):
        reserve = market.reserve(symbol)
        amount = raw_amount(market, symbol, opening.usd / len(lent), seen)
        yield aave.mint(reserve.asset, owner, amount)
        yield aave.approve(owner, reserve.asset, market.pool)
        yield aave.supply(market, owner, reserve.asset, amount)
    if opening.emode:
        yield aave.set_user_emode(market, owner, opening.emode)
    if opening.owed:
        usd = opening.usd * opening.usage * borrowable_share(lent, opening.emode)
        asset = market.reserve(opening.owed).asset
        yield aave.borrow(market, owner, asset, raw_amount(market, opening.owed, usd, seen))


def borrowable_share(lent: set[str], emode: int) -> float:
    """What may be borrowed on a dollar lent."""
    if emode == MAJORS.category:
        return MAJORS.ltv_bps / 10_000
    return sum(LTV_BPS[symbol] for symbol in lent) / len(lent) / 10_000


def raw_amount(market: Market, symbol: str, usd: float, seen: Prices) -> int:
    """Raw units for dollars at the prices about to be published."""
    return int(usd / seen[symbol] * market.reserve(symbol).unit)


def crash(story: Story, path: Path) -> None:
    """The fall in steps, liquidations on its heels, and more of them at the bottom."""
    story.mark("before_crash_block")
    for step, prices in enumerate(path.crash):
        target = CRASH_AT + step * CRASH_STEP_SECONDS
        mine_at(story, target, *publish(story, seen_by_feeds(story.scene.rng, prices)))
        story.events.setdefault("crash_first_block", story.node.height())
        story.mark("crash_block")
        liquidate_worthwhile(story)
    for _ in range(ROUNDS_AFTER_CRASH):
        liquidate_worthwhile(story)
    story.mark("after_liquidations_block")


def liquidate_worthwhile(story: Story) -> Sequence[Receipt]:
    """One block of the largest liquidations; what would not pay is left alone."""
    scene = story.scene
    data = scene.accounts(scene.people)
    weak = [owner for owner in scene.people if worthwhile(data[owner])]
    weak.sort(key=lambda owner: (-data[owner].total_debt_base, owner))
    return scene.ledger.mine(*(liquidation(scene, owner) for owner in weak[:LIQUIDATIONS_PER_BLOCK]))


def worthwhile(account: AccountData) -> bool:
    """Whether a liquidator would care."""
    return account.health_factor < WAD and account.total_debt_base > WORTHWHILE_USD * UNIT


def liquidation(scene: Scene, owner: str) -> Tx:
    """The largest debt for the largest collateral; every third liquidator keeps the aTokens."""
    return aave.liquidate(
        scene.market,
        scene.liquidator,
        collateral=largest(scene, scene.collateral(owner)).asset,
        debt=largest(scene, scene.owed([owner])).asset,
        owner=owner,
        receive_a_token=scene.rng.random() < 1 / 3,
    )


def calm_down(story: Story, path: Path) -> None:
    """Two quiet days; some weak accounts repay; at the end every feed is fresh."""
    start = now(story)
    for step, prices in enumerate(path.calm):
        seen = seen_by_feeds(story.scene.rng, prices)
        target = start + (step + 1) * CALM_STEP_SECONDS
        mine_at(story, target, *publish(story, seen), *relief(story))
        if step % 4 == 0:
            liquidate_worthwhile(story)
    mine_at(story, now(story) + 2 * BLOCK_SECONDS, *publish(story, seen_by_feeds(story.scene.rng, path.calm[-1])))
    liquidate_worthwhile(story)
    story.scene.ledger.idle(2)
    story.mark("last_block")


def relief(story: Story) -> Iterator[Tx]:
    """One weak account repays a part of its debt."""
    scene = story.scene
    data = scene.accounts(story.users)
    weak = [owner for owner in story.users if WAD < data[owner].health_factor < WEAK_BELOW]
    if weak:
        owner = scene.rng.choice(weak)
        debt = scene.owed([owner])[0]
        amount = debt.amount * scene.rng.randrange(10, 40) // 100
        yield aave.approve(owner, debt.reserve.asset, story.market.pool)
        yield aave.repay(story.market, owner, debt.reserve.asset, amount)


def publish(story: Story, seen: Prices) -> Sequence[Tx]:
    """Every feed's new answer."""
    return [transmit(story.node, reserve.feed, round(seen[reserve.symbol] * UNIT)) for reserve in story.market.reserves]


def now(story: Story) -> int:
    """The newest block's time."""
    return int(story.node.header()["timestamp"], 16)


def mine_at(story: Story, target: int, *txs: Tx) -> None:
    """One block at a given time, or at the next possible one."""
    story.scene.ledger.mine(*txs, seconds=max(BLOCK_SECONDS, target - now(story)))
