"""A seeded crowd: what it does depends on the seed and the chain alone."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle

from tests.devnet.evm.aave import set_user_emode
from tests.devnet.evm.governance import GOVERNANCE_PLANS, ONCE, move_price, scaled_answer, usual_terms
from tests.devnet.evm.ledger import Tx
from tests.devnet.evm.people import USER_PLANS, Plan, borrow_nearly_all, lend_much
from tests.devnet.evm.scene import Scene

HOUR = 3_600
DAY = 24 * HOUR
LONGEST_WARP = 20 * DAY
GOVERNANCE_EVERY = 10
SHOCKS = ((0.4, "WETH", -0.35), (0.5, "WETH", 0.5), (0.7, "WBTC", -0.35), (0.8, "WBTC", 0.5))
STRETCHED = 3
LIQUIDATIONS_AFTER_SHOCK = 4
BLOCK_SIZES = (1, 1, 1, 2, 3, 4)
EMPTY_SHARE, WARP_SHARE, PRICE_SHARE = 0.06, 0.06, 0.1
WEATHER = ("price_shock", "time_warp", "move_price", "empty_block")
KINDS = frozenset({*USER_PLANS, *GOVERNANCE_PLANS, *WEATHER})


@dataclass(slots=True)
class Tally:
    """How often each kind of action succeeded and reverted."""

    succeeded: Counter[str] = field(default_factory=Counter)
    reverted: Counter[str] = field(default_factory=Counter)

    def record(self, kind: str, *, succeeded: bool) -> None:
        (self.succeeded if succeeded else self.reverted)[kind] += 1

    @property
    def missing(self) -> frozenset[str]:
        """The kinds that never succeeded."""
        return KINDS - self.succeeded.keys()


class Population:
    """Drives a scene, action by action. `without` names kinds that never happen, `also` plans further ones, each with its weight."""

    def __init__(
        self,
        scene: Scene,
        *,
        without: frozenset[str] = frozenset(),
        crowding: int = 1,
        also: Mapping[str, tuple[Plan, int]] | None = None,
    ) -> None:
        unknown = without - KINDS
        if unknown:
            raise ValueError(f"no such kinds of action: {sorted(unknown)}")
        self.scene = scene
        self.tally = Tally()
        self.without = without
        self.crowding = crowding
        self._user_plans = {**USER_PLANS, **(also or {})}
        self._governance = self._governance_in_turn()

    def run(self, actions: int) -> None:
        """About this many actions: governance and shocks at fixed places, the rest by chance."""
        shocks = shocks_by_place(actions)
        done = 0
        while done < actions:
            following = done + self._crowd(min(actions - done, self._block_size()))
            for place in range(done, following):
                if place % GOVERNANCE_EVERY == GOVERNANCE_EVERY // 2:
                    self._govern()
                if place in shocks and "price_shock" not in self.without:
                    self.shock(*shocks[place])
            self._weather()
            done = following

    def shock(self, symbol: str, change: float) -> None:
        """Move a price far in one block, and liquidate; before a fall, some people stretch themselves."""
        if change < 0:
            self._stretch(symbol)
        self._mine_one("price_shock", [scaled_answer(self.scene, self.scene.market.reserve(symbol), change)])
        for turn in range(LIQUIDATIONS_AFTER_SHOCK):
            self.act("liquidate_for_a_tokens" if turn % 2 else "liquidate_for_underlying")

    def act(self, kind: str) -> None:
        """One action of a kind in a block of its own, unless it is to be left out."""
        if kind not in self.without:
            self._mine_one(kind, plan_of(kind)(self.scene))

    def warp(self, seconds: int) -> None:
        """Let time pass in one empty block."""
        self._mine_one("time_warp", [], seconds=seconds)

    def _stretch(self, symbol: str) -> None:
        """Usual terms for an asset, and a few people who borrow nearly all that it lets them."""
        self._mine_one("change_collateral_terms", usual_terms(self.scene, symbol))
        for person in self._smallest(STRETCHED):
            self._mine_one("set_emode", [set_user_emode(self.scene.market, person, 0)])
            self._mine_one("supply", lend_much(self.scene, person, symbol))
            self._mine_one("borrow", borrow_nearly_all(self.scene, person))

    def _smallest(self, count: int) -> list[str]:
        """The people with the least collateral."""
        accounts = self.scene.accounts(self.scene.people)
        return sorted(accounts, key=lambda owner: (accounts[owner].total_collateral_base, owner))[:count]

    def _crowd(self, size: int) -> int:
        """One block of several people's actions; how many."""
        kinds = self._choose(size)
        plans = [self._user_plans[kind][0](self.scene) for kind in kinds]
        receipts = iter(self.scene.ledger.mine(*(tx for plan in plans for tx in plan)))
        for kind, plan in zip(kinds, plans, strict=True):
            outcomes = [next(receipts).succeeded for _ in plan]
            self.tally.record(kind, succeeded=outcomes[-1])
        return size

    def _choose(self, size: int) -> list[str]:
        weights = {kind: weight for kind, (_, weight) in self._user_plans.items() if kind not in self.without}
        return self.scene.rng.choices(list(weights), list(weights.values()), k=size)

    def _block_size(self) -> int:
        return self.scene.rng.choice(BLOCK_SIZES) * self.crowding

    def _govern(self) -> None:
        kind = next(self._governance, None)
        if kind is not None:
            self.act(kind)

    def _governance_in_turn(self) -> Iterator[str]:
        wanted = [kind for kind in GOVERNANCE_PLANS if kind not in self.without]
        yield from wanted
        yield from cycle([kind for kind in wanted if kind not in ONCE])

    def _weather(self) -> None:
        """What happens between blocks of people's actions."""
        rng = self.scene.rng
        if rng.random() < PRICE_SHARE and "move_price" not in self.without:
            self._mine_one("move_price", move_price(self.scene))
        if rng.random() < EMPTY_SHARE and "empty_block" not in self.without:
            self._mine_one("empty_block", [])
        if rng.random() < WARP_SHARE and "time_warp" not in self.without:
            self.warp(rng.randrange(HOUR, LONGEST_WARP))

    def _mine_one(self, kind: str, plan: Sequence[Tx], *, seconds: int | None = None) -> None:
        ledger = self.scene.ledger
        receipts = ledger.mine(*plan) if seconds is None else ledger.mine(*plan, seconds=seconds)
        self.tally.record(kind, succeeded=all(outcome.succeeded for outcome in receipts[-1:]))


def shocks_by_place(actions: int) -> dict[int, tuple[str, float]]:
    """After how many actions which price moves by which ratio."""
    return {int(actions * share): (symbol, change) for share, symbol, change in SHOCKS}


def plan_of(kind: str) -> Plan:
    """How a kind of action is planned."""
    if kind in USER_PLANS:
        return USER_PLANS[kind][0]
    return GOVERNANCE_PLANS[kind]
