"""A book as a simulation of liquidations takes it: every unit with debt under its venue's rules, and where its collateral can be sold."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from types import MappingProxyType

from aggregator.book import Book
from aggregator.histories import Curve
from aggregator.margin.layers import sale_terms
from aggregator.margin.valuation import Context, OpenUnit, asset_class_of, identity_of
from aggregator.margin.venue import unit_name
from aggregator.oracle.mark import Mark
from aggregator.risk.liquidation import MOST_IMPACT, Borrower, Outlet, Pool, Scene
from aggregator.risk.liquidation_run import pool_of
from chains.identifiers import Account, format_address, token
from chains.liquidating import Exposed
from chains.model import Reason, Side, UnitPosition


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A scene without moves and funds; `left_out`: units and venues that are not in it, and why; `units_left_out`: how many units with debt
    by venue and why; `assumed`: identities whose sale is the policy's word, since nobody knows their volume or how their price moves;
    `curved`: those whose depth somebody told; `symbols`: what is owed in each pool is called.
    """

    scene: Scene
    left_out: tuple[Reason, ...]
    units_left_out: Mapping[tuple[str, str], int]
    assumed: tuple[str, ...]
    curved: tuple[str, ...] = ()
    symbols: Mapping[Pool, str] = field(default_factory=dict)


Curves = Mapping[str, Curve]
"""Identity → what is told of its depth."""

NO_CURVES: Curves = MappingProxyType({})


def stage(units: Iterable[OpenUnit], context: Context, curves: Curves = NO_CURVES) -> Stage:
    """Lay out units at the prices of their cut; `curves` stand for what is reckoned from volume.

    Of assets of one identity that are of several classes, the one whose sale loses the most says where all are sold.
    """
    borrowers: list[Borrower] = []
    left_out: dict[Reason, None] = {}
    units_left_out: Counter[tuple[str, str]] = Counter()
    lent: dict[Pool, int] = defaultdict(int)
    symbols: dict[Pool, str] = {}
    for held_in in units:
        for position in held_in.unit.positions:
            pool = Pool(held_in.venue.id, format_address(held_in.venue.chain_id, position.market))
            if position.side is Side.SUPPLY:
                lent[pool] += position.amount_raw
            elif pool not in symbols:
                symbols[pool] = _symbol(position, held_in.venue.chain_id, context)
        if held_in.unit.has_debt:
            found = _borrower(held_in, context)
            if isinstance(found, Borrower):
                borrowers.append(found)
            else:
                left_out[found] = None
                units_left_out[held_in.venue.id, found.detail] += 1
    borrowers.sort(key=lambda each: each.name)
    identities = {
        asset: identity_of(asset, context.assets)
        for asset in sorted({asset for each in borrowers for asset in each.assets.values()})
    }
    outlets: dict[str, Outlet] = {}
    for asset, identity in identities.items():
        sold_as = outlet_of(asset, identity, context, curves)
        outlets[identity] = max(outlets.get(identity, sold_as), sold_as, key=attrgetter("fixed", "slope"))
    return Stage(
        scene=Scene(
            borrowers=tuple(borrowers),
            identities=identities,
            outlets=outlets,
            supplied=dict(_supplied(borrowers, lent)),
        ),
        left_out=tuple(left_out),
        units_left_out=dict(sorted(units_left_out.items())),
        assumed=tuple(sorted(name for name, outlet in outlets.items() if outlet.slope == 0 and not outlet.curve)),
        curved=tuple(sorted(name for name, outlet in outlets.items() if outlet.curve)),
        symbols=symbols,
    )


def stage_of(book: Book, curves: Curves = NO_CURVES) -> Stage:
    """Lay out a book."""
    return stage(book.units, book.context, curves)


def outlet_of(asset: str, identity: str, context: Context, curves: Curves = NO_CURVES) -> Outlet:
    """Return where an identity is sold: by what is told of its depth, or by its volume and its moves where both are known, else at what
    the policy says of its class. What is too old for a haircut is too old here.
    """
    index, layers = context.risk_index, context.policy.layers
    known, liquid = index.assets.get(identity), index.liquidity.get(identity)
    of_class = layers.of_class(asset_class_of(asset, context))
    volume = None if liquid is None else liquid.daily_volume_usd
    if liquid is not None and identity in curves:
        return Outlet(identity=identity, fixed=0.0, volume_usd=volume, curve=curves[identity])
    if known is None or liquid is None:
        return Outlet(identity=identity, fixed=of_class.liquidity, volume_usd=volume)
    fixed, slope = sale_terms(known, liquid, of_class, layers)
    if not math.isfinite(slope):
        return Outlet(identity=identity, fixed=MOST_IMPACT, volume_usd=volume)
    return Outlet(identity=identity, fixed=fixed, slope=slope, volume_usd=volume)


def _symbol(position: UnitPosition, chain: str, context: Context) -> str:
    configured = context.assets.get(str(token(chain, position.asset)))
    return (configured.symbol if configured else None) or position.symbol


def _borrower(held_in: OpenUnit, context: Context) -> Borrower | Reason:
    unit, chain = held_in.unit, held_in.venue.chain_id
    if unit.liquidating is None:
        detail = f"how {held_in.venue.protocol} liquidates is not computed, or its numbers are not known"
        return Reason("liquidation_unknown", unit_name(held_in) if unit.native is None else held_in.venue.id, detail)
    exposed = unit.liquidating()
    if isinstance(exposed, tuple):
        detail = "; ".join(reason.detail for reason in exposed) or "nothing is known of its debt"
        return Reason("liquidation_unknown", unit_name(held_in), detail)
    base = _base_usd(exposed, held_in, context)
    if isinstance(base, Reason):
        return base
    tokens = {lot.asset for lot in (*exposed.collaterals, *exposed.debts)}
    return Borrower(
        name=unit_name(held_in),
        account=str(Account(chain, unit.owner)),
        venue=held_in.venue.id,
        chain=chain,
        exposed=exposed,
        assets={each: str(token(chain, each)) for each in sorted(tokens)},
        base_usd=base,
    )


def _base_usd(exposed: Exposed, held_in: OpenUnit, context: Context) -> float | Reason:
    """Return what one of the venue's currency is worth in USD, or why that is not known."""
    if exposed.base_asset is None:
        return 1.0
    asset = str(token(held_in.venue.chain_id, exposed.base_asset))
    mark = context.feed_marks.get(identity_of(asset, context.assets))
    if not isinstance(mark, Mark) or mark.mid <= 0:
        return Reason(
            "no_mark", unit_name(held_in), f"its venue counts in {asset}, of which no feed says what it is worth"
        )
    return mark.mid


def _supplied(borrowers: Iterable[Borrower], lent: Mapping[Pool, int]) -> Iterable[tuple[Pool, tuple[str, float]]]:
    for borrower in borrowers:
        for lot in borrower.exposed.debts:
            pool = pool_of(borrower, lot.market)
            yield pool, (borrower.assets[lot.asset], lent.get(pool, 0) * lot.each * borrower.base_usd)
