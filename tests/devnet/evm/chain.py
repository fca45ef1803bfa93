"""A whole devnet chain: node, market, people, and what they did."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from tests.devnet.evm import aave, keys
from tests.devnet.evm.anvil import GENESIS_TIME, anvil
from tests.devnet.evm.artifacts import AAVE
from tests.devnet.evm.ledger import Ledger
from tests.devnet.evm.market import Market
from tests.devnet.evm.node import Node
from tests.devnet.evm.population import Population, Tally
from tests.devnet.evm.scene import Scene
from tests.devnet.evm.stable import STABLE_PLANS, let_borrow

CHAIN_ID = 31_337
SECOND_CHAIN_ID = 31_338
SEED = 1
USERS = 30
ACTIONS = 300
BLOCKS_BEFORE = 3
FLASH_BORROWER = "mocks/flashloan/MockSimpleFlashLoanReceiver:MockFlashLoanSimpleReceiver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Devnet:
    """A running chain. It ends with the `build` that made it."""

    chain_id: int
    node: Node
    ledger: Ledger
    scene: Scene
    population: Population
    users: tuple[str, ...]

    @property
    def url(self) -> str:
        """Where the node answers."""
        return self.node.url

    @property
    def market(self) -> Market:
        """The market as it is now."""
        return self.scene.market

    @property
    def tally(self) -> Tally:
        """What happened so far."""
        return self.population.tally


@contextmanager
def build(
    *,
    chain_id: int = CHAIN_ID,
    seed: int = SEED,
    users: int = USERS,
    first_user: int = 0,
    actions: int = ACTIONS,
    without: frozenset[str] = frozenset(),
    crowding: int = 1,
    genesis_time: int = GENESIS_TIME,
    slots_in_an_epoch: int = 32,
    stable: bool = False,
) -> Iterator[Devnet]:
    """A chain with a market and people who used it.

    Owners are numbered: two chains of one seed share the owners whose numbers overlap. `crowding` multiplies
    the actions of a block; `stable` lets people owe at stable rates. Everything but the port depends on the arguments alone.
    """
    with anvil(chain_id=chain_id, genesis_time=genesis_time, slots_in_an_epoch=slots_in_an_epoch) as node:
        owners = keys.owners(seed, range(first_user, first_user + users))
        scene = found(node, chain_id=chain_id, seed=seed, owners=owners)
        scene.fund((*owners, scene.liquidator), scene.market.reserves)
        if stable:
            scene.ledger.do(*let_borrow(scene.market))
        population = Population(scene, without=without, crowding=crowding, also=STABLE_PLANS if stable else None)
        population.run(actions)
        yield Devnet(
            chain_id=chain_id,
            node=node,
            ledger=scene.ledger,
            scene=scene,
            population=population,
            users=owners,
        )


def found(node: Node, *, chain_id: int, seed: int, owners: Sequence[str], package: str = AAVE) -> Scene:
    """A fresh market on a fresh chain, and people with nothing but gas."""
    ledger = Ledger(node)
    admin, treasury, liquidator = (keys.address(seed, name) for name in ("admin", "treasury", "liquidator"))
    ledger.enrich((admin, liquidator, *owners))
    ledger.idle(BLOCKS_BEFORE)
    market = aave.deploy_market(ledger, chain_id=chain_id, admin=admin, treasury=treasury, package=package)
    borrower = aave.deploy_on(ledger, admin, FLASH_BORROWER, market.provider)
    return Scene(
        ledger=ledger,
        market=market,
        people=tuple(owners),
        liquidator=liquidator,
        flash_borrower=borrower,
        rng=Random(f"{seed}/{chain_id}"),
        basket=keys.address(seed, "basket of staked Ether"),
    )
