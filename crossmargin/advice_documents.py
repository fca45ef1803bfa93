"""What an account may do to be further from a liquidation, as a document; nothing is done and nothing signed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR

from aggregator.advice import Priced, Reach, Trade, advise, health_of, ranked_by_cost
from aggregator.margin.document import HealthDocument
from aggregator.margin.inputs import HealthInputs
from aggregator.margin.numbers import rounded, text
from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.settings.model import RebalancingSettings

MOST_TOLD = 20
LARGEST_USD = 1e15
PLACES = 6

RULES = (
    "each candidate is evaluated as any other inputs; gain is of the lowest of the house's, its pools' and the units' health factors",
    "amounts are at the house's marks; a sale loses what the liquidity layer says, crossing chains what [rebalancing] says",
    "only assets that the account has or owes at a venue already are considered, and chains that [rebalancing] says can be reached",
    "withdrawals keep to what a venue's rules permit before anything is repaid, where they are known; supply caps are not looked at",
    "nothing is done and nothing is signed",
)


def reach_of(settings: RebalancingSettings) -> Reach:
    """Return what the configuration says of ways between chains."""
    return Reach(pairs=frozenset(settings.reachable), bridge_cost=settings.bridge_cost, action_usd=settings.action_usd)


def advised(inputs: HealthInputs, before: HealthDocument, usd: float | None, settings: RebalancingSettings) -> Document:
    """Rank what moves up to so much; raises `UsageError`."""
    budget = settings.most_usd if usd is None else usd
    if not 0 < budget <= LARGEST_USD:
        raise UsageError(f"what is moved is more than 0 USD, not {budget}")
    if budget > settings.most_usd:
        raise UsageError(f"no more than {settings.most_usd:g} USD are moved at once ([rebalancing] most_usd)")
    found = advise(inputs, before, budget, reach_of(settings))
    whole = before.model_dump(mode="json")
    priced = () if found is None else found.priced
    ranks = ranked_by_cost(priced)
    symbols = {each.asset: each.symbol for venue in before.venues for unit in venue.units for each in unit.positions}
    return {
        "account": before.account,
        "as_of": whole["as_of"],
        "status": whole["status"],
        "health": _health(health_of(before)),
        "budget_usd": _usd(budget),
        "advice": [_told(each, ranks[place], symbols) for place, each in enumerate(priced[:MOST_TOLD])],
        "helpful": len(priced),
        "useless": 0 if found is None else found.useless,
        "refused": [] if found is None else list(found.refused),
        "rules": list(RULES),
        "reasons": whole["reasons"],
    }


def _told(found: Priced, rank: int, symbols: Mapping[str, str]) -> Document:
    after = found.after
    return {
        "kind": found.trade.kind.value,
        "outside": found.trade.outside,
        "actions": _actions(found.trade, symbols),
        "moved_usd": _usd(found.trade.moved_usd),
        "cost_usd": _usd(found.trade.cost_usd),
        "gain": _ratio(found.gain),
        "gain_per_thousand_usd": _ratio(found.per_dollar * 1_000),
        "gain_per_usd_of_cost": _ratio(found.per_cost),
        "rank_by_cost": rank,
        "health_after": _health(health_of(after)),
        "health_factor_after": after.health_factor,
        "min_unit_health_factor_after": after.min_unit_health_factor,
        "score_after": after.score,
        "status_after": after.model_dump(mode="json", include={"status"})["status"],
    }


def _actions(trade: Trade, symbols: Mapping[str, str]) -> list[Document]:
    return [
        {
            "kind": each.kind.value,
            "venue": each.venue,
            "asset": each.asset,
            "symbol": symbols.get(each.asset, ""),
            "tokens": text(each.tokens),
        }
        for each in trade.actions
    ]


def _health(value: float | None) -> str | None:
    return None if value is None or math.isinf(value) else _ratio(value)


def _ratio(value: float) -> str | None:
    """Round down; `null`: no bound."""
    return None if math.isinf(value) else text(rounded(value, PLACES, ROUND_FLOOR))


def _usd(value: float) -> str:
    """Round what is moved or lost up."""
    return text(rounded(value, PLACES, ROUND_CEILING))
