"""What an account may do to be further from a liquidation: swaps, moves, repayments and top-ups, each priced by `evaluate` itself.

Every candidate is a list of `aggregator.whatif.Action`s on the account's own inputs; nothing is estimated but what its sales lose (the
liquidity layer) and what crossing a bridge costs. Only places where the account has or owes something already are considered.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

from aggregator.liquidating import outlet_of
from aggregator.margin.document import HealthDocument
from aggregator.margin.health import context_of, evaluate, open_units
from aggregator.margin.inputs import HealthInputs
from aggregator.margin.lookthrough import looked_through, shares_of
from aggregator.margin.numbers import rounded, whole_tokens
from aggregator.margin.valuation import Context, ValuedPosition, value_positions
from aggregator.oracle.mark import Mark
from aggregator.whatif import Action, Kind, WhatIfError, changed
from chains.identifiers import Account

USUAL_DEPTH = 1.0


class Advised(StrEnum):
    """What is done: money comes from outside the account in the first two."""

    REPAY = "repay"
    TOP_UP = "top_up"
    REPAY_WITH = "repay_with_collateral"
    SWAP = "swap"
    MOVE = "move"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Between which chains (CAIP-2, from and to) things are moved, at which share of themselves, and what an action costs in USD."""

    pairs: frozenset[tuple[str, str]] = frozenset()
    bridge_cost: float = 0.0
    action_usd: float = 0.0

    def cost(self, first: str, second: str) -> float | None:
        """Return the share that is lost on the way, `None` where there is none."""
        if first == second:
            return 0.0
        return self.bridge_cost if (first, second) in self.pairs else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A candidate: `moved_usd` of value changes its place, of which `cost_usd` is lost; `outside`: it is new money."""

    kind: Advised
    actions: tuple[Action, ...]
    moved_usd: float
    cost_usd: float
    outside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """A candidate and what the account is afterwards; `gain`: in `health_of`, infinite where no debt is left."""

    trade: Trade
    gain: float
    after: HealthDocument

    @property
    def per_dollar(self) -> float:
        return self.gain / self.trade.moved_usd

    @property
    def per_cost(self) -> float:
        """Return what is gained for each dollar that is lost; infinite where none is."""
        return self.gain / self.trade.cost_usd if self.trade.cost_usd > 0 else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The candidates that help, those that help most per dollar moved first; `useless`: how many were tried that do not.

    `refused`: why some could not be tried.
    """

    priced: tuple[Priced, ...]
    useless: int
    refused: tuple[str, ...] = field(default=())


def health_of(document: HealthDocument) -> float | None:
    """Return the lowest health factor of house, pools and units: infinite without debt, `None` where one is not known.

    An account whose every debt stands alone has none but its pools' and its units'.
    """
    if document.status == "no_debt":
        return math.inf
    house = [
        each for each in (document.health_factor, *(pool.health_factor for pool in document.pools)) if each is not None
    ]
    unit = document.min_unit_health_factor
    return min(map(float, (unit, *house))) if house and unit is not None else None


def advise(inputs: HealthInputs, before: HealthDocument, budget_usd: float, reach: Reach) -> Advice | None:
    """Try everything that moves up to so much; `None` where the account's health is not known."""
    health = health_of(before)
    if health is None:
        return None
    priced, refused, useless = [], dict[str, None](), 0
    for trade in candidates(inputs, budget_usd, reach):
        try:
            after = evaluate(changed(inputs, trade.actions, {}))
        except WhatIfError as error:
            refused[str(error)] = None
            continue
        reached = health_of(after)
        if reached is None or reached <= health:
            useless += 1
            continue
        priced.append(Priced(trade=trade, gain=reached - health, after=after))
    priced.sort(key=lambda each: (-each.per_dollar, each.trade.cost_usd, str(each.trade.actions)))
    return Advice(priced=tuple(priced), useless=useless, refused=tuple(refused))


def candidates(inputs: HealthInputs, budget_usd: float, reach: Reach) -> Iterator[Trade]:
    """Yield every trade of the account's own places that moves up to so much."""
    market = Market(inputs, reach)
    debts = [item for item in market.items if item.is_debt]
    supplies = [item for item in market.items if not item.is_debt]
    for debt in debts:
        yield from market.outside(Advised.REPAY, Kind.REPAY, debt, budget_usd)
        for supply in supplies:
            yield from market.carried(Advised.REPAY_WITH, supply, debt, budget_usd)
    indebted = {_place(debt) for debt in debts}
    for aim in supplies:
        if _place(aim) in indebted and aim.position.counts:
            yield from market.outside(Advised.TOP_UP, Kind.SUPPLY, aim, budget_usd)
            for supply in supplies:
                kind = Advised.MOVE if supply.held_in.venue != aim.held_in.venue else Advised.SWAP
                if supply is not aim and (kind is Advised.SWAP or supply.identity == aim.identity):
                    yield from market.carried(kind, supply, aim, budget_usd)


def swapped(inputs: HealthInputs, venue: str, names: tuple[str, str], tokens: Decimal) -> tuple[Action, ...]:
    """Return a swap of one supply into another at a venue as actions, at the house's marks less what the sale loses."""
    market = Market(inputs, Reach())
    first, second = (market.supply(venue, name) for name in names)
    return market.carry(first, second, tokens, Kind.SUPPLY)[0]


def carried(
    inputs: HealthInputs, venues: tuple[str, str], name: str, tokens: Decimal, reach: Reach
) -> tuple[Action, ...]:
    """Return a move of a supply to another venue as actions; raises `WhatIfError` where no way leads there."""
    market = Market(inputs, reach)
    first, second = (market.supply(venue, name) for venue in venues)
    if market.way(first, second) is None:
        chains = f"{first.held_in.venue.chain_id} to {second.held_in.venue.chain_id}"
        raise WhatIfError(f'nothing leads from {chains}; say so with reachable = ["FROM>TO"] under [rebalancing]')
    return market.carry(first, second, tokens, Kind.SUPPLY)[0]


class Market:
    """What an account has and owes, with the house's marks, and what selling it loses."""

    def __init__(self, inputs: HealthInputs, reach: Reach) -> None:
        self.context: Context = context_of(inputs)
        self.reach = reach
        units = looked_through(
            (unit for venue in inputs.venues for unit in open_units(venue, inputs.as_of)),
            shares_of(venue.snapshot for venue in inputs.venues),
        )
        items = value_positions(self.context, units)
        self.items = [each for each in items if isinstance(each.mark, Mark) and each.mark.mid > 0 and each.amount > 0]

    def supply(self, venue: str, name: str) -> ValuedPosition:
        """Return what is supplied at a venue under an id, an identity or a symbol; raises `WhatIfError`."""
        there = [each for each in self.items if each.held_in.venue.id == venue and not each.is_debt]
        found = [each for each in there if name in {each.asset_id, each.identity, each.position.symbol}]
        if len(found) != 1:
            known = ", ".join(sorted(each.position.symbol for each in there)) or "nothing with a price"
            raise WhatIfError(f'"{name}" at {venue} is {len(found)} supplies; the account has there: {known}')
        return found[0]

    def outside(self, kind: Advised, action: Kind, aim: ValuedPosition, budget_usd: float) -> Iterator[Trade]:
        """Bring money from outside, no more than is owed."""
        usd = min(budget_usd, aim.amount * self.price(aim)) if action is Kind.REPAY else budget_usd
        tokens = self._tokens(aim, usd)
        if tokens > 0:
            done = (self._action(action, aim, tokens),)
            yield Trade(
                kind=kind,
                actions=done,
                moved_usd=float(tokens) * self.price(aim),
                cost_usd=self.reach.action_usd,
                outside=True,
            )

    def carried(
        self, kind: Advised, first: ValuedPosition, second: ValuedPosition, budget_usd: float
    ) -> Iterator[Trade]:
        """Take a supply, and repay or supply what it brings."""
        if self.way(first, second) is None:
            return
        usd = min(budget_usd, self._free(first) * self.price(first))
        if second.is_debt:
            usd = min(usd, second.amount * self.price(second))
        tokens = self._tokens(first, usd)
        if tokens > 0:
            actions, lost = self.carry(first, second, tokens, Kind.REPAY if second.is_debt else Kind.SUPPLY)
            if all(each.tokens > 0 for each in actions):
                cost = lost + self.reach.action_usd * len(actions)
                yield Trade(kind=kind, actions=actions, moved_usd=float(tokens) * self.price(first), cost_usd=cost)

    def carry(
        self, first: ValuedPosition, second: ValuedPosition, tokens: Decimal, arriving: Kind
    ) -> tuple[tuple[Action, ...], float]:
        """Return both actions, and what is lost between them, USD."""
        usd = float(tokens) * self.price(first)
        share = 1.0
        if first.identity != second.identity:
            share -= outlet_of(first.asset_id, first.identity, self.context).cost(usd, USUAL_DEPTH)
        share *= 1 - (self.way(first, second) or 0.0)
        arrives = self._tokens(second, usd * share) if share < 1 or first.identity != second.identity else tokens
        actions = self._action(Kind.WITHDRAW, first, tokens), self._action(arriving, second, arrives)
        return actions, usd - float(arrives) * self.price(second)

    def way(self, first: ValuedPosition, second: ValuedPosition) -> float | None:
        """Return what crossing from one place to the other costs, `None` where no way leads there."""
        return self.reach.cost(first.held_in.venue.chain_id, second.held_in.venue.chain_id)

    @staticmethod
    def price(item: ValuedPosition) -> float:
        return item.mark.mid if isinstance(item.mark, Mark) else math.nan

    def _free(self, item: ValuedPosition) -> float:
        """Return how many tokens may be withdrawn as far as the venue's rules are known."""
        unit = item.held_in.unit
        allowances = () if unit.permits is None else unit.permits().withdrawable
        most = next((each.most for each in allowances if each.market == item.position.market), None)
        scale: int = 10**item.position.decimals
        return item.amount if most is None else min(item.amount, most / scale)

    def _tokens(self, item: ValuedPosition, usd: float) -> Decimal:
        decimals = item.position.decimals
        found = rounded(max(usd, 0.0) / self.price(item), decimals, ROUND_DOWN)
        return min(found, whole_tokens(item.position.amount_raw, decimals)) if item.is_debt else found

    @staticmethod
    def _action(kind: Kind, item: ValuedPosition, tokens: Decimal) -> Action:
        return Action(kind=kind, venue=item.held_in.venue.id, asset=item.asset_id, tokens=tokens)


def _place(item: ValuedPosition) -> tuple[str, Account]:
    return item.held_in.venue.id, Account(item.held_in.venue.chain_id, item.held_in.unit.unit_id)


def ranked_by_cost(found: Sequence[Priced]) -> Mapping[int, int]:
    """Return the place of each when what they cost is compared, from 1: place in the list → place by cost."""
    order = sorted(range(len(found)), key=lambda place: (-found[place].per_cost, place))
    return {place: rank for rank, place in enumerate(order, 1)}
