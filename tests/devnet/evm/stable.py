"""Debt at a stable rate: what people do with it, on a market that lets them."""

from collections.abc import Mapping, Sequence

from tests.devnet.evm import aave
from tests.devnet.evm.abi import calldata
from tests.devnet.evm.ledger import Tx, invoke
from tests.devnet.evm.market import Market, Reserve
from tests.devnet.evm.node import eth_call_request
from tests.devnet.evm.people import Plan, affordable, one_of, some_or_all
from tests.devnet.evm.scene import Holding, Scene

STABLE_RATE = 1


def let_borrow(market: Market) -> Sequence[Tx]:
    """Open every reserve to debt at a stable rate."""
    return [aave.switch(market, "setReserveStableRateBorrowing", each.asset, on=True) for each in market.reserves]


def borrowing(market: Market, sender: str, asset: str, amount: int) -> Tx:
    """Borrow at a stable rate."""
    signature = "borrow(address,uint256,uint256,uint16,address)"
    return invoke(sender, market.pool, signature, asset, amount, STABLE_RATE, 0, sender)


def borrow(scene: Scene) -> Sequence[Tx]:
    person, reserve = scene.borrower(), scene.reserve()
    return [borrowing(scene.market, person, reserve.asset, affordable(scene, person, reserve))]


def repay(scene: Scene) -> Sequence[Tx]:
    """A part, all, or one unit, which is less than the interest since: the token then tells of a `Mint`."""
    debt = one_of(scene, owed(scene, scene.people) or scene.owed())
    amount = scene.rng.choice([some_or_all(scene, debt), 1])
    signature = "repay(address,uint256,uint256,address)"
    return [invoke(debt.owner, scene.market.pool, signature, debt.reserve.asset, amount, STABLE_RATE, debt.owner)]


def swap_rate(scene: Scene) -> Sequence[Tx]:
    """From the rate that a debt has to the other."""
    mode = scene.rng.choice([STABLE_RATE, aave.VARIABLE_RATE])
    debts = owed(scene, scene.people) if mode == STABLE_RATE else []
    debt = one_of(scene, debts or scene.owed())
    return [invoke(debt.owner, scene.market.pool, "swapBorrowRateMode(address,uint256)", debt.reserve.asset, mode)]


def rebalance(scene: Scene) -> Sequence[Tx]:
    debt = one_of(scene, owed(scene, scene.people) or scene.owed())
    signature = "rebalanceStableBorrowRate(address,address)"
    return [invoke(scene.person(), scene.market.pool, signature, debt.reserve.asset, debt.owner)]


STABLE_PLANS: Mapping[str, tuple[Plan, int]] = {
    "borrow_at_stable_rate": (borrow, 30),
    "repay_at_stable_rate": (repay, 8),
    "swap_rate": (swap_rate, 20),
    "rebalance": (rebalance, 8),
}


def owed(scene: Scene, owners: Sequence[str]) -> list[Holding]:
    """What people owe at stable rates now."""
    wanted: list[tuple[str, Reserve]] = [(owner, each) for owner in owners for each in scene.market.reserves]
    question = "balanceOf(address)"
    answers = scene.ledger.node.batch(
        [eth_call_request(each.stable_debt_token, calldata(question, owner), "latest") for owner, each in wanted]
    )
    return [
        Holding(owner=owner, reserve=each, amount=int(answer, 16))
        for (owner, each), answer in zip(wanted, answers, strict=True)
        if int(answer, 16)
    ]
