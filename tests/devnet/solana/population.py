"""A seeded crowd: what it does depends on the seed and the chain alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import cycle

from tests.devnet.solana import pyth
from tests.devnet.solana.blocks import Block, Landed
from tests.devnet.solana.book import Expected, Gift, Move
from tests.devnet.solana.house import HOUSE_PLANS, RARE_PLANS, WRAPPED_PLANS
from tests.devnet.solana.people import USER_PLANS, Plan
from tests.devnet.solana.scene import Scene, Step
from tests.devnet.solana.vault import WSOL

BLOCK_SIZES = (1, 1, 1, 2, 3, 4)
SKIP_SHARE, EMPTY_SHARE = 0.15, 0.06
MOST_SKIPPED = 4
IN_TURN_EVERY = 3
"""Of so many actions one is the next kind in turn, the others are by chance: no kind waits for ever."""


class Unexplained(Exception):
    """A transaction did something else to the vault than its plan said."""


@dataclass(slots=True)
class Tally:
    """How often each kind of action succeeded, failed on purpose, or had nothing to act on."""

    succeeded: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    idle: Counter[str] = field(default_factory=Counter)


class Population:
    """Drives a scene, block by block. `without` names kinds that never happen; `rare` adds those that usually do not."""

    def __init__(
        self,
        scene: Scene,
        *,
        without: frozenset[str] = frozenset(),
        rare: bool = False,
        price_every: int = 0,
        skips: bool = True,
    ) -> None:
        known = plans(wrapped_sol=WSOL in scene.tokens, rare=rare)
        unknown = without - plans(wrapped_sol=True, rare=True).keys()
        if unknown:
            raise ValueError(f"no such kinds of action: {sorted(unknown)}")
        self.scene = scene
        self.book = scene.book
        self.tally = Tally()
        self.plans = {kind: plan for kind, plan in known.items() if kind not in without}
        self.prices = pyth.Prices(scene.rng) if price_every else None
        self._price_every = price_every
        self._skips = skips
        self._turns = cycle(scene.rng.sample(list(self.plans), len(self.plans)))
        self._chosen = 0
        scene.ledger.watch(self._follow)
        self._first_height = scene.ledger.tip.height
        if self.prices:
            self._post_prices(self.prices)
            scene.ledger.seal()

    def act(self, actions: int = 1) -> tuple[Block, ...]:
        """About this many actions, in blocks of one or several; the blocks."""
        done, blocks = 0, []
        while done < actions:
            size = min(actions - done, self.scene.rng.choice(BLOCK_SIZES))
            blocks.append(self._crowd(self._choose(size)))
            done += size
            if self._chance(EMPTY_SHARE):
                blocks.append(self.scene.ledger.mine())
        return tuple(blocks)

    def do(self, *kinds: str) -> Block:
        """Actions of these kinds in one block."""
        return self._crowd(kinds)

    def expected_at(self, slot: int) -> Expected:
        """What everybody has in the vault after a slot."""
        return self.book.at(slot)

    def perform(self, step: Step) -> Landed:
        """Execute one transaction in the block in the making, and book what it did. Raises Unexplained."""
        scene = self.scene
        before = scene.vault_balances()
        landed = scene.ledger.execute(scene.signed(step))
        if (landed.error is not None) != step.fails:
            raise Unexplained(f"{step} ended with {landed.error}: {landed.logs}")
        after = scene.vault_balances()
        changed = {mint: after[mint] - amount for mint, amount in before.items() if after[mint] != amount}
        if changed != planned(step):
            raise Unexplained(f"{step} changed {changed}, not {planned(step)}")
        if not step.fails:
            self.book.record(scene.ledger.open_slot, step.moves, step.gifts)
        return landed

    def _crowd(self, kinds: tuple[str, ...] | list[str]) -> Block:
        ledger = self.scene.ledger
        with ledger.lock:
            if self._skips and self._chance(SKIP_SHARE):
                ledger.skip(self.scene.rng.randint(1, MOST_SKIPPED))
            for kind in kinds:
                self._carry_out(kind)
            if self.prices and (ledger.tip.height - self._first_height) % self._price_every == 0:
                self._post_prices(self.prices)
            return ledger.seal()

    def _carry_out(self, kind: str) -> None:
        landed = [self.perform(step) for step in plan_of(kind)(self.scene)]
        if not landed:
            self.tally.idle[kind] += 1
        elif landed[-1].error is None:
            self.tally.succeeded[kind] += 1
        else:
            self.tally.failed[kind] += 1

    def _choose(self, size: int) -> list[str]:
        weights = {kind: weight for kind, (_, weight) in self.plans.items()}
        chosen = self.scene.rng.choices(list(weights), list(weights.values()), k=size)
        for place in range(size):
            self._chosen += 1
            if self._chosen % IN_TURN_EVERY == 0:
                chosen[place] = next(self._turns)
        return chosen

    def _chance(self, share: float) -> bool:
        return self.scene.rng.random() < share

    def _post_prices(self, prices: pyth.Prices) -> None:
        ledger = self.scene.ledger
        for update in prices.move(slot=ledger.open_slot, time=ledger.time_of(ledger.open_slot)):
            update.post(ledger)

    def _follow(self, lost: tuple[Block, ...]) -> None:
        """What lost blocks did is not so."""
        if lost:
            self.book.drop_after(self.scene.ledger.tip.slot)


def plans(*, wrapped_sol: bool, rare: bool) -> Mapping[str, tuple[Plan, int]]:
    """The kinds of action with their plans and weights."""
    return {
        **USER_PLANS,
        **HOUSE_PLANS,
        **(WRAPPED_PLANS if wrapped_sol else {}),
        **(RARE_PLANS if rare else {}),
    }


def plan_of(kind: str) -> Plan:
    """How a kind of action is planned."""
    return plans(wrapped_sol=True, rare=True)[kind][0]


def planned(step: Step) -> dict[str, int]:
    """How a step should change what the vault holds, by mint, without zeros."""
    totals: Counter[str] = Counter()
    entries: tuple[Move | Gift, ...] = () if step.fails else (*step.moves, *step.gifts)
    for entry in entries:
        totals[entry.mint] += entry.amount
    return {mint: amount for mint, amount in totals.items() if amount}
