"""An obligation as `LiquidateObligationAndRedeemReserveCollateral` takes it: a fifth of what is owed at once, of the weightiest debt.

Source: solendprotocol/solana-program-library `token-lending/sdk/src/state/reserve.rs` (`calculate_bonus`, `calculate_liquidation`,
`calculate_protocol_liquidation_fee`), `obligation.rs` (`max_liquidation_amount`). The bonus grows from the reserve's usual one at the
threshold to its largest at the largest threshold, the protocol's fee on top, a quarter at most. A debt worth no more than a dollar goes
whole. The program writes nothing off. Interest and exchange rates of reserves stay as at the block; a market's list of who may liquidate
there is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from chains.identifiers import base58
from chains.liquidating import BASIS_POINTS, WAD, Lot, Portion, Taken, Times, amount_of, price_at
from chains.model import Reason
from chains.solana.save import maths
from chains.solana.save.book import Book
from chains.solana.save.layout import Borrow, Deposit, Obligation
from chains.solana.save.maths import PERCENT, MathOverflow
from chains.solana.save.refresh import (
    MOST_UNHEALTHY,
    Refreshed,
    Supplied,
    Used,
    health_of,
    is_liquidatable,
    refresh,
    refreshed,
    used_by,
)
from chains.solana.save.reserve import Terms

CLOSE_FACTOR = 20 * PERCENT
MOST_AT_ONCE = 500_000 * WAD
MOST_BONUS = 25 * PERCENT
WHOLE_UP_TO = WAD
"""USD of a debt, not weighed, that is closed whole."""


class Settled(NamedTuple):
    """What one liquidation comes to: `settled` wads of the debt's raw units, `paid` raw units for it, `withdrawn` collateral tokens.

    `bonus`: a wad, the protocol's fee included.
    """

    settled: int
    paid: int
    withdrawn: int
    bonus: int


@dataclass(frozen=True, slots=True)
class Liquidable:
    """One obligation: `used` its reserves at the prices of the moment, `first` the prices at the block, by reserve."""

    held: Obligation
    used: Mapping[bytes, Used]
    first: Mapping[bytes, int]

    rule = "save"
    owed_limit = MOST_UNHEALTHY / WAD
    base_asset: bytes | None = None

    @classmethod
    def of(cls, book: Book, held: Obligation) -> Self | tuple[Reason, ...]:
        """Take an obligation that the program can refresh, or say what of it is not known."""
        answer = refreshed(book, held)
        if not isinstance(answer, Refreshed):
            return answer
        used = used_by(book, held)
        unknown = [each.reserve for each in answer.deposits if used[each.reserve].terms.liquidation is None]
        if unknown:
            detail = "the bonus of a liquidation was not stored with the reserve"
            return tuple(Reason("liquidation_unknown", base58(reserve), detail) for reserve in unknown)
        return cls(held, used, {reserve: each.priced.price for reserve, each in used.items()})

    @property
    def collaterals(self) -> tuple[Lot, ...]:
        lots = (
            self._lot(each.reserve, self._redeemed(each.reserve, each.amount), self._terms(each.reserve).liquidation_threshold)
            for each in self.held.deposits
        )  # fmt: skip
        return tuple(lot for lot in lots if lot.amount_raw)

    @property
    def debts(self) -> tuple[Lot, ...]:
        answer = self._refreshed()
        owed = {each.reserve: each.amount for each in answer.borrows} if answer else {}
        return tuple(
            self._lot(each.reserve, -(-owed.get(each.reserve, each.amount) // WAD), BASIS_POINTS + self._terms(each.reserve).added_weight)
            for each in self.held.borrows
            if each.amount
        )  # fmt: skip

    @property
    def health_factor_wad(self) -> int | None:
        answer = self._refreshed()
        return None if answer is None else health_of(answer)

    def moved(self, times: Times) -> Self:
        """Move the price of each reserve by its token."""
        used = {
            reserve: each._replace(
                priced=replace(each.priced, price=price_at(self.first[reserve], each.terms.asset, times))
            )
            for reserve, each in self.used.items()
        }
        return replace(self, used=used)

    def incentive(self, collateral: bytes) -> float:
        answer = self._refreshed()
        return 1.0 if answer is None else 1 + self._bonus(answer, collateral) / WAD

    def most(self, collateral: bytes, debt: bytes, cap: int | None = None) -> int:
        found = self.settled(collateral, debt, cap)
        return found.paid if found is not None and (cap is None or found.paid <= cap) else 0

    def taken(self, collateral: bytes, debt: bytes, cover: int) -> tuple[Self, Taken]:
        found = self.settled(collateral, debt, None)
        if found is not None and found.paid > cover:
            found = self.settled(collateral, debt, cover)
        answer = self._refreshed()
        if found is None or answer is None:
            raise MathOverflow("the program liquidates nothing there")
        left = replace(self, held=self._after(answer, collateral, found))
        relieved = amount_of(self.debts, debt) - amount_of(left.debts, debt)
        gone = self._redeemed(collateral, found.withdrawn)
        fee = min(self.fee(collateral, debt, found), gone)
        done = Taken(
            paid=Portion(debt, found.paid),
            seized=(Portion(collateral, gone - fee),),
            relieved=(Portion(debt, relieved),),
            fee=(Portion(collateral, fee),) if fee else (),
        )
        return left, done

    def settled(self, collateral: bytes, debt: bytes, amount: int | None) -> Settled | None:
        """Return what paying up to `amount` raw units comes to, `None` for all that may be; `None` where the program refuses."""
        answer = self._refreshed()
        if answer is None or not is_liquidatable(answer) or not answer.borrows or amount == 0:
            return None
        owed, supply = answer.borrows[0], _supply(answer, collateral)
        if owed.reserve != debt or not owed.market_value or supply is None or not supply.market_value:
            return None
        bonus, asked = self._bonus(answer, collateral), owed.amount
        if owed.market_value > WHOLE_UP_TO:
            if amount is not None:
                asked = min(maths.whole(amount), asked)
            asked = min(_most_at_once(answer), asked)
        share = maths.div_down(asked, owed.amount)
        worth = maths.mul_down(maths.mul_down(owed.market_value, share), WAD + bonus)
        settled, withdrawn = _settled(asked, worth, supply)
        if not withdrawn and owed.market_value <= WHOLE_UP_TO:
            withdrawn = 1
        paid = -(-settled // WAD)
        return Settled(settled, paid, withdrawn, bonus) if paid and withdrawn else None

    def fee(self, collateral: bytes, debt: bytes, found: Settled) -> int:
        """Return what the protocol keeps of the tokens, raw units, one at least: none of collateral that cannot be redeemed now."""
        pool, rules = self.used[collateral].pool, self._terms(collateral).liquidation
        available = pool.available + (found.paid if debt == collateral else 0)
        redeemable = maths.mul_down(maths.whole(available), pool.exchange_rate) // WAD
        tokens = self._redeemed(collateral, min(found.withdrawn, redeemable))
        if rules is None or not redeemable:
            return 0
        bare = maths.div_down(maths.whole(tokens), WAD + found.bonus)
        return max(-(-maths.mul_down(bare, rules.fee) // WAD), 1)

    def _bonus(self, answer: Refreshed, collateral: bytes) -> int:
        """Return what is taken beyond what is paid, a wad; nothing of an obligation that is only closed."""
        rules, threshold = self._terms(collateral).liquidation, answer.unhealthy_borrow_value
        if rules is None or answer.borrowed_value < threshold:
            return 0
        reach = answer.super_unhealthy_borrow_value - threshold
        grown = 0
        if reach > 0:
            weight = min(maths.div_down(answer.borrowed_value - threshold, reach), WAD)
            grown = maths.mul_down(weight, rules.most - rules.usual)
        return min(rules.usual + grown + rules.fee, MOST_BONUS)

    def _after(self, answer: Refreshed, collateral: bytes, found: Settled) -> Obligation:
        attributed = {each.reserve: each.attributed for each in self.held.deposits}
        deposits = (
            Deposit(each.reserve, each.amount - (found.withdrawn if each.reserve == collateral else 0), attributed[each.reserve])
            for each in answer.deposits
        )  # fmt: skip
        first, *others = answer.borrows
        borrows = (first._replace(amount=first.amount - found.settled), *others)
        return self.held._replace(
            deposits=tuple(each for each in deposits if each.amount),
            borrows=tuple(Borrow(each.reserve, each.rate, each.amount) for each in borrows if each.amount),
        )

    def _refreshed(self) -> Refreshed | None:
        try:
            return refresh(self.held, self.used)
        except MathOverflow:
            return None

    def _redeemed(self, reserve: bytes, amount: int) -> int:
        return self.used[reserve].pool.redeemed(amount) // WAD

    def _terms(self, reserve: bytes) -> Terms:
        return self.used[reserve].terms

    def _lot(self, reserve: bytes, amount_raw: int, threshold: int) -> Lot:
        terms = self._terms(reserve)
        return Lot(reserve, terms.asset, terms.decimals, amount_raw, self.first[reserve], WAD, threshold)


def _most_at_once(answer: Refreshed) -> int:
    """Return how much of the first debt may be settled at once: by its value a fifth of what all debts weigh."""
    owed = answer.borrows[0]
    value = min(maths.mul_down(answer.borrowed_value, CLOSE_FACTOR), owed.market_value, MOST_AT_ONCE)
    return maths.mul_down(owed.amount, maths.div_down(value, owed.market_value))


def _settled(asked: int, worth: int, supply: Supplied) -> tuple[int, int]:
    """Return what is settled and withdrawn: of a deposit that is worth less than it takes, all for the part it pays."""
    if worth > supply.market_value:
        return maths.mul_down(asked, maths.div_down(supply.market_value, worth)), supply.amount
    if worth == supply.market_value:
        return asked, supply.amount
    share = maths.div_down(worth, supply.market_value)
    return asked, maths.mul_down(maths.whole(supply.amount), share) // WAD


def _supply(answer: Refreshed, reserve: bytes) -> Supplied | None:
    return next((each for each in answer.deposits if each.reserve == reserve), None)
