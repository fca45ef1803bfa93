"""What an actor sees before acting: the market, the people, and what the contracts say of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from tests.devnet.evm.aave import approve, mint
from tests.devnet.evm.abi import calldata, decode
from tests.devnet.evm.feeds import UNIT, answer_of
from tests.devnet.evm.ledger import Ledger, Tx
from tests.devnet.evm.market import Market, Reserve
from tests.devnet.evm.node import eth_call_request

POCKET_USD = 20_000_000
SAMPLE = 6
WITHIN_MEANS = 0.85
WAD = 10**18


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What somebody holds or owes of one reserve."""

    owner: str
    reserve: Reserve
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountData:
    """The six integers of `Pool.getUserAccountData`, under the contract's names."""

    total_collateral_base: int
    total_debt_base: int
    available_borrows_base: int
    current_liquidation_threshold: int
    ltv: int
    health_factor: int


@dataclass(slots=True, kw_only=True)
class Scene:
    """A market in use. Governance replaces `market`; everybody else reads it."""

    ledger: Ledger
    market: Market
    people: tuple[str, ...]
    liquidator: str
    flash_borrower: str
    rng: Random
    basket: str
    extra_sources: dict[str, str] = field(default_factory=dict)

    def person(self) -> str:
        return self.rng.choice(self.people)

    def borrower(self) -> str:
        """Somebody who could borrow, or, rarely, anybody."""
        sample = self.rng.sample(self.people, min(SAMPLE, len(self.people)))
        able = [owner for owner, data in self.accounts(sample).items() if data.available_borrows_base]
        return self.rng.choice(able) if able and self.rng.random() < WITHIN_MEANS else self.person()

    def reserve(self) -> Reserve:
        return self.rng.choice(self.market.reserves)

    def amount_of_usd(self, reserve: Reserve, usd: float) -> int:
        """Raw units of a reserve for dollars at its feed's price; at least one."""
        answer = answer_of(self.ledger.node, reserve.feed)
        return max(1, int(usd * UNIT) * reserve.unit // answer)

    def some_usd(self) -> float:
        """A hundred to a hundred thousand dollars, every size alike likely."""
        return float(10 ** self.rng.uniform(2, 5))

    def part(self, amount: int) -> int:
        """A random part of an amount; never all of it unless it is one."""
        return max(1, amount * self.rng.randrange(1, 1_000) // 1_000)

    def lent(self, owners: Sequence[str] | None = None) -> list[Holding]:
        """What a sample of the people lend."""
        return self._holdings(owners, [(reserve, reserve.a_token) for reserve in self.market.reserves])

    def owed(self, owners: Sequence[str] | None = None) -> list[Holding]:
        """What a sample of the people owe."""
        tokens = [(reserve, reserve.variable_debt_token) for reserve in self.market.reserves]
        return self._holdings(owners, tokens)

    def accounts(self, owners: Iterable[str]) -> dict[str, AccountData]:
        """How the pool sees each owner now."""
        return account_data(self.ledger, self.market.pool, tuple(owners))

    def collateral(self, owner: str) -> list[Holding]:
        """What an owner lends and lets count as collateral."""
        question = calldata("getUserConfiguration(address)", owner)
        bitmap = int(self.ledger.node.eth_call(self.market.pool, question), 16)
        return [held for held in self.lent([owner]) if bitmap >> (2 * held.reserve.number + 1) & 1]

    def unhealthy(self) -> list[str]:
        """The people whom anybody may liquidate now."""
        return [owner for owner, data in self.accounts(self.people).items() if data.health_factor < WAD]

    def fund(self, owners: Sequence[str], reserves: Sequence[Reserve], usd: float = POCKET_USD) -> None:
        """Give everybody tokens and let the pool take them: one block for each reserve."""
        for reserve in reserves:
            amount = self.amount_of_usd(reserve, usd)
            self.ledger.do(*self._pocket(owners, reserve, amount))

    def _pocket(self, owners: Sequence[str], reserve: Reserve, amount: int) -> Iterable[Tx]:
        for owner in owners:
            yield mint(reserve.asset, owner, amount)
            yield approve(owner, reserve.asset, self.market.pool)

    def _holdings(self, owners: Sequence[str] | None, tokens: Sequence[tuple[Reserve, str]]) -> list[Holding]:
        chosen = owners or self.rng.sample(self.people, min(SAMPLE, len(self.people)))
        wanted = [(owner, reserve, token) for owner in chosen for reserve, token in tokens]
        answers = self.ledger.node.batch(
            [eth_call_request(token, calldata("balanceOf(address)", owner), "latest") for owner, _, token in wanted]
        )
        return [
            Holding(owner=owner, reserve=reserve, amount=int(answer, 16))
            for (owner, reserve, _), answer in zip(wanted, answers, strict=True)
            if int(answer, 16)
        ]


def account_data(
    ledger: Ledger, pool: str, owners: Sequence[str], block: int | str = "latest"
) -> dict[str, AccountData]:
    """`getUserAccountData` of many owners at a block."""
    calls = [eth_call_request(pool, calldata("getUserAccountData(address)", owner), block) for owner in owners]
    answers = ledger.node.batch(calls)
    return {owner: parse_account(answer) for owner, answer in zip(owners, answers, strict=True)}


def parse_account(answer: str) -> AccountData:
    """The six integers in the pool's answer."""
    words = decode(["uint256"] * 6, answer)
    return AccountData(
        total_collateral_base=words[0],
        total_debt_base=words[1],
        available_borrows_base=words[2],
        current_liquidation_threshold=words[3],
        ltv=words[4],
        health_factor=words[5],
    )
