"""A devnet whose people can be taken back in time with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from tests.devnet.evm.chain import Devnet
from tests.devnet.evm.market import Market
from tests.devnet.evm.people import USER_PLANS

GOVERNED = (
    "change_phase",
    "change_source",
    "replace_oracle",
    "change_emode_price",
    "change_collateral_terms",
    "change_emode_terms",
)
"""What governance may do on a branch of the chain that may be forgotten."""


@dataclass(slots=True)
class Past:
    """A devnet that can go back: its actors must know the market as it was then."""

    net: Devnet
    rng: Random
    scenes: list[tuple[int, Market, dict[str, str]]] = field(default_factory=list)

    def act(self, actions: int) -> None:
        """Do so many random actions, each in a block of its own; a reserve is listed when none was."""
        for _ in range(actions):
            self.net.population.act(self._kind())
            self._remember()

    def crowd(self, size: int) -> None:
        """Do so many random actions of users in one block."""
        self.net.population._crowd(size)
        self._remember()

    def undo(self, depth: int) -> None:
        """Forget so many blocks."""
        self.net.node.call("anvil_rollback", depth)
        self._recall(self.net.node.height())

    def empty(self, depth: int) -> None:
        """Replace so many blocks by empty ones: the head stays as high as it was."""
        height = self.net.node.height()
        self.net.node.call("anvil_reorg", depth, [])
        self._recall(height - depth)

    def _remember(self) -> None:
        scene = self.net.scene
        self.scenes.append((self.net.node.height(), scene.market, dict(scene.extra_sources)))

    def _recall(self, height: int) -> None:
        self.scenes = [scene for scene in self.scenes if scene[0] <= height]
        _, self.net.scene.market, extra = self.scenes[-1]
        self.net.scene.extra_sources = dict(extra)

    def _kind(self) -> str:
        listed = len(self.net.scene.market.reserves) > len(self.scenes[0][1].reserves) if self.scenes else True
        if not listed and self.rng.random() < 0.1:
            return "list_reserve"
        return self.rng.choice([*USER_PLANS, *USER_PLANS, *GOVERNED])
