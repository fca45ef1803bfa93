"""A whole devnet chain: ledger, node, vault, people, and what they did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from solders.hash import Hash

from tests.devnet.solana.blocks import Block
from tests.devnet.solana.book import Expected
from tests.devnet.solana.faults import Faults
from tests.devnet.solana.founding import found
from tests.devnet.solana.keys import genesis_hash
from tests.devnet.solana.ledger import FINALIZED_DEPTH, FIRST_SLOT, GENESIS_TIME, Ledger
from tests.devnet.solana.population import Population, Tally
from tests.devnet.solana.scene import Scene
from tests.devnet.solana.server import Server
from tests.devnet.solana.vault import Token, User, Vault

SEED = 1
USERS = 30
ACTIONS = 300
REFERENCE_LENGTH = 32
"""How much of the genesis hash names a chain in CAIP-2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Devnet:
    """A running chain. It ends with the `build` that made it."""

    ledger: Ledger
    node: Server
    scene: Scene
    population: Population

    @property
    def url(self) -> str:
        """Where the node answers."""
        return self.node.url

    @property
    def ws_url(self) -> str:
        """Where the node notifies."""
        return self.node.ws_url

    @property
    def chain_id(self) -> str:
        """The chain's name in CAIP-2."""
        return f"solana:{str(self.ledger.genesis_hash)[:REFERENCE_LENGTH]}"

    @property
    def faults(self) -> Faults:
        """What goes wrong at the node."""
        return self.node.faults

    @property
    def vault(self) -> Vault:
        """The vault."""
        return self.scene.vault

    @property
    def mints(self) -> Mapping[str, Token]:
        """The tokens by symbol."""
        return self.scene.tokens

    @property
    def users(self) -> tuple[User, ...]:
        """The people."""
        return self.scene.users

    @property
    def tally(self) -> Tally:
        """What happened so far."""
        return self.population.tally

    def expected_at(self, slot: int) -> Expected:
        """What everybody has in the vault after a slot."""
        return self.population.expected_at(slot)

    def finalize(self) -> None:
        """Seal empty blocks until all that happened so far is finalized."""
        self.ledger.finalize()

    def rollback(self, blocks: int, *, reuse_slots: bool = False, below_finalized: bool = False) -> tuple[Block, ...]:
        """Lose the newest blocks; the book forgets what they did."""
        return self.ledger.rollback(blocks, reuse_slots=reuse_slots, below_finalized=below_finalized)

    def serve(self, *, lag: int = 0, genesis: Hash | None = None, long_term_storage: bool = True) -> Server:
        """Another node over the same ledger, as a context manager: some slots behind, or of another genesis."""
        return Server(self.ledger, lag=lag, genesis_hash=genesis, long_term_storage=long_term_storage)


@contextmanager
def build(
    *,
    seed: int = SEED,
    users: int = USERS,
    actions: int = ACTIONS,
    first_slot: int = FIRST_SLOT,
    genesis_time: int = GENESIS_TIME,
    finalized_depth: int = FINALIZED_DEPTH,
    without: frozenset[str] = frozenset(),
    rare: bool = False,
    wrapped_sol: bool = True,
    price_every: int = 0,
    skips: bool = True,
) -> Iterator[Devnet]:
    """A chain with a vault and people who used it. Everything but the port depends on the arguments alone."""
    ledger = Ledger(
        genesis_hash=genesis_hash(seed),
        first_slot=first_slot,
        genesis_time=genesis_time,
        finalized_depth=finalized_depth,
    )
    scene = found(ledger, seed=seed, users=users, wrapped_sol=wrapped_sol)
    population = Population(scene, without=without, rare=rare, price_every=price_every, skips=skips)
    population.act(actions)
    with Server(ledger) as node:
        yield Devnet(ledger=ledger, node=node, scene=scene, population=population)
