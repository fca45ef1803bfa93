"""What scenarios have to know of every asset of a book: identity, peg, what it is redeemed for, and how it follows the market."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aggregator.book import Book
from aggregator.margin.valuation import Context, asset_class_of, identity_of
from aggregator.risk.scenarios import Held
from chains.identifiers import token
from chains.model import FeedSpec


def held_of(book: Book, market: str) -> tuple[Held, ...]:
    """Say of every asset that anybody has or owes what a scenario has to know of it, by id; `market`: the identity that betas are to."""
    return held_among(assets_of(book), book.context, book.catalogue.feeds, market)


def assets_of(book: Book) -> dict[str, str]:
    """Return the chain of every asset that anybody has or owes, by id."""
    return {
        str(token(held_in.venue.chain_id, position.asset)): held_in.venue.chain_id
        for held_in in book.units
        for position in held_in.unit.positions
        if position.amount_raw > 0
    }


def held_among(assets: Mapping[str, str], context: Context, feeds: Sequence[FeedSpec], market: str) -> tuple[Held, ...]:
    """Say the same of some assets, by id with their chain."""
    redeems = {
        identity_of(feed.asset, context.assets): identity_of(feed.of, context.assets)
        for feed in feeds
        if feed.of is not None
    }
    return tuple(_held(asset_id, chain, context, redeems, market) for asset_id, chain in sorted(assets.items()))


def _held(asset_id: str, chain: str, context: Context, redeems: Mapping[str, str], market: str) -> Held:
    configured = context.assets.get(asset_id)
    identity = identity_of(asset_id, context.assets)
    asset_class = asset_class_of(asset_id, context)
    of_class = context.policy.layers.of_class(asset_class)
    seen = context.risk_index.pegs.get(identity)
    return Held(
        asset=asset_id,
        identity=identity,
        chain=chain,
        usd_like=of_class.usd_like or asset_class in context.policy.marks.par_classes,
        staked=identity in redeems,
        bridge=configured.bridge if configured else None,
        redeems=redeems.get(identity),
        peg=of_class.peg if seen is None else seen.fall,
        beta=_beta(identity, context, market),
    )


def _beta(identity: str, context: Context, market: str) -> float | None:
    """Return how much of the market's move an identity makes, `None` where no history tells."""
    known, order = context.risk_index.assets, context.model.correlations.order
    if identity not in known or market not in known or known[market].deviation <= 0:
        return None
    correlation = context.risk.correlation[order[identity]][order[market]]
    beta = correlation * known[identity].deviation / known[market].deviation
    return beta if beta > 0 else None
