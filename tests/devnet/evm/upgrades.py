"""Real upgrades of a market in use: 3.0.0 → 3.0.2 → 3.6, contract after contract, with a crowd before, between and after.

Each step is what a market's owner did: new code for the pool and its configurator through the addresses provider, and for the tokens of
one reserve after another through the configurator. 3.0.2 is its package with the revisions that an upgrade needs (`compile-aave.js`);
the pool of 3.6 takes over what older ones kept otherwise (`upgrades/MigratedPool.sol`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from eth_abi.abi import encode

from tests.devnet.evm import aave, bridge, keys, stable
from tests.devnet.evm.anvil import anvil
from tests.devnet.evm.artifacts import FIRST_AAVE, aave_upgrade, linked
from tests.devnet.evm.chain import CHAIN_ID, Devnet, found
from tests.devnet.evm.ledger import Ledger, Tx, invoke
from tests.devnet.evm.market import EMODES, FIRST_LISTINGS, MAJORS, STAKED, Implementations, Market, Reserve
from tests.devnet.evm.people import Plan
from tests.devnet.evm.population import Population
from tests.devnet.evm.scene import Scene

USERS = 12
ACTIONS = 60
BETWEEN_STEPS = ("supply", "borrow", "repay", "withdraw", "transfer", "liquidate_for_a_tokens", "set_emode")
GONE = frozenset(
    {
        "list_reserve",
        "drop_reserve",
        "change_rates",
        "change_emode_terms",
        "change_emode_price",
        "move_asset_between_emodes",
    }
)
"""What the configurator of 3.6 does otherwise, or not in this market."""

Steps = Mapping[str, Sequence[Tx]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgraded:
    """A chain whose market was upgraded twice; `moments`: the block after which each step, and each crowd, was through.

    `net.tally` counts what the crowds of 3.0.0 and 3.0.2 did, `last` what that of 3.6 did.
    """

    net: Devnet
    last: Population
    moments: dict[str, int] = field(default_factory=dict)

    def mark(self, name: str) -> None:
        """Remember the newest block by a name."""
        self.moments[name] = self.net.node.height()


@contextmanager
def build(*, seed: int, users: int = USERS, actions: int = ACTIONS, at_once: bool = False) -> Iterator[Upgraded]:
    """A market of 3.0.0, its crowd and its upgrades; `at_once`: the steps to 3.6 in one block, as governance takes them."""
    with anvil(chain_id=CHAIN_ID) as node:
        owners = keys.owners(seed, range(users))
        scene = found(node, chain_id=CHAIN_ID, seed=seed, owners=owners, package=FIRST_AAVE)
        scene.fund((*owners, scene.liquidator), scene.market.reserves)
        scene.ledger.do(*stable.let_borrow(scene.market))
        scene.ledger.do(*bridge.let_mint(scene.market, scene.liquidator))
        first = Population(scene, also={**stable.STABLE_PLANS, **bridge.BRIDGE_PLANS})
        net = Devnet(
            chain_id=CHAIN_ID, node=node, ledger=scene.ledger, scene=scene, population=first, users=tuple(owners)
        )
        last = Population(scene, without=GONE, also=LIQUID_PLANS)
        story = Upgraded(net=net, last=last)
        first.run(actions)
        story.mark("3.0.0")
        take(story, first, to_patch(scene))
        first.run(actions)
        story.mark("3.0.2")
        settle(scene)
        story.mark("settled")
        take(story, last, to_origin(scene), at_once=at_once)
        last.run(actions)
        story.mark("3.6")
        yield story


def take(story: Upgraded, crowd: Population, steps: Steps, *, at_once: bool = False) -> None:
    """Take the steps of an upgrade, one block each with somebody in between, or all in one block."""
    if at_once:
        story.net.ledger.do(*(tx for txs in steps.values() for tx in txs))
        story.mark(f"all of {next(iter(steps))}")
        return
    for name, txs in steps.items():
        story.net.ledger.do(*txs)
        story.mark(name)
        crowd.act(story.net.scene.rng.choice(BETWEEN_STEPS))
        story.mark(f"after {name}")


def to_patch(scene: Scene) -> Steps:
    """What makes a market of 3.0.0 one of 3.0.2."""
    market, admin = scene.market, scene.market.admin
    made = Made(scene.ledger, admin, "patch")
    code = Implementations(**{name: made.deploy(contract, [market.pool]) for name, contract in PATCHED_TOKENS.items()})
    pool = made.deploy("Pool", [market.provider])
    configurator = made.deploy("PoolConfigurator", [])
    scene.market = replace(market, implementations=code, flash_loans_switch=True)
    return {
        "pool 3.0.2": [invoke(admin, market.provider, "setPoolImpl(address)", pool)],
        "configurator 3.0.2": [invoke(admin, market.provider, "setPoolConfiguratorImpl(address)", configurator)],
        **{f"{each.symbol} 3.0.2": list(patched_tokens(scene.market, each)) for each in market.reserves},
    }


def patched_tokens(market: Market, reserve: Reserve) -> Iterable[Tx]:
    """New code of 3.0.2 for a reserve's three tokens, and its switch for flash loans."""
    code, name, nobody = market.implementations, reserve.symbol, aave.NOBODY
    terms = "(address,address,string,string,address,bytes)"
    yield aave.configure(
        market,
        "updateAToken((address,address,address,string,string,address,bytes))",
        (reserve.asset, market.treasury, nobody, name, name, code.a_token, b""),
    )
    for kind, new in (("Stable", code.stable_debt_token), ("Variable", code.variable_debt_token)):
        yield aave.configure(market, f"update{kind}DebtToken({terms})", (reserve.asset, nobody, name, name, new, b""))
    yield aave.switch(market, "setReserveFlashLoaning", reserve.asset, on=True)


def settle(scene: Scene) -> None:
    """Leave nothing that 3.6 has no place for: debt at stable rates becomes variable, everything is backed, no category has a price."""
    debts = stable.owed(scene, scene.people)
    swap = "swapBorrowRateMode(address,uint256)"
    swaps = [invoke(d.owner, scene.market.pool, swap, d.reserve.asset, stable.STABLE_RATE) for d in debts]
    scene.ledger.do(*swaps, *bridge.back_all(scene), *(aave.set_emode(scene.market, each) for each in EMODES))


def to_origin(scene: Scene) -> Steps:
    """What makes a market of 3.0.2 one of 3.6."""
    market, admin = scene.market, scene.market.admin
    made = Made(scene.ledger, admin, "origin")
    strategy = made.deploy("DefaultReserveInterestRateStrategyV2", [market.provider])
    pool = made.deploy("MigratedPool", [market.provider, strategy])
    configurator = made.deploy("PoolConfiguratorInstance", [])
    a_token = made.deploy("ATokenInstance", [market.pool, aave.NOBODY, market.treasury])
    debt_token = made.deploy("VariableDebtTokenInstance", [market.pool, aave.NOBODY])
    return {
        "pool 3.6": [invoke(admin, market.provider, "setPoolImpl(address)", pool)],
        "configurator 3.6": [invoke(admin, market.provider, "setPoolConfiguratorImpl(address)", configurator)],
        **{f"{each.symbol} 3.6": list(origin_tokens(market, each, a_token, debt_token)) for each in market.reserves},
        "categories 3.6": list(categories(market)),
    }


def origin_tokens(market: Market, reserve: Reserve, a_token: str, debt_token: str) -> Iterable[Tx]:
    """New code of 3.6 for a reserve's two tokens, and its curve in basis points."""
    name, terms = reserve.symbol, "(address,string,string,address,bytes)"
    curve = encode(["(uint16,uint32,uint32,uint32)"], [(8_000, 100, 500, 8_000)])
    yield aave.configure(market, f"updateAToken({terms})", (reserve.asset, name, name, a_token, b""))
    yield aave.configure(market, f"updateVariableDebtToken({terms})", (reserve.asset, name, name, debt_token, b""))
    yield aave.configure(market, "setReserveInterestRateData(address,bytes)", reserve.asset, curve)


def categories(market: Market) -> Iterable[Tx]:
    """Name the assets of the first category, as assets named it before."""
    for listing in FIRST_LISTINGS:
        if listing.emode:
            asset = market.reserve(listing.symbol).asset
            for role in ("Collateral", "Borrowable"):
                yield in_category(market, role, asset, listing.emode, named=True)


def in_category(market: Market, role: str, asset: str, category: int, *, named: bool) -> Tx:
    """Name an asset in a role of a category, or take it out (3.6)."""
    return aave.configure(market, f"setAsset{role}InEMode(address,uint8,bool)", asset, category, named)


def rename_in_category(scene: Scene) -> Sequence[Tx]:
    category = scene.rng.choice((MAJORS, STAKED)).category
    role = scene.rng.choice(("Collateral", "Borrowable", "Ltvzero"))
    named = scene.rng.random() < 2 / 3
    return [in_category(scene.market, role, scene.reserve().asset, category, named=named)]


def change_category(scene: Scene) -> Sequence[Tx]:
    emode = scene.rng.choice((MAJORS, STAKED))
    terms = (scene.rng.randrange(8_350, 8_900), scene.rng.randrange(9_000, 9_300), scene.rng.randrange(10_100, 10_300))
    signature = "setEModeCategory(uint8,uint16,uint16,uint16,string)"
    return [aave.configure(scene.market, signature, emode.category, *terms, emode.label)]


LIQUID_PLANS: Mapping[str, tuple[Plan, int]] = {
    "rename_in_category": (rename_in_category, 4),
    "change_category": (change_category, 3),
}

PATCHED_TOKENS = {
    "a_token": "AToken",
    "stable_debt_token": "StableDebtToken",
    "variable_debt_token": "VariableDebtToken",
}


class Made:
    """Compiled contracts of an upgrade, deployed one by one; the libraries of each first."""

    def __init__(self, ledger: Ledger, admin: str, task: str) -> None:
        self._ledger = ledger
        self._admin = admin
        self._artifacts = aave_upgrade(task)
        self._libraries: dict[str, str] = {}

    def deploy(self, contract: str, arguments: Sequence[str]) -> str:
        """A contract whose constructor takes these addresses."""
        artifact = self._artifacts[contract]
        for library in {name for links in artifact["linkReferences"].values() for name in links}:
            if library not in self._libraries:
                self._libraries[library] = self.deploy(library, [])
        code = linked(artifact, self._libraries)
        return self._ledger.deploy(self._admin, code, ["address"] * len(arguments), list(arguments))
