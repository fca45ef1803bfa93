"""An account with deposits and loans as `liquidate_spot` takes it: a loan is taken over for a deposit, until what is missing is covered.

Source: drift-labs protocol-v2 `controller/liquidation.rs` (`liquidate_spot`), `math/liquidation.rs`, `controller/spot_balance.rs`. The
liquidator gets the deposit at both markets' fees; the insurance's fee stays owed by the account. As much is taken over as brings back
the requirement with its buffer, a loan of up to ten dollars whole. What nothing is left to take for is written off: insurance covers it,
or who lent there. At what pace a liquidation may go on is not waited for, averages of prices follow prices at once, and interest stays
as at the block. Accounts with perp positions or orders are not simulated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from chains.identifiers import base58
from chains.liquidating import Lot, Portion, Taken, Times, amount_of, price_at
from chains.model import Reason
from chains.solana.drift.accounts import BANKRUPT, BEING_LIQUIDATED, BORROW, DEPOSIT, SpotPosition, User
from chains.solana.drift.integers import PRICE, WEIGHT, Refused, power_of_ten, unsigned
from chains.solana.drift.interest import scale_of
from chains.solana.drift.margin import (
    ISOLATED_POOL,
    QUOTE,
    Balances,
    Calculation,
    Context,
    World,
    calculate,
    health_factor_wad,
    is_open,
)
from chains.solana.drift.spot import (
    Requirement,
    asset_weight,
    liability_weight,
    token_amount,
    token_value,
)
from chains.solana.drift.states import LIQUIDATIONS_PAUSED, SpotMarket

FEE = 10**6
"""One of a fee, and of what it multiplies."""

WHOLE_UP_TO = 10 * PRICE
"""USD of a loan that is taken over whole."""

LEFT_OUT_BELOW = 6
"""Decimals of a token: how the program rounds what is worth less than a dollar is not known of fewer."""

MAINTENANCE = Context(Requirement.MAINTENANCE)

Key = tuple[bytes, int]


class Settled(NamedTuple):
    """What one liquidation comes to, raw units: what of the loan is taken over, the deposit for it, and the insurance's fee.

    `ends`: what was missing is covered.
    """

    paid: int
    seized: int
    fee: int
    ends: bool


class Side(NamedTuple):
    """A position of the account: its market, its price, and what it comes to in raw units."""

    market: SpotMarket
    price: int
    amount: int
    multiplier: int


@dataclass(frozen=True, slots=True)
class Liquidable:
    """One account: `world` at the prices of the moment, `first` the prices at the block, by oracle."""

    user: User
    balances: Mapping[int, int]
    world: World
    first: Mapping[Key, int]

    rule = "drift"
    owed_limit = None
    base_asset: bytes | None = None

    @classmethod
    def of(cls, name: bytes, user: User, balances: Balances, world: World) -> Self | tuple[Reason, ...]:
        """Take an account of deposits and loans, or say what of it is not simulated."""
        if unknown := tuple(Reason("liquidation_unknown", base58(name), what) for what in _unknown(user, world)):
            return unknown
        first = {key: each.price for key, each in world.prices.items()}
        return cls(user, {number: held for number, held in balances.spot.items() if held}, world, first)

    @property
    def collaterals(self) -> tuple[Lot, ...]:
        return tuple(self._lots(DEPOSIT))

    @property
    def debts(self) -> tuple[Lot, ...]:
        return tuple(self._lots(BORROW))

    @property
    def health_factor_wad(self) -> int | None:
        found = self._calculated()
        return None if found is None else health_factor_wad(found.cross, self.user.is_being_liquidated)

    def moved(self, times: Times) -> Self:
        """Move the price of each market by its token."""
        mints = {(each.oracle, each.oracle_source): each.mint for each in self.world.spot.values()}
        prices = {
            key: each._replace(price=price_at(self.first[key], mints[key], times))
            for key, each in self.world.prices.items()
        }
        return replace(self, world=replace(self.world, prices=prices))

    def incentive(self, collateral: bytes) -> float:
        pledged = self._side(collateral)
        if pledged is None:
            return 1.0
        loans = [found for each in self._of(BORROW) if (found := self._side(self._market(each).address))]
        return max((pledged.multiplier / each.multiplier for each in loans), default=1.0)

    def most(self, collateral: bytes, debt: bytes, cap: int | None = None) -> int:
        found = self.settled(collateral, debt, cap)
        return 0 if found is None else found.paid

    def taken(self, collateral: bytes, debt: bytes, cover: int) -> tuple[Self, Taken]:
        found = self.settled(collateral, debt, cover)
        if found is None:
            raise Refused("the program liquidates nothing there")
        left = self._after(collateral, debt, found)
        relieved = amount_of(self.debts, debt) - amount_of(left.debts, debt)
        gone = not left.collaterals
        done = Taken(
            paid=Portion(debt, found.paid),
            seized=(Portion(collateral, found.seized),),
            relieved=(Portion(debt, relieved),),
            forgiven=tuple(Portion(lot.market, lot.amount_raw) for lot in left.debts if gone),
        )
        return (replace(left, user=left.user._replace(spot=[]), balances={}) if gone else left), done

    def settled(self, collateral: bytes, debt: bytes, amount: int | None) -> Settled | None:
        """Return what taking over up to `amount` raw units comes to, `None` for all that may be; `None` where the program refuses."""
        pledged, owed, found = self._side(collateral), self._side(debt), self._calculated()
        if pledged is None or owed is None or found is None or not self._is_open(found, pledged, owed):
            return None
        shortage = found.cross.margin_shortage
        try:
            fee = self._insurance_fee(found, pledged, owed, shortage)
            cover = to_cover(shortage, self._weights(pledged, owed), (pledged, owed), fee)
            value = token_value(owed.amount, owed.market.decimals, owed.price)
            allowed = max(cover, 0 if value > WHOLE_UP_TO else owed.amount)
            paid = min(owed.amount, allowed, implied_by(pledged, owed))
            paid = paid if amount is None else min(paid, amount)
            seized = transferred(pledged, owed, paid)
        except Refused:
            return None
        if not cover or not paid or not seized:
            return None
        return Settled(paid, seized, paid * fee // FEE, paid >= cover)

    def _insurance_fee(self, found: Calculation, pledged: Side, owed: Side, shortage: int) -> int:
        """Return the insurance's fee: no more than the account can bear and still be brought back."""
        required = found.cross.margin_requirement
        own = abs(token_value(-owed.amount, owed.market.decimals, owed.price))
        weighed = own * self._liability_weight(owed) // WEIGHT if owed.market.market_index != QUOTE else own
        part = shortage * weighed // required if required else 0
        return insurance_fee(part, self._weights(pledged, owed), (pledged, owed), owed.market.if_liquidation_fee or 0)

    def _weights(self, pledged: Side, owed: Side) -> tuple[int, int]:
        """Return the weights of both sides, the loan's with the buffer."""
        buffer = self.world.rails.liquidation_margin_buffer_ratio
        return pledged.market.maintenance_asset_weight, owed.market.maintenance_liability_weight + buffer

    def _is_open(self, found: Calculation, pledged: Side, owed: Side) -> bool:
        """Whether anybody may liquidate, and there is what to take."""
        paused = self.world.rails.exchange_status & LIQUIDATIONS_PAUSED
        paused |= (pledged.market.paused_operations | owed.market.paused_operations) & LIQUIDATIONS_PAUSED
        if paused or self.user.status & BANKRUPT or not pledged.amount or not owed.amount:
            return False
        return is_open(found.cross, self.user.is_being_liquidated)

    def _after(self, collateral: bytes, debt: bytes, found: Settled) -> Self:
        """Take balances away as the program does: of a loan up, and of a deposit down; what is no less than all is all."""
        pledged, owed = self._side(collateral), self._side(debt)
        if pledged is None or owed is None:
            raise Refused("the account has no such position")
        balances = dict(self.balances)
        for side, tokens, up in ((pledged, found.seized, 0), (owed, found.paid - found.fee, 1)):
            number, market = side.market.market_index, side.market
            interest = market.cumulative_borrow_interest if up else market.cumulative_deposit_interest
            scaled = unsigned(tokens * scale_of(market)) // interest
            gone = balances[number] if tokens >= side.amount else min(scaled + (up if scaled else 0), balances[number])
            balances[number] -= gone
        status = self.user.status & ~BEING_LIQUIDATED if found.ends else self.user.status | BEING_LIQUIDATED
        return replace(
            self,
            user=self.user._replace(status=status, spot=[each for each in self.user.spot if balances.get(each.market_index)]),
            balances={number: balance for number, balance in balances.items() if balance},
        )  # fmt: skip

    def _calculated(self) -> Calculation | None:
        try:
            return calculate(self.user, Balances(self.balances, {}), self.world, MAINTENANCE)
        except Refused:
            return None

    def _of(self, balance_type: int) -> Iterator[SpotPosition]:
        return (
            each
            for each in self.user.spot
            if each.balance_type == balance_type and self.balances.get(each.market_index)
        )

    def _market(self, position: SpotPosition) -> SpotMarket:
        return self.world.spot[position.market_index]

    def _side(self, address: bytes) -> Side | None:
        position = next((each for each in self.user.spot if self._market(each).address == address), None)
        if position is None:
            return None
        market = self._market(position)
        amount = abs(token_amount(market, position.balance_type, self.balances.get(position.market_index, 0)))
        fee = market.liquidator_fee or 0
        multiplier = FEE + fee if position.balance_type == DEPOSIT else FEE - fee
        return Side(market, self.world.prices[market.oracle, market.oracle_source].price, amount, multiplier)

    def _liability_weight(self, side: Side) -> int:
        return liability_weight(side.market, side.amount, Requirement.MAINTENANCE)

    def _lots(self, balance_type: int) -> Iterator[Lot]:
        for position in self._of(balance_type):
            side = self._side(self._market(position).address)
            if side is not None and side.amount:
                market, weight = side.market, self._weight(position, side)
                price = self.first[market.oracle, market.oracle_source]
                yield Lot(market.address, market.mint, market.decimals, side.amount, price, PRICE, weight)

    def _weight(self, position: SpotPosition, side: Side) -> int:
        """Return what of the value counts, or is required, in basis points; while a liquidation runs, with the buffer."""
        if position.balance_type == BORROW:
            weight = WEIGHT if side.market.market_index == QUOTE else self._liability_weight(side)
            return weight + self.user.is_being_liquidated * self.world.rails.liquidation_margin_buffer_ratio
        if side.market.market_index == QUOTE:
            return 0 if self.user.pool_id == ISOLATED_POOL else WEIGHT
        return asset_weight(side.market, side.amount, side.price, Requirement.MAINTENANCE)


def _unknown(user: User, world: World) -> Iterator[str]:
    """Say why it is not known how an account is liquidated."""
    if user.perp:
        yield "it has perp positions, whose liquidation is not simulated"
    if any(each.open_orders or each.open_bids or each.open_asks for each in user.spot):
        yield "it has orders, which a liquidation cancels first"
    mints: dict[Key, bytes] = {}
    for each in user.spot:
        market = world.spot[each.market_index]
        if market.liquidator_fee is None:
            yield f"the fees of a liquidation were not stored with spot market {market.market_index}"
        if market.decimals < LEFT_OUT_BELOW:
            yield f"how the program rounds a token of {market.decimals} decimals is not known"
        if mints.setdefault((market.oracle, market.oracle_source), market.mint) != market.mint:
            yield "two tokens of it have one price, which cannot move by both"


def to_cover(shortage: int, weights: tuple[int, int], sides: tuple[Side, Side], fee: int) -> int:
    """Return how much of a loan covers what is missing, raw units (`calculate_liability_transfer_to_cover_margin_shortage`)."""
    (asset, liability), (pledged, owed) = weights, sides
    if asset == liability:
        return 2**128 - 1
    up, down = _scales(owed.market.decimals, 6)
    kept = unsigned(liability * 10 - asset * 10 * pledged.multiplier // owed.multiplier)
    freed = unsigned(owed.price * kept - owed.price * fee // FEE * liability * 10)
    if freed == 0:
        raise Refused("nothing is freed by any amount")
    return shortage * up * (PRICE * WEIGHT * 10) // freed // down


def insurance_fee(shortage: int, weights: tuple[int, int], sides: tuple[Side, Side], most: int) -> int:
    """Return the fee that insurance takes of what is taken over (`calculate_spot_if_fee`)."""
    (asset, liability), (pledged, owed) = weights, sides
    if asset >= liability:
        raise Refused("a loan that weighs no more than the deposit")
    liability, asset = liability * (FEE // WEIGHT), asset * (FEE // WEIGHT)
    borne = max(liability - asset * pledged.multiplier // owed.multiplier, 0)
    missing = shortage * FEE * power_of_ten(owed.market.decimals) // owed.amount // owed.price
    return min(most, max(borne - missing, 0) * FEE // liability)


def implied_by(pledged: Side, owed: Side) -> int:
    """Return how much of a loan all of a deposit pays for, up (`calculate_liability_transfer_implied_by_asset_amount`)."""
    up, down = _scales(owed.market.decimals, pledged.market.decimals)
    worth = pledged.amount * up * pledged.price * owed.multiplier
    return _div_up(_div_up(worth, owed.price * pledged.multiplier), down)


def transferred(pledged: Side, owed: Side, paid: int) -> int:
    """Return what of a deposit goes for so much of a loan; all of it where next to nothing would be left
    (`calculate_asset_transfer_for_liability_transfer`).
    """
    up, down = _scales(pledged.market.decimals, owed.market.decimals)
    found = paid * up * owed.price * pledged.multiplier // (pledged.price * owed.multiplier) // down
    left = abs(found - pledged.amount) * pledged.price // PRICE * power_of_ten(pledged.market.decimals - LEFT_OUT_BELOW)
    return pledged.amount if left < PRICE else min(found, pledged.amount)


def _scales(more: int, less: int) -> tuple[int, int]:
    return (power_of_ten(more - less), 1) if more > less else (1, power_of_ten(less - more))


def _div_up(number: int, by: int) -> int:
    return -(-number // by)
