"""A lending market under the rules of Aave 3.5 or of 3.0, in exact integers: what users do, and the logs that it makes.

Rounding follows the protocol: since 3.5 supplying and repaying round scaled balances down, withdrawing and borrowing up, and a token's
`Mint` and `Burn` tell the change of the shown balance; before, everything is rounded half up, and they tell the amount. Both tell the
interest since the holder's last touch apart. Logs that no index of scaled balances
needs (ERC-20 `Transfer`, `Approval`) are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from eth_utils.crypto import keccak

from bench.sync.recorded import BLOCK_SECONDS, address, padded, word

RAY, HALF = 10**27, 10**27 // 2
YEAR_S = 31_536_000
USERS = 20_000

Emitted = tuple[str, str, tuple[str, ...], str]
"""Contract, event, topics after the first, data in hex without 0x."""

SIGNATURES = {
    "Mint": "Mint(address,address,uint256,uint256,uint256)",
    "Burn": "Burn(address,address,uint256,uint256,uint256)",
    "BalanceTransfer": "BalanceTransfer(address,address,uint256,uint256)",
    "ReserveDataUpdated": "ReserveDataUpdated(address,uint256,uint256,uint256,uint256,uint256)",
    "Supply": "Supply(address,address,address,uint256,uint16)",
    "Withdraw": "Withdraw(address,address,address,uint256)",
    "Borrow": "Borrow(address,address,address,uint256,uint8,uint256,uint16)",
    "Repay": "Repay(address,address,address,uint256,bool)",
    "LiquidationCall": "LiquidationCall(address,address,address,uint256,uint256,address,bool)",
    "Enabled": "ReserveUsedAsCollateralEnabled(address,address)",
    "Disabled": "ReserveUsedAsCollateralDisabled(address,address)",
    "UserEModeSet": "UserEModeSet(address,uint8)",
    "AnswerUpdated": "AnswerUpdated(int256,uint256,uint256)",
}
TOPICS = {name: "0x" + keccak(text=signature).hex() for name, signature in SIGNATURES.items()}


@dataclass(slots=True)
class Token:
    """Scaled balances of an aToken or a variable debt token, and the index at each holder's last touch."""

    address: str
    debt: bool
    directed: bool
    scaled: dict[int, int] = field(default_factory=dict)
    touched: dict[int, int] = field(default_factory=dict)
    supply: int = 0

    def shown(self, scaled: int, index: int) -> int:
        """Return a balance: what is owed is rounded up, what is owned down; before 3.5 both half up."""
        if not self.directed:
            return ray_mul(scaled, index)
        return -(-scaled * index // RAY) if self.debt else scaled * index // RAY


@dataclass(slots=True)
class Reserve:
    """One asset of the market."""

    symbol: str
    decimals: int
    price: int
    asset: str
    a: Token
    v: Token
    source: str
    aggregator: str
    liquidity_rate: int = 0
    borrow_rate: int = 10**25
    liquidity_index: int = RAY
    borrow_index: int = RAY
    updated: int = 0
    round: int = 0

    def units(self, dollars: float) -> int:
        """Return about how many raw units are worth so many dollars, and never none."""
        millionths = int(dollars * 10**8 / self.price * 10**6)
        return millionths * int(10**self.decimals) // 10**6 + 1


ASSETS = (
    ("WETH", 18, 2_500), ("WSTETH", 18, 2_900), ("WBTC", 8, 65_000), ("USDC", 6, 1), ("USDT", 6, 1), ("DAI", 18, 1),
    ("LINK", 18, 15), ("AAVE", 18, 160), ("WEETH", 18, 2_600), ("USDE", 18, 1),
)  # fmt: skip


def listed(symbol: str, decimals: int, dollars: int, *, directed: bool) -> Reserve:
    """Make a reserve that nobody uses yet; prices have eight decimals."""
    return Reserve(
        symbol=symbol,
        decimals=decimals,
        price=dollars * 10**8,
        asset=address("asset", symbol),
        a=Token(address("a", symbol), debt=False, directed=directed),
        v=Token(address("v", symbol), debt=True, directed=directed),
        source=address("source", symbol),
        aggregator=address("aggregator", symbol),
    )


def ray_mul(a: int, b: int) -> int:
    return (a * b + HALF) // RAY


def compounded(rate: int, seconds: int) -> int:
    """Return the growth of debt, as the protocol approximates it since 3.4."""
    x = rate * seconds // YEAR_S
    return RAY + x + ray_mul(x, x // 2 + ray_mul(x, x // 6))


class Market:
    """The market, its users, and the logs of the block in the making."""

    def __init__(self, seed: int, *, directed: bool) -> None:
        self.directed = directed
        self.draw = Random(seed)
        self.now = 0
        self.pool = address("pool", seed)
        self.people = [address("user", i) for i in range(USERS)]
        self.topics = [padded(person) for person in self.people]
        self.reserves = [listed(*asset, directed=directed) for asset in ASSETS]
        self.lenders: list[tuple[int, int]] = []
        self.borrowers: list[tuple[int, int]] = []
        self.logs: list[Emitted] = []
        self.counts: Counter[str] = Counter()
        self.amounts: Counter[str] = Counter()
        self._weights = [weight for _, weight in ACTIONS]

    # Blocks

    def act(self) -> list[Emitted]:
        """Let one thing happen, and return the logs of its transaction."""
        self.logs = []
        while not self.logs:
            (action, _), = self.draw.choices(ACTIONS, self._weights)  # fmt: skip
            action(self)
        return self.logs

    def emit(self, contract: str, event: str, topics: tuple[str, ...], data: str) -> None:
        self.counts[event] += 1
        self.logs.append((contract, event, topics, data))

    # Reserves

    def accrue(self, reserve: Reserve) -> None:
        seconds = self.now - reserve.updated
        if seconds <= 0:
            return
        if reserve.liquidity_rate:
            growth = RAY + reserve.liquidity_rate * seconds // YEAR_S
            reserve.liquidity_index = ray_mul(growth, reserve.liquidity_index)
        if reserve.v.supply:
            reserve.borrow_index = ray_mul(compounded(reserve.borrow_rate, seconds), reserve.borrow_index)
        reserve.updated = self.now

    def told(self, reserve: Reserve) -> None:
        """Set rates by utilisation and tell of rates and indexes."""
        lent = reserve.a.supply * reserve.liquidity_index // RAY
        owed = reserve.v.supply * reserve.borrow_index // RAY
        used = min(owed * RAY // lent, RAY) if lent else 0
        reserve.borrow_rate = 10**25 + used * 6 // 100
        reserve.liquidity_rate = ray_mul(ray_mul(reserve.borrow_rate, used), RAY * 9 // 10)
        numbers = (
            reserve.liquidity_rate, 0, reserve.borrow_rate, reserve.liquidity_index, reserve.borrow_index,
        )  # fmt: skip
        self.emit(self.pool, "ReserveDataUpdated", (padded(reserve.asset),), "".join(map(word, numbers)))

    def spare(self, reserve: Reserve) -> int:
        """Return what can be borrowed or withdrawn."""
        lent = reserve.a.supply * reserve.liquidity_index // RAY
        return max(lent - (reserve.v.supply * reserve.borrow_index // RAY + 1), 0)

    # Tokens

    def less(self, amount: int, index: int) -> int:
        """Scale what is supplied or repaid: down since 3.5."""
        return amount * RAY // index if self.directed else (amount * RAY + index // 2) // index

    def more(self, amount: int, index: int) -> int:
        """Scale what is withdrawn, borrowed or sent: up since 3.5."""
        return -(-amount * RAY // index) if self.directed else (amount * RAY + index // 2) // index

    def change(self, token: Token, user: int, by: int, *, amount: int, index: int, to: int | None = None) -> None:
        """Add to a scaled balance, and tell it as the token does: `Mint` also for a debit that is less than the interest since."""
        before = token.scaled.get(user, 0)
        was = token.shown(before, token.touched.get(user, index))
        grown = token.shown(before, index) - was
        after = token.shown(before + by, index)
        self._set(token, user, before + by, index)
        by_shown = after - was if self.directed else grown + (amount if by >= 0 else -amount)
        values = "".join(map(word, (abs(by_shown), grown, index)))
        if by >= 0 or by_shown > 0:
            self.emit(token.address, "Mint", (self.topics[user], self.topics[user]), values)
        else:
            self.emit(token.address, "Burn", (self.topics[user], self.topics[user if to is None else to]), values)

    def _set(self, token: Token, user: int, scaled: int, index: int) -> None:
        assert scaled >= 0
        token.supply += scaled - token.scaled.get(user, 0)
        token.scaled[user] = scaled
        token.touched[user] = index

    def transfer_tokens(self, reserve: Reserve, sender: int, receiver: int, amount: int) -> None:
        """Move aTokens: interest of both first, then collateral flags, then the scaled value."""
        token, index = reserve.a, reserve.liquidity_index
        scaled = min(self.more(amount, index), token.scaled[sender])
        fresh = not token.scaled.get(receiver)
        for user in (sender, receiver):
            held = token.scaled.get(user, 0)
            grown = token.shown(held, index) - token.shown(held, token.touched.get(user, index))
            token.touched[user] = index
            if grown:
                values = "".join(map(word, (grown, grown, index)))
                self.emit(token.address, "Mint", (self.topics[sender], self.topics[user]), values)
        self._set(token, sender, token.scaled[sender] - scaled, index)
        self._set(token, receiver, token.scaled.get(receiver, 0) + scaled, index)
        if not token.scaled[sender]:
            self.flag(reserve, sender, on=False)
        if fresh:
            self.flag(reserve, receiver, on=True)
            self.lenders.append((receiver, self.reserves.index(reserve)))
        topics = (self.topics[sender], self.topics[receiver])
        self.emit(token.address, "BalanceTransfer", topics, word(scaled) + word(index))

    def flag(self, reserve: Reserve, user: int, *, on: bool) -> None:
        self.emit(self.pool, "Enabled" if on else "Disabled", (padded(reserve.asset), self.topics[user]), "")

    # What users do

    def user(self) -> int:
        return int(USERS * self.draw.random() ** 2)

    def dollars(self) -> float:
        return self.draw.lognormvariate(7.5, 1.8)

    def told_of(self, event: str, topics: tuple[str, ...], amount: int, data: str) -> None:
        self.amounts[event] += amount
        self.emit(self.pool, event, topics, data)

    def supply(self) -> None:
        user, place = self.user(), self.draw.randrange(len(self.reserves))
        reserve = self.reserves[place]
        amount = reserve.units(self.dollars())
        self.accrue(reserve)
        scaled = self.less(amount, reserve.liquidity_index)
        if not scaled:
            return
        fresh = not reserve.a.scaled.get(user)
        before = len(self.logs)
        self.change(reserve.a, user, scaled, amount=amount, index=reserve.liquidity_index)
        minted = self.logs.pop(before)
        self.told(reserve)
        self.logs.append(minted)
        if fresh:
            self.flag(reserve, user, on=True)
            self.lenders.append((user, place))
        topics = (padded(reserve.asset), self.topics[user], word(0))
        self.told_of("Supply", topics, amount, self.topics[user] + word(amount))

    def picked(self, places: list[tuple[int, int]], token: Callable[[Reserve], Token]) -> tuple[int, Reserve] | None:
        """Draw a position from a list, and drop it from there when it is empty by now."""
        while places:
            at = self.draw.randrange(len(places))
            user, place = places[at]
            if token(self.reserves[place]).scaled.get(user):
                return user, self.reserves[place]
            places[at] = places[-1]
            places.pop()
        return None

    def withdraw(self) -> None:
        found = self.picked(self.lenders, lambda reserve: reserve.a)
        if found is None:
            return
        user, reserve = found
        self.accrue(reserve)
        index = reserve.liquidity_index
        held = reserve.a.scaled[user]
        shown = reserve.a.shown(held, index)
        amount = shown if self.draw.random() < 0.4 else int(shown * self.draw.random())
        if not 0 < amount <= self.spare(reserve):
            return
        self.told(reserve)
        self.change(reserve.a, user, -min(self.more(amount, index), held), amount=amount, index=index)
        if not reserve.a.scaled[user]:
            self.flag(reserve, user, on=False)
        topics = (padded(reserve.asset), self.topics[user], self.topics[user])
        self.told_of("Withdraw", topics, amount, word(amount))

    def borrow(self) -> None:
        found = self.picked(self.lenders, lambda reserve: reserve.a)
        if found is None:
            return
        user, pledged = found
        place = self.draw.randrange(len(self.reserves))
        reserve = self.reserves[place]
        self.accrue(reserve)
        index = reserve.borrow_index
        pledge = pledged.a.shown(pledged.a.scaled[user], pledged.liquidity_index) * pledged.price * 10**reserve.decimals
        most = pledge // (reserve.price * 10**pledged.decimals) // 2
        amount = min(int(most * self.draw.random()), self.spare(reserve) // 2)
        scaled = self.more(amount, index)
        if not scaled:
            return
        if not reserve.v.scaled.get(user):
            self.borrowers.append((user, place))
        self.change(reserve.v, user, scaled, amount=amount, index=index)
        self.told(reserve)
        topics = (padded(reserve.asset), self.topics[user], word(0))
        data = self.topics[user] + word(amount) + word(2) + word(reserve.borrow_rate)
        self.told_of("Borrow", topics, amount, data)

    def repay(self) -> None:
        found = self.picked(self.borrowers, lambda reserve: reserve.v)
        if found is None:
            return
        user, reserve = found
        self.accrue(reserve)
        shown = reserve.v.shown(reserve.v.scaled[user], reserve.borrow_index)
        amount = shown if self.draw.random() < 0.4 else int(shown * self.draw.random())
        scaled = self.less(amount, reserve.borrow_index)
        if not scaled:
            return
        self.change(reserve.v, user, -min(scaled, reserve.v.scaled[user]), amount=amount, index=reserve.borrow_index)
        self.told(reserve)
        topics = (padded(reserve.asset), self.topics[user], self.topics[user])
        self.told_of("Repay", topics, amount, word(amount) + word(0))

    def transfer(self) -> None:
        found = self.picked(self.lenders, lambda reserve: reserve.a)
        if found is None:
            return
        sender, reserve = found
        receiver = self.user()
        amount = int(reserve.a.shown(reserve.a.scaled[sender], reserve.liquidity_index) * self.draw.random())
        if not amount or receiver == sender:
            return
        self.accrue_quietly(reserve)
        self.transfer_tokens(reserve, sender, receiver, amount)

    def accrue_quietly(self, reserve: Reserve) -> None:
        """Let a transfer see the index of its block: it tells of no update, and so the market makes one first."""
        self.accrue(reserve)
        self.told(reserve)

    def liquidate(self) -> None:
        found = self.picked(self.borrowers, lambda reserve: reserve.v)
        if found is None:
            return
        user, debt = found
        pledged = [reserve for reserve in self.reserves if reserve.a.scaled.get(user)]
        liquidator = self.user()
        if not pledged or liquidator == user:
            return
        collateral = self.draw.choice(pledged)
        self.accrue(debt)
        self.accrue(collateral)
        owed = debt.v.shown(debt.v.scaled[user], debt.borrow_index)
        held = collateral.a.shown(collateral.a.scaled[user], collateral.liquidity_index)
        covered, taken = int(owed * self.draw.random() / 2), int(held * self.draw.random() / 2)
        scaled = min(self.less(covered, debt.borrow_index), debt.v.scaled[user])
        received = self.draw.random() < 0.3
        if not scaled or not taken or (not received and taken > self.spare(collateral)):
            return
        self.change(debt.v, user, -scaled, amount=covered, index=debt.borrow_index)
        self.told(debt)
        self._seize(collateral, user, liquidator, taken, received=received)
        topics = (padded(collateral.asset), padded(debt.asset), self.topics[user])
        data = word(covered) + word(taken) + self.topics[liquidator] + word(int(received))
        self.told_of("LiquidationCall", topics, covered, data)

    def _seize(self, collateral: Reserve, user: int, liquidator: int, taken: int, *, received: bool) -> None:
        if received:
            self.transfer_tokens(collateral, user, liquidator, taken)
            return
        index = collateral.liquidity_index
        self.told(collateral)
        scaled = min(self.more(taken, index), collateral.a.scaled[user])
        self.change(collateral.a, user, -scaled, amount=taken, index=index, to=liquidator)

    def toggle(self) -> None:
        found = self.picked(self.lenders, lambda reserve: reserve.a)
        if found is not None:
            self.flag(found[1], found[0], on=self.draw.random() < 0.5)

    def choose_emode(self) -> None:
        self.emit(self.pool, "UserEModeSet", (self.topics[self.user()],), word(self.draw.randrange(2)))

    def answer(self) -> None:
        """Let a price move by up to half a percent."""
        reserve = self.draw.choice(self.reserves)
        reserve.price = max(int(reserve.price * self.draw.uniform(0.995, 1.005)), 1)
        reserve.round += 1
        self.emit(
            reserve.aggregator,
            "AnswerUpdated",
            (word(reserve.price), word(reserve.round)),
            word(self.now - BLOCK_SECONDS),
        )


ACTIONS: list[tuple[Callable[[Market], None], int]] = [
    (Market.supply, 30),
    (Market.withdraw, 20),
    (Market.borrow, 18),
    (Market.repay, 17),
    (Market.transfer, 5),
    (Market.liquidate, 1),
    (Market.toggle, 3),
    (Market.choose_emode, 1),
    (Market.answer, 5),
]
"""What happens, and how often in a hundred."""
