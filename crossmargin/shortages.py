"""How grave what venues lack of their tokens is: by its share of all claims, and by what it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING
from typing import Any

from aggregator.margin.floor import ShortfallFloor
from aggregator.margin.numbers import rounded, text
from aggregator.oracle.mark import Mark
from chains.identifiers import format_address
from crossmargin.cuts import Scene
from crossmargin.quotes import listed_positions

Shortage = dict[str, Any]


def weighed(shortages: Sequence[Shortage], scene: Scene) -> list[Shortage]:
    """Return the documents of shortages with `missing_usd` (at the high of the mark, `None` without a price) and `gravity`."""
    if not shortages:
        return []
    prices = _prices(scene)
    return [_weighed(each, prices.get((each["venue"], each["asset"])), scene.floor) for each in shortages]


def _prices(scene: Scene) -> dict[tuple[str, str], float]:
    """Return the USD that one raw unit of a token is worth, by venue and token."""
    return {
        (item.held_in.venue.id, format_address(item.held_in.venue.chain_id, item.position.asset)): (
            item.mark.high / 10**item.position.decimals
        )
        for item in listed_positions(scene)
        if isinstance(item.mark, Mark)
    }


def _weighed(shortage: Shortage, price: float | None, floor: ShortfallFloor) -> Shortage:
    missing, claims = int(shortage["shortfall"] or 0), int(shortage["claims"] or 0)
    usd = None if price is None else missing * price
    gravity = floor.gravity(missing, claims, usd).value
    told = {"missing_usd": None if usd is None else text(rounded(usd, 2, ROUND_CEILING)), "gravity": gravity}
    return shortage | told
