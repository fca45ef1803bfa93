"""An obligation as `LiquidateObligationAndRedeemReserveCollateral` takes it, for its loan-to-value.

Source: klend `state/liquidation_operations.rs` (`calculate_liquidation`, `max_liquidatable_borrowed_amount`, `calculate_liquidation_bonus`,
`calculate_protocol_liquidation_fee`), `lending_market/lending_operations.rs` (`liquidate_obligation`, `post_liquidate_redeem`). For the
loan-to-value they are the same since obligations are deleveraged one by one, and still where debts have terms and owners place orders;
klend 1.7 differs in nothing that was recorded. Of several debts the one with the highest borrow factor is paid, of several deposits the
one with the lowest threshold is taken. The bonus is how far the loan-to-value is beyond its limit, within bounds, and never more than
what is left of the collateral's value; near bad debt it is the smaller of both reserves' bonuses for that. Interest and exchange rates of
reserves stay as at the block. What the program liquidates for other reasons (deleveraging, a debt that is due) is not simulated, and what
the market's owner writes off neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from chains.identifiers import base58
from chains.liquidating import BASIS_POINTS, Lot, Portion, Taken, Times, amount_of, price_at
from chains.model import Reason
from chains.solana.kamino.journal import Debt, Obligation
from chains.solana.kamino.liquidation import (
    health_of,
    loans_to_value,
    may_be_taken,
    other_causes,
    price_triggered_disabled,
    refused_for,
    untold,
)
from chains.solana.kamino.maths import BITS, ONE, Refused, basis_points, ceil, div, mul, percent, whole
from chains.solana.kamino.refresh import (
    Conditions,
    Leg,
    Refreshed,
    RefreshedObligation,
    borrow_factor,
    liquidity_of_collateral,
    refresh_obligation,
)

NEAR_BAD_DEBT = percent(99)
BPS_PER_PERCENT = BASIS_POINTS // 100
ANY_BONUS = 2**16 - 1

Amounts = tuple[Mapping[bytes, int], Mapping[bytes, int]]
"""cTokens by reserve, debts by reserve as fractions."""


class Settled(NamedTuple):
    """What one liquidation comes to: `settled` of the debt, a fraction of raw units, `paid` raw units for it, `withdrawn` cTokens.

    `bonus`: a fraction.
    """

    settled: int
    paid: int
    withdrawn: int
    bonus: int


@dataclass(frozen=True, slots=True)
class Liquidable:
    """One obligation whose interest has accrued: `reserves` at the prices of the moment, `first` the prices at the block, by reserve."""

    conditions: Conditions
    held: Obligation
    amounts: Amounts
    reserves: Mapping[bytes, Refreshed]
    first: Mapping[bytes, int]

    rule = "kamino"
    base_asset: bytes | None = None

    @classmethod
    def of(
        cls, conditions: Conditions, unit_id: bytes, held: Obligation, refreshed: RefreshedObligation
    ) -> Self | tuple[Reason, ...]:
        """Take a refreshed obligation that is liquidated for its loan-to-value alone, or say what of it is not known."""
        if unknown := tuple(_unknown(conditions, unit_id, held, refreshed)):
            return unknown
        reserves = {_name(leg): leg.refreshed for leg in (*refreshed.deposits, *refreshed.borrows)}
        owed = {_name(leg): leg.amount for leg in refreshed.borrows}
        return cls(
            conditions,
            replace(held, borrows={_name(leg): _accrued(held, leg) for leg in refreshed.borrows}),
            ({_name(leg): leg.raw for leg in refreshed.deposits}, owed),
            reserves,
            {name: each.liquidity.market_price_sf for name, each in reserves.items()},
        )

    @property
    def owed_limit(self) -> float | None:
        """Return the market's cap on the liquidation limit; where it is not known whether it counts, what may be beyond it is looked at."""
        cap = self.conditions.market.global_unhealthy_borrow_value
        capped = self.conditions.engine.capped
        return float(cap) if capped or (capped is None and cap) else None

    @property
    def collaterals(self) -> tuple[Lot, ...]:
        lots = (
            self._lot(reserve, self._redeemed(reserve, ctokens), self._threshold_pct(reserve) * BPS_PER_PERCENT)
            for reserve, ctokens in self.amounts[0].items()
        )
        return tuple(lot for lot in lots if lot.amount_raw)

    @property
    def debts(self) -> tuple[Lot, ...]:
        return tuple(
            self._lot(reserve, ceil(owed), self._weight(reserve)) for reserve, owed in self.amounts[1].items() if owed
        )

    @property
    def health_factor_wad(self) -> int | None:
        answer = self._refreshed()
        return None if answer is None else health_of(answer.fields)

    def moved(self, times: Times) -> Self:
        """Move the price of each reserve by its token."""
        reserves = {name: self._at(name, each, times) for name, each in self.reserves.items()}
        return replace(self, reserves=reserves)

    def incentive(self, collateral: bytes) -> float:
        answer = self._refreshed()
        if answer is None or collateral not in self.amounts[0] or not self._is_open(answer):
            return 1.0
        found = [self._bonus(answer, collateral, leg) for leg in answer.borrows if _goes_first(answer, leg)]
        return 1 + max(found, default=0) / ONE

    def most(self, collateral: bytes, debt: bytes, cap: int | None = None) -> int:
        found = self.settled(collateral, debt, cap)
        return found.paid if found is not None and (cap is None or found.paid <= cap) else 0

    def taken(self, collateral: bytes, debt: bytes, cover: int) -> tuple[Self, Taken]:
        found = self.settled(collateral, debt, None)
        if found is not None and found.paid > cover:
            found = self.settled(collateral, debt, cover)
        if found is None:
            raise Refused("the program liquidates nothing there")
        left = self._after(collateral, debt, found)
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
        if answer is None or amount == 0 or not self._is_open(answer):
            return None
        owed, pledged = _leg(answer.borrows, debt), _leg(answer.deposits, collateral)
        if owed is None or pledged is None or not self._may_be_taken(answer, owed, pledged):
            return None
        asked = owed.amount if amount is None else min(whole(amount), owed.amount)
        least = self.conditions.market.min_full_liquidation_value_threshold
        closes = owed.market_value_sf < whole(least or 0)
        if closes and asked < owed.amount:
            return None
        repaid = owed.amount if closes else min(self._most_at_once(answer, owed), asked)
        bonus = self._bonus(answer, collateral, owed)
        worth = mul(mul(owed.market_value_sf, div(repaid, owed.amount)), bonus + ONE)
        settled, withdrawn = _amounts(repaid, worth, pledged, closes=closes)
        paid = ceil(settled)
        return Settled(settled, paid, withdrawn, bonus) if paid and withdrawn else None

    def redeemed(self, collateral: bytes, debt: bytes, found: Settled) -> int:
        """Return raw units of the token that the reserve pays for what is withdrawn; the rest stays in cTokens, for lack of liquidity."""
        liquidity = self.reserves[collateral].liquidity
        available = liquidity.total_available_amount + (found.paid if collateral == debt else 0)
        total = liquidity.total_supply
        supply = liquidity.mint_total_supply
        redeemable = whole(available) * supply // total if supply and total else available
        return self._redeemed(collateral, min(found.withdrawn, redeemable))

    def fee(self, collateral: bytes, debt: bytes, found: Settled) -> int:
        """Return what the protocol keeps of what is redeemed, raw units, one at least; none where nothing can be redeemed."""
        tokens = self.redeemed(collateral, debt, found)
        if tokens == 0:
            return 0
        gained = whole(tokens) - div(whole(tokens), found.bonus + ONE)
        share = percent(self.reserves[collateral].reserve.protocol_liquidation_fee_pct or 0)
        return max(ceil(mul(gained, share)), 1)

    def _is_open(self, answer: RefreshedObligation) -> bool:
        """Whether anybody may be liquidated, and this one is to be."""
        market = self.conditions.market
        closed = price_triggered_disabled(self.conditions) or bool(market.emergency_mode)
        return not closed and bool(answer.fields["deposited_value_sf"]) and health_of(answer.fields) < 10**18

    def _may_be_taken(self, answer: RefreshedObligation, owed: Leg, pledged: Leg) -> bool:
        """Whether the program lets this debt be paid and this deposit be taken, of several."""
        weighs = owed.adjusted_value_sf and pledged.market_value_sf
        counts = may_be_taken(self.conditions.engine, pledged)
        lowest = (pledged.threshold_pct or 0) <= answer.fields["lowest_reserve_deposit_liquidation_ltv"]
        return bool(weighs and counts and lowest and _goes_first(answer, owed))

    def _most_at_once(self, answer: RefreshedObligation, owed: Leg) -> int:
        """Return how much of a debt may be settled at once: by value a share of all debts, all of it near insolvency."""
        market, ratio = self.conditions.market, loans_to_value(answer.fields)["loan_to_value_sf"]
        insolvent = ratio > percent(market.insolvency_risk_unhealthy_ltv_pct or 0)
        share = ONE if insolvent else percent(market.liquidation_max_debt_close_factor_pct or 0)
        of_all = mul(answer.fields["borrowed_assets_market_value_sf"], share)
        limit = whole(market.max_liquidatable_debt_market_value_at_once or 0)
        return mul(owed.amount, div(min(of_all, owed.market_value_sf, limit), owed.market_value_sf))

    def _bonus(self, answer: RefreshedObligation, collateral: bytes, owed: Leg) -> int:
        """Return what is taken beyond what is paid, a fraction."""
        reserves = (self.reserves[collateral].reserve, owed.refreshed.reserve)
        fields, ratio = answer.fields, loans_to_value(answer.fields)
        bare = div(fields["borrowed_assets_market_value_sf"], fields["deposited_value_sf"])
        if bare >= NEAR_BAD_DEBT:
            least = basis_points(min(each.bad_debt_liquidation_bonus_bps or 0 for each in reserves))
            return max(least, ONE - bare) if bare < ONE else least
        beyond = ratio["loan_to_value_sf"] - ratio["unhealthy_loan_to_value_sf"]
        usual = basis_points(max(each.min_liquidation_bonus_bps or 0 for each in reserves))
        most = min(max(each.max_liquidation_bonus_bps or 0 for each in reserves), self._most_of_group(collateral, owed))
        return min(max(usual, beyond), basis_points(most), ONE - bare)

    def _most_of_group(self, collateral: bytes, owed: Leg) -> int:
        """Return the bonus that an elevation group allows: one that is larger than a reserve's is none."""
        group = self.conditions.market.groups.get(self.held.elevation_group)
        reserves = (self.reserves[collateral].reserve, owed.refreshed.reserve)
        if group is None or any(group.id not in each.elevation_groups for each in reserves):
            return ANY_BONUS
        most = group.max_liquidation_bonus_bps or 0
        return ANY_BONUS if not 0 < most <= min(each.max_liquidation_bonus_bps or 0 for each in reserves) else most

    def _after(self, collateral: bytes, debt: bytes, found: Settled) -> Self:
        held, owed = (dict(each) for each in self.amounts)
        held[collateral] -= found.withdrawn
        owed[debt] -= found.settled
        held, owed = ({name: amount for name, amount in each.items() if amount} for each in (held, owed))
        borrows: dict[bytes, Debt] = {name: each for name, each in self.held.borrows.items() if name in owed}
        return replace(self, amounts=(held, owed), held=replace(self.held, deposits=tuple(held), borrows=borrows))

    def _refreshed(self) -> RefreshedObligation | None:
        found = refresh_obligation(self.conditions, self.held, self.amounts, self.reserves)
        return None if isinstance(found, Reason) else found

    def _redeemed(self, reserve: bytes, ctokens: int) -> int:
        return liquidity_of_collateral(self.reserves[reserve].liquidity, ctokens, self.conditions.engine) >> BITS

    def _threshold_pct(self, reserve: bytes) -> int:
        group = self.conditions.market.groups.get(self.held.elevation_group)
        return self.reserves[reserve].reserve.liquidation_threshold_pct if group is None else group.liquidation_threshold_pct  # fmt: skip

    def _weight(self, reserve: bytes) -> int:
        group = self.conditions.market.groups.get(self.held.elevation_group)
        return -(-borrow_factor(self.reserves[reserve].reserve, group) * BASIS_POINTS >> BITS)

    def _at(self, name: bytes, found: Refreshed, times: Times) -> Refreshed:
        price = price_at(self.first[name], found.reserve.mint, times)
        return found._replace(liquidity=found.liquidity._replace(market_price_sf=price))

    def _lot(self, name: bytes, amount_raw: int, threshold: int) -> Lot:
        reserve = self.reserves[name].reserve
        return Lot(name, reserve.mint, reserve.decimals, amount_raw, self.first[name], ONE, threshold)


def _unknown(
    conditions: Conditions, unit_id: bytes, held: Obligation, refreshed: RefreshedObligation
) -> Iterator[Reason]:
    """Yield why it is not known how an obligation is liquidated."""
    refused = refused_for(refreshed.fields["price_status"], unit_id)
    if refused is not None:
        yield refused
    yield from other_causes(conditions, unit_id, held, refreshed)
    if conditions.market.liquidation_max_debt_close_factor_pct is None:
        yield Reason(
            "liquidation_unknown", base58(unit_id), "the limits of a liquidation were not stored with the market"
        )
    for leg in refreshed.deposits:
        if leg.market_value_sf and may_be_taken(conditions.engine, leg) is None:
            yield untold(_name(leg))
    for leg in (*refreshed.deposits, *refreshed.borrows):
        if leg.refreshed.reserve.max_liquidation_bonus_bps is None:
            detail = "the bonus of a liquidation was not stored with the reserve"
            yield Reason("liquidation_unknown", base58(_name(leg)), detail)


def _amounts(repaid: int, worth: int, pledged: Leg, *, closes: bool) -> tuple[int, int]:
    """Return what is settled and withdrawn: of a deposit that is worth less than it takes, all for the part it pays.

    A small debt that is closed is settled whole, and takes one cToken at least.
    """
    if worth > pledged.market_value_sf:
        part = mul(repaid, div(pledged.market_value_sf, worth))
        return repaid if closes else part, pledged.raw
    if worth == pledged.market_value_sf:
        return repaid, pledged.raw
    withdrawn = mul(whole(pledged.raw), div(worth, pledged.market_value_sf)) >> BITS
    return repaid, max(withdrawn, int(closes))


def _accrued(held: Obligation, leg: Leg) -> Debt:
    """Return what is known of a debt whose amount stands at the rate of now."""
    return held.borrows[_name(leg)]._replace(cumulative_borrow_rate_bsf=leg.rate_bsf, wide=None)


def _goes_first(answer: RefreshedObligation, owed: Leg) -> bool:
    return owed.refreshed.reserve.borrow_factor_pct >= answer.fields["highest_borrow_factor_pct"]


def _name(leg: Leg) -> bytes:
    return leg.refreshed.reserve.address


def _leg(legs: tuple[Leg, ...], reserve: bytes) -> Leg | None:
    return next((leg for leg in legs if _name(leg) == reserve), None)
