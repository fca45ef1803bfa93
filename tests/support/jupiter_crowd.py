"""What a crowd does to a modelled vault: positions opened and changed at random while the price moves, and liquidators at work."""

from __future__ import annotations

from collections import Counter
from math import sin
from random import Random

from tests.support.jupiter_model import ModelVault
from tests.support.jupiter_parts import PRICE, RATE, Reverted, Terms

START = 150 * RATE
"""One collateral token is worth so many debt tokens at first."""


class Crowd:
    """A vault, and a price that goes up and down; `done` counts what was not refused."""

    def __init__(self, seed: int, terms: Terms | None = None) -> None:
        self.random = Random(seed)
        terms = terms or Terms(max_limit=self.random.choice([870, 900, 950]), penalty=self.random.choice([0, 100, 300]))
        self.vault = ModelVault(terms=terms, supply_price=self._price(), borrow_price=self._price())
        self.level, self.phase, self.swing = START, self.random.random() * 6, self.random.choice([0.06, 0.12, 0.3])
        self.done: Counter[str] = Counter()

    @property
    def rate(self) -> int:
        """Debt tokens for one collateral token, times 10^15."""
        return int(self.level * (1 + self.swing * sin(self.phase)))

    def live(self, steps: int) -> None:
        """So many things happen."""
        for _ in range(steps):
            self.phase += self.random.choice([0.03, 0.1, 0.1, 0.3])
            does = self.random.choices(
                [self.enter, self.change, self.liquidate, self.absorb, self.drift], [9, 9, 9, 1, 1]
            )[0]
            try:
                does()
                self.done[does.__name__] += 1
            except Reverted as error:
                self.done[f"refused: {error}"] += 1

    def enter(self) -> None:
        number = self.vault.open()
        col = self.random.randrange(10**9, 10 ** self.random.randrange(10, 15))
        share = self.random.choice([0.79, 0.795, self.random.uniform(0.3, 0.79)])
        per_col = self.rate * self.vault.supply_price // self.vault.borrow_price
        raw = int(col * per_col * share / RATE)
        self.vault.operate(
            number, self._tokens(col, self.vault.supply_price), self._tokens(raw, self.vault.borrow_price), self.rate
        )

    def change(self) -> None:
        if not self.vault.positions:
            raise Reverted("nobody is there")
        number = self.random.choice(list(self.vault.positions))
        found = self.vault.fetch(number)
        draw = self.random.choice
        col = int((found.supply or 10**10) * draw([0, 0, self.random.uniform(-0.6, 0.6)]))
        debt = int(found.debt * draw([0, self.random.uniform(-0.9, 0.4), -0.999, 0.2]))
        vault = self.vault
        self.vault.operate(
            number, self._tokens(col, vault.supply_price), self._tokens(debt, vault.borrow_price), self.rate
        )

    def liquidate(self) -> None:
        share = self.random.choice([0.001, 0.05, 0.3, 1.5])
        amount = self._tokens(int(self.vault.state.total_borrow * share) + 1000, self.vault.borrow_price)
        self.vault.liquidate(amount, self.rate, absorb=self.random.random() < 0.3)

    def absorb(self) -> None:
        self.vault.liquidate(0, self.rate)

    def drift(self) -> None:
        self.level = int(self.level * self.random.uniform(0.8, 1.2))

    def _price(self) -> int:
        return PRICE + self.random.randrange(PRICE)

    def _tokens(self, raw: int, price: int) -> int:
        return raw * price // PRICE
