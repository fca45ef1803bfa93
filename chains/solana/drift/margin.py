"""An account's collateral and what is required of it, as the program adds them up.

Source: drift-labs protocol-v2, `math/margin.rs` (`calculate_margin_requirement_and_total_collateral_and_liability_info`),
`state/margin_calculation.rs`. Values have 6 decimals of USD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from chains.solana.drift.accounts import (
    DEPOSIT,
    HIGH_LEVERAGE,
    HIGH_LEVERAGE_MAINTENANCE,
    PerpPosition,
    SpotPosition,
    User,
)
from chains.solana.drift.integers import WEIGHT, Refused, div_toward_zero, signed, unsigned
from chains.solana.drift.interest import deposited_down
from chains.solana.drift.oracles import NO_ORACLE, OraclePrice, Validity, validity_of
from chains.solana.drift.perp import PerpValue, Terms, perp_value
from chains.solana.drift.spot import (
    OPEN_ORDER,
    Filled,
    Prices,
    Requirement,
    strict_value,
    token_amount,
    with_own_ratio,
    worst_case,
)
from chains.solana.drift.states import PerpMarket, Rails, SpotMarket

QUOTE = 0
"""Number of the spot market that all is settled in."""

ISOLATED_POOL = 1
"""The pool whose accounts may hold the quote asset of the first, for nothing."""

MOST_OPEN_ORDERS = 32
WAD = 10**18
MAX_UINT256 = 2**256 - 1


class Context(NamedTuple):
    """How is asked. `strict`: prices are also compared with their averages; `lenient`: deposits without a valid price count nothing."""

    requirement: Requirement
    strict: bool = False
    lenient: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All that an account's margin depends on: markets by number, their prices, and the guard rails."""

    spot: Mapping[int, SpotMarket]
    perp: Mapping[int, PerpMarket]
    prices: Mapping[tuple[bytes, int], OraclePrice]
    rails: Rails


@dataclass(slots=True)
class Total:
    """Collateral and requirement, and how much less of one and more of the other there is with the liquidation buffer."""

    total_collateral: int = 0
    margin_requirement: int = 0
    total_collateral_buffer: int = 0
    margin_requirement_plus_buffer: int = 0

    @property
    def is_met(self) -> bool:
        """Whether the collateral covers the requirement."""
        return self.total_collateral >= self.margin_requirement

    @property
    def margin_shortage(self) -> int:
        """What is missing until a liquidation ends."""
        return max(self.margin_requirement_plus_buffer - self.total_collateral - self.total_collateral_buffer, 0)

    def add_collateral(self, value: int, buffer: int) -> None:
        """Add to the collateral what may be negative."""
        self.total_collateral = signed(self.total_collateral + value)
        if value < 0:
            self.total_collateral_buffer += div_toward_zero(signed(value * buffer), WEIGHT)

    def require(self, requirement: int, liability: int, buffer: int) -> None:
        """Add to the requirement."""
        self.margin_requirement = unsigned(self.margin_requirement + requirement, 127)
        self.margin_requirement_plus_buffer += requirement + unsigned(liability * buffer) // WEIGHT


@dataclass(slots=True)
class Calculation:
    """The sums of an account, by positions that share their collateral (`cross`) and those that do not (by perp market)."""

    cross: Total = field(default_factory=Total)
    isolated: dict[int, Total] = field(default_factory=dict)
    perp: dict[int, PerpValue] = field(default_factory=dict)
    all_deposit_oracles_valid: bool = True
    all_liability_oracles_valid: bool = True
    num_spot_liabilities: int = 0
    num_perp_liabilities: int = 0
    invalid: dict[bytes, Validity] = field(default_factory=dict)


def is_open(total: Total, being_liquidated: bool) -> bool:  # noqa: FBT001 - as `Account` yields them
    """Whether anybody may liquidate: the requirement is not met, or the buffer on top of it is not while a liquidation runs."""
    return total.margin_shortage > 0 if being_liquidated else not total.is_met


def health_factor_wad(total: Total, being_liquidated: bool) -> int:  # noqa: FBT001 - ditto
    """Return collateral over requirement, below 1e18 just where anybody may liquidate."""
    if total.total_collateral < 0:
        return 0
    required = total.margin_requirement
    ratio = MAX_UINT256 if required == 0 else total.total_collateral * WAD // required
    return min(ratio, WAD - 1) if is_open(total, being_liquidated) else ratio


class Balances(NamedTuple):
    """Scaled balances, of spot markets and of isolated positions, by the market's number."""

    spot: Mapping[int, int]
    isolated: Mapping[int, int]


def calculate(user: User, balances: Balances, world: World, context: Context) -> Calculation:
    """Return an account's sums; raises `Refused` where the program does not calculate."""
    run = _Run(user, balances, world, context)
    for position in user.spot:
        run.add_spot(position)
    for perp in user.perp:
        run.add_perp(perp)
    result = run.result
    if result.num_spot_liabilities and not result.cross.margin_requirement:
        raise Refused("a loan that requires nothing")
    return result


class _Run:
    """One calculation; a price is valid or not as it was when it was first looked at, whichever market that was for."""

    def __init__(self, user: User, balances: Balances, world: World, context: Context) -> None:
        self.result = Calculation()
        self._user, self._balances, self._world, self._context = user, balances, world, context
        self._buffer = world.rails.liquidation_margin_buffer_ratio
        self._initial = context.requirement is Requirement.INITIAL
        self._own_ratio = user.max_margin_ratio if self._initial else 0
        self._validity: dict[tuple[bytes, int], Validity] = {}

    def add_spot(self, position: SpotPosition) -> None:
        """Add a deposit or a loan, with its orders."""
        _check_orders(position)
        market = self._world.spot[position.market_index]
        price, valid = self._price(market)
        worthless = self._belongs(market, position)
        prices = Prices(price.price, market.last_oracle_price_twap_5min if self._context.strict else None)
        if prices.low <= 0:
            raise Refused(f"the average price of spot market {market.market_index} is not positive")
        balance = self._balances.spot.get(position.market_index, 0)
        tokens = token_amount(market, position.balance_type, balance)
        if market.market_index == QUOTE:
            if tokens == 0 and balance:
                raise Refused("a balance of the quote asset that is worth no unit of it")
            self._add_quote(market, position, tokens, prices, valid=valid, worthless=worthless)
            return
        filled = worst_case(market, position, tokens, prices, self._context.requirement)
        filled = with_own_ratio(market, filled, prices.current, self._own_ratio)
        if filled.tokens == 0 and balance:
            raise Refused(f"a balance of spot market {market.market_index} that comes to nothing")
        self._require(position.open_orders * OPEN_ORDER, 0)
        self._add_filled(position, filled, valid=valid)

    def _belongs(self, market: SpotMarket, position: SpotPosition) -> bool:
        """Whether a position is one that counts nothing; raises `Refused` for one of another pool."""
        is_borrow = position.balance_type != DEPOSIT and self._balances.spot.get(position.market_index, 0) > 0
        if self._user.pool_id == ISOLATED_POOL and market.market_index == QUOTE and not is_borrow:
            return True
        self._check_pool(market)
        return False

    def _add_quote(
        self, market: SpotMarket, position: SpotPosition, tokens: int, prices: Prices, *, valid: bool, worthless: bool
    ) -> None:
        value = strict_value(tokens, market.decimals, prices)
        if position.balance_type == DEPOSIT:
            ignored = worthless or (self._context.lenient and not valid)
            self._collect(0 if ignored else value)
            self.result.all_deposit_oracles_valid &= valid
            return
        if value == 0:
            raise Refused("a loan of the quote asset that is worth nothing")
        self._require(abs(value), abs(value))
        self._owe(valid=valid)

    def _add_filled(self, position: SpotPosition, filled: Filled, *, valid: bool) -> None:
        ignored = self._context.lenient and not valid
        if filled.value > 0:
            self._collect(0 if ignored else filled.weighted)
            self.result.all_deposit_oracles_valid &= valid
        elif filled.value < 0:
            if filled.weighted == 0 or abs(filled.weighted) < abs(filled.value):
                raise Refused(f"a loan of spot market {position.market_index} that counts less than it is worth")
            self._require(abs(filled.weighted), abs(filled.value))
            self._owe(valid=valid)
        elif position.open_orders or position.open_bids or position.open_asks:
            self._owe(valid=valid)
        if filled.orders_value > 0:
            self._collect(0 if ignored else filled.orders_value)
        elif filled.orders_value < 0:
            self._require(abs(filled.orders_value), abs(filled.orders_value))

    def add_perp(self, position: PerpPosition) -> None:
        """Add a perp position."""
        market = self._world.perp[position.market_index]
        self._check_pool(market)
        quote_market = self._world.spot[market.quote_spot_market_index]
        quote, quote_valid = self._price(quote_market)
        price, valid = self._price(market)
        average = quote_market.last_oracle_price_twap_5min if self._context.strict else None
        terms = Terms(
            requirement=self._context.requirement,
            price=price.price,
            quote=Prices(quote.price, average),
            own_ratio=max(self._own_ratio, position.max_margin_ratio) if self._initial else 0,
            high_leverage=self._is_high_leverage,
        )
        value = perp_value(position, market, terms)
        self.result.perp[position.market_index] = value
        if position.is_isolated:
            self._add_isolated(position, quote_market, value, terms.quote)
        else:
            self._require(value.margin_requirement, value.liability_value)
            self._collect(value.weighted_pnl)
        owes = position.base_asset_amount != 0 or position.quote_asset_amount < 0 or position.has_open_order
        self.result.num_perp_liabilities += owes
        if owes or not self._initial:
            self.result.all_liability_oracles_valid &= quote_valid and valid

    def _add_isolated(self, position: PerpPosition, market: SpotMarket, value: PerpValue, quote: Prices) -> None:
        tokens = deposited_down(market, self._balances.isolated.get(position.market_index, 0))
        total = self.result.isolated[position.market_index] = Total()
        total.add_collateral(strict_value(tokens, market.decimals, quote), 0)
        total.add_collateral(value.weighted_pnl, self._buffer)
        total.require(value.margin_requirement, value.liability_value, self._buffer)

    @property
    def _is_high_leverage(self) -> bool:
        mode = self._user.margin_mode
        asked_to_keep = self._context.requirement is Requirement.MAINTENANCE
        return mode == HIGH_LEVERAGE or (mode == HIGH_LEVERAGE_MAINTENANCE and asked_to_keep)

    def _price(self, market: SpotMarket | PerpMarket) -> tuple[OraclePrice, bool]:
        key = market.oracle, market.oracle_source
        price = self._world.prices[key]
        if key not in self._validity:
            known = market.oracle == NO_ORACLE
            self._validity[key] = Validity.VALID if known else validity_of(price, market, self._world.rails)
            if self._validity[key] is not Validity.VALID:
                self.result.invalid[market.oracle] = self._validity[key]
        return price, self._validity[key] is Validity.VALID

    def _check_pool(self, market: SpotMarket | PerpMarket) -> None:
        if self._user.pool_id != market.pool_id:
            raise Refused(f"the account is of pool {self._user.pool_id}, {market.symbol} of pool {market.pool_id}")

    def _collect(self, value: int) -> None:
        self.result.cross.add_collateral(value, self._buffer)

    def _require(self, requirement: int, liability: int) -> None:
        self.result.cross.require(requirement, liability, self._buffer)

    def _owe(self, *, valid: bool) -> None:
        self.result.num_spot_liabilities += 1
        self.result.all_liability_oracles_valid &= valid


def _check_orders(position: SpotPosition) -> None:
    if position.open_orders > MOST_OPEN_ORDERS or position.open_bids < 0 or position.open_asks > 0:
        raise Refused(f"the orders of spot market {position.market_index} are not what orders can be")
