"""What ordinary accounts do. Each action is planned on the newest block and may fail when it is mined."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from tests.devnet.evm import aave
from tests.devnet.evm.aave import MAX_UINT
from tests.devnet.evm.feeds import UNIT, answer_of
from tests.devnet.evm.ledger import Tx
from tests.devnet.evm.market import USDC, Reserve
from tests.devnet.evm.scene import Holding, Scene

Plan: TypeAlias = Callable[[Scene], Sequence[Tx]]

OFTEN_ALL = 0.3
BOLDNESS = (0.4, 1.05)
MUCH_USD = 50_000
NEARLY_ALL = 0.97


def supply(scene: Scene) -> Sequence[Tx]:
    person, reserve = scene.person(), scene.reserve()
    return [aave.supply(scene.market, person, reserve.asset, some(scene, reserve))]


def supply_for_another(scene: Scene) -> Sequence[Tx]:
    giver, owner, reserve = scene.person(), scene.person(), scene.reserve()
    return [aave.supply(scene.market, giver, reserve.asset, some(scene, reserve), owner)]


def borrow(scene: Scene) -> Sequence[Tx]:
    person, reserve = scene.borrower(), scene.reserve()
    return [aave.borrow(scene.market, person, reserve.asset, affordable(scene, person, reserve))]


def borrow_by_delegation(scene: Scene) -> Sequence[Tx]:
    owner, delegatee, reserve = scene.borrower(), scene.person(), scene.reserve()
    amount = affordable(scene, owner, reserve)
    return [
        aave.delegate(owner, reserve, delegatee, amount),
        aave.borrow(scene.market, delegatee, reserve.asset, amount, owner),
    ]


def repay(scene: Scene) -> Sequence[Tx]:
    debt = one_of(scene, scene.owed())
    return [aave.repay(scene.market, debt.owner, debt.reserve.asset, some_or_all(scene, debt))]


def repay_for_another(scene: Scene) -> Sequence[Tx]:
    debt = one_of(scene, scene.owed())
    return [aave.repay(scene.market, scene.person(), debt.reserve.asset, scene.part(debt.amount), debt.owner)]


def repay_with_a_tokens(scene: Scene) -> Sequence[Tx]:
    debt = one_of(scene, scene.owed())
    amount = scene.part(debt.amount)
    return [
        aave.supply(scene.market, debt.owner, debt.reserve.asset, amount + 1),
        aave.repay_with_a_tokens(scene.market, debt.owner, debt.reserve.asset, amount),
    ]


def withdraw(scene: Scene) -> Sequence[Tx]:
    lent = one_of(scene, scene.lent())
    return [aave.withdraw(scene.market, lent.owner, lent.reserve.asset, some_or_all(scene, lent))]


def transfer(scene: Scene) -> Sequence[Tx]:
    """To another account, to a stranger, or to oneself; a part, all, or nothing."""
    lent = one_of(scene, scene.lent())
    stranger = "0x" + scene.rng.randbytes(20).hex()
    to = scene.rng.choices([scene.person(), stranger, lent.owner], [8, 1, 1])[0]
    amount = scene.rng.choices([scene.part(lent.amount), lent.amount, 0], [7, 2, 1])[0]
    return [aave.transfer(lent.owner, lent.reserve.a_token, to, amount)]


def toggle_collateral(scene: Scene) -> Sequence[Tx]:
    lent = one_of(scene, scene.lent())
    enabled = scene.rng.random() < 0.5
    return [aave.set_collateral(scene.market, lent.owner, lent.reserve.asset, enabled=enabled)]


def set_emode(scene: Scene) -> Sequence[Tx]:
    return [aave.set_user_emode(scene.market, scene.person(), scene.rng.choice([0, 0, 1, 1, 2]))]


def flash_loan(scene: Scene) -> Sequence[Tx]:
    reserve = scene.reserve()
    amount = scene.amount_of_usd(reserve, scene.some_usd() / 10)
    return [aave.flash_loan(scene.market, scene.person(), scene.flash_borrower, reserve.asset, amount)]


def mint_to_treasury(scene: Scene) -> Sequence[Tx]:
    assets = [reserve.asset for reserve in scene.market.reserves]
    return [aave.mint_to_treasury(scene.market, scene.person(), assets)]


def liquidate_for_underlying(scene: Scene) -> Sequence[Tx]:
    return liquidation(scene, receive_a_token=False)


def liquidate_for_a_tokens(scene: Scene) -> Sequence[Tx]:
    return liquidation(scene, receive_a_token=True)


def liquidation(scene: Scene, *, receive_a_token: bool) -> Sequence[Tx]:
    """Of somebody unhealthy; when nobody is, an attempt on somebody healthy, which reverts."""
    owner = scene.rng.choice(scene.unhealthy() or [one_of(scene, scene.owed()).owner])
    debt, collateral = largest(scene, scene.owed([owner])), largest(scene, scene.collateral(owner))
    return [
        aave.liquidate(
            scene.market,
            scene.liquidator,
            collateral=collateral.asset,
            debt=debt.asset,
            owner=owner,
            amount=scene.rng.choice([MAX_UINT, some(scene, debt)]),
            receive_a_token=receive_a_token,
        )
    ]


def lend_much(scene: Scene, person: str, symbol: str) -> Sequence[Tx]:
    reserve = scene.market.reserve(symbol)
    return [aave.supply(scene.market, person, reserve.asset, scene.amount_of_usd(reserve, MUCH_USD))]


def borrow_nearly_all(scene: Scene, person: str) -> Sequence[Tx]:
    """In dollars, so that a fall of anything else hurts."""
    reserve = scene.market.reserve(USDC.symbol)
    available = scene.accounts([person])[person].available_borrows_base
    return [
        aave.borrow(scene.market, person, reserve.asset, scene.amount_of_usd(reserve, NEARLY_ALL * available / UNIT))
    ]


USER_PLANS: Mapping[str, tuple[Plan, int]] = {
    "supply": (supply, 20),
    "supply_for_another": (supply_for_another, 3),
    "borrow": (borrow, 22),
    "borrow_by_delegation": (borrow_by_delegation, 3),
    "repay": (repay, 10),
    "repay_for_another": (repay_for_another, 2),
    "repay_with_a_tokens": (repay_with_a_tokens, 3),
    "withdraw": (withdraw, 10),
    "transfer": (transfer, 8),
    "toggle_collateral": (toggle_collateral, 8),
    "set_emode": (set_emode, 8),
    "flash_loan": (flash_loan, 3),
    "mint_to_treasury": (mint_to_treasury, 2),
    "liquidate_for_underlying": (liquidate_for_underlying, 2),
    "liquidate_for_a_tokens": (liquidate_for_a_tokens, 2),
}


def some(scene: Scene, reserve: Reserve) -> int:
    """A plausible amount of a reserve."""
    return scene.amount_of_usd(reserve, scene.some_usd())


def some_or_all(scene: Scene, holding: Holding) -> int:
    """A part of a holding, or the number by which the pool understands all of it."""
    return MAX_UINT if scene.rng.random() < OFTEN_ALL else scene.part(holding.amount)


def affordable(scene: Scene, owner: str, reserve: Reserve) -> int:
    """What an owner could borrow, boldly: now and then more than the pool allows."""
    available = scene.accounts([owner])[owner].available_borrows_base
    return scene.amount_of_usd(reserve, max(1, available / UNIT * scene.rng.uniform(*BOLDNESS)))


def one_of(scene: Scene, holdings: Sequence[Holding]) -> Holding:
    """Any of the holdings; when there is none, an imagined one of a single unit."""
    imagined = Holding(owner=scene.person(), reserve=scene.reserve(), amount=1)
    return scene.rng.choice(holdings) if holdings else imagined


def largest(scene: Scene, holdings: Sequence[Holding]) -> Reserve:
    """The reserve in which most dollars are held."""
    return max(holdings, key=lambda held: value(scene, held)).reserve if holdings else scene.reserve()


def value(scene: Scene, held: Holding) -> float:
    """Dollars, scaled."""
    return held.amount * answer_of(scene.ledger.node, held.reserve.feed) / held.reserve.unit
