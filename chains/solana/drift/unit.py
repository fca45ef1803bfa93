"""A user's account as the program values it: cross-margin and isolated collateral against what is required, for initial, fill and
maintenance margin, with the interest that is stored and with interest up to the block.

Source: drift-labs protocol-v2, `math/margin.rs`, `math/liquidation.rs`, `controller/liquidation.rs`, `state/liquidation_mode.rs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from chains.identifiers import base58
from chains.model import WHOLE_VENUE, Reason, Side, UnitPosition, UnitSnapshot, VenueSnapshot, VenueUnit
from chains.solana.drift.accounts import (
    ACCOUNT_STATE,
    BANKRUPT,
    BORROW,
    DEPOSIT,
    KNOWN_POSITION_FLAGS,
    POSITION_BANKRUPT,
    PerpPosition,
    SpotPosition,
    User,
    user_of,
)
from chains.solana.drift.book import Book
from chains.solana.drift.exposure import BASE_UNIT, exposure, positions_of, sum_base
from chains.solana.drift.integers import Refused
from chains.solana.drift.liquidating import Liquidable
from chains.solana.drift.margin import (
    QUOTE,
    Balances,
    Calculation,
    Context,
    Total,
    World,
    calculate,
    health_factor_wad,
    is_open,
)
from chains.solana.drift.oracles import Validity
from chains.solana.drift.spot import Requirement
from chains.solana.drift.states import LIQUIDATIONS_PAUSED, perp_address, spot_address
from chains.solana.programs import doubts as unstated
from chains.solana.programs import known

_NOBODY = User(max_margin_ratio=0, margin_mode=0, pool_id=0, status=0, spot=(), perp=())
_CONTEXTS = {
    "initial": Context(Requirement.INITIAL, strict=True),
    "withdraw": Context(Requirement.INITIAL, strict=True, lenient=True),
    "fill": Context(Requirement.FILL),
}


def open_book(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], VenueUnit]:
    """Return the function that turns an account into the program's own numbers and its positions in tokens."""
    book = Book(snapshot)
    return known(snapshot, lambda unit: Account(book, unit).venue_unit())


def doubts(snapshot: VenueSnapshot) -> tuple[Reason, ...]:
    """Return why nothing of the venue can be known, whoever asks."""
    return tuple(unstated(snapshot))


class Account:
    """One account at a block."""

    def __init__(self, book: Book, unit: UnitSnapshot) -> None:
        self.book = book
        self.unit = unit
        text = unit.settings.get((WHOLE_VENUE, ACCOUNT_STATE))
        found = "the account has not been read" if text is None else user_of(text)
        self.problem = found if isinstance(found, str) else None
        self.user = _NOBODY if isinstance(found, str) else found

    def venue_unit(self) -> VenueUnit:
        """Return the program's numbers and the positions in tokens."""
        unknown = tuple(dict.fromkeys(self._unknown()))
        native = None if unknown else self._native()
        positions = tuple(positions_of(self.user, self.balances, self.book, self._accrued))
        return VenueUnit(
            venue_id=self.book.snapshot.venue.id,
            unit_id=self.unit.unit_id,
            owner=self.unit.owner,
            native=native,
            health_factor_wad=self._health_factor() if native and self.has_debt else None,
            liquidatable=self._liquidatable(native) if native else None,
            has_debt=self.has_debt,
            collateral_base=self._base(positions, Side.SUPPLY) if native else None,
            debt_base=self._base(positions, Side.BORROW) if native else None,
            base_unit=BASE_UNIT,
            positions=positions,
            reasons=(*unknown, *self._noted(native)),
            engine_version=self.book.engine,
            liquidating=self.liquidating,
        )

    def liquidating(self) -> Liquidable | tuple[Reason, ...]:
        """Return the account with interest as it would be liquidated, or why that is not known."""
        if unknown := tuple(dict.fromkeys(self._unknown())):
            return unknown
        world = self._world(accrued=True)
        if isinstance(world, Reason):
            return (world,)
        return Liquidable.of(self.unit.unit_id, self.user, self.balances, world)

    @cached_property
    def balances(self) -> Balances:
        """Scaled balances by the markets' numbers."""
        program, held = self.book.program, self.unit.positions
        sides = {DEPOSIT: Side.SUPPLY, BORROW: Side.BORROW}
        return Balances(
            {
                each.market_index: held.get((spot_address(program, each.market_index), sides[each.balance_type]), 0)
                for each in self.user.spot
            },
            {
                each.market_index: held.get((perp_address(program, each.market_index), Side.SUPPLY), 0)
                for each in self.user.perp
                if each.is_isolated
            },
        )

    @property
    def has_debt(self) -> bool:
        """Whether there is a loan, a perp position, a loss or an order; also where nobody can say how much."""
        if self.problem is not None:
            return any(side is Side.BORROW and amount for (_, side), amount in self.unit.positions.items())
        spot = any(each.balance_type == BORROW or each.open_orders for each in self.user.spot)
        return spot or any(
            each.base_asset_amount or each.quote_asset_amount < 0 or each.has_open_order or each.lp_shares
            for each in self.user.perp
        )

    # What is not known

    def _unknown(self) -> Iterator[Reason]:
        """Say why the program's maintenance calculation fails or is not known here."""
        name = base58(self.unit.unit_id)
        if self.problem is not None:
            yield Reason("account_unreadable", name, self.problem)
            return
        if isinstance(self.book.rails, Reason):
            yield self.book.rails
        for spot in self.user.spot:
            yield from self.book.missing_spot(spot.market_index)
        for perp in self.user.perp:
            yield from self.book.missing_perp(perp.market_index)
            yield from _in_doubt(name, perp)
        if self._is_known:
            yield from (found for found in (self._stored, self._accrued) if isinstance(found, Reason))

    @cached_property
    def _is_known(self) -> bool:
        """Whether all that is calculated with has been read."""
        missing = [
            *(reason for each in self.user.spot for reason in self.book.missing_spot(each.market_index)),
            *(reason for each in self.user.perp for reason in self.book.missing_perp(each.market_index)),
        ]
        return not missing and not isinstance(self.book.rails, Reason)

    # The program's numbers

    def _world(self, *, accrued: bool) -> World | Reason:
        return self.book.world(self.user, accrued=accrued)

    def _calculated(self, context: Context, *, accrued: bool) -> Calculation | Reason:
        world = self._world(accrued=accrued)
        if isinstance(world, Reason):
            return world
        try:
            return calculate(self.user, self.balances, world, context)
        except Refused as error:
            return Reason("program_refuses", base58(self.unit.unit_id), str(error))

    @cached_property
    def _stored(self) -> Calculation | Reason:
        return self._calculated(Context(Requirement.MAINTENANCE), accrued=False)

    @cached_property
    def _accrued(self) -> Calculation | Reason | None:
        return self._calculated(Context(Requirement.MAINTENANCE), accrued=True) if self._is_known else None

    @cached_property
    def _others(self) -> Mapping[str, Calculation | Reason]:
        return {name: self._calculated(context, accrued=False) for name, context in _CONTEXTS.items()}

    def _native(self) -> dict[str, int]:
        native: dict[str, int] = {}
        for name, found in (("", self._stored), ("_accrued", self._accrued)):
            if isinstance(found, Calculation):
                native |= self._of_maintenance(found, name)
        for name, found in self._others.items():
            if isinstance(found, Calculation):
                native |= _of_check(found, name)
        if isinstance(self._stored, Calculation):
            for number, value in self._stored.perp.items():
                native |= exposure(number, value, next(each for each in self.user.perp if each.market_index == number))
        return native | {
            "status": self.user.status,
            "margin_mode": self.user.margin_mode,
            "pool_id": self.user.pool_id,
        }

    def _of_maintenance(self, found: Calculation, suffix: str) -> dict[str, int]:
        numbers = {f"{name}{suffix}": value for name, value in _sums(found.cross).items()}
        for market, total in sorted(found.isolated.items()):
            numbers |= {f"isolated_{market}_{name}{suffix}": value for name, value in _sums(total).items()}
        numbers[f"health{suffix}"] = 0 if self.user.is_being_liquidated else health(found.cross)
        numbers[f"liquidatable{suffix}"] = int(any(is_open(*each) for each in self._totals(found)))
        if not suffix:
            numbers |= _validity(found)
        return numbers

    def _totals(self, found: Calculation) -> Iterator[tuple[Total, bool]]:
        """Yield what is liquidated separately, and whether it already is."""
        yield found.cross, self.user.is_being_liquidated
        for perp in self.user.perp:
            if perp.market_index in found.isolated:
                yield found.isolated[perp.market_index], perp.is_being_liquidated

    def _health_factor(self) -> int:
        """Return the lower of both: an instruction brings up to date only the markets that it names, and anybody may have any accrued."""
        found = [each for each in (self._stored, self._accrued) if isinstance(each, Calculation)]
        return min(health_factor_wad(*total) for each in found for total in self._totals(each))

    def _liquidatable(self, native: Mapping[str, int]) -> bool | None:
        """Return whether anybody may liquidate, `None` where all deposits or all loans have volatile prices.

        The program judges such a price once more, by the average that the liquidation itself brings up to date.
        """
        if not (native["liquidatable"] or native["liquidatable_accrued"]):
            return False
        held = [each for each in self.user.spot if self.balances.spot.get(each.market_index)]
        sides = ([each for each in held if each.balance_type == kind] for kind in (DEPOSIT, BORROW))
        in_doubt = not self.user.perp and any(side and all(map(self._is_volatile, side)) for side in sides)
        return None if in_doubt else True

    def _is_volatile(self, position: SpotPosition) -> bool:
        market = self.book.spot(position.market_index)
        if position.market_index == QUOTE or isinstance(market, Reason) or not isinstance(self._stored, Calculation):
            return False
        return self._stored.invalid.get(market.oracle) is Validity.TOO_VOLATILE

    def _base(self, positions: tuple[UnitPosition, ...], side: Side) -> int:
        return sum(sum_base(each) for each in positions if each.side is side)

    # What is only noted

    def _noted(self, native: dict[str, int] | None) -> Iterator[Reason]:
        if native is None or not isinstance(self._stored, Calculation):
            return
        for oracle, validity in self._stored.invalid.items():
            then = "does not liquidate at it" if validity is Validity.TOO_VOLATILE else "liquidates at it"
            yield Reason(validity.value, base58(oracle), f"the program takes no margin on this price, and {then}")
        for name, found in self._others.items():
            if isinstance(found, Reason):
                yield Reason(f"{name}_{found.code}", found.subject, found.detail)
        subject = base58(self.unit.unit_id)
        if self.user.status & BANKRUPT or any(each.position_flag & POSITION_BANKRUPT for each in self.user.perp):
            yield Reason("bankrupt", subject, "nobody is paid for liquidating what is left; it is covered by insurance")
        if any(each.base_asset_amount for each in self.user.perp):
            yield Reason(
                "perp_exposure", subject, "perp positions move with their markets; only their profit is a position"
            )
        rails = self.book.rails
        if not isinstance(rails, Reason) and rails.exchange_status & LIQUIDATIONS_PAUSED:
            yield Reason("liquidations_paused", base58(self.book.snapshot.venue.address), "liquidations are paused")


def _in_doubt(name: str, position: PerpPosition) -> Iterator[Reason]:
    """Say why a perp position's bytes may mean something else."""
    where = f"the position in perp market {position.market_index}"
    if position.lp_shares:
        yield Reason("lp_shares", name, f"{where} has LP shares, which this version of the program no longer counts")
    elif position.position_flag and position.last_quote_asset_amount_per_lp:
        yield Reason("lp_remains", name, f"{where} has remains of LP shares where the flag of isolated ones stands")
    elif position.position_flag & ~KNOWN_POSITION_FLAGS:
        yield Reason("unsupported_version", name, f"{where} has the flag {position.position_flag}, which came later")


def _sums(total: Total) -> dict[str, int]:
    return {
        "total_collateral": total.total_collateral,
        "margin_requirement": total.margin_requirement,
        "margin_requirement_plus_buffer": total.margin_requirement_plus_buffer,
        "total_collateral_plus_buffer": total.total_collateral + total.total_collateral_buffer,
        "margin_shortage": total.margin_shortage,
        "free_collateral": max(total.total_collateral - total.margin_requirement, 0),
    }


def _of_check(found: Calculation, name: str) -> dict[str, int]:
    total = found.cross
    numbers = {
        f"{name}_total_collateral": total.total_collateral,
        f"{name}_margin_requirement": total.margin_requirement,
        f"{name}_free_collateral": max(total.total_collateral - total.margin_requirement, 0),
    }
    for market, isolated in sorted(found.isolated.items()):
        numbers[f"{name}_isolated_{market}_total_collateral"] = isolated.total_collateral
        numbers[f"{name}_isolated_{market}_margin_requirement"] = isolated.margin_requirement
    return numbers


def _validity(found: Calculation) -> dict[str, int]:
    return {
        "all_deposit_oracles_valid": int(found.all_deposit_oracles_valid),
        "all_liability_oracles_valid": int(found.all_liability_oracles_valid),
        "num_spot_liabilities": found.num_spot_liabilities,
        "num_perp_liabilities": found.num_perp_liabilities,
    }


def health(total: Total) -> int:
    """Return the health from 0 to 100 that the program's own client shows, rounded to the nearest, halves up."""
    collateral, required = total.total_collateral, total.margin_requirement
    if required == 0 and collateral >= 0:
        return 100
    if collateral <= 0:
        return 0
    return max(min((2 * 100 * (collateral - required) + collateral) // (2 * collateral), 100), 0)
